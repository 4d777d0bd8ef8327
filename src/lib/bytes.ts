/**
 * Bytes and hexadecimal text. Hex written here is lower case with a `0x` prefix; hex read here is
 * strict: prefix, even length, no other characters.
 */
export type Hex = `0x${string}`;

export const EMPTY_BYTES = new Uint8Array(0);

/** Where short texts are put together: `toHex` is on every request's path. */
const shortBytesMax = 64;
const SHORT = Buffer.from(`0x${'00'.repeat(shortBytesMax)}`, 'latin1');
const CHAR_OF_DIGIT = Buffer.from('0123456789abcdef', 'latin1');

export function toHex(bytes: Uint8Array): Hex {
  if (bytes.length > shortBytesMax) return `0x${toBareHex(bytes)}`;
  return SHORT.toString('latin1', 0, spellShort(bytes)) as Hex;
}

/** Hex without the prefix: a cheap map key for hashes and addresses. */
export function toBareHex(bytes: Uint8Array): string {
  if (bytes.length > shortBytesMax) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  }
  return SHORT.toString('latin1', 2, spellShort(bytes));
}

/** Behind the prefix; where it ends. */
function spellShort(bytes: Uint8Array): number {
  let end = 2;
  for (const byte of bytes) {
    SHORT[end++] = CHAR_OF_DIGIT[byte >> 4] ?? 0;
    SHORT[end++] = CHAR_OF_DIGIT[byte & 15] ?? 0;
  }
  return end;
}

/** The bytes, or null where the text is not strict `0x` hex of whole bytes. */
export function fromHex(text: string): Uint8Array | null {
  if (!text.startsWith('0x') || text.length % 2 !== 0) return null;
  if (!/^0x[0-9a-fA-F]*$/.test(text)) return null;
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}

const DIGIT_OF_CHAR = new Uint8Array(128);
for (const [at, char] of [...'0123456789abcdefABCDEF'].entries()) {
  DIGIT_OF_CHAR[char.charCodeAt(0)] = at < 16 ? at : at - 6;
}

/** Of text that was written here: an address, a hash. Short, and so without a detour by Buffer. */
export function hexBytes(text: Hex): Uint8Array {
  const bytes = new Uint8Array((text.length - 2) / 2);
  for (let at = 0; at < bytes.length; at++) {
    const high = DIGIT_OF_CHAR[text.charCodeAt(2 * at + 2)] ?? 0;
    bytes[at] = 16 * high + (DIGIT_OF_CHAR[text.charCodeAt(2 * at + 3)] ?? 0);
  }
  return bytes;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Lexicographic order of unsigned bytes; a prefix sorts first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Below this a number does it, and no bigint has to be taken apart. */
const SMALL = 1n << 48n;

/** Big-endian, fixed width. Throws where the value does not fit: that is our own bug. */
export function uintToBytes(value: bigint, width: number): Uint8Array {
  if (value < 0n || value >> BigInt(8 * width) !== 0n) throw new RangeError('integer out of width');
  const out = new Uint8Array(width);
  if (value < SMALL) {
    let small = Number(value);
    for (let at = width; small > 0; small = Math.floor(small / 256)) out[--at] = small % 256;
    return out;
  }
  // Word by word: one digit of a bigint at a time would be a new bigint each.
  const words = new DataView(out.buffer);
  let rest = value;
  let at = width;
  for (; at >= 8 && rest > 0n; at -= 8, rest >>= 64n) words.setBigUint64(at - 8, rest);
  for (; rest > 0n; rest >>= 8n) out[--at] = Number(rest & 0xffn);
  return out;
}

/** Big-endian of any length; the empty string is zero. */
export function bytesToUint(bytes: Uint8Array): bigint {
  const { length } = bytes;
  let from = 0;
  while (from < length && bytes[from] === 0) from++;
  const digits = length - from;
  const head = digits <= 6 ? digits : digits % 8;
  let small = 0;
  for (let i = from; i < from + Math.min(head, 6); i++) small = small * 256 + (bytes[i] ?? 0);
  let value = BigInt(small);
  if (head === 7) value = (value << 8n) | BigInt(bytes[from + 6] ?? 0);
  if (head === digits) return value;
  const words = new DataView(bytes.buffer, bytes.byteOffset, length);
  for (let at = from + head; at < length; at += 8) value = (value << 64n) | words.getBigUint64(at);
  return value;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
