import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import { bytesEqual } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { syncs } from '#src/lib/measures.ts';
import { checkLevelFiles, checkTableFile, type TableFile } from './levelFiles.ts';
import { Mark, readMark } from './mark.ts';
import {
  type Change,
  DamageError,
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

type Bytes = Level<Uint8Array, Uint8Array>;
type Snapshot = ReturnType<Bytes['snapshot']>;

/** As it is stored: the key with its table's prefix, the value with its checksum. */
export type SealedEntry = { readonly key: Uint8Array; readonly sealed: Uint8Array };

const blockCacheBytes = 64 * 1024 * 1024;
const writeBufferBytes = 16 * 1024 * 1024;
/** Of table files, the newest first, that are checked before the database opens: 1 to 3 s. */
export const openCheckBytesMax = 1024 * 1024 * 1024;
/** Between two of the older tables, which are checked while the node works: about 16 MB/s. */
const backgroundCheckPauseMs = 125;
const pageEntries = 512;
const pageBytes = 128 * 1024;

/** How many batches were written; no table has this prefix. */
const BATCHES_KEY = Uint8Array.of(0);

/** The chain's tables in LevelDB, every batch synced. */
export class LevelShelf implements Shelf {
  readonly #db: Bytes;
  readonly #path: string;
  readonly #mark: Mark;
  readonly #onDamage: (error: DamageError) => void;
  #batches: bigint;
  #writing: Promise<void> = Promise.resolve();
  #unchecked: TableFile[];
  #pause: NodeJS.Timeout | null = null;

  private constructor(
    db: Bytes,
    path: string,
    batches: bigint,
    unchecked: TableFile[],
    onDamage: (error: DamageError) => void,
  ) {
    this.#db = db;
    this.#path = path;
    this.#batches = batches;
    this.#unchecked = unchecked;
    this.#onDamage = onDamage;
    this.#mark = new Mark(markPath(path));
    this.#mark.write(batches);
    this.#checkLater();
  }

  /** Makes a new store; refuses a directory that holds one. */
  static async create(path: string): Promise<LevelShelf> {
    if (existsSync(join(path, 'CURRENT'))) {
      throw new UserError(EXIT.badData, `${path}: there is a database already`);
    }
    const db = await openLevel(path, { createIfMissing: true, errorIfExists: true });
    return new LevelShelf(db, path, 0n, [], () => {});
  }

  /**
   * Opens what `create` made: a lost store never starts again as an empty one. Throws a
   * {@link DamageError} before LevelDB has touched a file that is not as it was written; damage
   * that is found later is thrown to the reader and told to `onDamage` too.
   */
  static async open(
    path: string,
    onDamage: (error: DamageError) => void = () => {},
  ): Promise<LevelShelf> {
    const unchecked = checkFiles(path);
    const db = await openLevel(path, { createIfMissing: false, errorIfExists: false });
    try {
      const batches = batchesIn(db);
      const marked = readMark(markPath(path));
      if (batches < marked) {
        throw new DamageError(`${path}: has ${batches} batches, but took ${marked}`);
      }
      return new LevelShelf(db, path, batches, unchecked, onDamage);
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  get(table: Table, key: Uint8Array): Uint8Array | null {
    return this.#get(table, key, undefined);
  }

  view(): ShelfView {
    const snapshot = this.#db.snapshot();
    return {
      get: (table, key) => this.#get(table, key, { snapshot }),
      close: () => void snapshot.close(),
    };
  }

  /** Without options the library takes a shorter way. */
  #get(
    table: Table,
    key: Uint8Array,
    options: { snapshot: Snapshot } | undefined,
  ): Uint8Array | null {
    const stored = storageKey(table, key);
    try {
      const sealed = options ? this.#db.getSync(stored, options) : this.#db.getSync(stored);
      return sealed === undefined ? null : unseal(stored, sealed);
    } catch (error) {
      throw this.#told(error);
    }
  }

  async range(table: Table, range: Range): Promise<Entry[]> {
    const entries: Entry[] = [];
    const bounds = storageBounds(table, range);
    const options = { ...bounds, limit: range.limit, reverse: range.reverse ?? false };
    try {
      for await (const [key, sealed] of this.#db.iterator(options)) {
        entries.push({ key: new Uint8Array(key.subarray(1)), value: unseal(key, sealed) });
      }
    } catch (error) {
      throw this.#told(error);
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
    await this.#batch(operations);
  }

  /** All that it holds now, in the order of keys, while writes go on; each checksum is verified. */
  async *pages(): AsyncGenerator<SealedEntry[]> {
    const snapshot = this.#db.snapshot();
    const iterator = this.#db.iterator({ snapshot, highWaterMarkBytes: pageBytes });
    try {
      for (;;) {
        const found = await iterator.nextv(pageEntries);
        if (found.length === 0) return;
        const page = found.map(([key, sealed]) => ({ key, sealed }));
        for (const { key, sealed } of page) unseal(key, sealed);
        yield page.filter(({ key }) => !bytesEqual(key, BATCHES_KEY));
      }
    } catch (error) {
      throw this.#told(error);
    } finally {
      await iterator.close();
      await snapshot.close();
    }
  }

  /** What `pages` of another store gave; throws a {@link DamageError} for a wrong checksum. */
  async writeSealed(page: readonly SealedEntry[]): Promise<void> {
    for (const { key, sealed } of page) unseal(key, sealed);
    await this.#batch(
      page.map(({ key, sealed }) => ({ type: 'put', key, value: sealed }) as const),
    );
  }

  /** Rewrites all tables without what was replaced or deleted. */
  async compact(): Promise<void> {
    await (this.#db as Bytes & Compacting).compactRange(Uint8Array.of(0), Uint8Array.of(0xff));
  }

  async close(): Promise<void> {
    this.#unchecked = [];
    if (this.#pause !== null) clearTimeout(this.#pause);
    await this.#writing;
    await this.#db.close();
    this.#mark.close();
  }

  /** One after the other: the mark counts them in the order in which they reach the disk. */
  async #batch(operations: readonly Operation[]): Promise<void> {
    const before = this.#writing;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#writing = promise;
    await before;
    const since = performance.now();
    let ok = false;
    try {
      const batches = this.#batches + 1n;
      const count = { type: 'put', key: BATCHES_KEY, value: sealCount(batches) } as const;
      await this.#db.batch([...operations, count], { sync: true });
      ok = true;
      this.#batches = batches;
      this.#mark.write(batches);
    } catch (error) {
      throw this.#told(error);
    } finally {
      syncs.tell({ log: 'chain', ms: performance.now() - since, ok });
      resolve();
    }
  }

  #checkLater(): void {
    const next = this.#unchecked.shift();
    if (next === undefined) return;
    this.#pause = setTimeout(() => {
      try {
        checkTableFile(next);
      } catch (error) {
        this.#told(error);
        return;
      }
      this.#checkLater();
    }, backgroundCheckPauseMs).unref();
  }

  #told(error: unknown): unknown {
    const damage =
      codeOf(error) === 'LEVEL_CORRUPTION'
        ? new DamageError(`${this.#path}: ${String(error)}`, { cause: error })
        : error;
    if (damage instanceof DamageError) this.#onDamage(damage);
    return damage;
  }
}

