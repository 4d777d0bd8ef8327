import { Command } from 'commander';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { resolveDataDir } from '../dataDir.ts';
import {
  createNodeKeys,
  type NodeKeys,
  openNodeKeys,
  publicKeysOf,
  writeNodeKeys,
} from '../nodeKeys.ts';
import { makeOutput, table } from '../output.ts';
import { readPassword, readSecretFile } from '../secrets.ts';

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
  keys
    .command('import')
    .description('encrypt the seeds that `mpbp keys export` printed into another data directory')
    .argument('<file>', 'a private file with what was printed')
    .requiredOption('--data-dir <dir>', 'where the node will live')
    .option('--password-file <file>', 'a password of your own; without it one is generated')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp keys import ./seeds.json --data-dir ./node1\n\n' +
        'Never in two places at once: a key that contradicts itself loses stake. What it signed\n' +
        'does not come along: put consensus/ beside it, or it is silent until the next epoch.',
    )
    .action(importKeys);
  return keys;
}

async function importKeys(file: string, options: Options): Promise<void> {
  const path = resolveDataDir(options.dataDir);
  const seeds = parseSeeds(readSecretFile(file), file);
  const from = options.passwordFile;
  const password = from === undefined ? null : await readPassword({ file: from, prompt: '' });
  const made = await writeNodeKeys(path, password, seeds);
  await new AuditLog(path).append('keys import', { ...made, file });
  show(made, options.json);
}

/** As `keys export` prints them. */
function parseSeeds(text: string, file: string): NodeKeys {
  const bad = (what: string) => new UserError(EXIT.badData, `${file}: ${what}`);
  const seed = (value: unknown, name: string) => {
    const bytes = fromHex(String(value));
    if (bytes?.length === 32) return bytes;
    throw bad(`${name} should be 0x and 64 hexadecimal digits`);
  };
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw bad('not what mpbp keys export prints');
  }
  const others = json?.otherConsensusSeeds ?? [];
  if (!Array.isArray(others)) throw bad('otherConsensusSeeds should be a list');
  const own = seed(json?.consensusSeed, 'consensusSeed');
  const consensusSeeds = [own, ...others.map((one) => seed(one, 'otherConsensusSeeds'))];
  return { consensusSeeds, networkSeed: seed(json.networkSeed, 'networkSeed') };
}

function show(keys: { consensusKey: string; peerId: string }, json: boolean): void {
  const rows = [
    ['consensus key', keys.consensusKey],
    ['peer id', keys.peerId],
  ];
  makeOutput(json).result(keys, table(rows));
}
