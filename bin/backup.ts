/**
 * A backup: the whole database at one final block, as one stream. Without keys, and without the
 * consensus journal: an old record of what was signed is worse than none (docs/consensus.md).
 *
 * `"MPBPBAK1"`, then frames `u32 length, u32 CRC-32, u8 kind, content`, big-endian: a head (JSON),
 * pages (`u32 length, key, u32 length, sealed value`, again and again), and an end (JSON) with the
 * number of entries, the newest block and the SHA-256 of everything before it. A stream without an end is none.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { bytesEqual, utf8 } from '#src/lib/bytes.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import { decodeBlockHeader } from '#src/types/block.ts';
import type { LevelShelf, SealedEntry } from '#storage/levelShelf.ts';
import { storageKey, unseal } from '#storage/shelf.ts';
import { SCHEMA_VERSION, TABLES } from '#storage/tables.ts';

const HEAD_KEY = storageKey('meta', utf8('head'));
const MAGIC = Buffer.from('MPBPBAK1');
const FRAME_HEAD_BYTES = 9;
export const frameBytesMax = 64 * 1024 * 1024;
const KIND = { head: 1, page: 2, end: 3 } as const;

export type BackupHead = { readonly networkId: string; readonly schema: number };
export type BackupEnd = {
  readonly entries: number;
  /** Of the newest block in it. */
  readonly height: string;
  readonly stateRoot: string;
  readonly sha256: string;
};
/** Told before the first page, and after the last one was verified. */
export type BackupReader = { onHead(head: BackupHead): void; onEnd(end: BackupEnd): void };

/** In pieces of at most a page: whoever sends them waits between two. */
export async function* writeBackup(
  shelf: LevelShelf,
  networkId: string,
): AsyncGenerator<Uint8Array> {
  const digest = createHash('sha256');
  const counted = (bytes: Buffer) => {
    digest.update(bytes);
    return bytes;
  };
  const head: BackupHead = { networkId, schema: SCHEMA_VERSION };
  yield counted(MAGIC);
  yield counted(frame(KIND.head, utf8(JSON.stringify(head))));
  let entries = 0;
  const newest = new Newest();
  for await (const page of shelf.pages()) {
    entries += page.length;
    for (const entry of page) newest.look(entry);
    yield counted(frame(KIND.page, encodePage(page)));
  }
  const { height, stateRoot } = newest;
  const end: BackupEnd = {
    ...{ entries, height: `${height}`, stateRoot, sha256: digest.digest('hex') },
  };
  yield frame(KIND.end, utf8(JSON.stringify(end)));
}

/** Verifies while it reads; nothing that it gave counts before it has come to its end. */
export async function* readBackup(
  chunks: AsyncIterable<Uint8Array>,
  place: string,
  { onHead, onEnd }: BackupReader,
): AsyncGenerator<SealedEntry[]> {
  const bad = (what: string) => new UserError(EXIT.badData, `${place}: ${what}`);
  const digest = createHash('sha256');
  const reader = new Reader(chunks[Symbol.asyncIterator]());
  const magic = await reader.take(MAGIC.length);
  if (magic === null || !magic.equals(MAGIC)) throw bad('is not a backup');
  digest.update(magic);
  let entries = 0;
  for (let first = true; ; first = false) {
    const start = await reader.take(FRAME_HEAD_BYTES);
    const length = start?.readUInt32BE(0) ?? 0;
    if (start === null || length > frameBytesMax) throw bad('is cut off, or damaged');
    const content = await reader.take(length);
    if (content === null) throw bad('is cut off, or damaged');
    const kind = start[8];
    const crc = crc32(content, crc32(start.subarray(8)));
    if (crc !== start.readUInt32BE(4)) throw bad('is damaged');
    if (first !== (kind === KIND.head)) throw bad('has no head');
    if (kind === KIND.end) {
      const end = JSON.parse(content.toString()) as BackupEnd;
      const isWhole = end.entries === entries && end.sha256 === digest.digest('hex');
      if (!isWhole || (await reader.take(1)) !== null) throw bad('is damaged');
      onEnd(end);
      return;
    }
    digest.update(start);
    digest.update(content);
    if (first) {
      onHead(JSON.parse(content.toString()) as BackupHead);
      continue;
    }
    const page = decodePage(content);
    entries += page.length;
    yield page;
  }
}

/** Finds the newest block among entries in the order of keys: the head comes before the blocks. */
class Newest {
  height = 0n;
  stateRoot = '';

  look({ key, sealed }: SealedEntry): void {
    if (bytesEqual(key, HEAD_KEY)) this.height = wordAt(sealed, 0);
    if (key[0] !== TABLES.blocks || wordAt(key, 1) !== this.height) return;
    const header = decodeBlockHeader(unseal(key, sealed));
    assert(header.ok, 'a stored header decodes');
    this.stateRoot = header.value.stateRoot;
  }
}

function wordAt(bytes: Uint8Array, at: number): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(at);
}

function frame(kind: number, content: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(FRAME_HEAD_BYTES + content.length);
  out.writeUInt32BE(content.length, 0);
  out[8] = kind;
  out.set(content, FRAME_HEAD_BYTES);
  out.writeUInt32BE(crc32(out.subarray(8)), 4);
  return out;
}

function encodePage(page: readonly SealedEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { key, sealed } of page) {
    for (const part of [key, sealed]) {
      const length = Buffer.allocUnsafe(4);
      length.writeUInt32BE(part.length);
      parts.push(length, part);
    }
  }
  return Buffer.concat(parts);
}

function decodePage(content: Buffer): SealedEntry[] {
  const page: SealedEntry[] = [];
  let at = 0;
  const next = () => {
    const length = content.readUInt32BE(at);
    at += 4 + length;
    return new Uint8Array(content.subarray(at - length, at));
  };
  while (at < content.length) page.push({ key: next(), sealed: next() });
  return page;
}

/** Cuts a stream of chunks into pieces of the length that is asked for. */
class Reader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterator<Uint8Array>) {
    this.#chunks = chunks;
  }

  /** Null where the stream ends before. */
  async take(length: number): Promise<Buffer | null> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < length) {
      const { value, done } = await this.#chunks.next();
      if (done) return null;
      parts.push(Buffer.from(value));
      have += value.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = all.subarray(length);
    return all.subarray(0, length);
  }
}
