/**
 * The state after every block, in archive mode. Under each key of the state its changes are
 * numbered; each has the height of its block and the value before. What a key held after a block is
 * the value before the first later change, or what it holds now: found by bisection, no walk.
 *
 * No change is ever taken back, and what follows a switch back on has greater heights, so rows of
 * an earlier time of archiving are in nobody's way.
 */
import { bytesEqual, EMPTY_BYTES, toBareHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Change, Shelf } from './shelf.ts';
import { TABLES, type Table } from './tables.ts';

/** A key's changes are counted in 32 bits. */
const changesMax = 0xffff_ffff;
/** No key of the trie has this byte, and the other keys are of one length each. */
const END_OF_KEY = 0xff;

/** Writes the rows of the past that belong to the changes of a batch of blocks. */
export class Archivist {
  readonly #shelf: Pick<Shelf, 'get'>;
  /** What the batch makes of a key: its changes and its value. */
  readonly #pending = new Map<string, { count: number; value: Uint8Array | null }>();

  constructor(shelf: Pick<Shelf, 'get'>) {
    this.#shelf = shelf;
  }

  /** `rows`: all that one block writes. */
  record(height: bigint, rows: readonly Change[], out: Change[]): void {
    for (const { table, key, value } of rows) {
      if (!isVersioned(table)) continue;
      const place = placeOf(table, key);
      const name = toBareHex(place);
      const known = this.#pending.get(name);
      const before = known === undefined ? this.#shelf.get(table, key) : known.value;
      const same = before === null || value === null ? before === value : bytesEqual(before, value);
      if (same) continue;
      const count = known?.count ?? countOf(this.#shelf, place);
      assert(count < changesMax, 'a key changes less often than can be counted');
      out.push({ table: 'past', key: entryKey(place, count), value: entryOf(height, before) });
      out.push({ table: 'pastCounts', key: place, value: numberBytes(count + 1) });
      this.#pending.set(name, { count: count + 1, value });
    }
  }
}

/** What a key held after the block of this height; null where it held nothing. */
export function valueAfter(
  shelf: Pick<Shelf, 'get'>,
  height: bigint,
  table: Table,
  key: Uint8Array,
): Uint8Array | null {
  // The newest value first: a commit in between then shows as a change that is too late.
  const now = shelf.get(table, key);
  if (!isVersioned(table)) return now;
  const place = placeOf(table, key);
  let low = 0;
  let high = countOf(shelf, place);
  let found = now;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = shelf.get('past', entryKey(place, middle));
    assert(entry !== null, 'every counted change is stored');
    if (viewOf(entry).getBigUint64(0) > height) {
      high = middle;
      found = entry.length === 8 ? null : entry.slice(8);
    } else low = middle + 1;
  }
  return found;
}

function isVersioned(table: Table): boolean {
  return table === 'accounts' || table === 'slots' || table === 'trie';
}

function placeOf(table: Table, key: Uint8Array): Uint8Array {
  const place = new Uint8Array(1 + key.length);
  place[0] = TABLES[table];
  place.set(key, 1);
  return place;
}

function countOf(shelf: Pick<Shelf, 'get'>, place: Uint8Array): number {
  const bytes = shelf.get('pastCounts', place);
  return bytes === null ? 0 : viewOf(bytes).getUint32(0);
}

function entryKey(place: Uint8Array, count: number): Uint8Array {
  const key = new Uint8Array(place.length + 5);
  key.set(place);
  key[place.length] = END_OF_KEY;
  viewOf(key).setUint32(place.length + 1, count);
  return key;
}

/** Nothing is stored under a key with an empty value, so none says that nothing was. */
function entryOf(height: bigint, before: Uint8Array | null): Uint8Array {
  const value = before ?? EMPTY_BYTES;
  const entry = new Uint8Array(8 + value.length);
  viewOf(entry).setBigUint64(0, height);
  entry.set(value, 8);
  return entry;
}

function numberBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, count);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
