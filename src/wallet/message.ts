import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';

/**
 * EIP-191, version 0x45 (`personal_sign`): the prefix makes sure that what is signed as a message
 * is never a payment.
 */
export function messageDigest(message: Uint8Array): Uint8Array {
  const head = utf8(`\u0019Ethereum Signed Message:\n${message.length}`);
  return keccak256(concatBytes(head, message));
}
