import { keccak_256 } from '@noble/hashes/sha3.js';
import { createKeccak } from 'hash-wasm';

/**
 * Compiled once, when the module loads; every use is synchronous and starts anew. Null where the
 * platform runs no WebAssembly (`--jitless`).
 */
const hasher = 'WebAssembly' in globalThis ? await createKeccak(256) : null;

export const keccakBackend = hasher === null ? 'noble' : 'wasm';

/**
 * Keccak-256 as Ethereum uses it (the original padding, not FIPS 202), in WebAssembly: six to nine
 * times the pure implementation, which the tests hold it against and which stands in for it.
 */
export const keccak256: (bytes: Uint8Array) => Uint8Array =
  hasher === null ? keccak_256 : (bytes) => hasher.init().update(bytes).digest('binary');
