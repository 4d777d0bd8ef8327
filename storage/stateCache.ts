import type { Account } from '#src/ledger/state/account.ts';
import type { SlotKey, StateChanges, StateReader } from '#src/ledger/state/reader.ts';
import type { TrieNode } from '#src/ledger/state/trieNode.ts';
import { RecentlyUsed } from '#src/lib/recentlyUsed.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';

/** About 40 MiB where all are in use. */
export const accountsCachedMax = 131_072;
/** About 20 MiB. */
export const slotsCachedMax = 65_536;
/** About 100 MiB: enough for the branches above a million accounts. */
export const trieNodesCachedMax = 131_072;

/**
 * The newest state with what was read or written lately kept in memory, decoded. Only what is on
 * disk gets in: reads of it, and the changes of a commit after that was synced.
 */
export class StateCache implements StateReader {
  readonly #disk: StateReader;
  readonly #accounts = new RecentlyUsed<Address, Account | null>(accountsCachedMax);
  readonly #slots = new RecentlyUsed<string, Uint8Array>(slotsCachedMax);
  readonly #nodes = new RecentlyUsed<string, TrieNode | null>(trieNodesCachedMax);

  constructor(disk: StateReader) {
    this.#disk = disk;
  }

  account(address: Address): Account | null {
    let account = this.#accounts.get(address);
    if (account === undefined) {
      account = this.#disk.account(address);
      this.#accounts.set(address, account);
    }
    return account;
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    const place = `${address}/${key}`;
    let value = this.#slots.get(place);
    if (value === undefined) {
      value = this.#disk.slot(address, key);
      this.#slots.set(place, value);
    }
    return value;
  }

  code(hash: Hash): Uint8Array | null {
    return this.#disk.code(hash);
  }

  trieNode(owner: Address | null, path: Nibbles): TrieNode | null {
    const place = owner === null ? path : `${owner}/${path}`;
    let node = this.#nodes.get(place);
    if (node === undefined) {
      node = this.#disk.trieNode(owner, path);
      this.#nodes.set(place, node);
    }
    return node;
  }

  /** These changes are on disk now. */
  settle({ accounts, slots, trieNodes }: StateChanges): void {
    for (const [address, account] of accounts) this.#accounts.set(address, account);
    for (const [address, values] of slots) {
      for (const [key, value] of values) this.#slots.set(`${address}/${key}`, value);
    }
    for (const { owner, path, node } of trieNodes) {
      this.#nodes.set(owner === null ? path : `${owner}/${path}`, node);
    }
  }
}
