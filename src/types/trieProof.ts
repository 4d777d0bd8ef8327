import { keccak256 } from '#src/crypto/keccak.ts';
import { bytesEqual, toBareHex } from '#src/lib/bytes.ts';
import { type Hash, hashToBytes } from './hash.ts';
import { blockBytesMax } from './limits.ts';
import { decodeHexPrefix } from './nibbles.ts';
import { decodeRlp, isRlpList, type RlpItem } from './rlp.ts';

/** A path has at most 64 nibbles, and each node takes one at least, but the last. */
const nodesMax = 65;
const HASH_BYTES = 32;

/**
 * The value that a key has in the trie of this root (yellow paper, appendix D), as a proof from
 * anybody shows it: the nodes from the root down, encoded, without those that stand inside another.
 * Null where it shows no value: it breaks off, does not fit, or the key has none.
 */
export function readProof(
  root: Hash,
  key: Uint8Array,
  nodes: readonly Uint8Array[],
): Uint8Array | null {
  if (nodes.length > nodesMax) return null;
  let path = toBareHex(key);
  let reference: RlpItem = hashToBytes(root);
  let next = 0;
  for (;;) {
    const item: RlpItem | null = isRlpList(reference)
      ? reference
      : readNode(reference, nodes[next++]);
    if (item === null || !isRlpList(item)) return null;
    if (item.length === 17) {
      if (path === '') return endingIn(item[16], next, nodes);
      reference = item[Number.parseInt(path.charAt(0), 16)] ?? [];
      path = path.slice(1);
      continue;
    }
    const [head, rest]: readonly (RlpItem | undefined)[] = item;
    if (item.length !== 2 || head === undefined || isRlpList(head) || rest === undefined)
      return null;
    const prefix = decodeHexPrefix(head);
    if (prefix === null || !path.startsWith(prefix.path)) return null;
    path = path.slice(prefix.path.length);
    if (prefix.isLeaf) return path === '' ? endingIn(rest, next, nodes) : null;
    reference = rest;
  }
}

/** The node of a hash; nothing else is one. */
function readNode(hash: RlpItem, node: Uint8Array | undefined): RlpItem | null {
  if (isRlpList(hash) || hash.length !== HASH_BYTES || node === undefined) return null;
  if (!bytesEqual(keccak256(node), hash)) return null;
  const decoded = decodeRlp(node, blockBytesMax);
  return decoded.ok ? decoded.value : null;
}

/** Nothing may follow: of one fact there is one proof. */
function endingIn(
  value: RlpItem | undefined,
  used: number,
  nodes: readonly Uint8Array[],
): Uint8Array | null {
  if (value === undefined || isRlpList(value) || value.length === 0) return null;
  return used === nodes.length ? value : null;
}
