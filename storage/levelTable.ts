/**
 * LevelDB's table files (`.ldb`), checked against the checksums that LevelDB writes and does not
 * look at: `verify_checksums` is off and cannot be set from here. A file never changes once it is
 * written. Format: doc/table_format.md of LevelDB 1.20, and Snappy's format_description.txt.
 */
import { maskedCrc32c } from '#src/crypto/crc32c.ts';
import { DamageError } from './shelf.ts';

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = 0xdb4775248b80fb57n;
const SNAPPY = 1;

type Handle = { readonly offset: number; readonly size: number };
type BlockEntry = { readonly key: Buffer; readonly value: Buffer };

/** The first and the last key of a table of which every byte that is used was checked. */
export function checkTable(file: Buffer, path: string): { smallest: Buffer; largest: Buffer } {
  const table = new Table(file, path);
  const footer = new Cursor(file, file.length - FOOTER_BYTES);
  if (file.length < FOOTER_BYTES || file.readBigUInt64LE(file.length - 8) !== MAGIC) {
    throw table.damage('its end is not that of a table');
  }
  const metaindex = table.handle(footer);
  const index = table.handle(footer);
  for (const { value } of table.entries(table.block(metaindex))) {
    table.check(table.handle(new Cursor(value, 0)));
  }
  const blocks = table.entries(table.block(index)).map(({ value }) => {
    const handle = table.handle(new Cursor(value, 0));
    table.check(handle);
    return handle;
  });
  const [first, last] = [blocks[0], blocks.at(-1)];
  if (first === undefined || last === undefined) throw table.damage('it has no block');
  const smallest = table.entries(table.block(first))[0]?.key;
  const largest = table.entries(table.block(last)).at(-1)?.key;
  if (smallest === undefined || largest === undefined) throw table.damage('it has no key');
  return { smallest, largest };
}

/** Varints (LEB128) and what they count. Past the end everything is 0, which no check passes. */
export class Cursor {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 56; scale *= 128) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  }

  take(length: number): Buffer {
    const from = this.at;
    this.at += length;
    return this.#bytes.subarray(from, this.at);
  }
}

class Table {
  readonly #file: Buffer;
  readonly #path: string;

  constructor(file: Buffer, path: string) {
    this.#file = file;
    this.#path = path;
  }

  damage(what: string): DamageError {
    return new DamageError(`${this.#path}: ${what}`);
  }

  handle(cursor: Cursor): Handle {
    return { offset: cursor.varint(), size: cursor.varint() };
  }

  check({ offset, size }: Handle): void {
    const end = offset + size + 1;
    if (end + 4 > this.#file.length) throw this.damage(`a block lies outside, at ${offset}`);
    const stored = this.#file.readUInt32LE(end);
    if (maskedCrc32c(this.#file.subarray(offset, end)) === stored) return;
    throw this.damage(`the checksum of the block at byte ${offset} is wrong`);
  }

  /** Checked and unpacked. */
  block(handle: Handle): Buffer {
    this.check(handle);
    const { offset, size } = handle;
    const content = this.#file.subarray(offset, offset + size);
    const type = this.#file[offset + size];
    if (type !== SNAPPY) return content;
    const unpacked = unpackSnappy(content);
    if (unpacked === null) throw this.damage(`the block at byte ${offset} does not unpack`);
    return unpacked;
  }

  /** Keys share prefixes with the one before; the block ends with offsets of restart points. */
  entries(block: Buffer): BlockEntry[] {
    if (block.length < TRAILER_BYTES - 1) throw this.damage('a block is too short');
    const restarts = block.readUInt32LE(block.length - 4);
    const end = block.length - 4 * (restarts + 1);
    const cursor = new Cursor(block, 0);
    const out: BlockEntry[] = [];
    let key: Buffer = Buffer.alloc(0);
    while (cursor.at < end) {
      const [shared, own, length] = [cursor.varint(), cursor.varint(), cursor.varint()];
      key = Buffer.concat([key.subarray(0, shared), cursor.take(own)]);
      out.push({ key, value: cursor.take(length) });
    }
    return out;
  }
}

const unpackedBytesMax = 64 * 1024 * 1024;

/** Null where it is not Snappy's. */
function unpackSnappy(packed: Buffer): Buffer | null {
  const cursor = new Cursor(packed, 0);
  const length = cursor.varint();
  if (length > unpackedBytesMax) return null;
  const out = Buffer.alloc(length);
  let at = 0;
  while (!cursor.isAtEnd) {
    const tag = packed[cursor.at++] ?? 0;
    if ((tag & 3) === 0) {
      const long = (tag >> 2) - 59;
      const size = 1 + (long > 0 ? littleEndian(cursor.take(long)) : tag >> 2);
      if (at + size > length) return null;
      cursor.take(size).copy(out, at);
      at += size;
      continue;
    }
    const isShort = (tag & 3) === 1;
    const size = isShort ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2);
    const back = isShort
      ? ((tag >> 5) << 8) | (packed[cursor.at++] ?? 0)
      : littleEndian(cursor.take((tag & 3) === 2 ? 2 : 4));
    if (back === 0 || back > at || at + size > length) return null;
    // Byte by byte: a copy may overlap what it writes.
    for (let i = 0; i < size; i++, at++) out[at] = out[at - back] ?? 0;
  }
  return at === length ? out : null;
}

function littleEndian(bytes: Buffer): number {
  return bytes.length === 0 ? 0 : bytes.readUIntLE(0, bytes.length);
}
