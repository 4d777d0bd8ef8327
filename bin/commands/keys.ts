import { Command } from 'commander';
import { toHex } from '#src/lib/bytes.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { resolveDataDir } from '../dataDir.ts';
import { createNodeKeys, openNodeKeys, publicKeysOf } from '../nodeKeys.ts';
import { makeOutput, table } from '../output.ts';
import { readPassword } from '../secrets.ts';

type Options = { dataDir: string; passwordFile?: string; json: boolean };

export function keysCommand(): Command {
  const keys = new Command('keys').description("a node's own keys: consensus and network");
  keys
    .command('new')
    .description('make both keys, encrypted, in a data directory')
    .requiredOption('--data-dir <dir>', 'where the node will live')
    .option('--password-file <file>', 'a password of your own; without it one is generated')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp keys new --data-dir ./node1')
    .action(async (options: Options) => {
      const path = resolveDataDir(options.dataDir);
      const file = options.passwordFile;
      const password = file === undefined ? null : await readPassword({ file, prompt: '' });
      const made = await createNodeKeys(path, password);
      await new AuditLog(path).append('keys new', made);
      show(made, options.json);
    });
  keys
    .command('list')
    .description('print the public parts, which others need')
    .requiredOption('--data-dir <dir>', 'the data directory')
    .option('--password-file <file>', 'password of the keys')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp keys list --data-dir ./node1')
    .action(async (options: Options) => {
      const path = resolveDataDir(options.dataDir);
      const opened = await openNodeKeys(path, options.passwordFile ?? null);
      show(await publicKeysOf(opened), options.json);
    });
  keys
    .command('export')
    .description('print the secret seeds, for a backup that is kept offline')
    .requiredOption('--data-dir <dir>', 'the data directory')
    .option('--password-file <file>', 'password of the keys')
    .addHelpText('after', '\nExample:\n  $ mpbp keys export --data-dir ./node1 > seeds.json')
    .action(async (options: Options) => {
      const path = resolveDataDir(options.dataDir);
      const opened = await openNodeKeys(path, options.passwordFile ?? null);
      // Written down first: a key that left without a record would be the worse failure.
      await new AuditLog(path).append('keys export', { ...(await publicKeysOf(opened)) });
      const [own = new Uint8Array(0), ...others] = opened.consensusSeeds;
      const seeds = {
        consensusSeed: toHex(own),
        otherConsensusSeeds: others.map(toHex),
        networkSeed: toHex(opened.networkSeed),
      };
      makeOutput(true).result(seeds, '');
    });
  return keys;
}

function show(keys: { consensusKey: string; peerId: string }, json: boolean): void {
  const rows = [
    ['consensus key', keys.consensusKey],
    ['peer id', keys.peerId],
  ];
  makeOutput(json).result(keys, table(rows));
}
