import { keccak256 } from '#src/crypto/keccak.ts';
import type { Brand } from '#src/lib/brand.ts';
import { fromHex, type Hex, hexBytes, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';

/** 32 bytes as lower-case `0x` hex, so that `===` and map keys work. */
export type Hash = Brand<Hex, 'Hash'>;

const HASH_BYTES = 32;

export function hashFromBytes(bytes: Uint8Array): Hash {
  assert(bytes.length === HASH_BYTES, 'a hash is 32 bytes');
  return toHex(bytes) as Hash;
}

export function hashToBytes(hash: Hash): Uint8Array {
  return hexBytes(hash);
}

/** Strict: prefix and 64 digits; any letter case. Null otherwise. */
export function parseHash(text: string): Hash | null {
  if (text.length !== 2 + 2 * HASH_BYTES || fromHex(text) === null) return null;
  return text.toLowerCase() as Hash;
}

export function keccakHash(bytes: Uint8Array): Hash {
  return toHex(keccak256(bytes)) as Hash;
}
