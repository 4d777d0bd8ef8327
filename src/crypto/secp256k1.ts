import { createRequire } from 'node:module';
import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import { assert } from '#src/lib/failure.ts';

/**
 * ECDSA over secp256k1 with recovery, as Ethereum signs (yellow paper appendix F): 32-byte digests,
 * 64-byte `r || s` signatures, a parity of 0 or 1 and 64-byte uncompressed keys without the 04.
 *
 * Two backends behind one interface: libsecp256k1 when its addon loads (49 us a recovery), else
 * pure TypeScript (1,090 us). Which one runs is public, so that a node can log it.
 */
export type Secp256k1Backend = {
  readonly name: 'native' | 'noble';
  /** The signer's key, or null where no key can have made this signature. High s is accepted. */
  recover(digest: Uint8Array, signature: Uint8Array, yParity: number): Uint8Array | null;
  sign(digest: Uint8Array, privateKey: Uint8Array): RecoverableSignature;
  publicKey(privateKey: Uint8Array): Uint8Array;
};

export type RecoverableSignature = {
  /** `r || s`, s in the lower half (EIP-2). Deterministic: RFC 6979. */
  readonly signature: Uint8Array;
  readonly yParity: 0 | 1;
};

/** Order of the group (SEC 2, 2.4.1). */
export const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** The greatest s that EIP-2 allows. */
export const HALF_CURVE_ORDER = CURVE_ORDER >> 1n;

const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;

export function cryptoBackend(): 'native' | 'noble' {
  return backend.name;
}

export function recover(
  digest: Uint8Array,
  signature: Uint8Array,
  yParity: number,
): Uint8Array | null {
  if (digest.length !== DIGEST_BYTES || signature.length !== SIGNATURE_BYTES) return null;
  // Parities 2 and 3 (r + n below p) exist on the curve and not in Ethereum.
  if (yParity !== 0 && yParity !== 1) return null;
  return backend.recover(digest, signature, yParity);
}

export function sign(digest: Uint8Array, privateKey: Uint8Array): RecoverableSignature {
  assert(digest.length === DIGEST_BYTES, 'a digest is 32 bytes');
  assert(isPrivateKey(privateKey), 'a private key is 32 bytes, at least 1 and below the order');
  return backend.sign(digest, privateKey);
}

export function publicKey(privateKey: Uint8Array): Uint8Array {
  assert(isPrivateKey(privateKey), 'a private key is 32 bytes, at least 1 and below the order');
  return backend.publicKey(privateKey);
}

export function isPrivateKey(bytes: Uint8Array): boolean {
  return noble.utils.isValidSecretKey(bytes);
}

export const nobleBackend: Secp256k1Backend = {
  name: 'noble',
  recover(digest, signature, yParity) {
    const recovered = new Uint8Array(SIGNATURE_BYTES + 1);
    recovered[0] = yParity;
    recovered.set(signature, 1);
    try {
      const key = noble.recoverPublicKey(recovered, digest, { prehash: false });
      return noble.Point.fromBytes(key).toBytes(false).slice(1);
    } catch {
      return null;
    }
  },
  sign(digest, privateKey) {
    const bytes = noble.sign(digest, privateKey, { prehash: false, format: 'recovered' });
    return { signature: bytes.slice(1), yParity: parity(bytes[0]) };
  },
  publicKey: (privateKey) => noble.getPublicKey(privateKey, false).slice(1),
};

/** What of the addon is used; the package brings no types for this entry. */
type Addon = {
  ecdsaRecover(
    signature: Uint8Array,
    recoveryId: number,
    digest: Uint8Array,
    compressed: boolean,
  ): Uint8Array;
  ecdsaSign(digest: Uint8Array, key: Uint8Array): { signature: Uint8Array; recid: number };
  publicKeyCreate(key: Uint8Array, compressed: boolean): Uint8Array;
};

/** libsecp256k1, or null where no prebuilt addon fits this machine. */
export function loadNativeBackend(): Secp256k1Backend | null {
  const addon = loadAddon();
  if (addon === null) return null;
  return {
    name: 'native',
    recover(digest, signature, yParity) {
      try {
        return addon.ecdsaRecover(signature, yParity, digest, false).slice(1);
      } catch {
        return null;
      }
    },
    sign(digest, privateKey) {
      const { signature, recid } = addon.ecdsaSign(digest, privateKey);
      return { signature, yParity: parity(recid) };
    },
    publicKey: (privateKey) => addon.publicKeyCreate(privateKey, false).slice(1),
  };
}

function loadAddon(): Addon | null {
  try {
    // Never the package's index: it falls back in silence to a slow library with old advisories.
    return createRequire(import.meta.url)('secp256k1/bindings.js') as Addon;
  } catch {
    return null;
  }
}

function parity(recoveryId: number | undefined): 0 | 1 {
  // 2 and 3 need r in the last 2^-128 of the field: not reachable by honest signing.
  assert(recoveryId === 0 || recoveryId === 1, 'a recovery id of 0 or 1');
  return recoveryId;
}

const backend = loadNativeBackend() ?? nobleBackend;
