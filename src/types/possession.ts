import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import { type Address, addressToBytes } from './address.ts';
import { type Hash, hashToBytes } from './hash.ts';

/** Another domain than votes have: neither can be taken for the other. */
const DOMAIN = utf8('MPBP-POSSESSION1');

/**
 * The 68 bytes that a consensus key signs to show that its owner asks for it: domain 16, network
 * id 32, operator 20. Nobody else's operator can use the signature.
 */
export function encodePossession(networkId: Hash, operator: Address): Uint8Array {
  return concatBytes(DOMAIN, hashToBytes(networkId), addressToBytes(operator));
}
