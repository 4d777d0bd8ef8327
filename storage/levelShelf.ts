import { Level } from 'level';
import { EXIT, UserError } from '#src/lib/failure.ts';
import {
  type Change,
  DamageError,
  type Entry,
  type Range,
  type Shelf,
  seal,
  storageBounds,
  storageKey,
  unseal,
} from './shelf.ts';
import type { Table } from './tables.ts';

type Bytes = Level<Uint8Array, Uint8Array>;

const blockCacheBytes = 64 * 1024 * 1024;
const writeBufferBytes = 16 * 1024 * 1024;

/** The chain's tables in LevelDB, every batch synced. */
export class LevelShelf implements Shelf {
  readonly #db: Bytes;
  readonly #path: string;

  private constructor(db: Bytes, path: string) {
    this.#db = db;
    this.#path = path;
  }

  /** Makes a new store; refuses a directory that holds one. */
  static create(path: string): Promise<LevelShelf> {
    return LevelShelf.#openWith(path, { createIfMissing: true, errorIfExists: true });
  }

  /** Opens what `create` made: a lost store never starts again as an empty one. */
  static open(path: string): Promise<LevelShelf> {
    return LevelShelf.#openWith(path, { createIfMissing: false, errorIfExists: false });
  }

  static async #openWith(
    path: string,
    mode: { createIfMissing: boolean; errorIfExists: boolean },
  ): Promise<LevelShelf> {
    const db: Bytes = new Level(path, { keyEncoding: 'view', valueEncoding: 'view' });
    try {
      await db.open({ ...mode, cacheSize: blockCacheBytes, writeBufferSize: writeBufferBytes });
    } catch (error) {
      throw openError(path, error);
    }
    return new LevelShelf(db, path);
  }

  get(table: Table, key: Uint8Array): Uint8Array | null {
    const stored = storageKey(table, key);
    let sealed: Uint8Array | undefined;
    try {
      sealed = this.#db.getSync(stored);
    } catch (error) {
      throw this.#damage(error);
    }
    return sealed === undefined ? null : unseal(stored, sealed);
  }

  async range(table: Table, range: Range): Promise<Entry[]> {
    const entries: Entry[] = [];
    const bounds = storageBounds(table, range);
    const options = { ...bounds, limit: range.limit, reverse: range.reverse ?? false };
    for await (const [key, sealed] of this.#db.iterator(options)) {
      entries.push({ key: new Uint8Array(key.subarray(1)), value: unseal(key, sealed) });
    }
    return entries;
  }

  async write(changes: readonly Change[]): Promise<void> {
    const operations = changes.map(({ table, key, value }) => {
      const stored = storageKey(table, key);
      return value === null
        ? ({ type: 'del', key: stored } as const)
        : ({ type: 'put', key: stored, value: seal(stored, value) } as const);
    });
    await this.#db.batch(operations, { sync: true });
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  #damage(error: unknown): unknown {
    const corrupt = codeOf(error) === 'LEVEL_CORRUPTION';
    return corrupt ? new DamageError(`${this.#path}: ${String(error)}`, { cause: error }) : error;
  }
}

function openError(path: string, error: unknown): UserError {
  const code = codeOf(error);
  if (code === 'LEVEL_LOCKED') {
    return new UserError(
      EXIT.locked,
      `${path} is in use by another process; stop that one, or start with another data directory`,
      { cause: error },
    );
  }
  const text = error instanceof Error ? String((error.cause as Error)?.message ?? error) : '';
  return new UserError(
    code === 'LEVEL_IO_ERROR' ? EXIT.io : EXIT.badData,
    `${path}: the database does not open (${text}). It is not recreated by itself: keep a copy, ` +
      'then make the data directory anew with `mpbp init` and let it catch up from its peers',
    { cause: error },
  );
}

/** Level wraps the cause: `LEVEL_DATABASE_NOT_OPEN` around the error that tells. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && code !== 'LEVEL_DATABASE_NOT_OPEN') return code;
  }
  return '';
}
