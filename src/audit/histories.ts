import type { ChainParams } from '#src/chain/params.ts';
import type { ChainStore } from '#src/chain/store.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { deltaOf, encodeHistoryEntry, type HistoryEntry, historyOf } from '#src/history/history.ts';
import type { Movement } from '#src/ledger/execute.ts';
import { bytesEqual, concatBytes, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { type Block, decodeBlock } from '#src/types/block.ts';
import { decodeReceipt, type Receipt } from '#src/types/receipt.ts';
import { asHeight, type Height } from '#src/types/units.ts';

const pageEntries = 1_000;
const START = new Uint8Array(32);

/**
 * What each account did, by the replayed blocks: the sum of its entries, and a digest chained over
 * them, so that the entries themselves need not be kept.
 */
export class Histories {
  readonly #accounts = new Map<Address, { balance: bigint; digest: Uint8Array }>();
  /** Of the few blocks that have any. */
  readonly #movements = new Map<Height, readonly Movement[]>();
  entries = 0;

  addBlock(block: Block, receipts: readonly Receipt[], movements: readonly Movement[]): void {
    if (movements.length > 0) this.#movements.set(block.header.height, movements);
    for (const entry of historyOf(block, receipts, movements)) this.add(entry);
  }

  add(entry: HistoryEntry): void {
    const { balance, digest } = this.#accounts.get(entry.account) ?? { balance: 0n, digest: START };
    this.#accounts.set(entry.account, {
      balance: balance + deltaOf(entry),
      digest: chained(digest, digestOf(entry)),
    });
    this.entries++;
  }

  addresses(): Iterable<Address> {
    return this.#accounts.keys();
  }

  /** By hand, from the entries: the oracle for conservation. */
  balance(account: Address): bigint {
    return this.#accounts.get(account)?.balance ?? 0n;
  }

  supply(): bigint {
    return [...this.#accounts.values()].reduce((sum, { balance }) => sum + balance, 0n);
  }

  /** Whether the store tells an account exactly what it did. */
  async isStored(store: ChainStore, account: Address): Promise<boolean> {
    const digests = (await storedEntries(store, account)).map(digestOf).reverse();
    const found = digests.reduce(chained, START);
    return bytesEqual(found, this.#accounts.get(account)?.digest ?? START);
  }

  /** The first entry that differs from the blocks', which have been found sound; slow, at the end. */
  async findDifference(
    params: ChainParams,
    store: ChainStore,
    account: Address,
  ): Promise<{ want: HistoryEntry | null; got: HistoryEntry | null }> {
    const wanted = params.genesis.history.filter((entry) => entry.account === account);
    const top = store.head?.height ?? 0n;
    for (let height = asHeight(1n); height <= top; height = asHeight(height + 1n)) {
      const block = decodeBlock(store.block(height) ?? START, { chainId: params.chainId });
      assert(block.ok, 'the block was replayed before');
      const receipts = (store.receipts(height) ?? []).map((bytes) => {
        const receipt = decodeReceipt(bytes);
        assert(receipt.ok, 'the receipt was compared before');
        return receipt.value;
      });
      const entries = historyOf(block.value, receipts, this.#movements.get(height));
      wanted.push(...entries.filter((entry) => entry.account === account));
    }
    const stored = (await storedEntries(store, account)).reverse();
    for (let at = 0; ; at++) {
      const [want, got] = [wanted[at] ?? null, stored[at] ?? null];
      if (want === null || got === null) return { want, got };
      if (!bytesEqual(digestOf(want), digestOf(got))) return { want, got };
    }
  }
}

export function spellEntry(entry: HistoryEntry | null): string {
  if (entry === null) return 'nothing';
  const { kind, amount, fee, counterparty, height, index } = entry;
  const whom = counterparty === null ? '' : ` ${counterparty}`;
  return `${height}/${index} ${kind}${whom}, amount ${amount}, fee ${fee}`;
}

/** The newest first, as the store gives them. */
async function storedEntries(store: ChainStore, account: Address): Promise<HistoryEntry[]> {
  const found: HistoryEntry[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<ChainStore['history']>> = await store.history(
      account,
      cursor,
      pageEntries,
    );
    found.push(...(page?.entries ?? []));
    cursor = page?.cursor ?? null;
  } while (cursor !== null);
  return found;
}

function digestOf(entry: HistoryEntry): Uint8Array {
  return sha256(concatBytes(utf8(`${entry.height}.${entry.index}.`), encodeHistoryEntry(entry)));
}

function chained(before: Uint8Array, digest: Uint8Array): Uint8Array {
  return sha256(concatBytes(before, digest));
}
