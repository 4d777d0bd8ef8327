import { concatBytes, toHex, utf8 } from '#src/lib/bytes.ts';
import { type Hash, parseHash } from '#src/types/hash.ts';

export const tokenMemoBytesMax = 32;

/** A text of up to 32 bytes, or 32 bytes in hexadecimal as they are; null where it is neither. */
export function memoWord(text: string): Hash | null {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return parseHash(text);
  const bytes = utf8(text);
  if (bytes.length > tokenMemoBytesMax || /\p{Cc}/u.test(text)) return null;
  return toHex(concatBytes(bytes, new Uint8Array(tokenMemoBytesMax - bytes.length))) as Hash;
}
