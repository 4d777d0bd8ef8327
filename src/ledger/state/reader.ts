import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import type { Account } from './account.ts';
import type { TrieNode } from './trieNode.ts';

/** 32 bytes as bare hex: a storage slot's key. */
export type SlotKey = string;

/** A version of the state. Reads do not walk the trie: accounts and slots lie flat. */
export type StateReader = {
  account(address: Address): Account | null;
  /** Without leading zeros; empty where nothing is stored. */
  slot(address: Address, key: SlotKey): Uint8Array;
  code(hash: Hash): Uint8Array | null;
  /** A node of the account trie (owner null) or of one account's storage trie. */
  trieNode(owner: Address | null, path: Nibbles): TrieNode | null;
};

/** What a contract writes its storage through. */
export type StateWriter = StateReader & {
  setSlot(address: Address, key: SlotKey, value: Uint8Array): void;
};

/** What a block changed, in the terms of the tables; null deletes. */
export type StateChanges = {
  readonly accounts: ReadonlyMap<Address, Account | null>;
  readonly slots: ReadonlyMap<Address, ReadonlyMap<SlotKey, Uint8Array>>;
  readonly code: ReadonlyMap<Hash, Uint8Array>;
  readonly trieNodes: readonly TrieWrite[];
  /** The same accounts and slots before the block. */
  readonly before: {
    readonly accounts: ReadonlyMap<Address, Account | null>;
    readonly slots: ReadonlyMap<Address, ReadonlyMap<SlotKey, Uint8Array>>;
  };
};

export type TrieWrite = {
  readonly owner: Address | null;
  readonly path: Nibbles;
  readonly node: TrieNode | null;
};

export const emptyState: StateReader = {
  account: () => null,
  slot: () => new Uint8Array(0),
  code: () => null,
  trieNode: () => null,
};
