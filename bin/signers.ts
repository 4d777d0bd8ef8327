import type { Signer } from '#consensus/engine/ports.ts';
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import type { NodeKeys } from './nodeKeys.ts';

/** The keys that this process holds itself. */
export function localSigners({ consensusSeeds }: NodeKeys): Signer[] {
  return consensusSeeds.map((seed) => ({
    publicKey: ed25519PublicKey(seed),
    sign: async (message) => ed25519Sign(seed, message),
  }));
}
