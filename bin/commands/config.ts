import { Command } from 'commander';
import { environmentName, loadConfig, settingHelp, settingNames } from '../config.ts';
import { resolveDataDir } from '../dataDir.ts';
import { makeOutput, table } from '../output.ts';

export function configCommand(): Command {
  return new Command('config')
    .description('the effective configuration, and where each value comes from')
    .requiredOption('--data-dir <dir>', 'the data directory')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp config --data-dir ./node1')
    .action((options: { dataDir: string; json: boolean }) => {
      const { config, origins } = loadConfig(resolveDataDir(options.dataDir), new Map());
      const rows = settingNames.map((name) => {
        const value = config[name];
        const text = Array.isArray(value) ? value.join(',') : String(value);
        return [name, text, origins[name], environmentName(name), settingHelp(name)];
      });
      makeOutput(options.json).result({ config, origins }, table(rows));
    });
}
