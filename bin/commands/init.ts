import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { Chain } from '#src/chain/chain.ts';
import { chainOf } from '#src/chain/genesisChain.ts';
import { toHex } from '#src/lib/bytes.ts';
import { genesisWarnings } from '#src/types/genesis.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { createDataDir, type DataDir, readText, resolveDataDir, sealDataDir } from '../dataDir.ts';
import { createNodeKeys, hasNodeKeys, openNodeKeys, publicKeysOf } from '../nodeKeys.ts';
import { makeOutput } from '../output.ts';

type InitOptions = { genesis: string; dataDir: string; passwordFile?: string; json: boolean };

export function initCommand(): Command {
  return new Command('init')
    .description('make a data directory from a genesis')
    .requiredOption('--genesis <file>', 'the genesis that all members agreed on')
    .requiredOption('--data-dir <dir>', 'the new directory; keys that are in it are kept')
    .option('--password-file <file>', 'password of the node keys')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp init --genesis genesis.json --data-dir ./node1')
    .action(init);
}

const NO_JOURNAL =
  'warning: these keys come without consensus/, the directory of what they have signed: ' +
  'this node follows until the next epoch; put the newest copy of that directory back if you can';

async function init(options: InitOptions): Promise<void> {
  const path = resolveDataDir(options.dataDir);
  const dir = createDataDir(path, readText(options.genesis), options.genesis);
  const file = options.passwordFile ?? null;
  const keys = hasNodeKeys(path)
    ? await publicKeysOf(await openNodeKeys(path, file))
    : await createNodeKeys(path, null);
  await createChain(dir);
  const isValidator = dir.genesis.validators.some(
    ({ consensusKey }) => toHex(consensusKey) === keys.consensusKey,
  );
  const lines = [
    `${path} is ready for network ${dir.networkId}`,
    isValidator ? 'this node is a validator' : 'this node follows; genesis does not name its key',
    ...(existsSync(dir.consensus) ? [] : [NO_JOURNAL]),
    ...genesisWarnings(dir.genesis).map((warning) => `warning: ${warning}`),
    `start it: mpbp start --data-dir ${path}`,
  ];
  const data = { dataDir: path, networkId: dir.networkId, isValidator, ...keys };
  makeOutput(options.json).result(data, lines.join('\n'));
}

/** The database with block 0 in it, and the identity: made here and nowhere else. */
export async function createChain(dir: DataDir): Promise<void> {
  const store = await ShelfChainStore.open(await LevelShelf.create(dir.chain));
  await Chain.create(chainOf(dir.genesis), store);
  await store.close();
  sealDataDir(dir);
}
