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

type Stored = { readonly key: Uint8Array; readonly sealed: Uint8Array };

/** The in-memory twin of {@link LevelShelf}, for tests and for replay without a disk. */
export class MemoryShelf implements Shelf {
  readonly #entries = new Map<string, Stored>();
  /** For each view what was changed since it was opened, as it was then; null was not there. */
  readonly #views = new Set<Map<string, Stored | null>>();

  get(table: Table, key: Uint8Array): Uint8Array | null {
    const stored = storageKey(table, key);
    const entry = this.#entries.get(toBareHex(stored));
    return entry === undefined ? null : unseal(stored, entry.sealed);
  }

  view(): ShelfView {
    const before = new Map<string, Stored | null>();
    this.#views.add(before);
    return {
      get: (table, key) => {
        const old = before.get(toBareHex(storageKey(table, key)));
        if (old === undefined) return this.get(table, key);
        return old === null ? null : unseal(old.key, old.sealed);
      },
      close: () => this.#views.delete(before),
    };
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
      const name = toBareHex(stored);
      for (const before of this.#views) {
        if (!before.has(name)) before.set(name, this.#entries.get(name) ?? null);
      }
      if (value === null) this.#entries.delete(name);
      else this.#entries.set(name, { key: stored, sealed: seal(stored, value) });
    }
  }

  async close(): Promise<void> {}
}
