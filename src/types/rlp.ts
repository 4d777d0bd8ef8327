import { bytesToUint, EMPTY_BYTES } from '#src/lib/bytes.ts';
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';

/**
 * Recursive length prefix (yellow paper, appendix B), canonical form only: one value has one
 * encoding, so what was hashed is what was decoded. Decoding never throws, whatever it is given.
 */
export type RlpItem = Uint8Array | RlpList;
export type RlpList = readonly RlpItem[];

export type RlpRefusal = { code: 'RLP'; reason: string };

export const rlpDepthMax = 16;

/** The items are views of the input, not copies. */
export function decodeRlp(bytes: Uint8Array, bytesMax: number): Verdict<RlpItem, RlpRefusal> {
  if (bytes.length > bytesMax) return refuseRlp('input too large');
  const reader = new Reader(bytes);
  const item = reader.item(bytes.length, 0);
  if (item === null) return refuseRlp(reader.reason);
  if (reader.at !== bytes.length) return refuseRlp('input contains more than one value');
  return accept(item);
}

export function encodeRlp(item: RlpItem): Uint8Array {
  const out = new Uint8Array(encodedLength(item));
  const end = write(item, out, 0);
  assert(end === out.length, 'RLP was as long as foreseen');
  return out;
}

/** Where integers are laid out before they are cut to their length. */
const WORD_BYTES = new Uint8Array(8);
const WORD = new DataView(WORD_BYTES.buffer);

/** Big-endian without leading zeros; zero is the empty string. */
export function uintToRlp(value: bigint | number): Uint8Array {
  if (value === 0n || value === 0) return EMPTY_BYTES;
  assert(value > 0, 'RLP integers are not negative');
  assert(typeof value === 'bigint' || Number.isSafeInteger(value), 'a number is a safe integer');
  if (value <= 0xffff_ffff_ffff_ffffn) {
    WORD.setBigUint64(0, BigInt(value));
    return WORD_BYTES.slice(WORD_BYTES.findIndex((byte) => byte !== 0));
  }
  const digits = value.toString(16);
  return new Uint8Array(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex'));
}

/** Null where the item is a list, too wide, or not minimal (a leading zero). */
export function rlpToUint(item: RlpItem | undefined, widthMax: number): bigint | null {
  if (!(item instanceof Uint8Array)) return null;
  if (item.length > widthMax || item[0] === 0) return null;
  return bytesToUint(item);
}

/** The same for values that our own rules keep within a safe integer. */
export function rlpToSafeInteger(item: RlpItem | undefined): number | null {
  const value = rlpToUint(item, 7);
  return value === null || value > Number.MAX_SAFE_INTEGER ? null : Number(value);
}

export function isRlpList(item: RlpItem | undefined): item is RlpList {
  return Array.isArray(item);
}

/** The item where it is a string of exactly this many bytes. */
export function rlpBytes(item: RlpItem | undefined, length: number): Uint8Array | null {
  return item instanceof Uint8Array && item.length === length ? item : null;
}

/** The head of a value: whether a list, where its content starts and how long that is. */
type Head = { readonly list: boolean; readonly start: number; readonly length: number };

class Reader {
  at = 0;
  reason = '';
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** One value that has to end at or before `end`. Recursion is bounded by `rlpDepthMax`. */
  item(end: number, depth: number): RlpItem | null {
    const head = this.#head(end);
    if (head === null) return null;
    const contentEnd = head.start + head.length;
    if (!head.list) {
      this.at = contentEnd;
      return this.#bytes.subarray(head.start, contentEnd);
    }
    if (depth >= rlpDepthMax) return this.#fail('nested too deep');
    this.at = head.start;
    const items: RlpItem[] = [];
    while (this.at < contentEnd) {
      const item = this.item(contentEnd, depth + 1);
      if (item === null) return null;
      items.push(item);
    }
    return items;
  }

  #head(end: number): Head | null {
    const first = this.#bytes[this.at];
    if (first === undefined || this.at >= end) return this.#fail('unexpected end of input');
    if (first < 0x80) return { list: false, start: this.at, length: 1 };
    const list = first >= 0xc0;
    const short = first - (list ? 0xc0 : 0x80);
    if (short > 55) return this.#longHead(list, short - 55, end);
    const start = this.at + 1;
    if (start + short > end) return this.#fail('value larger than its container');
    if (!list && short === 1 && (this.#bytes[start] ?? 0) < 0x80) {
      return this.#fail('non-canonical single byte');
    }
    return { list, start, length: short };
  }

  #longHead(list: boolean, width: number, end: number): Head | null {
    const start = this.at + 1 + width;
    if (start > end) return this.#fail('unexpected end of input');
    if (this.#bytes[this.at + 1] === 0) return this.#fail('non-canonical size');
    let length = 0;
    for (let i = this.at + 1; i < start; i++) length = length * 256 + (this.#bytes[i] ?? 0);
    if (length <= 55) return this.#fail('non-canonical size');
    // Widths of 7 and 8 may have lost bits above, and are far beyond any input all the same.
    if (length > end - start) return this.#fail('value larger than its container');
    return { list, start, length };
  }

  #fail(reason: string): null {
    this.reason = reason;
    return null;
  }
}

function encodedLength(item: RlpItem): number {
  if (item instanceof Uint8Array) {
    if (item.length === 1 && (item[0] ?? 0) < 0x80) return 1;
    return headLength(item.length) + item.length;
  }
  const content = contentLength(item);
  return headLength(content) + content;
}

function contentLength(items: RlpList): number {
  let length = 0;
  for (const item of items) length += encodedLength(item);
  return length;
}

function headLength(length: number): number {
  return length <= 55 ? 1 : 1 + lengthWidth(length);
}

function lengthWidth(length: number): number {
  if (length < 0x100) return 1;
  if (length < 0x1_0000) return 2;
  return length < 0x100_0000 ? 3 : 4;
}

function write(item: RlpItem, out: Uint8Array, at: number): number {
  if (item instanceof Uint8Array) {
    if (item.length === 1 && (item[0] ?? 0) < 0x80) {
      out[at] = item[0] ?? 0;
      return at + 1;
    }
    const start = writeHead(0x80, item.length, out, at);
    out.set(item, start);
    return start + item.length;
  }
  let next = writeHead(0xc0, contentLength(item), out, at);
  for (const child of item) next = write(child, out, next);
  return next;
}

function writeHead(base: number, length: number, out: Uint8Array, at: number): number {
  if (length <= 55) {
    out[at] = base + length;
    return at + 1;
  }
  const width = lengthWidth(length);
  out[at] = base + 55 + width;
  for (let i = 0; i < width; i++) out[at + 1 + i] = (length >>> (8 * (width - 1 - i))) & 0xff;
  return at + 1 + width;
}

function refuseRlp(reason: string): { ok: false; refusal: RlpRefusal } {
  return refuse({ code: 'RLP', reason });
}
