/**
 * Room on the disk. Nothing is written where less than the reserve is free, so that LevelDB, which
 * also writes when nobody asks it to, does not meet a full disk: a write waits, and is tried again
 * until it is done. So is one that met a full disk all the same, because others fill it too.
 *
 * Full is a state of the whole node: it ends when every write that waited is on disk.
 */
import { statfsSync } from 'node:fs';
import { diskFailure } from './diskFailure.ts';

/** Between two looks at a full disk. */
export const roomRetryMs = 1_000;
/** A file system may have bytes, but no place for another file; some do not count files at all. */
const freeFilesMin = 16;

/** Runs a write until the disk has taken it. */
export type Writes = { write<T>(attempt: () => Promise<T>): Promise<T> };

/** For commands: whoever waits for one wants to hear that the disk is full. */
export const writesAtOnce: Writes = { write: (attempt) => attempt() };

export type RoomOptions = {
  /** Whose file systems are looked at. */
  readonly paths: readonly string[];
  readonly reserveBytes: number;
  /** Nothing is written from now on; `reason` is for the operator. */
  onFull(reason: string): void;
  /** Everything that waited is on disk, and whoever waited for it knows. */
  onRoom(): void;
};

export class Room implements Writes {
  readonly #options: RoomOptions;
  #reason: string | null = null;
  #waiting = 0;
  #poll: NodeJS.Timeout | null = null;
  readonly #impatient = new Set<() => void>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** What the operator is to do, while nothing is written; asks the system, which takes 3 µs. */
  look(): string | null {
    if (this.#reason === null) {
      const reason = this.#shortage();
      if (reason !== null) this.#fill(reason);
    }
    return this.#reason;
  }

  /** As of the last look or write. */
  get isFull(): boolean {
    return this.#reason !== null;
  }

  /** Throws what the attempt throws, but that the disk is full. */
  async write<T>(attempt: () => Promise<T>): Promise<T> {
    let waits = false;
    try {
      for (;;) {
        const reason = this.#shortage() ?? (await this.#try(attempt));
        if (typeof reason !== 'string') return reason.done;
        this.#fill(reason);
        if (!waits) this.#waiting++;
        waits = true;
        await new Promise((resolve) => setTimeout(resolve, roomRetryMs));
      }
    } finally {
      if (waits) this.#waiting--;
      this.#clear();
    }
  }

  /** False where the disk is found full before the write is done, which then goes on by itself. */
  isDoneBeforeFull(write: Promise<void>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const giveUp = () => resolve(false);
      this.#impatient.add(giveUp);
      if (this.isFull) giveUp();
      write.finally(() => this.#impatient.delete(giveUp)).then(() => resolve(true), reject);
    });
  }

  async #try<T>(attempt: () => Promise<T>): Promise<string | { done: T }> {
    try {
      return { done: await attempt() };
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return `the disk took no more: ${messageOf(error)}`;
    }
  }

  #shortage(): string | null {
    const { paths, reserveBytes } = this.#options;
    for (const path of paths) {
      const { bavail, bsize, files, ffree } = statfs(path);
      const free = bavail * bsize;
      if (free < reserveBytes) {
        const [have, want] = [free, reserveBytes].map((bytes) => Math.floor(bytes / 1024 ** 2));
        return `${path}: ${have} MiB are free, ${want} MiB are kept in reserve`;
      }
      if (files > 0 && ffree < freeFilesMin) return `${path}: no room for another file`;
    }
    return null;
  }

  #fill(reason: string): void {
    if (this.#reason === null) {
      this.#reason = reason;
      // Also where nobody writes: whoever looked wants to know when there is room again.
      this.#poll = setInterval(() => {
        if (this.#shortage() === null) this.#clear();
      }, roomRetryMs);
      this.#poll.unref();
      this.#reason = reason;
      this.#options.onFull(reason);
      for (const giveUp of this.#impatient) giveUp();
    }
    this.#reason = reason;
  }

  #clear(): void {
    if (this.#reason === null || this.#waiting > 0) return;
    this.#reason = null;
    if (this.#poll !== null) clearInterval(this.#poll);
    // Behind the write that ended it, which goes on in this turn: who is told reads what it wrote.
    setImmediate(() => {
      if (!this.isFull) this.#options.onRoom();
    });
  }
}

function statfs(path: string) {
  try {
    return statfsSync(path);
  } catch (error) {
    throw diskFailure(error, path);
  }
}

/** Of our own writes by the code; LevelDB has only the system's words for it. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (code === 'ENOSPC' || code === 'EDQUOT') return true;
    if (code === 'LEVEL_IO_ERROR' && /no space left|quota exceeded/i.test(messageOf(at))) {
      return true;
    }
  }
  return false;
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}
