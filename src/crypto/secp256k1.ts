import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import {
  loadNativeBackend,
  loadWasmBackend,
  nobleBackend,
  type RecoverableSignature,
  type Secp256k1Backend,
  type Secp256k1Name,
} from './secp256k1Backends.ts';

/*
 * ECDSA over secp256k1 with recovery, as Ethereum signs (yellow paper appendix F): 32-byte digests,
 * 64-byte `r || s` signatures, a parity of 0 or 1 and 64-byte uncompressed keys without the 04.
 *
 * Three backends behind one interface, the fastest that loads: libsecp256k1 as an addon (49 us a
 * recovery), as WebAssembly (110 us), and pure TypeScript (1,090 us), which is always there and is
 * what the others are held against. Which one runs is public, so that a node can log it.
 */

/** Order of the group (SEC 2, 2.4.1). */
export const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
/** The greatest s that EIP-2 allows. */
export const HALF_CURVE_ORDER = CURVE_ORDER >> 1n;

const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Until something else is chosen: what loads without waiting. */
let backend: Secp256k1Backend = loadNativeBackend() ?? nobleBackend;

export function secp256k1Backend(): Secp256k1Name {
  return backend.name;
}

/**
 * Chooses for the whole process, at its start: the fastest that loads and answers rightly, or the
 * one that is named.
 */
export async function chooseSecp256k1(wish: 'auto' | Secp256k1Name): Promise<Secp256k1Name> {
  const loaders = {
    native: () => loadNativeBackend(),
    wasm: () => loadWasmBackend(),
    noble: () => nobleBackend,
  };
  for (const name of ['native', 'wasm', 'noble'] as const) {
    if (wish !== 'auto' && wish !== name) continue;
    const loaded = await loaders[name]();
    if (loaded === null || !answersRightly(loaded)) continue;
    backend = loaded;
    return name;
  }
  throw new UserError(
    EXIT.usage,
    `crypto.secp256k1: the ${wish} library does not work on this machine; use auto`,
  );
}

/** The same as the reference on a signature, on its wrong parity, and on one that nobody made. */
function answersRightly(candidate: Secp256k1Backend): boolean {
  const [key, digest] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(9)];
  const { signature, yParity } = nobleBackend.sign(digest, key);
  const nobodys = new Uint8Array(64).fill(0xff);
  const answers = (backend: Secp256k1Backend) =>
    [
      backend.sign(digest, key),
      backend.publicKey(key),
      backend.recover(digest, signature, yParity),
      backend.recover(digest, signature, 1 - yParity),
      backend.recover(digest, nobodys, 0),
    ].map((answer) => JSON.stringify(answer));
  return answers(candidate).join() === answers(nobleBackend).join();
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
