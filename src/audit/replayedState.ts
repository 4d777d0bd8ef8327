import type { Account } from '#src/ledger/state/account.ts';
import type { SlotKey, StateChanges, StateReader } from '#src/ledger/state/reader.ts';
import type { TrieNode } from '#src/ledger/state/trieNode.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';

/** The state as the replay builds it, in memory, from nothing. */
export class ReplayedState implements StateReader {
  readonly accounts = new Map<Address, Account>();
  readonly #slots = new Map<string, Uint8Array>();
  readonly #code = new Map<Hash, Uint8Array>();
  readonly #nodes = new Map<string, TrieNode>();

  account(address: Address): Account | null {
    return this.accounts.get(address) ?? null;
  }
  slot(address: Address, key: string): Uint8Array {
    return this.#slots.get(`${address}/${key}`) ?? new Uint8Array(0);
  }
  code(hash: Hash): Uint8Array | null {
    return this.#code.get(hash) ?? null;
  }
  trieNode(owner: Address | null, path: Nibbles): TrieNode | null {
    return this.#nodes.get(`${owner ?? ''}/${path}`) ?? null;
  }

  /** All that are not empty. */
  *slots(): Generator<{ address: Address; key: SlotKey; value: Uint8Array }, void> {
    for (const [place, value] of this.#slots) {
      const [address = '', key = ''] = place.split('/');
      yield { address: address as Address, key, value };
    }
  }
  get slotCount(): number {
    return this.#slots.size;
  }

  apply({ accounts, slots, code, trieNodes }: StateChanges): void {
    for (const [address, account] of accounts) {
      if (account === null) this.accounts.delete(address);
      else this.accounts.set(address, account);
    }
    for (const [address, values] of slots) {
      for (const [key, value] of values) {
        const place = `${address}/${key}`;
        if (value.length === 0) this.#slots.delete(place);
        else this.#slots.set(place, value);
      }
    }
    for (const [hash, bytes] of code) this.#code.set(hash, bytes);
    for (const { owner, path, node } of trieNodes) {
      const key = `${owner ?? ''}/${path}`;
      if (node === null) this.#nodes.delete(key);
      else this.#nodes.set(key, node);
    }
  }
}
