/**
 * Ethereum's secure Merkle Patricia trie (yellow paper, appendix D), for keys of 32 bytes, updated
 * once a block in one batch that reads and hashes only what changed.
 *
 * Nodes are stored by their *path*, not by their hash: a new version of a node replaces the old
 * one, so the store holds exactly one trie and nothing has to be collected. The hash in the parent
 * is the checksum of what is read.
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import { bytesEqual, EMPTY_BYTES } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import {
  commonPrefixLength,
  decodeHexPrefix,
  encodeHexPrefix,
  type Nibbles,
} from '#src/types/nibbles.ts';
import { decodeRlp, encodeRlp, isRlpList, type RlpItem } from '#src/types/rlp.ts';

/** The stored bytes of the node at a path, or null. */
export type ReadNode = (path: Nibbles) => Uint8Array | null;

/** The key as nibbles (of its keccak), and its new value; null deletes. */
export type TrieChange = { readonly path: Nibbles; readonly value: Uint8Array | null };

export type TrieUpdate = {
  readonly root: Hash;
  /** Nodes to store by path; null deletes. */
  readonly writes: ReadonlyMap<Nibbles, Uint8Array | null>;
};

/** What is stored is not what the parent's hash promises. */
export class StateDamagedError extends Error {
  readonly code = 'STATE_DAMAGED';
  constructor(path: Nibbles, what: string) {
    super(`trie node at path "${path}": ${what}`);
    this.name = 'StateDamagedError';
  }
}

const PATH_NIBBLES = 64;
const nodeBytesMax = 64 * 1024;

/** `changes` have distinct paths, in any order. */
export function updateTrie(read: ReadNode, root: Hash, changes: readonly TrieChange[]): TrieUpdate {
  const sorted = [...changes].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const [index, { path }] of sorted.entries()) {
    assert(path.length === PATH_NIBBLES, 'a trie key is 32 bytes');
    assert(path !== sorted[index + 1]?.path, 'trie keys are distinct');
  }
  const walk = new Walk(read);
  const top = root === EMPTY_TRIE_ROOT ? null : walk.load('', hashToBytes(root));
  const changed = walk.apply(top, '', sorted);
  if (changed === null) return { root: EMPTY_TRIE_ROOT, writes: walk.finish() };
  const encoded = encodeRlp(walk.encode(changed, ''));
  walk.write('', encoded);
  return { root: hashFromBytes(keccak256(encoded)), writes: walk.finish() };
}

/** The value under a path, for proofs and checks; null where there is none. */
export function readTrie(read: ReadNode, root: Hash, path: Nibbles): Uint8Array | null {
  if (root === EMPTY_TRIE_ROOT) return null;
  const walk = new Walk(read);
  let node: Node = walk.load('', hashToBytes(root));
  let at = '';
  for (;;) {
    if (node.t === 'leaf') return at + node.path === path ? node.value : null;
    const step: Nibbles = node.t === 'extension' ? node.path : path.charAt(at.length);
    if (!path.startsWith(at + step)) return null;
    const child: Child = node.t === 'extension' ? node.child : childAt(node, step);
    at += step;
    if (child === null) return null;
    node = walk.resolve(child, at);
  }
}

type Leaf = { readonly t: 'leaf'; readonly path: Nibbles; readonly value: Uint8Array };
type Extension = { readonly t: 'extension'; readonly path: Nibbles; readonly child: Child };
type Branch = { readonly t: 'branch'; readonly children: readonly Child[] };
type Node = Leaf | Extension | Branch;
/** Not read yet: a hash, or the node itself where it is shorter than one. */
type Unread = { readonly t: 'unread'; readonly reference: RlpItem };
type Child = Node | Unread | null;

class Walk {
  readonly #read: ReadNode;
  /** What was read, by path: rewritten, or else gone when the walk ends. */
  readonly #seen = new Map<Nibbles, Uint8Array>();
  readonly #written = new Map<Nibbles, Uint8Array>();

  constructor(read: ReadNode) {
    this.#read = read;
  }

  load(path: Nibbles, hash: Uint8Array): Node {
    const bytes = this.#read(path);
    if (bytes === null) throw new StateDamagedError(path, 'missing');
    if (!bytesEqual(keccak256(bytes), hash)) throw new StateDamagedError(path, 'wrong hash');
    this.#seen.set(path, bytes);
    const decoded = decodeRlp(bytes, nodeBytesMax);
    const node = decoded.ok ? nodeFromRlp(decoded.value) : null;
    if (node === null) throw new StateDamagedError(path, 'not a node');
    return node;
  }

  resolve(child: Node | Unread, path: Nibbles): Node {
    if (child.t !== 'unread') return child;
    const { reference } = child;
    if (!isRlpList(reference)) return this.load(path, reference);
    const node = nodeFromRlp(reference);
    if (node === null) throw new StateDamagedError(path, 'not an embedded node');
    return node;
  }

