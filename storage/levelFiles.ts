/**
 * What LevelDB does not notice about its own files, looked at before it opens them: a log with a
 * hole, a log that is missing, a MANIFEST that is an older one, a table that is not the one which
 * was written. Opened in that state, it drops what it cannot read, says nothing, and deletes files.
 *
 * Every batch has a sequence number, and the numbers of one log go on in the next, so that what
 * is lost in the middle shows. What is lost at the end shows by the mark (`levelShelf.ts`).
 * Formats: LevelDB 1.20, doc/log_format.md and db/version_edit.cc.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { maskedCrc32c } from '#src/crypto/crc32c.ts';
import { diskFailure, readWhole } from './diskFailure.ts';
import { Cursor, checkTable } from './levelTable.ts';
import { DamageError } from './shelf.ts';

const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;
const [FULL, FIRST, LAST] = [1, 2, 4] as const;
const BATCH_HEAD_BYTES = 12;

/** A table file as the MANIFEST tells of it. */
export type TableFile = {
  readonly path: string;
  readonly number: number;
  readonly bytes: number;
  readonly smallest: Buffer;
  readonly largest: Buffer;
};

/** Checks all but the content of the tables, which it names, the newest first. */
export function checkLevelFiles(dir: string): TableFile[] {
  const version = readVersion(dir);
  for (const { path, bytes } of version.tables.values()) {
    if (!existsSync(path)) throw new DamageError(`${path}: missing`);
    const { size } = statSync(path);
    if (size !== bytes) throw new DamageError(`${path}: has ${size} bytes, should have ${bytes}`);
  }
  checkLogs(dir, version);
  return [...version.tables.values()].sort((a, b) => b.number - a.number);
}

/** False where the file is gone: a compaction of the running database has replaced it. */
export function checkTableFile({ path, smallest, largest }: TableFile): boolean {
  let file: Buffer;
  try {
    file = readTable(path);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return false;
    throw error;
  }
  const found = checkTable(file, path);
  if (found.smallest.equals(smallest) && found.largest.equals(largest)) return true;
  throw new DamageError(`${path}: is another table than the one that was written`);
}

/** Used again for each table: a buffer of its own for every one stayed resident for hours. */
let tableBytes = Buffer.alloc(0);

/** Valid until the next one is read. */
function readTable(path: string): Buffer {
  try {
    const fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(fd);
      if (tableBytes.length < size) tableBytes = Buffer.allocUnsafeSlow(size);
      let read = 0;
      for (let more = 1; more > 0 && read < size; read += more) {
        more = readSync(fd, tableBytes, read, size - read, read);
      }
      return tableBytes.subarray(0, read);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw (error as { code?: string }).code === 'ENOENT' ? error : diskFailure(error, path);
  }
}

type Version = { logNumber: number; lastSeq: bigint; readonly tables: Map<number, TableFile> };

const TAG = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSeq: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  prevLog: 9,
} as const;

function readVersion(dir: string): Version {
  const current = join(dir, 'CURRENT');
  if (!existsSync(current)) throw new DamageError(`${current}: missing`);
  const name = readWhole(current).toString('latin1');
  if (!/^MANIFEST-\d{6,}\n$/.test(name)) throw new DamageError(`${current}: names no MANIFEST`);
  const manifest = join(dir, name.trimEnd());
  if (!existsSync(manifest)) throw new DamageError(`${manifest}: missing`);
  const version: Version = { logNumber: 0, lastSeq: 0n, tables: new Map() };
  const records = readLog(readWhole(manifest), manifest);
  if (records.length === 0) throw new DamageError(`${manifest}: empty`);
  for (const record of records) applyEdit(version, record, dir, manifest);
  return version;
}

