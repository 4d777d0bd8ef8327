import { type Account, decodeAccount } from '#src/ledger/state/account.ts';
import type { SlotKey, StateReader } from '#src/ledger/state/reader.ts';
import { type TrieNode, trieNode } from '#src/ledger/state/trieNode.ts';
import { EMPTY_BYTES } from '#src/lib/bytes.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import type { Shelf } from './shelf.ts';
import { nodeKey, slotKey } from './stateRows.ts';

/** The state as the four tables hold it, or a view of them. */
export class StateTables implements StateReader {
  readonly #shelf: Pick<Shelf, 'get'>;

  constructor(shelf: Pick<Shelf, 'get'>) {
    this.#shelf = shelf;
  }

  account(address: Address): Account | null {
    const bytes = this.#shelf.get('accounts', addressToBytes(address));
    return bytes === null ? null : decodeAccount(bytes);
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    return this.#shelf.get('slots', slotKey(address, key)) ?? EMPTY_BYTES;
  }

  code(hash: Hash): Uint8Array | null {
    return this.#shelf.get('code', hashToBytes(hash));
  }

  trieNode(owner: Address | null, path: Nibbles): TrieNode | null {
    const bytes = this.#shelf.get('trie', nodeKey(owner, path));
    return bytes === null ? null : trieNode(bytes);
  }
}
