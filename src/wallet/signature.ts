/**
 * Signatures that people and contracts pass around: 65 bytes, `r || s || v` with v 27 or 28, as
 * every wallet writes them. Only the lower of the two s is taken (EIP-2): the other one would be a
 * second signature that nobody made.
 */
import { HALF_CURVE_ORDER, recover, sign } from '#src/crypto/secp256k1.ts';
import { bytesToUint, concatBytes, fromHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressFromPublicKey } from '#src/types/address.ts';

export type SignatureRefusal =
  | { code: 'SIGNATURE_TEXT' }
  | { code: 'SIGNATURE_V'; v: number }
  | { code: 'SIGNATURE_S' }
  | { code: 'SIGNATURE_RECOVERY' };

/** Of a 32-byte digest. */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Uint8Array {
  const { signature, yParity } = sign(digest, privateKey);
  return concatBytes(signature, Uint8Array.of(27 + yParity));
}

/** Whose signature this is; v may be the bare parity too, as hardware wallets write it. */
export function signerOfDigest(
  digest: Uint8Array,
  signatureText: string,
): Verdict<Address, SignatureRefusal> {
  const bytes = fromHex(signatureText);
  if (bytes?.length !== 65) return refuse({ code: 'SIGNATURE_TEXT' });
  const v = bytes[64] ?? 0;
  const yParity = v >= 27 ? v - 27 : v;
  if (yParity > 1) return refuse({ code: 'SIGNATURE_V', v });
  if (bytesToUint(bytes.subarray(32, 64)) > HALF_CURVE_ORDER) {
    return refuse({ code: 'SIGNATURE_S' });
  }
  const key = recover(digest, bytes.subarray(0, 64), yParity);
  if (key === null) return refuse({ code: 'SIGNATURE_RECOVERY' });
  return accept(addressFromPublicKey(key));
}

export function describeSignatureRefusal(refusal: SignatureRefusal): string {
  switch (refusal.code) {
    case 'SIGNATURE_TEXT':
      return 'signature: 0x and 130 hexadecimal digits are needed';
    case 'SIGNATURE_V':
      return `signature: its last byte is 27 or 28, not ${refusal.v}`;
    case 'SIGNATURE_S':
      return 'signature: a twin that anybody can make of another (its s is in the upper half)';
    case 'SIGNATURE_RECOVERY':
      return 'signature: no key can have made it';
  }
}
