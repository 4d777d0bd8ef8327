/**
 * Bytes and hexadecimal text. Hex written here is lower case with a `0x` prefix; hex read here is
 * strict: prefix, even length, no other characters.
 */
export type Hex = `0x${string}`;

export const EMPTY_BYTES = new Uint8Array(0);

/** Two digits for each byte, built once: `toHex` is on every request's path. */
const HEX_OF_BYTE = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): Hex {
  return `0x${toBareHex(bytes)}`;
}

/** Hex without the prefix: a cheap map key for hashes and addresses. */
export function toBareHex(bytes: Uint8Array): string {
  if (bytes.length > 64) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  }
  let text = '';
  for (const byte of bytes) text += HEX_OF_BYTE[byte];
  return text;
}

/** The bytes, or null where the text is not strict `0x` hex of whole bytes. */
export function fromHex(text: string): Uint8Array | null {
  if (!text.startsWith('0x') || text.length % 2 !== 0) return null;
  if (!/^0x[0-9a-fA-F]*$/.test(text)) return null;
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
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

/** Big-endian, fixed width. Throws where the value does not fit: that is our own bug. */
export function uintToBytes(value: bigint, width: number): Uint8Array {
  if (value < 0n || value >> BigInt(8 * width) !== 0n) throw new RangeError('integer out of width');
  const out = new Uint8Array(width);
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
  let small = 0;
  const head = length <= 6 ? length : length % 8;
  for (let i = 0; i < Math.min(head, 6); i++) small = small * 256 + (bytes[i] ?? 0);
  let value = BigInt(small);
  if (head === 7) value = (value << 8n) | BigInt(bytes[6] ?? 0);
  if (head === length) return value;
  const words = new DataView(bytes.buffer, bytes.byteOffset, length);
  for (let at = head; at < length; at += 8) value = (value << 64n) | words.getBigUint64(at);
  return value;
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
