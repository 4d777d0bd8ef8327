import { keccak256 } from '#src/crypto/keccak.ts';
import { EMPTY_BYTES, toBareHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Hash, hashFromBytes } from './hash.ts';
import { commonPrefixLength, encodeHexPrefix, type Nibbles } from './nibbles.ts';
import { encodeRlp, type RlpItem, uintToRlp } from './rlp.ts';

/** The root of a trie of nothing: keccak256(rlp("")). */
export const EMPTY_TRIE_ROOT =
  '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421' as Hash;

const HASH_BYTES = 32;

/** Transactions or receipts, keyed by their index (yellow paper, 4.4.2). */
export function listRoot(items: readonly Uint8Array[]): Hash {
  return trieRoot(items.map((item, index) => [listKey(index), item]));
}

export function listKey(index: number): Uint8Array {
  return encodeRlp(uintToRlp(index));
}

/**
 * That an item is in the list: the nodes from the root down to it, encoded, without those that
 * stand inside another. `readProof` in trieProof.ts checks it.
 */
export function proveListItem(items: readonly Uint8Array[], index: number): Uint8Array[] {
  assert(index in items, 'what is proven is in the list');
  const pairs = sort(items.map((item, at) => [listKey(at), item]));
  const path = toBareHex(listKey(index));
  const nodes: Uint8Array[] = [];
  let [from, to, depth] = [0, pairs.length, 0];
  while (to > from) {
    const node = encodeRlp(buildNode(pairs, from, to, depth));
    if (nodes.length === 0 || node.length >= HASH_BYTES) nodes.push(node);
    if (to - from === 1) break;
    const shared = commonPrefixLength(at(pairs, from).path, at(pairs, to - 1).path);
    if (shared > depth) {
      depth = shared;
    } else if (path.length === depth) {
      break;
    } else {
      const inside = path.slice(0, depth + 1);
      while (!at(pairs, from).path.startsWith(inside)) from++;
      while (!at(pairs, to - 1).path.startsWith(inside)) to--;
      depth++;
    }
  }
  return nodes;
}

/**
 * The Merkle Patricia root of distinct keys with values that are not empty (yellow paper, appendix
 * D), all at once. The state's trie, which changes a little each block, is in `ledger/state`.
 */
export function trieRoot(pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Hash {
  if (pairs.length === 0) return EMPTY_TRIE_ROOT;
  const sorted = sort(pairs);
  return hashFromBytes(keccak256(encodeRlp(buildNode(sorted, 0, sorted.length, 0))));
}

function sort(pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Pair[] {
  const sorted = pairs.map(([key, value]): Pair => ({ path: toBareHex(key), value }));
  sorted.sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const [index, pair] of sorted.entries()) {
    assert(pair.path !== sorted[index + 1]?.path, 'trie keys are distinct');
    assert(pair.value.length > 0, 'trie values are not empty');
  }
  return sorted;
}

type Pair = { readonly path: Nibbles; readonly value: Uint8Array };

/** The node over `pairs[from, to)`, whose paths agree in their first `depth` nibbles. */
function buildNode(pairs: readonly Pair[], from: number, to: number, depth: number): RlpItem {
  const first = at(pairs, from);
  if (to - from === 1) return [encodeHexPrefix(first.path.slice(depth), true), first.value];
  // Sorted: what the first and the last have in common, all have.
  const shared = commonPrefixLength(first.path, at(pairs, to - 1).path);
  if (shared > depth) {
    const child = reference(buildNode(pairs, from, to, shared));
    return [encodeHexPrefix(first.path.slice(depth, shared), false), child];
  }
  let next = from;
  const value = first.path.length === depth ? first.value : EMPTY_BYTES;
  if (value.length > 0) next++;
  const slots: RlpItem[] = [];
  for (let nibble = 0; nibble < 16; nibble++) {
    const digit = nibble.toString(16);
    const start = next;
    while (next < to && at(pairs, next).path.charAt(depth) === digit) next++;
    slots.push(start === next ? EMPTY_BYTES : reference(buildNode(pairs, start, next, depth + 1)));
  }
  return [...slots, value];
}

/** Inside its parent a node stands as itself below 32 bytes, else as its hash. */
function reference(node: RlpItem): RlpItem {
  const encoded = encodeRlp(node);
  return encoded.length < HASH_BYTES ? node : keccak256(encoded);
}

function at(pairs: readonly Pair[], index: number): Pair {
  const pair = pairs[index];
  assert(pair !== undefined, 'within the pairs');
  return pair;
}
