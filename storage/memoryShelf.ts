import { compareBytes, toBareHex } from '#src/lib/bytes.ts';
import {
  type Change,
  type Entry,
  type Range,
  type Shelf,
  type ShelfView,
  seal,
  storageBounds,
  storageKey,
  unseal,
} from './shelf.ts';
import type { Table } from './tables.ts';

/** The in-memory twin of {@link LevelShelf}, for tests and for replay without a disk. */
export class MemoryShelf implements Shelf {
  readonly #entries = new Map<string, { key: Uint8Array; sealed: Uint8Array }>();

  get(table: Table, key: Uint8Array): Uint8Array | null {
    const stored = storageKey(table, key);
    const entry = this.#entries.get(toBareHex(stored));
    return entry === undefined ? null : unseal(stored, entry.sealed);
  }

  view(): ShelfView {
    const then = new MemoryShelf();
    for (const [key, entry] of this.#entries) then.#entries.set(key, entry);
    return { get: (table, key) => then.get(table, key), close: () => then.#entries.clear() };
  }

  async range(table: Table, range: Range): Promise<Entry[]> {
    const { gte, lt } = storageBounds(table, range);
    const found = [...this.#entries.values()]
      .filter(({ key }) => compareBytes(key, gte) >= 0 && compareBytes(key, lt) < 0)
      .sort((a, b) => compareBytes(a.key, b.key));
    if (range.reverse) found.reverse();
    return found
      .slice(0, range.limit)
      .map(({ key, sealed }) => ({ key: key.slice(1), value: unseal(key, sealed) }));
  }

  async write(changes: readonly Change[]): Promise<void> {
    for (const { table, key, value } of changes) {
      const stored = storageKey(table, key);
      if (value === null) this.#entries.delete(toBareHex(stored));
      else this.#entries.set(toBareHex(stored), { key: stored, sealed: seal(stored, value) });
    }
  }

  async close(): Promise<void> {}
}
