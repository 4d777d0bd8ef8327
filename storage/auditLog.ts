/**
 * The record of privileged acts: `audit.log`, one JSON document a line, each with the SHA-256 of the
 * one before it. A line that was changed, taken out or put in breaks the chain there; lines cut off
 * the end do not, which is why each new hash also goes to the program's log, where it can be kept
 * elsewhere. Only the last line may be half written, as a power cut leaves it.
 *
 * `{"seq":2,"time":…,"act":"start",…,"prev":"<hash of line 1>","hash":"<of this line without it>"}`
 *
 * Several processes write here, a node and the commands beside it: each act takes a lock and reads
 * the end anew. Acts are rare; nothing on a payment's path waits for one.
 */
import {
  closeSync,
  existsSync,
  fchownSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#src/crypto/sha256.ts';
import { toBareHex, utf8 } from '#src/lib/bytes.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';

export type AuditRecord = {
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly act: string;
  /** User and process that did it. */
  readonly by: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly prev: string;
  readonly hash: string;
};

/** `broken`: the first line that does not follow from the one before it, from 1. */
export type AuditReport = {
  readonly records: number;
  readonly lastHash: string;
  /** Bytes of a last line that was not written to its end. */
  readonly tornBytes: number;
  readonly broken: { readonly file: string; readonly line: number; readonly why: string } | null;
};

const FILE = 'audit.log';
const LOCK = 'audit.lock';
const NO_HASH = '0'.repeat(64);
export const auditLineBytesMax = 64 * 1024;
/** Then it goes on in a new file. */
const auditFileBytesMax = 16 * 1024 * 1024;
const lockTimeoutMs = 5_000;
const lockPollMs = 10;

/** Of each directory, so that within this process nobody waits for a lock. */
const lastOf = new Map<string, Promise<unknown>>();

export class AuditLog {
  readonly #dir: string;
  readonly #fileBytesMax: number;

  constructor(dir: string, fileBytesMax = auditFileBytesMax) {
    this.#dir = dir;
    this.#fileBytesMax = fileBytesMax;
  }

  /** Resolves when the line is on disk; rejects with a {@link UserError} where it is not. */
  append(act: string, detail: Readonly<Record<string, unknown>> = {}): Promise<AuditRecord> {
    const next = (lastOf.get(this.#dir) ?? Promise.resolve()).then(async () => {
      const unlock = await takeLock(this.#dir);
      try {
        return this.#write(act, detail);
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        throw new UserError(EXIT.io, `${join(this.#dir, FILE)}: ${code ?? message}`, {
          cause: error,
        });
      } finally {
        unlock();
      }
    });
    lastOf.set(
      this.#dir,
      next.catch(() => {}),
    );
    return next;
  }

  #write(act: string, detail: Readonly<Record<string, unknown>>): AuditRecord {
    const path = join(this.#dir, FILE);
    const older = lastOfOlder(this.#dir);
    let fd = openOwn(this.#dir, path);
    try {
      let before = older === null ? null : readEnd(fd, older);
      if (before === null) {
        closeSync(fd);
        const aside = setAside(this.#dir);
        fd = openOwn(this.#dir, path);
        before = appendLine(fd, START, 'audit log damaged', { aside });
      }
      if (fstatSync(fd).size > this.#fileBytesMax) {
        closeSync(fd);
        renameSync(path, join(this.#dir, olderName(before.seq)));
        fd = openOwn(this.#dir, path);
      }
      return appendLine(fd, before, act, detail);
    } finally {
      closeSync(fd);
    }
  }
}

/** Every record in order, and at the end what is wrong. Reads; changes nothing. */
export function readAuditLog(
  dir: string,
  onRecord: (record: AuditRecord) => void = () => {},
): AuditReport {
  const names = readdirSync(dir);
  const aside = names.find((name) => /^audit-damaged-.*\.log$/.test(name));
  let before: Place = START;
  let tornBytes = 0;
  for (const name of [...olderNames(dir), ...(names.includes(FILE) ? [FILE] : [])]) {
    const file = join(dir, name);
    const bytes = readFileSync(file);
    const end = bytes.lastIndexOf(0x0a) + 1;
    const lines =
      end === 0
        ? []
        : bytes
            .subarray(0, end - 1)
            .toString('utf8')
            .split('\n');
    for (const [index, text] of lines.entries()) {
      const record = parseLine(text);
      const why = record === null ? 'it is not as it was written' : breakOf(before, record);
      if (record === null || why !== null) {
        const broken = { file, line: index + 1, why: why ?? '' };
        return { records: before.seq, lastHash: before.hash, tornBytes, broken };
      }
      before = record;
      onRecord(record);
    }
    const tail = bytes.subarray(end);
    if (tail.length > 0 && (name !== FILE || !isTorn(tail, before))) {
      const broken = { file, line: lines.length + 1, why: 'it is not as it was written' };
      return { records: before.seq, lastHash: before.hash, tornBytes, broken };
    }
    tornBytes = tail.length;
  }
  const broken =
    aside === undefined
      ? null
      : { file: join(dir, aside), line: 1, why: 'its end was damaged, and it was set aside' };
  return { records: before.seq, lastHash: before.hash, tornBytes, broken };
}

/** The newest record of this act; null where there is none. Does not check the chain. */
export function lastAct(dir: string, act: string): AuditRecord | null {
  const names = existsSync(join(dir, FILE)) ? [...olderNames(dir), FILE] : olderNames(dir);
  for (const name of names.reverse()) {
    const lines = readFileSync(join(dir, name), 'utf8').split('\n');
    for (const line of lines.reverse()) {
      const record = parseLine(line);
      if (record?.act === act) return record;
    }
  }
  return null;
}

// --- lines ---------------------------------------------------------------------------------------

/** What a next line has to follow. */
type Place = { readonly seq: number; readonly hash: string };
const START: Place = { seq: 0, hash: NO_HASH };

function appendLine(
  fd: number,
  before: Place,
  act: string,
  detail: Readonly<Record<string, unknown>>,
): AuditRecord {
  const record = {
    seq: before.seq + 1,
    time: new Date().toISOString(),
    act,
    by: `${userName()}:${process.pid}`,
    detail,
    prev: before.hash,
  };
  const body = JSON.stringify(record);
  const hash = hashOf(body);
  const bytes = Buffer.from(`${body.slice(0, -1)},"hash":"${hash}"}\n`);
  assert(bytes.length <= auditLineBytesMax, 'an audited act fits into a line');
  const { size } = fstatSync(fd);
  try {
    assert(writeSync(fd, bytes) === bytes.length, 'a line is written whole');
    fdatasyncSync(fd);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
  return { ...record, hash };
}

/** Null where the line does not carry its own hash. */
function parseLine(line: string): AuditRecord | null {
  const match = /^(.*),"hash":"([0-9a-f]{64})"\}$/.exec(line);
  if (match === null || hashOf(`${match[1]}}`) !== match[2]) return null;
  try {
    return JSON.parse(line) as AuditRecord;
  } catch {
    return null;
  }
}

function breakOf(before: Place, record: AuditRecord): string | null {
  if (record.prev === before.hash && record.seq === before.seq + 1) return null;
  return `it is record ${record.seq} and does not follow record ${before.seq}`;
}

function hashOf(text: string): string {
  return toBareHex(sha256(utf8(text)));
}

/** What the open file ends with, its torn tail cut off; null where its last line is damaged. */
function readEnd(fd: number, older: Place): Place | null {
  const { size } = fstatSync(fd);
  const length = Math.min(size, 2 * auditLineBytesMax);
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, size - length);
  const end = bytes.lastIndexOf(0x0a);
  const begin = end === -1 ? 0 : bytes.subarray(0, end).lastIndexOf(0x0a) + 1;
  const last = end === -1 ? older : parseLine(bytes.subarray(begin, end).toString('utf8'));
  const tail = bytes.subarray(end + 1);
  if (last === null || !isTorn(tail, last)) return null;
  if (tail.length > 0) ftruncateSync(fd, size - tail.length);
  return last;
}

/** A line that a power cut left half written: its first bytes, or the zeros in their place. */
function isTorn(tail: Buffer, before: Place): boolean {
  if (tail.length === 0 || tail.every((byte) => byte === 0)) return true;
  const begin = `{"seq":${before.seq + 1},`;
  const text = tail.subarray(0, begin.length).toString('latin1');
  return tail.length <= auditLineBytesMax && begin.startsWith(text);
}

// --- files ---------------------------------------------------------------------------------------

/** Named by its last record. */
function olderName(seq: number): string {
  return `audit-${String(seq).padStart(12, '0')}.log`;
}

/** The oldest first. */
function olderNames(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => /^audit-\d{12}\.log$/.test(name))
    .sort();
}

/** What the first line of `audit.log` follows; null where the older file's end is damaged. */
function lastOfOlder(dir: string): Place | null {
  const last = olderNames(dir).at(-1);
  if (last === undefined) return START;
  const fd = openSync(join(dir, last), 'r+');
  try {
    return readEnd(fd, START);
  } finally {
    closeSync(fd);
  }
}

/**
 * For reading and appending. A new file belongs to whoever the directory belongs to: one that root
 * made, with a command beside the node, would be closed to the node.
 */
function openOwn(dir: string, path: string): number {
  const isNew = !existsSync(path);
  const fd = openSync(path, 'a+', 0o600);
  if (!isNew) return fd;
  const { uid, gid } = statSync(dir);
  if (process.getuid?.() === 0 && uid !== 0) fchownSync(fd, uid, gid);
  syncDir(dir);
  return fd;
}

function setAside(dir: string): string {
  const name = `audit-damaged-${new Date().toISOString().replace(/[:.]/g, '-')}.log`;
  renameSync(join(dir, FILE), join(dir, name));
  syncDir(dir);
  return name;
}

function syncDir(dir: string): void {
  const fd = openSync(dir, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/** One writer at a time; a lock whose process is gone is nobody's. */
async function takeLock(dir: string): Promise<() => void> {
  const path = join(dir, LOCK);
  const deadline = performance.now() + lockTimeoutMs;
  for (;;) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, String(process.pid));
      closeSync(fd);
      return () => rmSync(path, { force: true });
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== 'EEXIST') throw new UserError(EXIT.io, `${path}: ${code}`, { cause: error });
    }
    if (performance.now() > deadline) {
      throw new UserError(EXIT.locked, `${path}: another process holds it; remove it if none does`);
    }
    dropStaleLock(path);
    await new Promise((resolve) => setTimeout(resolve, lockPollMs));
  }
}

/** Renamed first: of two that find it stale only one takes it away. */
function dropStaleLock(path: string): void {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    // Empty for a moment while it is made.
    if (!Number.isSafeInteger(pid) || pid <= 0) return;
    // Our own number is that of a process before us, as in a container that was started again.
    if (pid !== process.pid && isAlive(pid)) return;
    const mine = `${path}.${process.pid}`;
    renameSync(path, mine);
    rmSync(mine, { force: true });
  } catch {
    // Gone already.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No entry in the system's list of users, as in many containers.
    return String(process.getuid?.() ?? '');
  }
}
