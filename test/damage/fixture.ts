/** The data directory of a validator that has worked for a while, and an older copy of it. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Journal, journalBegin } from '#consensus/engine/journal.ts';
import type { Chain } from '#src/chain/chain.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { createChain } from '../../bin/commands/init.ts';
import { createDataDir, type DataDir } from '../../bin/dataDir.ts';
import { createNodeKeys } from '../../bin/nodeKeys.ts';
import { people, TinyChain, TinyNetwork } from '../chain/network.ts';

export type Fixture = {
  /** What is damaged, in copies. */
  readonly now: string;
  /** The same directory some hundred blocks before. */
  readonly old: string;
  /** The same with nothing in a log, because it was compacted; `old` of it is `now`. */
  readonly compacted: string;
  readonly blocks: number;
};

const roundsOfBlocks = 6;
const paymentsEach = 3;
const noBlocks = {
  encode: () => new Uint8Array(0),
  decode: () => ({ ok: false, refusal: { code: 'BLOCK_RLP' } }) as const,
};

export async function makeFixture(
  root: string,
  blocks: number,
  network: TinyNetwork = new TinyNetwork(),
): Promise<Fixture> {
  const [now, old] = [join(root, 'now'), join(root, 'old')];
  await createNodeKeys(now, null);
  const dir = createDataDir(now, network.genesisText);
  await createChain(dir);
  writeFileSync(join(now, 'mpbp.toml'), '[rpc]\nport = 18545\n', { mode: 0o600 });
  for (let round = 0; round < roundsOfBlocks; round++) {
    // Each opening moves the log into a table; the compaction of one rewrites what is there.
    const shelf = await LevelShelf.open(dir.chain);
    await extend(network, shelf, dir, Math.ceil(blocks / roundsOfBlocks));
    if (round === 2) await shelf.compact();
    await shelf.close();
    if (round === 3) cpSync(now, old, { recursive: true });
  }
  const compacted = join(root, 'compacted');
  cpSync(now, compacted, { recursive: true });
  const shelf = await LevelShelf.open(join(compacted, 'chain'));
  await shelf.compact();
  await shelf.close();
  return { now, old, compacted, blocks };
}

/** As the engine does it: the journal first, then the chain with the journal's number. */
async function extend(
  network: TinyNetwork,
  shelf: LevelShelf,
  dir: DataDir,
  blocks: number,
): Promise<void> {
  const tiny = await TinyChain.open(network, shelf);
  const { chain }: { chain: Chain } = tiny;
  const { log } = AppendLog.open(dir.consensus);
  const { log: pool } = AppendLog.open(dir.pool);
  const { log: evidence } = AppendLog.open(dir.evidence);
  const journal = new Journal(log, noBlocks);
  for (let count = 0; count < blocks; count++) {
    const height = Number(chain.head.header.height);
    const payments = Array.from({ length: paymentsEach }, (_, at) => {
      const from = people[(height + at) % 5];
      const to = people[(height + at + 1 + (height % 4)) % 6];
      return from === undefined || to === undefined ? [] : [tiny.pay(from, to.address, 7n)];
    }).flat();
    const block = tiny.build(payments);
    const certificate = network.certificate(block);
    const seq = journal.append({ t: 'certificate', certificate });
    await journal.sync();
    pool.append(utf8(`payment ${height}`));
    await chain.commit(network.proven([block]), seq);
  }
  evidence.append(journalBegin);
  await Promise.all([pool.close(), evidence.close(), log.close()]);
}
