/**
 * Opens a data directory as `mpbp start` does, and reads all that a node serves, through the code
 * that serves it.
 */
import { createHash, type Hash as Digest } from 'node:crypto';
import { Chain } from '#src/chain/chain.ts';
import { chainOf } from '#src/chain/genesisChain.ts';
import { asHeight } from '#src/types/units.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { loadConfig } from '../../bin/config.ts';
import { type DataDir, openDataDir, withRemedy } from '../../bin/dataDir.ts';
import { openNodeKeys } from '../../bin/nodeKeys.ts';
import { people } from '../chain/network.ts';

export type Seen = {
  /** Of everything about accounts, blocks, receipts, indices and histories. */
  readonly chain: string;
  readonly height: number;
  /** What the validator knows that it signed; null where it knows that it does not know. */
  readonly journal: string | null;
  readonly pool: readonly string[];
  readonly evidence: readonly string[];
  readonly keys: string | null;
};

/** Rejects as the node would end. `withKeys` costs the time of a password. */
export async function inspect(path: string, withKeys: boolean): Promise<Seen> {
  try {
    const dir = openDataDir(path);
    loadConfig(path, new Map());
    const keys = withKeys ? await openNodeKeys(path, null) : null;
    const seen = await inspectParts(dir);
    return { ...seen, keys: keys === null ? null : JSON.stringify(keys) };
  } catch (error) {
    throw withRemedy(path, error);
  }
}

async function inspectParts(dir: DataDir): Promise<Omit<Seen, 'keys'>> {
  const shelf = await LevelShelf.open(dir.chain);
  try {
    const store = await ShelfChainStore.open(shelf);
    const params = chainOf(dir.genesis);
    const chain = await Chain.open({ params, store, known: () => null, onFinal: () => {} });
    const pool = await recordsOf(dir.pool);
    const evidence = await recordsOf(dir.evidence);
    const journal = await recordsOf(dir.consensus);
    const isLost = journal.length === 0 || lastSeq(journal) < chain.journalSeq;
    const digest = createHash('sha256');
    await readAll(chain, digest);
    return {
      chain: digest.digest('hex'),
      height: Number(chain.head.header.height),
      journal: isLost ? null : journal.join(),
      pool,
      evidence,
    };
  } finally {
    await shelf.close();
  }
}

async function recordsOf(dir: string): Promise<string[]> {
  const { log, records } = AppendLog.open(dir);
  await log.close();
  return records.map(({ seq, payload }) => `${seq}:${Buffer.from(payload).toString('hex')}`);
}

function lastSeq(records: readonly string[]): number {
  return Number(records.at(-1)?.split(':')[0]);
}

async function readAll(chain: Chain, digest: Digest): Promise<void> {
  const say = (value: unknown) => {
    digest.update(`${JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}\n`);
  };
  const top = chain.head.header.height;
  const accounts = new Set(people.map(({ address }) => address));
  for (let height = 0n; height <= top; height++) {
    const at = asHeight(height);
    const block = chain.blockAt(at);
    say([block, chain.receiptsAt(at), chain.certificateAt(at)]);
    say(block === null ? null : chain.heightOf(block.hash));
    if (block === null) continue;
    accounts.add(block.header.coinbase);
    for (const { hash, sender, to } of block.transactions) {
      say(chain.locate(hash));
      accounts.add(sender);
      if (to !== null) accounts.add(to);
    }
  }
  const past = chain.stateAt(asHeight(top > 100n ? top - 100n : 0n));
  for (const address of accounts) {
    say([chain.account(address), past?.account(address)]);
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<Chain['history']>> = await chain.history(address, cursor, 100);
      say(page?.entries);
      cursor = page?.cursor ?? null;
    } while (cursor !== null);
  }
}
