/**
 * EIP-712 for contracts: what was signed, and by whom. Signatures as ERC-20 extensions have them, in
 * three parts or as bytes: 65 with `v`, or 64 as in EIP-2098. High s is refused (EIP-2).
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import { HALF_CURVE_ORDER, recover } from '#src/crypto/secp256k1.ts';
import { bytesToUint, concatBytes, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { type Address, addressFromPublicKey, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';

/** What a recovery costs in gas: 50 microseconds, by the measure of `meter.ts`. */
export const RECOVERY_GAS = 33_000n;

export type Word = Hash | bigint | Address;

/** `keccak256(typeHash ‖ words)`: numbers and addresses fill a word from its low end. */
export function structHash(typeHash: Hash, ...words: readonly Word[]): Hash {
  return hashFromBytes(keccak256(concatBytes(hashToBytes(typeHash), ...words.map(wordOf))));
}

export function typeHash(type: string): Hash {
  return hashFromBytes(keccak256(utf8(type)));
}

const DOMAIN = typeHash(
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
);
export const VERSION = '1';

export function domainSeparator(name: string, chainId: bigint, contract: Address): Hash {
  const texts = [name, VERSION].map((text) => hashFromBytes(keccak256(utf8(text))));
  return structHash(DOMAIN, ...texts, chainId, contract);
}

export function digest(domain: Hash, struct: Hash): Uint8Array {
  return keccak256(
    concatBytes(Uint8Array.of(0x19, 0x01), hashToBytes(domain), hashToBytes(struct)),
  );
}

/** Whoever signed the digest; null where nobody can have. */
export function signerOf(signed: Uint8Array, signature: Uint8Array): Address | null {
  const parts = partsOf(signature);
  if (parts === null || bytesToUint(parts.rs.subarray(32)) > HALF_CURVE_ORDER) return null;
  const key = recover(signed, parts.rs, parts.parity);
  return key === null ? null : addressFromPublicKey(key);
}

/** 65 bytes of `v, r, s` as the functions of ERC-2612 and ERC-3009 take them. */
export function joined(v: bigint, r: Hash, s: Hash): Uint8Array {
  return concatBytes(hashToBytes(r), hashToBytes(s), Uint8Array.of(Number(v)));
}

function partsOf(signature: Uint8Array): { rs: Uint8Array; parity: 0 | 1 } | null {
  if (signature.length === 65) {
    const v = signature[64];
    if (v !== 27 && v !== 28) return null;
    return { rs: signature.subarray(0, 64), parity: v === 28 ? 1 : 0 };
  }
  if (signature.length !== 64) return null;
  const rs = signature.slice();
  const high = rs[32] ?? 0;
  rs[32] = high & 0x7f;
  return { rs, parity: high >= 0x80 ? 1 : 0 };
}

function wordOf(value: Word): Uint8Array {
  if (typeof value === 'bigint') return uintToBytes(value, 32);
  if (value.length === 66) return hashToBytes(value as Hash);
  return concatBytes(new Uint8Array(12), addressToBytes(value as Address));
}
