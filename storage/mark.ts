/**
 * How many batches the database beside it has taken, in a file of its own: a database that was put
 * back to an earlier state has fewer. Written behind each synced batch and not synced itself: after
 * a power cut it may be late, but never ahead. `u64 batches, u32 CRC-32 of them`, big-endian.
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

const MARK_BYTES = 12;

export class Mark {
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(MARK_BYTES);

  constructor(path: string) {
    this.#fd = openSync(path, 'w', 0o600);
  }

  write(batches: bigint): void {
    this.#bytes.writeBigUInt64BE(batches, 0);
    this.#bytes.writeUInt32BE(crc32(this.#bytes.subarray(0, 8)), 8);
    writeSync(this.#fd, this.#bytes, 0, MARK_BYTES, 0);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** 0 where it is missing or damaged: it says then nothing about the database. */
export function readMark(path: string): bigint {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return 0n;
    throw error;
  }
  if (bytes.length !== MARK_BYTES) return 0n;
  return bytes.readUInt32BE(8) === crc32(bytes.subarray(0, 8)) ? bytes.readBigUInt64BE(0) : 0n;
}
