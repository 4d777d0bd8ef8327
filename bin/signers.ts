import type { Signer } from '#consensus/engine/ports.ts';
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import type { NodeKeys } from './nodeKeys.ts';

/** The keys that this process holds itself. */
export function localSigners({ consensusSeed }: NodeKeys): Signer[] {
  return [
    {
      publicKey: ed25519PublicKey(consensusSeed),
      sign: async (message) => ed25519Sign(consensusSeed, message),
    },
  ];
}
