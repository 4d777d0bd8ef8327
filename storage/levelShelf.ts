import { existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import { bytesEqual } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { syncs } from '#src/lib/measures.ts';
import { brokenBy, openError, refuseLocked, reopening } from './levelErrors.ts';
import { checkLevelFiles, checkTableFile, type TableFile } from './levelFiles.ts';
import { Mark, readMark } from './mark.ts';
import { isDiskFull, type Writes, writesAtOnce } from './room.ts';
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
/** Together: a database of 2 GiB without opening any file twice, in descriptors that are few. */
const tableBytesMax = 8 * 1024 * 1024;
const openFilesMax = 256;
/** Of table files, the newest first, that are checked before the database opens: 1 to 3 s. */
export const openCheckBytesMax = 1024 * 1024 * 1024;
/** Between two of the older tables, which are checked while the node works: about 16 MB/s. */
const backgroundCheckPauseMs = 125;
const pageEntries = 512;
const pageBytes = 128 * 1024;

/** How many batches were written; no table has this prefix. */
const BATCHES_KEY = Uint8Array.of(0);

/** Beside the logs that it turns into tables, what LevelDB writes when it opens. */
const reopenBytesMin = 1024 * 1024;

export type LevelShelfOptions = {
  readonly room?: Writes;
  /** Damage, or a disk that fails, whoever met it; the reader has the error too. */
  readonly onBroken?: (error: Error) => void;
};

/** The chain's tables in LevelDB, every batch synced. */
export class LevelShelf implements Shelf {
  /** Null for the moment in which it is opened anew. */
  #db: Bytes | null;
  readonly #path: string;
  readonly #mark: Mark;
  readonly #room: Writes;
  readonly #onBroken: (error: Error) => void;
  readonly #views = new Set<View>();
  #batches: bigint;
  /** A write met a full disk: what LevelDB then has half written it would go on behind. */
  #isHalfWritten = false;
  #writing: Promise<void> = Promise.resolve();
  #unchecked: TableFile[];
  #pause: NodeJS.Timeout | null = null;

  private constructor(
    db: Bytes,
    path: string,
    batches: bigint,
    unchecked: TableFile[],
    { room = writesAtOnce, onBroken = () => {} }: LevelShelfOptions,
  ) {
    this.#db = db;
    this.#path = path;
    this.#batches = batches;
    this.#unchecked = unchecked;
    this.#room = room;
    this.#onBroken = onBroken;
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
    return new LevelShelf(db, path, 0n, [], {});
  }

  /**
   * Opens what `create` made: a lost store never starts again as an empty one. Throws a
   * {@link DamageError} before LevelDB has touched a file that is not as it was written.
   */
  static async open(path: string, options: LevelShelfOptions = {}): Promise<LevelShelf> {
    const unchecked = checkFiles(path);
    const db = await openLevel(path, { createIfMissing: false, errorIfExists: false });
    try {
      const batches = batchesIn(db);
      const marked = readMark(markPath(path));
      if (batches < marked) {
        throw new DamageError(`${path}: has ${batches} batches, but took ${marked}`);
      }
      return new LevelShelf(db, path, batches, unchecked, options);
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  get(table: Table, key: Uint8Array): Uint8Array | null {
    return this.#get(table, key, undefined);
  }

  view(): ShelfView {
    const view: View = { snapshot: this.#open.snapshot(), batches: this.#batches };
    this.#views.add(view);
    return {
      get: (table, key) => this.#get(table, key, view),
      close: () => {
        this.#views.delete(view);
        void view.snapshot?.close();
      },
    };
  }

  get #open(): Bytes {
    if (this.#db === null) throw reopening();
    return this.#db;
  }

  /** Without options the library takes a shorter way. */
  #get(table: Table, key: Uint8Array, view: View | undefined): Uint8Array | null {
    const stored = storageKey(table, key);
    try {
      const db = this.#open;
      if (view?.snapshot === null) throw reopening();
      const sealed = view ? db.getSync(stored, { snapshot: view.snapshot }) : db.getSync(stored);
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
      for await (const [key, sealed] of this.#open.iterator(options)) {
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
    const db = this.#open;
    const snapshot = db.snapshot();
    const iterator = db.iterator({ snapshot, highWaterMarkBytes: pageBytes });
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
    await (this.#open as Bytes & Compacting).compactRange(Uint8Array.of(0), Uint8Array.of(0xff));
  }

  async close(): Promise<void> {
    this.#unchecked = [];
    if (this.#pause !== null) clearTimeout(this.#pause);
    await this.#writing;
    await this.#db?.close();
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
      const all = [...operations, count];
      await this.#room.write(() => this.#put(all, batches));
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

  async #put(operations: Operation[], batches: bigint): Promise<void> {
    if (this.#isHalfWritten) {
      await this.#reopen();
      // All of it may have reached the disk before there was no room for something else.
      if (batchesIn(this.#open) === batches) return;
    }
    try {
      await this.#open.batch(operations, { sync: true });
    } catch (error) {
      if (isDiskFull(error)) this.#isHalfWritten = true;
      throw error;
    }
  }

  /**
   * LevelDB writes no more after a failed write, and reads on; opened anew it cuts off what is half
   * written. A view of what is there then goes on; one of an earlier time is gone.
   * Throws where there is no room for that.
   */
  async #reopen(): Promise<void> {
    refuseWithoutRoom(this.#path);
    const before = this.#db;
    this.#db = null;
    for (const view of this.#views) view.snapshot = null;
    await before?.close();
    const db = await openLevel(this.#path, { createIfMissing: false, errorIfExists: false });
    this.#db = db;
    this.#isHalfWritten = false;
    const batches = batchesIn(db);
    for (const view of this.#views) {
      if (view.batches === batches) view.snapshot = db.snapshot();
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
    const broken = brokenBy(error, this.#path);
    if (broken !== null) this.#onBroken(broken);
    return broken ?? error;
  }
}

/** Null where it is gone with the database it was of. */
type View = { snapshot: Snapshot | null; readonly batches: bigint };

/** An open that fails halfway would leave nothing to read from. */
function refuseWithoutRoom(path: string): void {
  const { bavail, bsize } = statfsSync(path);
  const logs = readdirSync(path).filter((name) => name.endsWith('.log'));
  const needed = logs.reduce((sum, name) => sum + statSync(join(path, name)).size, reopenBytesMin);
  if (bavail * bsize >= needed) return;
  const want = Math.ceil(needed / 1024 ** 2);
  const message = `${path}: the database goes on when ${want} MiB are free`;
  throw Object.assign(new Error(message), { code: 'ENOSPC' });
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
    await db.open({
      ...mode,
      cacheSize: blockCacheBytes,
      writeBufferSize: writeBufferBytes,
      maxFileSize: tableBytesMax,
      maxOpenFiles: openFilesMax,
    });
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
