/**
 * What a contract sees of the state: its storage, each word at its price. The first touch of a word
 * in a message pays for fetching it, the first write for what the trie costs at the end of the
 * block; after that the word is at hand. The prices hold execution below about 1.5 ms for a million
 * gas, where a plain payment takes 0.6 (`npm run bench:contracts`).
 */
import type { Address } from '#src/types/address.ts';
import type { Overlay } from '../state/overlay.ts';
import type { SlotKey, StateWriter } from '../state/reader.ts';

const READ_FIRST = 2_100n;
const READ_AGAIN = 400n;
const WRITE_FIRST = 11_000n;
const WRITE_AGAIN = 500n;

/** What has been done to a word: it was read, or also written. */
type Touch = 'read' | 'written';

export class MeteredState implements StateWriter {
  readonly #state: Overlay;
  readonly #spend: (gas: bigint) => void;
  readonly #touched = new Map<Address, Map<SlotKey, Touch>>();

  constructor(state: Overlay, spend: (gas: bigint) => void) {
    this.#state = state;
    this.#spend = spend;
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    const words = this.#wordsOf(address);
    const isKnown = words.has(key);
    this.#spend(isKnown ? READ_AGAIN : READ_FIRST);
    if (!isKnown) words.set(key, 'read');
    return this.#state.slot(address, key);
  }

  setSlot(address: Address, key: SlotKey, value: Uint8Array): void {
    const words = this.#wordsOf(address);
    this.#spend(words.get(key) === 'written' ? WRITE_AGAIN : WRITE_FIRST);
    words.set(key, 'written');
    this.#state.setSlot(address, key, value);
  }

  account(address: Address) {
    return this.#state.account(address);
  }

  code(...of: Parameters<Overlay['code']>) {
    return this.#state.code(...of);
  }

  trieNode(...of: Parameters<Overlay['trieNode']>) {
    return this.#state.trieNode(...of);
  }

  #wordsOf(address: Address): Map<SlotKey, Touch> {
    let words = this.#touched.get(address);
    if (words === undefined) {
      words = new Map();
      this.#touched.set(address, words);
    }
    return words;
  }
}
