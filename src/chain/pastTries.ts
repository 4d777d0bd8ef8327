import { keccak256 } from '#src/crypto/keccak.ts';
import { type Account, EMPTY_ACCOUNT, encodeAccount } from '#src/ledger/state/account.ts';
import type { SlotKey, StateReader } from '#src/ledger/state/reader.ts';
import {
  type ReadNode,
  StateDamagedError,
  type TrieChange,
  updateTrie,
} from '#src/ledger/state/trie.ts';
import type { TrieNode } from '#src/ledger/state/trieNode.ts';
import { toBareHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import { pastState } from './pastState.ts';
import type { HeldStore, Undo } from './store.ts';

export type ProofRefusal =
  | { code: 'STATE_PRUNED' }
  | { code: 'PROOF_TOO_FAR'; changesMax: number }
  | { code: 'PROOFS_BUSY' };

export type ProofLimits = {
  /** Accounts and slots that are taken back for one past block. */
  readonly changesMax: number;
  /** Past blocks whose tries are kept for the next proof, each with a store that is held. */
  readonly pastBlocksMax: number;
  /** Past blocks whose tries are being made. */
  readonly makingMax: number;
  /** Changes taken back, or slots proven, before other work has its turn: some 10 ms. */
  readonly pieceMax: number;
};

export const proofLimits: ProofLimits = {
  changesMax: 50_000,
  pastBlocksMax: 4,
  makingMax: 2,
  pieceMax: 64,
};

/** The tries after one past block: what differs from the held store's, in memory. */
export class PastTries {
  readonly state: StateReader;
  #users = 0;
  #isRetired = false;
  readonly #held: HeldStore;
  readonly #undo: Undo;
  readonly #limits: ProofLimits;
  readonly #accounts: ReadNode;
  readonly #storage = new Map<Address, Promise<ReadNode>>();

  private constructor(held: HeldStore, undo: Undo, accounts: ReadNode, limits: ProofLimits) {
    this.#held = held;
    this.#undo = undo;
    this.#accounts = accounts;
    this.#limits = limits;
    this.state = pastState(held.state, [undo]);
  }

  static async make(
    held: HeldStore,
    height: Height,
    root: Hash,
    rootOf: (height: Height) => Hash | null,
    limits: ProofLimits,
  ): Promise<Verdict<PastTries, ProofRefusal>> {
    const undo = await undoAll(held, height, limits);
    if (!undo.ok) return undo;
    const newest = rootOf(held.height);
    if (newest === null) throw new StateDamagedError('', 'the newest block has no root');
    const paths = function* () {
      for (const [address, account] of undo.value.accounts) {
        const value = account === null ? null : encodeAccount(account);
        yield { path: pathOf(addressToBytes(address)), value };
      }
    };
    const accounts = await takenBack(nodesOf(held.state, null), newest, root, paths(), limits);
    return accept(new PastTries(held, undo.value, accounts, limits));
  }

  async reader(owner: Address | null): Promise<ReadNode> {
    if (owner === null) return this.#accounts;
    let nodes = this.#storage.get(owner);
    if (nodes === undefined) {
      nodes = this.#storageOf(owner);
      this.#storage.set(owner, nodes);
    }
    return nodes;
  }

  async #storageOf(owner: Address): Promise<ReadNode> {
    const nodes = nodesOf(this.#held.state, owner);
    const slots = this.#undo.slots.get(owner);
    if (slots === undefined) return nodes;
    const from = (this.#held.state.account(owner) ?? EMPTY_ACCOUNT).storageRoot;
    const to = (this.state.account(owner) ?? EMPTY_ACCOUNT).storageRoot;
    const changes = function* () {
      for (const [key, value] of slots) {
        const path = pathOf(new Uint8Array(Buffer.from(key, 'hex')));
        yield { path, value: value.length === 0 ? null : encodeRlp(value) };
      }
    };
    return takenBack(nodes, from, to, changes(), this.#limits);
  }

  /** Who uses it says so, and when that is over. */
  enter(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
    if (this.#isRetired && this.#users === 0) this.#held.close();
  }

  /** Nobody new comes; the store is let go with the last one. */
  retire(): void {
    this.#isRetired = true;
    if (this.#users === 0) this.#held.close();
  }
}

/** What everything held after a block that changed since: the oldest value counts. */
async function undoAll(
  held: HeldStore,
  height: Height,
  { changesMax }: ProofLimits,
): Promise<Verdict<Undo, ProofRefusal>> {
  const accounts = new Map<Address, Account | null>();
  const slots = new Map<Address, Map<SlotKey, Uint8Array>>();
  let count = 0;
  for (let h = height + 1n; h <= held.height; h++) {
    const undo = held.undo(asHeight(h));
    if (undo === null) return refuse({ code: 'STATE_PRUNED' });
    for (const [address, account] of undo.accounts) {
      if (accounts.has(address)) continue;
      accounts.set(address, account);
      count++;
    }
    for (const [address, values] of undo.slots) {
      const known = slots.get(address) ?? new Map<SlotKey, Uint8Array>();
      slots.set(address, known);
      for (const [key, value] of values) {
        if (known.has(key)) continue;
        known.set(key, value);
        count++;
      }
    }
    if (count > changesMax) return refuse({ code: 'PROOF_TOO_FAR', changesMax });
    await otherWork();
  }
  return accept({ accounts, slots });
}

/** The nodes of a trie after these changes, in memory over those that it has now. */
async function takenBack(
  newest: ReadNode,
  from: Hash,
  to: Hash,
  changes: Iterable<TrieChange>,
  { pieceMax }: ProofLimits,
): Promise<ReadNode> {
  const nodes = new Map<Nibbles, TrieNode | null>();
  const read: ReadNode = (path) => {
    const changed = nodes.get(path);
    return changed === undefined ? newest(path) : changed;
  };
  let root = from;
  let piece: TrieChange[] = [];
  const apply = () => {
    const update = updateTrie(read, root, piece);
    for (const [path, node] of update.writes) nodes.set(path, node);
    root = update.root;
    piece = [];
  };
  for (const change of changes) {
    piece.push(change);
    if (piece.length < pieceMax) continue;
    apply();
    await otherWork();
  }
  apply();
  if (root !== to) throw new StateDamagedError('', `taken back to ${root}, the block has ${to}`);
  return read;
}

export function nodesOf(state: StateReader, owner: Address | null): ReadNode {
  return (path) => state.trieNode(owner, path);
}

export function pathOf(key: Uint8Array): Nibbles {
  return toBareHex(keccak256(key));
}

export function otherWork(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
