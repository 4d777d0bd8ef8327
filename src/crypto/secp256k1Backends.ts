import { createRequire } from 'node:module';
import { secp256k1 as noble } from '@noble/curves/secp256k1.js';
import { assert } from '#src/lib/failure.ts';

export type Secp256k1Backend = {
  readonly name: Secp256k1Name;
  /** The signer's key, or null where no key can have made this signature. High s is accepted. */
  recover(digest: Uint8Array, signature: Uint8Array, yParity: number): Uint8Array | null;
  sign(digest: Uint8Array, privateKey: Uint8Array): RecoverableSignature;
  publicKey(privateKey: Uint8Array): Uint8Array;
};

export type Secp256k1Name = 'native' | 'wasm' | 'noble';

export type RecoverableSignature = {
  /** `r || s`, s in the lower half (EIP-2). Deterministic: RFC 6979. */
  readonly signature: Uint8Array;
  readonly yParity: 0 | 1;
};

const SIGNATURE_BYTES = 64;

/** The reference. */
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

/** libsecp256k1 in WebAssembly, or null where the platform runs none (`--jitless`). */
export async function loadWasmBackend(): Promise<Secp256k1Backend | null> {
  if (!('WebAssembly' in globalThis)) return null;
  const { instantiateSecp256k1 } = await import('@bitauth/libauth');
  const wasm = await instantiateSecp256k1();
  return {
    name: 'wasm',
    recover(digest, signature, yParity) {
      const key = wasm.recoverPublicKeyUncompressed(signature, yParity === 0 ? 0 : 1, digest);
      // Its refusals are texts.
      return typeof key === 'string' ? null : key.slice(1);
    },
    sign(digest, privateKey) {
      const signed = wasm.signMessageHashRecoverableCompact(privateKey, digest);
      assert(typeof signed !== 'string', 'a private key signs');
      return { signature: signed.signature, yParity: parity(signed.recoveryId) };
    },
    publicKey(privateKey) {
      const key = wasm.derivePublicKeyUncompressed(privateKey);
      assert(typeof key !== 'string', 'a private key has a public one');
      return key.slice(1);
    },
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
