/**
 * A node of the state's trie: as it is stored, and as it is worked on. A branch stays the bytes
 * that it was read from, with the few children that changed beside them, so that an update neither
 * decodes nor encodes the others.
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import { assert } from '#src/lib/failure.ts';
import { decodeHexPrefix, encodeHexPrefix, type Nibbles } from '#src/types/nibbles.ts';
import { decodeRlp, encodeRlp, isRlpList } from '#src/types/rlp.ts';

/** The RLP of a node and its keccak-256, computed once. */
export type TrieNode = { readonly bytes: Uint8Array; readonly hash: Uint8Array };

export function trieNode(bytes: Uint8Array): TrieNode {
  return { bytes, hash: keccak256(bytes) };
}

export type Leaf = { readonly t: 'leaf'; readonly path: Nibbles; readonly value: Uint8Array };
export type Extension = { readonly t: 'extension'; readonly path: Nibbles; readonly child: Child };
export type Node = Leaf | Extension | Branch;
/** Not read yet: the RLP of a hash, or of the node itself where that is shorter than one. */
export type Unread = { readonly t: 'unread'; readonly item: Uint8Array };
export type Child = Node | Unread | null;

const EMPTY_ITEM = 0x80;
const HASH_ITEM = 0xa0;
const NO_CHILDREN = new Uint8Array(17).fill(EMPTY_ITEM);

/** Sixteen children by digit; no value, since all keys are of one length. */
export class Branch {
  readonly t = 'branch';
  /** The items one after another, and where each starts; the last number is the end. */
  readonly #items: Uint8Array;
  readonly #starts: readonly number[];
  /** What takes the place of an item; undefined leaves it. */
  readonly #changed: (Child | undefined)[] = new Array<Child | undefined>(16).fill(undefined);

  constructor(items: Uint8Array, starts: readonly number[]) {
    this.#items = items;
    this.#starts = starts;
  }

  static empty(): Branch {
    return new Branch(NO_CHILDREN, EVERY_BYTE);
  }

  child(digit: number): Child {
    const changed = this.#changed[digit];
    if (changed !== undefined) return changed;
    if (this.#isEmptyItem(digit)) return null;
    return { t: 'unread', item: this.#items.subarray(this.#start(digit), this.#start(digit + 1)) };
  }

  set(digit: number, child: Child): void {
    this.#changed[digit] = child;
  }

  /** The digit of the one child, or null where there is none. */
  onlyChild(): number | null | 'several' {
    let only: number | null = null;
    for (let digit = 0; digit < 16; digit++) {
      const changed = this.#changed[digit];
      if (changed === undefined ? this.#isEmptyItem(digit) : changed === null) continue;
      if (only !== null) return 'several';
      only = digit;
    }
    return only;
  }

  encode(itemOf: (child: Node | Unread, digit: number) => Uint8Array): Uint8Array {
    const fresh: (Uint8Array | undefined)[] = [];
    let length = this.#start(17) - this.#start(0);
    for (let digit = 0; digit < 16; digit++) {
      const changed = this.#changed[digit];
      if (changed === undefined) continue;
      const item = changed === null ? NO_CHILDREN.subarray(0, 1) : itemOf(changed, digit);
      fresh[digit] = item;
      length += item.length - (this.#start(digit + 1) - this.#start(digit));
    }
    const out = listOfLength(length);
    let at = out.length - length;
    let from = this.#start(0);
    for (let digit = 0; digit < 16; digit++) {
      const item = fresh[digit];
      if (item === undefined) continue;
      // What lies between two changes is copied as it is.
      const until = this.#start(digit);
      if (until > from) out.set(this.#items.subarray(from, until), at);
      at += until - from;
      out.set(item, at);
      at += item.length;
      from = this.#start(digit + 1);
    }
    out.set(this.#items.subarray(from, this.#start(17)), at);
    return out;
  }

  #start(digit: number): number {
    return this.#starts[digit] as number;
  }

  #isEmptyItem(digit: number): boolean {
    return this.#items[this.#start(digit)] === EMPTY_ITEM;
  }
}

const EVERY_BYTE = Array.from({ length: 18 }, (_, at) => at);

/** Null where the bytes are no node. */
export function nodeOf(bytes: Uint8Array): Node | null {
  const starts = itemStarts(bytes);
  if (starts === null) return null;
  if (starts.length === 18) {
    const isValueEmpty = bytes[starts[16] as number] === EMPTY_ITEM;
    return isValueEmpty ? new Branch(bytes, starts) : null;
  }
  const decoded = decodeRlp(bytes, bytes.length);
  if (!decoded.ok || !isRlpList(decoded.value) || decoded.value.length !== 2) return null;
  const [prefix, value] = decoded.value;
  const head = prefix instanceof Uint8Array ? decodeHexPrefix(prefix) : null;
  if (head === null || value === undefined) return null;
  const { path, isLeaf } = head;
  if (isLeaf) return isRlpList(value) ? null : { t: 'leaf', path, value };
  return { t: 'extension', path, child: { t: 'unread', item: bytes.subarray(starts[1]) } };
}

export function encodeLeaf({ path, value }: Leaf): Uint8Array {
  assert(value.length < 0x100, 'an account or a slot is short');
  return encodeRlp([encodeHexPrefix(path, true), value]);
}

export function encodeExtension(path: Nibbles, item: Uint8Array): Uint8Array {
  const prefix = encodeRlp(encodeHexPrefix(path, false));
  const out = listOfLength(prefix.length + item.length);
  out.set(item, out.length - item.length);
  out.set(prefix, out.length - item.length - prefix.length);
  return out;
}

/** The RLP of 32 bytes. */
export function hashItem(hash: Uint8Array): Uint8Array {
  const item = new Uint8Array(33);
  item[0] = HASH_ITEM;
  item.set(hash, 1);
  return item;
}

/** Null where the item is a node itself. */
export function hashOfItem(item: Uint8Array): Uint8Array | null {
  return item[0] === HASH_ITEM ? item.subarray(1) : null;
}

export function digitAt(path: Nibbles, at: number): number {
  const code = path.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

/** Where each item of a list starts, and where the last one ends; null where they do not fit. */
function itemStarts(bytes: Uint8Array): number[] | null {
  const first = bytes[0] ?? 0;
  if (first < 0xc0) return null;
  let at = first <= 0xf7 ? 1 : 1 + first - 0xf7;
  const starts = [at];
  while (at < bytes.length && starts.length < 18) {
    const head = bytes[at] as number;
    if (head < 0x80) at += 1;
    else if (head <= 0xb7) at += 1 + head - 0x80;
    else if (head === 0xb8) at += 2 + (bytes[at + 1] ?? 0);
    else if (head >= 0xc0 && head <= 0xf7) at += 1 + head - 0xc0;
    // No node of ours holds a value of 256 bytes, or a node of 56 within another.
    else return null;
    starts.push(at);
  }
  return at === bytes.length ? starts : null;
}

/** Zeros behind the head of a list with so much in it, for the caller to fill. */
function listOfLength(length: number): Uint8Array {
  if (length <= 55) {
    const out = new Uint8Array(1 + length);
    out[0] = 0xc0 + length;
    return out;
  }
  const width = length < 0x100 ? 1 : 2;
  const out = new Uint8Array(1 + width + length);
  out[0] = 0xf7 + width;
  if (width === 2) out[1] = length >> 8;
  out[width] = length & 0xff;
  return out;
}
