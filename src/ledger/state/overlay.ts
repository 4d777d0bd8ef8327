import { keccak256 } from '#src/crypto/keccak.ts';
import { bytesEqual, EMPTY_BYTES, hexBytes, toBareHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { type Account, EMPTY_ACCOUNT, encodeAccount, isEmptyAccount } from './account.ts';
import type { SlotKey, StateChanges, StateReader, TrieWrite } from './reader.ts';
import { type TrieChange, updateTrie } from './trie.ts';
import type { TrieNode } from './trieNode.ts';

/**
 * Changes on top of another version of the state. A block is executed into an overlay on its
 * parent's; when the block is final the overlay's changes go to disk, otherwise it is dropped.
 * Inside a block a journal takes back what a failed transaction did.
 */
export class Overlay implements StateReader {
  #parent: StateReader;
  readonly #accounts = new Map<Address, Account | null>();
  readonly #slots = new Map<Address, Map<SlotKey, Uint8Array>>();
  /** What was read below: while a block is executed the same words are asked for over and over. */
  readonly #read = new Map<Address, Map<SlotKey, Uint8Array>>();
  readonly #code = new Map<Hash, Uint8Array>();
  readonly #nodes = new Map<string, TrieNode | null>();
  /** How to undo each change since the block began, the newest last. */
  readonly #journal: (() => void)[] = [];
  #sealed = false;

  constructor(parent: StateReader) {
    this.#parent = parent;
  }

  account(address: Address): Account | null {
    const own = this.#accounts.get(address);
    return own === undefined ? this.#parent.account(address) : own;
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    return this.#slots.get(address)?.get(key) ?? this.#slotBelow(address, key);
  }

  #slotBelow(address: Address, key: SlotKey): Uint8Array {
    if (this.#sealed) return this.#parent.slot(address, key);
    let read = this.#read.get(address);
    if (read === undefined) {
      read = new Map();
      this.#read.set(address, read);
    }
    let value = read.get(key);
    if (value === undefined) {
      value = this.#parent.slot(address, key);
      read.set(key, value);
    }
    return value;
  }

  code(hash: Hash): Uint8Array | null {
    return this.#code.get(hash) ?? this.#parent.code(hash);
  }

  trieNode(owner: Address | null, path: Nibbles): TrieNode | null {
    const own = this.#nodes.get(nodeKey(owner, path));
    return own === undefined ? this.#parent.trieNode(owner, path) : own;
  }

  /** The parent's changes are on disk: read from there, so that old overlays can go. */
  rebase(parent: StateReader): void {
    this.#parent = parent;
  }

  // --- writing, while the block is executed -----------------------------------------------------

  setAccount(address: Address, account: Account): void {
    const before = this.#accounts.get(address);
    this.#undo(() => restore(this.#accounts, address, before));
    this.#accounts.set(address, isEmptyAccount(account) ? null : account);
  }

  changeAccount(address: Address, change: (account: Account) => Account): void {
    this.setAccount(address, change(this.account(address) ?? EMPTY_ACCOUNT));
  }

  setSlot(address: Address, key: SlotKey, value: Uint8Array): void {
    let slots = this.#slots.get(address);
    if (slots === undefined) {
      slots = new Map();
      this.#slots.set(address, slots);
    }
    const target = slots;
    const before = target.get(key);
    this.#undo(() => restore(target, key, before));
    target.set(key, value);
  }

  /** Of an account that is new in this block: nothing of it lies below. */
  clearSlots(address: Address): void {
    for (const key of this.#slots.get(address)?.keys() ?? []) {
      this.setSlot(address, key, EMPTY_BYTES);
    }
  }

  setCode(code: Uint8Array): Hash {
    const hash = keccakHash(code);
    const before = this.#code.get(hash);
    this.#undo(() => restore(this.#code, hash, before));
    this.#code.set(hash, code);
    return hash;
  }

  checkpoint(): number {
    return this.#journal.length;
  }

  revertTo(checkpoint: number): void {
    while (this.#journal.length > checkpoint) this.#journal.pop()?.();
  }

  #undo(step: () => void): void {
    assert(!this.#sealed, 'a sealed state does not change');
    this.#journal.push(step);
  }

  // --- the end of the block ---------------------------------------------------------------------

  /** Brings the tries up to date, and with them the root; nothing changes after this. */
  seal(parentRoot: Hash): { root: Hash; changes: StateChanges } {
    const trieNodes: TrieWrite[] = [];
    const slotsBefore = new Map<Address, Map<SlotKey, Uint8Array>>();
    for (const [address, slots] of this.#slots) {
      const before = this.#slotsBefore(address, slots);
      slotsBefore.set(address, before);
      if (slots.size > 0) this.#sealStorage(address, slots, before, trieNodes);
    }
    const changed: TrieChange[] = [];
    const beforeAccounts = new Map<Address, Account | null>();
    const accounts = new Map<Address, Account | null>();
    for (const [address, account] of this.#accounts) {
      const before = this.#parent.account(address);
      if (sameAccount(before, account)) continue;
      beforeAccounts.set(address, before);
      accounts.set(address, account);
      const path = toBareHex(keccak256(addressToBytes(address)));
      changed.push({ path, value: account === null ? null : encodeAccount(account) });
    }
    const read = (path: Nibbles) => this.#parent.trieNode(null, path);
    const { root, writes } = updateTrie(read, parentRoot, changed);
    for (const [path, node] of writes) trieNodes.push({ owner: null, path, node });
    for (const { owner, path, node } of trieNodes) this.#nodes.set(nodeKey(owner, path), node);
    this.#sealed = true;
    this.#journal.length = 0;
    this.#read.clear();
    const before = { accounts: beforeAccounts, slots: slotsBefore };
    return {
      root,
      changes: { accounts, slots: this.#slots, code: this.#code, trieNodes, before },
    };
  }

  #sealStorage(
    address: Address,
    slots: ReadonlyMap<SlotKey, Uint8Array>,
    before: ReadonlyMap<SlotKey, Uint8Array>,
    trieNodes: TrieWrite[],
  ): void {
    const changes: TrieChange[] = [];
    for (const [key, value] of slots) {
      if (bytesEqual(value, before.get(key) ?? EMPTY_BYTES)) continue;
      const path = toBareHex(keccak256(hexBytes(`0x${key}`)));
      changes.push({ path, value: value.length === 0 ? null : encodeRlp(value) });
    }
    const account = this.account(address) ?? EMPTY_ACCOUNT;
    const read = (path: Nibbles) => this.#parent.trieNode(address, path);
    const { root, writes } = updateTrie(read, account.storageRoot, changes);
    for (const [path, node] of writes) trieNodes.push({ owner: address, path, node });
    // Storage of an account that counts as empty would be in the tables and not under the root.
    const sealed = { ...account, storageRoot: root };
    assert(
      root === EMPTY_TRIE_ROOT || !isEmptyAccount(sealed),
      'an account with storage has a nonce, a balance or code',
    );
    this.setAccount(address, sealed);
  }

  #slotsBefore(address: Address, slots: ReadonlyMap<SlotKey, Uint8Array>) {
    const values = new Map<SlotKey, Uint8Array>();
    for (const key of slots.keys()) values.set(key, this.#slotBelow(address, key));
    return values;
  }
}

/** 256 bits without leading zeros, as the tables hold a slot. */
export function trimSlot(value: Uint8Array): Uint8Array {
  let from = 0;
  while (from < value.length && value[from] === 0) from++;
  return from === value.length ? EMPTY_BYTES : value.slice(from);
}

function nodeKey(owner: Address | null, path: Nibbles): string {
  return `${owner ?? ''}/${path}`;
}

function sameAccount(a: Account | null, b: Account | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.nonce === b.nonce &&
    a.balance === b.balance &&
    a.storageRoot === b.storageRoot &&
    a.codeHash === b.codeHash
  );
}

function restore<K, V>(map: Map<K, V>, key: K, before: V | undefined): void {
  if (before === undefined) map.delete(key);
  else map.set(key, before);
}
