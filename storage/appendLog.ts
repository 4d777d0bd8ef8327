/**
 * An append-only log of records in segment files, for what must be on disk before it is said.
 *
 * Frame: `u32 length, u32 CRC-32 of what follows, u64 sequence, u64 synced, payload`, big-endian, where
 * `synced` is the sequence number up to which everything was on disk when the frame was made.
 * Sequence numbers rise by one over all segments. A segment is named by its first sequence number.
 * A bad frame is allowed only at the very end, where a power cut may leave half a write; before a
 * good frame that knew it to be synced, or before another segment, the log is damaged and says so.
 *
 * Where the disk is full, what is half written is cut off again and the rest waits for room. After
 * any other failed write, and after a failed sync, nothing more is taken: what the disk then holds is
 * not known, and a later success would hide a gap.
 */
import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { syncs } from '#src/lib/measures.ts';
import { diskFailure, readWhole } from './diskFailure.ts';
import { isDiskFull, type Writes, writesAtOnce } from './room.ts';
import { DamageError } from './shelf.ts';

const writeAt = promisify(write);
const syncData = promisify(fdatasync);

const HEAD_BYTES = 24;
export const recordBytesMax = 16 * 1024 * 1024;
/** A log is cut by whole segments: at a start this much may have to be read in vain. */
const segmentBytesMax = 2 * 1024 * 1024;

export type LogRecord = { readonly seq: number; readonly payload: Uint8Array };

/** `size`: of the last segment, up to where it is whole. */
type LogContent = { segments: number[]; records: LogRecord[]; size: number };

export class AppendLog {
  readonly #dir: string;
  readonly #room: Writes;
  #fd: number;
  #size: number;
  #nextSeq: number;
  #syncedSeq: number;
  #failed: Error | null = null;
  #segments: number[];
  #waiting: Buffer[] = [];
  #flushing: Promise<void> | null = null;

