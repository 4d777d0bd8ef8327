import { Command } from 'commander';
import { addSettings, settingsOf } from '../arguments.ts';
import { environmentName, loadConfig, settingHelp, settingNames } from '../config.ts';
import { resolveDataDir } from '../dataDir.ts';
import { makeOutput, table } from '../output.ts';

type Options = { dataDir: string; json: boolean } & Record<string, unknown>;

export function configCommand(): Command {
  const command = new Command('config')
    .description('the effective configuration, and where each value comes from')
    .requiredOption('--data-dir <dir>', 'the data directory')
    .option('--json', 'print one JSON document', false);
  return addSettings(command)
    .addHelpText('after', '\nExample:\n  $ mpbp config --data-dir ./node1')
    .action((options: Options) => {
      const path = resolveDataDir(options.dataDir);
      const { config, origins } = loadConfig(path, settingsOf(options));
      const rows = settingNames.map((name) => {
        const value = config[name];
        const text = Array.isArray(value) ? value.join(',') : String(value);
        return [name, text, origins[name], environmentName(name), settingHelp(name)];
      });
      makeOutput(options.json).result({ config, origins }, table(rows));
    });
}
