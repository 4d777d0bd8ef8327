import type { HistoryEntry } from '#src/history/history.ts';
import type { Account } from '#src/ledger/state/account.ts';
import type { StateChanges, StateReader } from '#src/ledger/state/reader.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, Height } from '#src/types/units.ts';

/** Everything that belongs to one final block. */
export type BlockRecord = {
  readonly height: Height;
  readonly hash: Hash;
  readonly parentHash: Hash;
  readonly block: Uint8Array;
  /** 20 bytes for each transaction, so that reading a block recovers nothing again. */
  readonly senders: Uint8Array;
  readonly receipts: readonly Uint8Array[];
  readonly transactions: readonly Hash[];
  readonly changes: StateChanges;
  readonly history: readonly HistoryEntry[];
  /** The set that decides from the next block on, where this one ends its epoch. */
  readonly nextEpoch: EpochRecord | null;
};

export type EpochRecord = {
  readonly epoch: Epoch;
  /** The last block of the epoch before. */
  readonly boundary: Height;
  readonly validators: Uint8Array;
};

export type Head = {
  readonly height: Height;
  readonly hash: Hash;
  /** How far the consensus journal had come when this was written. */
  readonly journalSeq: number;
};

/** What a block's accounts and slots held before it, for views of the past. */
export type Undo = StateChanges['before'];

/** The store as it was at one moment, whatever is committed meanwhile. */
export type HeldStore = {
  readonly height: Height;
  readonly state: StateReader;
  undo(height: Height): Undo | null;
  archived(height: Height): StateReader | null;
  close(): void;
};

/**
 * The chain on disk: one version of the state, the newest final one, and everything that led to it.
 * `commit` writes all of it or nothing, and resolves when it would survive a power cut.
 */
export type ChainStore = StateReader & {
  /** Null in a store that holds no genesis yet. */
  readonly head: Head | null;
  /** `certificate` belongs to the last record; null for genesis alone. */
  commit(
    records: readonly BlockRecord[],
    certificate: Uint8Array | null,
    journalSeq: number,
  ): Promise<void>;
  block(height: Height): Uint8Array | null;
  senders(height: Height): Uint8Array | null;
  heightOf(hash: Hash): Height | null;
  receipts(height: Height): readonly Uint8Array[] | null;
  certificate(height: Height): Uint8Array | null;
  /** Null for the first epoch, which is genesis', and for those that have not begun. */
  epoch(epoch: Epoch): EpochRecord | null;
  locate(transaction: Hash): { height: Height; index: number } | null;
  /** Null where it is older than the kept window. */
  undo(height: Height): Undo | null;
  /** The state after a block up to the head; null where no archive reaches back to it. */
  archived(height: Height): StateReader | null;
  /** To be closed. */
  hold(): HeldStore;
  /** The newest first, starting after the cursor; null for a cursor that is not ours. */
  history(
    account: Address,
    cursor: string | null,
    limit: number,
  ): Promise<{ entries: HistoryEntry[]; cursor: string | null } | null>;
  /** Of heights below this one, the newest first, or above it, the oldest first. */
  historyBeside(
    account: Address,
    side: 'below' | 'above',
    height: Height,
    limit: number,
  ): Promise<HistoryEntry[]>;
  /** In the order of addresses, for audits. */
  accountsAfter(
    after: Address | null,
    limit: number,
  ): Promise<{ address: Address; account: Account }[]>;
  /** How many entries a table has, for audits: reads all of them. */
  count(table: 'heights' | 'transactions' | 'history' | 'slots'): Promise<number>;
  /** Walks the newest commit records; throws where one is missing or does not link. */
  checkLinks(): void;
  close(): Promise<void>;
};