  private constructor(dir: string, room: Writes, { segments, records, size }: LogContent) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#dir = dir;
    this.#room = room;
    this.#segments = segments;
    this.#size = size;
    this.#syncedSeq = records.at(-1)?.seq ?? (segments.at(-1) ?? 1) - 1;
    this.#nextSeq = this.#syncedSeq + 1;
    const last = segments.at(-1);
    if (last === undefined) {
      this.#fd = createSegment(dir, this.#nextSeq);
      segments.push(this.#nextSeq);
      return;
    }
    this.#fd = openSync(segmentPath(dir, last), 'r+');
    ftruncateSync(this.#fd, size);
    fsyncSync(this.#fd);
  }

  /** Opens or makes the log, and gives what it holds. A torn tail is cut off. */
  static open(dir: string, room = writesAtOnce): { log: AppendLog; records: LogRecord[] } {
    try {
      const content = existsSync(dir)
        ? AppendLog.read(dir)
        : { segments: [], records: [], size: 0 };
      return { log: new AppendLog(dir, room, content), records: content.records };
    } catch (error) {
      throw diskFailure(error, dir);
    }
  }

  /** What it holds, without a change on disk; throws a {@link DamageError} as `open` does. */
  static read(dir: string): LogContent {
    const segments = readdirSync(dir)
      .filter((name) => /^\d{16}\.log$/.test(name))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b);
    const records: LogRecord[] = [];
    let size = 0;
    for (const [index, first] of segments.entries()) {
      const path = segmentPath(dir, first);
      if (index > 0 && first !== (records.at(-1)?.seq ?? first - 1) + 1) {
        throw new DamageError(`${path}: the segment before it is missing`);
      }
      const read = readSegment(path, records.at(-1)?.seq ?? first - 1);
      const isLast = index === segments.length - 1;
      if (read.torn && !isLast) throw new DamageError(`${path}: damaged before its end`);
      for (const record of read.records) records.push(record);
      size = read.size;
    }
    return { segments, records, size };
  }

  /** Queues a record; it is durable once a `sync` that was called later resolves. */
  append(payload: Uint8Array): number {
    if (this.#failed !== null) throw this.#failed;
    const seq = this.#nextSeq++;
    this.#waiting.push(encodeFrame(seq, this.#syncedSeq, payload));
    return seq;
  }

  /**
   * Group commit: records that come while a sync is in flight share the next one. Resolves with the
   * sync that takes what was queued by now, however much comes behind it.
   */
  async sync(): Promise<void> {
    const { lastSeq } = this;
    for (;;) {
      if (this.#failed !== null) throw this.#failed;
      if (this.#syncedSeq >= lastSeq) return;
      this.#flushing ??= this.#flush();
      await this.#flushing;
    }
  }

  /** Deletes whole segments whose records are all below `seq`; the newest one always stays. */
  prune(seq: number): void {
    // The next segment has to have something on disk: an empty log would be a lost one.
    const keep = Math.min(seq, this.#syncedSeq);
    while (this.#segments.length > 1 && (this.#segments[1] ?? keep + 1) <= keep) {
      const first = this.#segments.shift();
      if (first !== undefined) unlinkSync(segmentPath(this.#dir, first));
    }
  }

  /**
   * Throws away what the log holds and goes on with this record under this sequence number. Cut off
   * at any point, the log is the old one, none at all, or the new one with the record in it.
   */
  restartAt(seq: number, payload: Uint8Array): void {
    closeSync(this.#fd);
    const path = segmentPath(this.#dir, seq);
    const frame = encodeFrame(seq, seq - 1, payload);
    const fd = openSync(`${path}.new`, 'w+', 0o600);
    writeSync(fd, frame);
    fsyncSync(fd);
    for (const first of this.#segments) unlinkSync(segmentPath(this.#dir, first));
    syncDir(this.#dir);
    renameSync(`${path}.new`, path);
    syncDir(this.#dir);
    this.#fd = fd;
    this.#segments = [seq];
    this.#size = frame.length;
    this.#nextSeq = seq + 1;
    this.#syncedSeq = seq;
  }

  get lastSeq(): number {
    return this.#nextSeq - 1;
  }

  /** What a power cut would leave at least. */
  get syncedSeq(): number {
    return this.#syncedSeq;
  }

  async close(): Promise<void> {
    await this.sync();
    closeSync(this.#fd);
  }

  /** Never rejects: what went wrong is what every later call is told. */
  async #flush(): Promise<void> {
    const since = performance.now();
    try {
      await this.#writeWaiting();
    } catch (error) {
      const failed = diskFailure(error, this.#path);
      this.#failed = failed instanceof Error ? failed : new Error(String(failed));
    }
    this.#flushing = null;
    const ok = this.#failed === null;
    syncs.tell({ log: basename(this.#dir), ms: performance.now() - since, ok });
  }

  async #writeWaiting(): Promise<void> {
    const frames = this.#waiting;
    const { lastSeq } = this;
    this.#waiting = [];
    const bytes = Buffer.concat(frames);
    await this.#room.write(() => this.#write(bytes));
    this.#size += bytes.length;
    await syncData(this.#fd);
    this.#syncedSeq = lastSeq;
  }

  /** Frames behind what is there, whole or not at all. */
  async #write(bytes: Buffer): Promise<void> {
    if (this.#size > segmentBytesMax) this.#rotate(Number(bytes.readBigUInt64BE(8)));
    try {
      let written = 0;
      while (written < bytes.length) {
        const left = bytes.length - written;
        const at = this.#size + written;
        written += (await writeAt(this.#fd, bytes, written, left, at)).bytesWritten;
      }
    } catch (error) {
      if (isDiskFull(error)) ftruncateSync(this.#fd, this.#size);
      throw error;
    }
  }

  /** The old one stays until the new one is there, for which there may be no room. */
  #rotate(seq: number): void {
    const fd = createSegment(this.#dir, seq);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#segments.push(seq);
    this.#size = 0;
  }

  get #path(): string {
    return segmentPath(this.#dir, this.#segments.at(-1) ?? 0);
  }
}

function segmentPath(dir: string, first: number): string {
  return join(dir, `${String(first).padStart(16, '0')}.log`);
}

/** The directory is synced too: a new file's name can vanish with the power (cometbft#6031). */
function createSegment(dir: string, first: number): number {
  const fd = openSync(segmentPath(dir, first), 'wx', 0o600);
  fsyncSync(fd);
  syncDir(dir);
  return fd;
}

function syncDir(dir: string): void {
  const fd = openSync(dir, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

function encodeFrame(seq: number, syncedSeq: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeBigUInt64BE(BigInt(seq), 8);
  frame.writeBigUInt64BE(BigInt(syncedSeq), 16);
  frame.set(payload, HEAD_BYTES);
  frame.writeUInt32BE(crc32(frame.subarray(8)), 4);
  return frame;
}

function readSegment(
  path: string,
  before: number,
): { records: LogRecord[]; size: number; torn: boolean } {
  const bytes = readWhole(path);
  const records: LogRecord[] = [];
  let at = 0;
  let last = before;
  for (;;) {
    const frame = readFrame(bytes, at);
    if (frame === null || frame.seq !== last + 1) break;
    records.push({ seq: frame.seq, payload: frame.payload });
    last = frame.seq;
    at = frame.end;
  }
  for (let later = at; later < bytes.length; later++) {
    const frame = readFrame(bytes, later);
    if (frame === null || frame.syncedSeq <= last) continue;
    throw new DamageError(`${path}: record ${last + 1} is lost, which was on disk`);
  }
  return { records, size: at, torn: at !== bytes.length };
}

type Frame = { seq: number; syncedSeq: number; payload: Uint8Array; end: number };

function readFrame(bytes: Buffer, at: number): Frame | null {
  if (at + HEAD_BYTES > bytes.length) return null;
  const length = bytes.readUInt32BE(at);
  const end = at + HEAD_BYTES + length;
  if (length > recordBytesMax || end > bytes.length) return null;
  // High words first: they are zero in every real frame, which spares most checksums.
  if (bytes.readUInt16BE(at + 8) !== 0 || bytes.readUInt16BE(at + 16) !== 0) return null;
  if (bytes.readUInt32BE(at + 4) !== crc32(bytes.subarray(at + 8, end))) return null;
  return {
    seq: Number(bytes.readBigUInt64BE(at + 8)),
    syncedSeq: Number(bytes.readBigUInt64BE(at + 16)),
    payload: new Uint8Array(bytes.subarray(at + HEAD_BYTES, end)),
    end,
  };
}
