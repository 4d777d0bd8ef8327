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
  const digits = value.toString(16).padStart(2 * width, '0');
  if (value < 0n || digits.length > 2 * width) throw new RangeError('integer out of width');
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

/** Big-endian of any length; the empty string is zero. */
export function bytesToUint(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  if (bytes.length <= 6) {
    let small = 0;
    for (const byte of bytes) small = small * 256 + byte;
    return BigInt(small);
  }
  return BigInt(toHex(bytes));
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
