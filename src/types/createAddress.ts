import { keccak256 } from '#src/crypto/keccak.ts';
import { type Address, addressFromBytes, addressToBytes } from './address.ts';
import { encodeRlp, uintToRlp } from './rlp.ts';

/** Where a creation by this sender with this nonce lands (yellow paper 7, CREATE). */
export function createAddress(sender: Address, nonce: bigint): Address {
  const list = encodeRlp([addressToBytes(sender), uintToRlp(nonce)]);
  return addressFromBytes(keccak256(list).subarray(12));
}
