import { createHash } from 'node:crypto';

/** SHA-256 (FIPS 180-4), by the platform's library. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}
