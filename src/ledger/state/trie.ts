/**
 * Ethereum's secure Merkle Patricia trie (yellow paper, appendix D), for keys of 32 bytes, updated
 * once a block in one batch that reads and hashes only what changed.
 *
 * Nodes are stored by their *path*, not by their hash: a new version of a node replaces the old
 * one, so the store holds exactly one trie and nothing has to be collected. The hash in the parent
 * is the checksum of what is read.
 */
import { assert } from '#src/lib/failure.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { commonPrefixLength, type Nibbles } from '#src/types/nibbles.ts';
import {
  Branch,
  type Child,
  digitAt,
  type Extension,
  encodeExtension,
  encodeLeaf,
  hashItem,
  hashOfItem,
  type Node,
  nodeOf,
  type TrieNode,
  trieNode,
  type Unread,
} from './trieNode.ts';

/** The node stored at a path, or null. */
export type ReadNode = (path: Nibbles) => TrieNode | null;

/** The key as nibbles (of its keccak), and its new value; null deletes. */
export type TrieChange = { readonly path: Nibbles; readonly value: Uint8Array | null };

export type TrieUpdate = {
  readonly root: Hash;
  /** Nodes to store by path; null deletes. */
  readonly writes: ReadonlyMap<Nibbles, TrieNode | null>;
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

/** `changes` have distinct paths, in any order. */
export function updateTrie(read: ReadNode, root: Hash, changes: readonly TrieChange[]): TrieUpdate {
  const sorted = [...changes].sort(byPath);
  for (const [index, { path }] of sorted.entries()) {
    assert(path.length === PATH_NIBBLES, 'a trie key is 32 bytes');
    assert(path !== sorted[index + 1]?.path, 'trie keys are distinct');
  }
  const walk = new Walk(read);
  const top = root === EMPTY_TRIE_ROOT ? null : walk.load('', hashToBytes(root));
  const changed = walk.apply(top, '', sorted);
  if (changed === null) return { root: EMPTY_TRIE_ROOT, writes: walk.finish() };
  const node = walk.write('', walk.encode(changed, ''));
  return { root: hashFromBytes(node.hash), writes: walk.finish() };
}

/** The value under a path, for checks; null where there is none. */
export function readTrie(read: ReadNode, root: Hash, path: Nibbles): Uint8Array | null {
  const walk = new Walk(read);
  const last = walk.descend(root, path).at(-1);
  return last?.node.t === 'leaf' && last.at + last.node.path === path ? last.node.value : null;
}

/**
 * The nodes from the root to the value under a path, or to where it would be (EIP-1186); a node
 * shorter than a hash is part of the one before it.
 */
export function proveTrie(read: ReadNode, root: Hash, path: Nibbles): Uint8Array[] {
  const walk = new Walk(read);
  return walk.descend(root, path).flatMap(({ stored }) => (stored === null ? [] : [stored.bytes]));
}

/** `stored` is null where the node is a part of its parent. */
type Step = { readonly at: Nibbles; readonly node: Node; readonly stored: TrieNode | null };

class Walk {
  readonly #read: ReadNode;
  /** What was read, by path: rewritten, or else gone when the walk ends. */
  readonly #seen = new Map<Nibbles, TrieNode>();
  readonly #written = new Map<Nibbles, TrieNode>();

  constructor(read: ReadNode) {
    this.#read = read;
  }

  load(path: Nibbles, hash: Uint8Array): Node {
    const stored = this.#read(path);
    if (stored === null) throw new StateDamagedError(path, 'missing');
    if (Buffer.compare(stored.hash, hash) !== 0) throw new StateDamagedError(path, 'wrong hash');
    this.#seen.set(path, stored);
    const node = nodeOf(stored.bytes);
    if (node === null) throw new StateDamagedError(path, 'not a node');
    return node;
  }

  resolve(child: Node | Unread, path: Nibbles): Node {
    if (child.t !== 'unread') return child;
    const hash = hashOfItem(child.item);
    if (hash !== null) return this.load(path, hash);
    const node = nodeOf(child.item);
    if (node === null) throw new StateDamagedError(path, 'not an embedded node');
    return node;
  }

  descend(root: Hash, path: Nibbles): Step[] {
    if (root === EMPTY_TRIE_ROOT) return [];
    const steps: Step[] = [];
    let node = this.load('', hashToBytes(root));
    let at = '';
    for (;;) {
      steps.push({ at, node, stored: this.#seen.get(at) ?? null });
      if (node.t === 'leaf') return steps;
      const step: Nibbles = node.t === 'extension' ? node.path : path.charAt(at.length);
      if (!path.startsWith(at + step)) return steps;
      const child: Child =
        node.t === 'extension' ? node.child : node.child(digitAt(path, at.length));
      at += step;
      if (child === null) return steps;
      node = this.resolve(child, at);
    }
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
        : [...rest, { path: key, value: node.value }].sort(byPath);
      return build(kept, path.length);
    }
    if (node.t === 'extension') {
      const below = path + node.path;
      if (changes.every((change) => change.path.startsWith(below))) {
        const child = this.apply(this.resolve(mustBe(node.child), below), below, changes);
        return child === null ? null : prepend(node.path, child);
      }
      return this.apply(opened(node), path, changes);
    }
    const depth = path.length;
    for (let from = 0, to = 0; from < changes.length; from = to) {
      const digit = digitAt(changes[from]?.path ?? '', depth);
      while (to < changes.length && digitAt(changes[to]?.path ?? '', depth) === digit) to++;
      const below = path + DIGITS.charAt(digit);
      const child = node.child(digit);
      const before = child === null ? null : this.resolve(child, below);
      node.set(digit, this.apply(before, below, changes.slice(from, to)));
    }
    return this.#collapse(node, path);
  }

  /** A branch needs two children; with one it becomes part of that child. */
  #collapse(branch: Branch, path: Nibbles): Node | null {
    const only = branch.onlyChild();
    if (only === 'several') return branch;
    if (only === null) return null;
    const digit = DIGITS.charAt(only);
    return prepend(digit, this.resolve(mustBe(branch.child(only)), path + digit));
  }

  /** The node's RLP, after writing the children that changed. */
  encode(node: Node, path: Nibbles): Uint8Array {
    switch (node.t) {
      case 'leaf':
        return encodeLeaf(node);
      case 'extension':
        return encodeExtension(node.path, this.#item(mustBe(node.child), path + node.path));
      case 'branch':
        return node.encode((child, digit) => this.#item(child, path + DIGITS.charAt(digit)));
    }
  }

  /** How the parent holds it, as RLP: itself below 32 bytes, else its hash. */
  #item(child: Node | Unread, path: Nibbles): Uint8Array {
    if (child.t === 'unread') return child.item;
    const encoded = this.encode(child, path);
    return encoded.length < 32 ? encoded : hashItem(this.write(path, encoded).hash);
  }

  write(path: Nibbles, encoded: Uint8Array): TrieNode {
    const node = trieNode(encoded);
    this.#written.set(path, node);
    return node;
  }

  finish(): Map<Nibbles, TrieNode | null> {
    const writes = new Map<Nibbles, TrieNode | null>(this.#written);
    for (const [path, before] of this.#seen) {
      const after = this.#written.get(path);
      if (after === undefined) writes.set(path, null);
      else if (Buffer.compare(before.hash, after.hash) === 0) writes.delete(path);
    }
    return writes;
  }
}

const DIGITS = '0123456789abcdef';

/** The node over sorted insertions that agree in their first `depth` nibbles. */
function build(pairs: readonly Insert[], depth: number): Node | null {
  const first = pairs[0];
  const last = pairs.at(-1);
  if (first === undefined || last === undefined) return null;
  if (pairs.length === 1) return { t: 'leaf', path: first.path.slice(depth), value: first.value };
  const shared = commonPrefixLength(first.path, last.path);
  const branch = Branch.empty();
  for (let from = 0, to = 0; from < pairs.length; from = to) {
    const digit = digitAt(pairs[from]?.path ?? '', shared);
    while (to < pairs.length && digitAt(pairs[to]?.path ?? '', shared) === digit) to++;
    branch.set(digit, build(pairs.slice(from, to), shared + 1));
  }
  return shared === depth ? branch : prepend(first.path.slice(depth, shared), branch);
}

/** The node one or more nibbles further up. */
function prepend(path: Nibbles, node: Node): Node {
  if (node.t === 'branch') return { t: 'extension', path, child: node };
  return { ...node, path: path + node.path };
}

/** An extension as a branch with one child, so that others can join it. */
function opened({ path, child }: Extension): Branch {
  const branch = Branch.empty();
  const rest = path.slice(1);
  branch.set(digitAt(path, 0), rest === '' ? child : { t: 'extension', path: rest, child });
  return branch;
}

type Insert = { readonly path: Nibbles; readonly value: Uint8Array };

function isInsert(change: TrieChange): change is Insert {
  return change.value !== null;
}

function byPath(a: { path: Nibbles }, b: { path: Nibbles }): number {
  return a.path < b.path ? -1 : 1;
}

function mustBe(child: Child): Node | Unread {
  assert(child !== null, 'an inner node has a child');
  return child;
}
