import { statSync } from 'node:fs';
import type { Log } from '#src/lib/log.ts';

/** Between two looks at a file. */
const lookMs = 1_000;

/**
 * Something read from files, and read anew when one of them changes. What cannot be read then is
 * an error in the log, and what was read before goes on to be valid.
 */
export class Renewed<T> {
  #value: T;
  #seen: string;
  readonly #paths: readonly string[];
  readonly #read: () => T;
  readonly #timer: NodeJS.Timeout | null;

  /** Throws what `read` throws. `onChange` may throw, too: then the old value stays. */
  constructor(paths: readonly string[], read: () => T, onChange: (value: T) => void, log: Log) {
    this.#paths = paths;
    this.#read = read;
    this.#seen = this.#look();
    this.#value = read();
    this.#timer = paths.length === 0 ? null : setInterval(() => this.#renew(onChange, log), lookMs);
    this.#timer?.unref();
  }

  get value(): T {
    return this.#value;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #renew(onChange: (value: T) => void, log: Log): void {
    const now = this.#look();
    if (now === this.#seen) return;
    this.#seen = now;
    try {
      const value = this.#read();
      onChange(value);
      this.#value = value;
      log.info('read anew', { paths: this.#paths.join(' ') });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error('not read anew, the old one stays', { reason });
    }
  }

  #look(): string {
    return this.#paths
      .map((path) => {
        const stat = statSync(path, { throwIfNoEntry: false });
        return stat === undefined ? '-' : `${stat.mtimeMs}/${stat.size}/${stat.ino}`;
      })
      .join(' ');
  }
}