/** LevelDB has it, other stores that the type stands for do not. */
type Compacting = { compactRange(start: Uint8Array, end: Uint8Array): Promise<void> };

type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

export function markPath(path: string): string {
  return `${path}.mark`;
}

async function openLevel(
  path: string,
  mode: { createIfMissing: boolean; errorIfExists: boolean },
): Promise<Bytes> {
  const db: Bytes = new Level(path, { keyEncoding: 'view', valueEncoding: 'view' });
  try {
    await db.open({ ...mode, cacheSize: blockCacheBytes, writeBufferSize: writeBufferBytes });
  } catch (error) {
    throw openError(path, error);
  }
  return db;
}

/** 0 in a database of before there was a count. */
function batchesIn(db: Bytes): bigint {
  const sealed = db.getSync(BATCHES_KEY);
  if (sealed === undefined) return 0n;
  const value = unseal(BATCHES_KEY, sealed);
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getBigUint64(0);
}

function sealCount(batches: bigint): Uint8Array {
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, batches);
  return seal(BATCHES_KEY, value);
}

/** Names the tables that are left for later. */
function checkFiles(path: string): TableFile[] {
  const unchecked: TableFile[] = [];
  let bytes = 0;
  try {
    for (const table of checkLevelFiles(path)) {
      bytes += table.bytes;
      if (bytes > openCheckBytesMax) unchecked.push(table);
      else checkTableFile(table);
    }
  } catch (error) {
    // A running process changes its files while they are looked at.
    refuseLocked(path);
    throw error;
  }
  return unchecked;
}

/** Throws where another process has the database open, as far as the system tells (Linux). */
export function refuseLocked(path: string): void {
  const lock = join(path, 'LOCK');
  if (!existsSync(lock) || !existsSync('/proc/locks')) return;
  const { dev, ino } = statSync(lock);
  const hex = (number: number) => number.toString(16).padStart(2, '0');
  // glibc's makedev: 12 bits of major number, 8 and then 12 of minor.
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const place = ` ${hex(major)}:${hex(minor)}:${ino} `;
  if (readFileSync('/proc/locks', 'utf8').includes(place)) throw lockedError(path);
}

function lockedError(path: string, cause?: unknown): UserError {
  return new UserError(
    EXIT.locked,
    `${path} is in use by another process; stop that one, or start with another data directory`,
    { cause },
  );
}

function openError(path: string, error: unknown): Error {
  const code = codeOf(error);
  if (code === 'LEVEL_LOCKED') return lockedError(path, error);
  const text = error instanceof Error ? String((error.cause as Error)?.message ?? error) : '';
  if (code === 'LEVEL_IO_ERROR') {
    return new UserError(EXIT.io, `${path}: the database does not open (${text})`, {
      cause: error,
    });
  }
  return new DamageError(`${path}: the database does not open (${text})`, { cause: error });
}

/** Level wraps the cause: `LEVEL_DATABASE_NOT_OPEN` around the error that tells. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && code !== 'LEVEL_DATABASE_NOT_OPEN') return code;
  }
  return '';
}
