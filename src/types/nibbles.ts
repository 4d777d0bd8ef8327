/**
 * Paths in Merkle Patricia tries: a text of lower-case hex digits, one for each nibble, so that
 * paths are map keys and have an order. On the wire they are "hex prefix" bytes (yellow paper,
 * appendix C).
 */
export type Nibbles = string;

/**
 * Two nibbles a byte behind a flag: bit 1 says that a value ends here, bit 0 that the count is odd.
 */
export function encodeHexPrefix(path: Nibbles, isLeaf: boolean): Uint8Array {
  const odd = path.length % 2 === 1;
  const flag = (isLeaf ? 2 : 0) + (odd ? 1 : 0);
  const text = odd ? `${flag}${path}` : `${flag}0${path}`;
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export function decodeHexPrefix(bytes: Uint8Array): { path: Nibbles; isLeaf: boolean } | null {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
  const flag = Number.parseInt(text.charAt(0), 16);
  if (!(flag <= 3) || (flag % 2 === 0 && text.charAt(1) !== '0')) return null;
  return { path: text.slice(flag % 2 === 1 ? 1 : 2), isLeaf: flag >= 2 };
}

export function commonPrefixLength(a: Nibbles, b: Nibbles): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a.charCodeAt(i) !== b.charCodeAt(i)) return i;
  return length;
}
