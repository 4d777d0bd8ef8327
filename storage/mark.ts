/**
 * How many batches the database beside it has taken, in a file of its own: a database that was put
 * back to an earlier state has fewer. Written behind each synced batch and not synced itself: after
 * a power cut it may be late, but never ahead. `u64 batches, u32 CRC-32 of them`, big-endian.
 */
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { diskFailure, readWhole } from './diskFailure.ts';
import { isDiskFull } from './room.ts';

const MARK_BYTES = 12;

export class Mark {
  readonly #fd: number;
  readonly #path: string;
  readonly #bytes = Buffer.alloc(MARK_BYTES);

  constructor(path: string) {
    // What is there stays until it is written over: a full disk may not take as much again.
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    ftruncateSync(this.#fd, MARK_BYTES);
    this.#path = path;
  }

  /** Without room it stays behind, as after a power cut. */
  write(batches: bigint): void {
    this.#bytes.writeBigUInt64BE(batches, 0);
    this.#bytes.writeUInt32BE(crc32(this.#bytes.subarray(0, 8)), 8);
    try {
      writeSync(this.#fd, this.#bytes, 0, MARK_BYTES, 0);
    } catch (error) {
      if (!isDiskFull(error)) throw diskFailure(error, this.#path);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** 0 where it is missing or damaged: it says then nothing about the database. */
export function readMark(path: string): bigint {
  let bytes: Buffer;
  try {
    bytes = readWhole(path);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return 0n;
    throw error;
  }
  if (bytes.length !== MARK_BYTES) return 0n;
  return bytes.readUInt32BE(8) === crc32(bytes.subarray(0, 8)) ? bytes.readBigUInt64BE(0) : 0n;
}