  /** The subtree at `path` after these changes, all of which lie below it; null when empty. */
  apply(node: Node | null, path: Nibbles, changes: readonly TrieChange[]): Node | null {
    if (changes.length === 0) return node;
    if (node === null) return build(changes.filter(isInsert), path.length);
    if (node.t === 'leaf') {
      const key = path + node.path;
      const rest = changes.filter(isInsert);
      const kept = changes.some((change) => change.path === key)
        ? rest
        : [...rest, { path: key, value: node.value }];
      return build(kept.sort(byPath), path.length);
    }
    if (node.t === 'extension') {
      const below = path + node.path;
      if (changes.every((change) => change.path.startsWith(below))) {
        const child = this.apply(this.resolve(mustBe(node.child), below), below, changes);
        return child === null ? null : prepend(node.path, child);
      }
      return this.apply(opened(node), path, changes);
    }
    const children = [...node.children];
    for (let from = 0, to = 0; from < changes.length; from = to) {
      const digit = changes[from]?.path.charAt(path.length) ?? '';
      while (to < changes.length && changes[to]?.path.charAt(path.length) === digit) to++;
      const slot = Number.parseInt(digit, 16);
      const below = path + digit;
      const child = children[slot] ?? null;
      const before = child === null ? null : this.resolve(child, below);
      children[slot] = this.apply(before, below, changes.slice(from, to));
    }
    return this.#collapse(children, path);
  }

  /** A branch needs two children; with one it becomes part of that child. */
  #collapse(children: readonly Child[], path: Nibbles): Node | null {
    let only = -1;
    for (let slot = 0; slot < 16; slot++) {
      if ((children[slot] ?? null) === null) continue;
      if (only >= 0) return { t: 'branch', children };
      only = slot;
    }
    if (only < 0) return null;
    const digit = only.toString(16);
    return prepend(digit, this.resolve(mustBe(children[only] ?? null), path + digit));
  }

  /** The node's RLP, after writing the children that changed. */
  encode(node: Node, path: Nibbles): RlpItem {
    switch (node.t) {
      case 'leaf':
        return [encodeHexPrefix(node.path, true), node.value];
      case 'extension':
        return [
          encodeHexPrefix(node.path, false),
          this.#reference(mustBe(node.child), path + node.path),
        ];
      case 'branch':
        return [
          ...node.children.map((child, slot) =>
            child === null ? EMPTY_BYTES : this.#reference(child, path + slot.toString(16)),
          ),
          EMPTY_BYTES,
        ];
    }
  }

  #reference(child: Node | Unread, path: Nibbles): RlpItem {
    if (child.t === 'unread') return child.reference;
    const item = this.encode(child, path);
    const encoded = encodeRlp(item);
    if (encoded.length < 32) return item;
    this.write(path, encoded);
    return keccak256(encoded);
  }

  write(path: Nibbles, encoded: Uint8Array): void {
    this.#written.set(path, encoded);
  }

  finish(): Map<Nibbles, Uint8Array | null> {
    const writes = new Map<Nibbles, Uint8Array | null>(this.#written);
    for (const [path, before] of this.#seen) {
      const after = this.#written.get(path);
      if (after === undefined) writes.set(path, null);
      else if (bytesEqual(before, after)) writes.delete(path);
    }
    return writes;
  }
}

/** The node over sorted insertions that agree in their first `depth` nibbles. */
function build(pairs: readonly Insert[], depth: number): Node | null {
  const first = pairs[0];
  const last = pairs.at(-1);
  if (first === undefined || last === undefined) return null;
  if (pairs.length === 1) return { t: 'leaf', path: first.path.slice(depth), value: first.value };
  const shared = commonPrefixLength(first.path, last.path);
  const children: Child[] = new Array<Child>(16).fill(null);
  for (let from = 0, to = 0; from < pairs.length; from = to) {
    const digit = pairs[from]?.path.charAt(shared) ?? '';
    while (to < pairs.length && pairs[to]?.path.charAt(shared) === digit) to++;
    children[Number.parseInt(digit, 16)] = build(pairs.slice(from, to), shared + 1);
  }
  const branch: Branch = { t: 'branch', children };
  return shared === depth ? branch : prepend(first.path.slice(depth, shared), branch);
}

/** The node one or more nibbles further up. */
function prepend(path: Nibbles, node: Node): Node {
  if (node.t === 'branch') return { t: 'extension', path, child: node };
  return { ...node, path: path + node.path };
}

/** An extension as a branch with one child, so that others can join it. */
function opened({ path, child }: Extension): Branch {
  const children: Child[] = new Array<Child>(16).fill(null);
  const rest = path.slice(1);
  children[Number.parseInt(path.charAt(0), 16)] =
    rest === '' ? child : { t: 'extension', path: rest, child };
  return { t: 'branch', children };
}

function nodeFromRlp(item: RlpItem): Node | null {
  if (!isRlpList(item)) return null;
  if (item.length === 17) {
    const children = item
      .slice(0, 16)
      .map((child): Child => (child.length === 0 ? null : { t: 'unread', reference: child }));
    return { t: 'branch', children };
  }
  const [prefix, target] = item;
  if (item.length !== 2 || prefix === undefined || isRlpList(prefix)) return null;
  const decoded = decodeHexPrefix(prefix);
  if (decoded === null || target === undefined) return null;
  const { path, isLeaf } = decoded;
  if (!isLeaf) return { t: 'extension', path, child: { t: 'unread', reference: target } };
  return isRlpList(target) ? null : { t: 'leaf', path, value: target };
}

type Insert = { readonly path: Nibbles; readonly value: Uint8Array };

function isInsert(change: TrieChange): change is Insert {
  return change.value !== null;
}

function byPath(a: { path: Nibbles }, b: { path: Nibbles }): number {
  return a.path < b.path ? -1 : 1;
}

function childAt(branch: Branch, digit: Nibbles): Child {
  return branch.children[Number.parseInt(digit, 16)] ?? null;
}

function mustBe(child: Child): Node | Unread {
  assert(child !== null, 'an inner node has a child');
  return child;
}
