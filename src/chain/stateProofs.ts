/**
 * Proofs of accounts and their storage at the newest block and before (EIP-1186).
 *
 * The tables hold the newest tries, and in archive mode every older node. Within the window the
 * tries of a past block are made when they are asked for: the changes since then are taken back in
 * memory, on a store that is held, in pieces between which other work goes on. The root has to be
 * the header's.
 */

import { type Account, EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import type { SlotKey, StateReader } from '#src/ledger/state/reader.ts';
import { proveTrie, type ReadNode } from '#src/ledger/state/trie.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Height } from '#src/types/units.ts';
import {
  nodesOf,
  otherWork,
  PastTries,
  type ProofLimits,
  type ProofRefusal,
  pathOf,
  proofLimits,
} from './pastTries.ts';
import type { ChainStore } from './store.ts';

/** Each list has the nodes from the root on; it proves absence where the path ends early. */
export type AccountProof = {
  readonly account: Account;
  readonly nodes: readonly Uint8Array[];
  readonly slots: readonly { readonly value: Uint8Array; readonly nodes: readonly Uint8Array[] }[];
};

export class StateProofs {
  readonly #store: ChainStore;
  readonly #rootOf: (height: Height) => Hash | null;
  readonly #limits: ProofLimits;
  /** The least lately used first. */
  readonly #past = new Map<Height, PastTries>();
  #making = 0;

  constructor(
    store: ChainStore,
    rootOf: (height: Height) => Hash | null,
    limits: ProofLimits = proofLimits,
  ) {
    this.#store = store;
    this.#rootOf = rootOf;
    this.#limits = limits;
  }

  /** The account, and these of its slots, after a final block. */
  async prove(
    height: Height,
    address: Address,
    keys: readonly SlotKey[],
  ): Promise<Verdict<AccountProof, ProofRefusal>> {
    const root = this.#rootOf(height);
    if (root === null) return refuse({ code: 'STATE_PRUNED' });
    const held = this.#store.hold();
    const isNewest = height === held.height;
    const stored = isNewest ? held.state : held.archived(height);
    if (stored !== null) {
      try {
        const read = (owner: Address | null) => async () => nodesOf(stored, owner);
        return accept(await this.#proof(stored, root, address, keys, read));
      } finally {
        held.close();
      }
    }
    held.close();
    const tries = await this.#pastTries(height, root);
    if (!tries.ok) return tries;
    const past = tries.value;
    try {
      const read = (owner: Address | null) => () => past.reader(owner);
      return accept(await this.#proof(past.state, root, address, keys, read));
    } catch (error) {
      // The store that it holds may be gone with a database that was opened anew.
      if (this.#past.get(height) === past) {
        this.#past.delete(height);
        past.retire();
      }
      throw error;
    } finally {
      past.leave();
      this.#evict();
    }
  }

  async #proof(
    state: StateReader,
    root: Hash,
    address: Address,
    keys: readonly SlotKey[],
    read: (owner: Address | null) => () => Promise<ReadNode>,
  ): Promise<AccountProof> {
    const nodes = proveTrie(await read(null)(), root, pathOf(addressToBytes(address)));
    const account = state.account(address) ?? EMPTY_ACCOUNT;
    const slots: AccountProof['slots'][number][] = [];
    const readSlots = keys.length === 0 ? () => null : await read(address)();
    for (const [index, key] of keys.entries()) {
      if (index % this.#limits.pieceMax === this.#limits.pieceMax - 1) await otherWork();
      const path = pathOf(new Uint8Array(Buffer.from(key, 'hex')));
      const proof = proveTrie(readSlots, account.storageRoot, path);
      slots.push({ value: state.slot(address, key), nodes: proof });
    }
    return { account, nodes, slots };
  }

  /** Entered: to be left. */
  async #pastTries(height: Height, root: Hash): Promise<Verdict<PastTries, ProofRefusal>> {
    const known = this.#past.get(height);
    if (known !== undefined) {
      this.#past.delete(height);
      this.#past.set(height, known);
      known.enter();
      return accept(known);
    }
    if (this.#making >= this.#limits.makingMax) return refuse({ code: 'PROOFS_BUSY' });
    this.#making++;
    const held = this.#store.hold();
    let made: PastTries | null = null;
    try {
      const verdict = await PastTries.make(held, height, root, this.#rootOf, this.#limits);
      if (!verdict.ok) return verdict;
      made = verdict.value;
      // Two may have made the same.
      this.#past.get(height)?.retire();
      this.#past.set(height, made);
      made.enter();
      return verdict;
    } finally {
      this.#making--;
      if (made === null) held.close();
    }
  }

  #evict(): void {
    for (const [height, tries] of this.#past) {
      if (this.#past.size <= this.#limits.pastBlocksMax) return;
      this.#past.delete(height);
      tries.retire();
    }
  }
}