function applyEdit(version: Version, record: Buffer, dir: string, manifest: string): void {
  const edit = new Cursor(record, 0);
  const bytes = () => edit.take(edit.varint());
  while (!edit.isAtEnd) {
    const tag = edit.varint();
    switch (tag) {
      case TAG.comparator:
        bytes();
        break;
      case TAG.logNumber:
        version.logNumber = edit.varint();
        break;
      case TAG.nextFile:
      case TAG.prevLog:
        edit.varint();
        break;
      case TAG.lastSeq:
        version.lastSeq = BigInt(edit.varint());
        break;
      case TAG.compactPointer:
        edit.varint();
        bytes();
        break;
      case TAG.deletedFile:
        edit.varint();
        version.tables.delete(edit.varint());
        break;
      case TAG.newFile: {
        edit.varint();
        const number = edit.varint();
        const path = join(dir, `${String(number).padStart(6, '0')}.ldb`);
        const size = edit.varint();
        const [smallest, largest] = [bytes(), bytes()];
        version.tables.set(number, { path, number, bytes: size, smallest, largest });
        break;
      }
      default:
        throw new DamageError(`${manifest}: has an unknown field ${tag}`);
    }
  }
}

/** The batches of all logs that are still needed follow each other without a gap. */
function checkLogs(dir: string, { logNumber, lastSeq }: Version): void {
  const numbers = readdirSync(dir)
    .filter((name) => /^\d{6,}\.log$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .filter((number) => number >= logNumber)
    .sort((a, b) => a - b);
  const pathOf = (number: number) => join(dir, `${String(number).padStart(6, '0')}.log`);
  if (numbers[0] !== logNumber) throw new DamageError(`${pathOf(logNumber)}: missing`);
  let next: bigint | null = null;
  for (const number of numbers) {
    const path = pathOf(number);
    for (const batch of readLog(readWhole(path), path)) {
      if (batch.length < BATCH_HEAD_BYTES) throw new DamageError(`${path}: a batch is too short`);
      const seq = batch.readBigUInt64LE(0);
      const isNext = next === null ? seq <= lastSeq + 1n : seq === next;
      if (!isNext) throw new DamageError(`${path}: batches before ${seq} are missing`);
      next = seq + BigInt(batch.readUInt32LE(8));
    }
  }
  // No word on `next <= lastSeq`: a batch that met a full disk has its numbers all the same, and the
  // MANIFEST knows of them as soon as a compaction ends. What is lost at the end the mark tells.
}

/**
 * The records of a log. Part of a record at the very end is what a power cut leaves, and not only its
 * beginning: a disk takes the pages of what was not synced in any order. Each record is synced before
 * the next one begins, so that a bad one with the start of another behind it is damage.
 */
function readLog(bytes: Buffer, path: string): Buffer[] {
  const records: Buffer[] = [];
  let parts: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const left = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (left < HEADER_BYTES) {
      at += left;
      continue;
    }
    const fragment = readFragment(bytes, at);
    if (fragment === null || isStart(fragment) !== (parts.length === 0)) {
      if (!hasStart(bytes, at)) return records;
      throw new DamageError(`${path}: damaged at byte ${at}`);
    }
    parts.push(fragment.data);
    if (fragment.type === FULL || fragment.type === LAST) {
      records.push(Buffer.concat(parts));
      parts = [];
    }
    at += HEADER_BYTES + fragment.data.length;
  }
  return records;
}

type Fragment = { readonly type: number; readonly data: Buffer };

function readFragment(bytes: Buffer, at: number): Fragment | null {
  const left = BLOCK_BYTES - (at % BLOCK_BYTES);
  if (left < HEADER_BYTES || at + HEADER_BYTES > bytes.length) return null;
  const length = bytes.readUInt16LE(at + 4);
  const type = bytes[at + 6] ?? 0;
  const end = at + HEADER_BYTES + length;
  if (type < FULL || type > LAST || HEADER_BYTES + length > left || end > bytes.length) return null;
  if (bytes.readUInt32LE(at) !== maskedCrc32c(bytes.subarray(at + 6, end))) return null;
  return { type, data: bytes.subarray(at + HEADER_BYTES, end) };
}

function isStart({ type }: Fragment): boolean {
  return type === FULL || type === FIRST;
}

/** Whether a record begins anywhere in the rest; what is whole and begins none is passed over. */
function hasStart(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; ) {
    const fragment = readFragment(bytes, at);
    if (fragment !== null && isStart(fragment)) return true;
    at += fragment === null ? 1 : HEADER_BYTES + fragment.data.length;
  }
  return false;
}
