import {
  createPrivateKey,
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { ed25519 as noble } from '@noble/curves/ed25519.js';
import { bytesEqual, concatBytes, toBareHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';

/**
 * Ed25519 (RFC 8032) by the platform's library, over raw 32-byte keys: the validators' signatures.
 */
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** DER around a raw key (RFC 8410): PrivateKeyInfo with the seed, SubjectPublicKeyInfo. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * More than the validators of two epochs; importing a key costs about a third of a verification.
 */
const publicKeysCachedMax = 1024;

/** 32 random bytes: a private key's seed. */
export function generateSeed(): Uint8Array {
  return new Uint8Array(randomBytes(KEY_BYTES));
}

export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(PUBLIC_PREFIX.length));
}

export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(cryptoSign(null, message, privateKey(seed)));
}

/** False for anything that is not a signature, whatever its shape: never throws. */
export function ed25519Verify(
  publicKey32: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey32.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const key = publicKey(publicKey32);
  if (key === null) return false;
  try {
    return cryptoVerify(null, message, key, signature);
  } catch {
    return false;
  }
}

/**
 * Whether a key may decide anything: the one encoding of its point (RFC 8032, 5.1.3), in the
 * subgroup of prime order. Others verify signatures that nobody made, or differently elsewhere.
 */
export function isSoundEd25519Key(publicKey32: Uint8Array): boolean {
  if (publicKey32.length !== KEY_BYTES) return false;
  try {
    const point = noble.Point.fromBytes(publicKey32, false);
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
}

/** By the seed's identity, with a copy to notice a buffer that was used again. */
const privateKeys = new WeakMap<Uint8Array, { seed: Uint8Array; key: KeyObject }>();

function privateKey(seed: Uint8Array): KeyObject {
  assert(seed.length === KEY_BYTES, 'an Ed25519 seed is 32 bytes');
  const known = privateKeys.get(seed);
  if (known !== undefined && bytesEqual(known.seed, seed)) return known.key;
  const der = Buffer.from(concatBytes(PRIVATE_PREFIX, seed));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  privateKeys.set(seed, { seed: seed.slice(), key });
  return key;
}

const publicKeys = new Map<string, KeyObject>();

function publicKey(bytes: Uint8Array): KeyObject | null {
  const name = toBareHex(bytes);
  const known = publicKeys.get(name);
  if (known !== undefined) return known;
  const der = Buffer.from(concatBytes(PUBLIC_PREFIX, bytes));
  let key: KeyObject;
  try {
    key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return null;
  }
  if (publicKeys.size >= publicKeysCachedMax) {
    // Maps iterate by insertion: the first is the oldest.
    for (const oldest of publicKeys.keys()) {
      publicKeys.delete(oldest);
      break;
    }
  }
  publicKeys.set(name, key);
  return key;
}
