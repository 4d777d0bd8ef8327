/**
 * What explorers look for by account, over its history: who sent, who was paid, and whose coin a
 * contract moved. Blocks are read one in each turn of the loop, and count for whoever asked.
 */
import type { HistoryEntry } from '#src/history/history.ts';
import { isDelegation } from '#src/ledger/evm/evmState.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import { createAddress } from '#src/types/createAddress.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { Caller } from './access/access.ts';
import type { Backend, Location } from './backend.ts';
import { unitsPerMs } from './dispatch.ts';
import { limitExceeded, RPC, RpcError } from './errors.ts';
import type { RpcLimits } from './limits.ts';
import { longSearches } from './turns.ts';

export type Side = 'below' | 'above';

export type Found = {
  /** In the order of the search; of the last block all, even where that is more than was asked. */
  readonly places: readonly Location[];
  readonly hasMore: boolean;
};

/** How many are asked for first. */
const entriesFirst = 32;

/** What one search may still look through. */
type Budget = { entries: number; blocks: number };

export class AccountSearch {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  readonly #caller: Caller;
  readonly #endMs: number;

  constructor(backend: Backend, limits: RpcLimits, caller: Caller) {
    this.#backend = backend;
    this.#limits = limits;
    this.#caller = caller;
    this.#endMs = performance.now() + limits.searchMs;
  }

  /**
   * Work on one block, in a turn of its own. A quota is looked at before a search begins only: what
   * began together would go on for minutes.
   */
  async slice<T>(work: () => T): Promise<T> {
    await longSearches.next();
    const startMs = performance.now();
    if (startMs > this.#endMs) throw limitExceeded('the search takes too long: ask for less');
    try {
      return work();
    } finally {
      const ms = Math.floor(performance.now() - startMs);
      if (ms > 0) this.#caller.meter?.take(ms * unitsPerMs);
    }
  }

  /** Transactions of the account: the newest first below a height, the oldest first above it. */
  async transactions(address: Address, side: Side, from: Height, count: number): Promise<Found> {
    const places: Location[] = [];
    const budget = this.#budget();
    for await (const block of this.#blocks(address, side, from, budget)) {
      const indices = [...new Set(block.filter(isTransaction).map(({ index }) => index))];
      if (indices.length > 0 && places.length >= count) return { places, hasMore: true };
      const height = block[0]?.height ?? from;
      places.push(...indices.map((index) => ({ height, index })));
    }
    if (places.length === 0) this.#assertLeft(budget);
    return { places, hasMore: budget.entries <= 0 };
  }

  /** By halves over the heights, as an account's nonces only rise. */
  async bySenderAndNonce(sender: Address, nonce: bigint): Promise<SignedTransaction | null> {
    const { height: head } = this.#backend.head.header;
    const state = this.#backend.stateAt(head);
    const account = state?.account(sender) ?? null;
    if (state === null || account === null || account.nonce <= nonce) return null;
    const code = state.code(account.codeHash);
    // A contract signs nothing (EIP-3607): its nonce counts what it made.
    if (code.length > 0 && !isDelegation(code)) return null;
    const budget = this.#budget();
    let low = 0n;
    let high: bigint = head + 1n;
    while (low < high) {
      const middle = (low + high) / 2n;
      const block = await this.#newestSent(sender, asHeight(middle + 1n), budget);
      const last = block?.own.at(-1);
      if (block === null || last === undefined || last.nonce < nonce) {
        low = middle + 1n;
        continue;
      }
      const found = block.own.find((transaction) => transaction.nonce === nonce);
      if (found !== undefined) return found;
      high = block.height;
    }
    return null;
  }

  /** The transaction that created a contract by itself; null for what another contract made. */
  async creation(address: Address): Promise<SignedTransaction | null> {
    const budget = this.#budget();
    for await (const entries of this.#blocks(address, 'above', asHeight(0n), budget)) {
      const received = entries.filter((entry) => entry.kind === 'received');
      const [{ height } = { height: null }] = received;
      if (height === null) continue;
      // What came before it was created, if anything, is rarely much.
      if (budget.blocks-- <= 0) return null;
      const found = await this.slice(() => {
        const { transactions = [] } = this.#backend.blockAt(height) ?? {};
        return received
          .map(({ index }) => transactions[index])
          .find((one) => one?.to === null && createAddress(one.sender, one.nonce) === address);
      });
      if (found !== undefined) return found;
    }
    this.#assertLeft(budget);
    return null;
  }

  /** The newest block below with transactions that the account signed. */
  async #newestSent(sender: Address, below: Height, budget: Budget): Promise<Sent | null> {
    for await (const entries of this.#blocks(sender, 'below', below, budget)) {
      const sent = entries.find(isSent);
      if (sent === undefined) continue;
      const { height } = sent;
      if (budget.blocks-- <= 0) throw tooMuch(this.#limits.searchBlocksMax, 'blocks');
      const own = await this.slice(() => sentIn(this.#backend.blockAt(height), sender));
      if (own.length > 0) return { height, own };
    }
    this.#assertLeft(budget);
    return null;
  }

  /** Entries by block, until there are no more or the budget is used up. */
  async *#blocks(
    address: Address,
    side: Side,
    from: Height,
    budget: Budget,
  ): AsyncGenerator<readonly HistoryEntry[], void> {
    let at = from;
    // Mostly the first few are enough; and the most are in one block.
    for (let atOnce = entriesFirst; budget.entries > 0; ) {
      const found = await this.#backend.historyBeside(address, side, at, atOnce);
      const isLast = found.length < atOnce;
      const groups = groupByHeight(found);
      // Of the last block there may be more.
      for (const group of isLast ? groups : groups.slice(0, -1)) {
        budget.entries -= group.length;
        yield group;
        if (budget.entries <= 0) return;
        at = group[0]?.height ?? at;
      }
      if (isLast) return;
      const isOneBlock = groups.length < 2;
      if (isOneBlock && atOnce >= budget.entries) budget.entries = 0;
      atOnce = isOneBlock ? 2 * atOnce : Math.min(2 * atOnce, this.#limits.historyEntriesMax);
    }
  }

  #budget(): Budget {
    const { searchEntriesMax: entries, searchBlocksMax: blocks } = this.#limits;
    return { entries, blocks };
  }

  #assertLeft({ entries }: Budget): void {
    if (entries <= 0) throw tooMuch(this.#limits.searchEntriesMax, 'entries');
  }
}

type Sent = { readonly height: Height; readonly own: readonly SignedTransaction[] };

function sentIn(block: Block | null, account: Address): readonly SignedTransaction[] {
  return (block?.transactions ?? []).filter(({ sender }) => sender === account);
}

function groupByHeight(entries: readonly HistoryEntry[]): HistoryEntry[][] {
  const groups: HistoryEntry[][] = [];
  for (const entry of entries) {
    const last = groups.at(-1);
    if (last?.[0]?.height === entry.height) last.push(entry);
    else groups.push([entry]);
  }
  return groups;
}

/** As the entry of every transaction for its sender, whoever pays its fee, and in what. */
function isSent({ kind, token }: HistoryEntry): boolean {
  return token === null && (kind === 'sent' || kind === 'self');
}

/** A proposer's fees and what genesis gave are of no transaction. */
function isTransaction({ transactionHash }: HistoryEntry): boolean {
  return transactionHash !== null;
}

function tooMuch(max: number, what: string): RpcError {
  return new RpcError(RPC.tooLarge, `more than ${max} ${what} of the account to look through`);
}
