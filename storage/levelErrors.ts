/** What LevelDB says went wrong, in this program's kinds of failure. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, MomentaryError, UserError } from '#src/lib/failure.ts';
import { diskFailure } from './diskFailure.ts';
import { DamageError } from './shelf.ts';

export function reopening(): MomentaryError {
  return new MomentaryError('STORAGE_REOPENING', 'the database is opened anew: ask again');
}

/** Null where the error is neither damage nor the disk's. */
export function brokenBy(error: unknown, path: string): Error | null {
  if (error instanceof DamageError || error instanceof UserError) return error;
  const code = codeOf(error);
  const text = `${path}: ${causeOf(error)}`;
  if (code === 'LEVEL_CORRUPTION') return new DamageError(text, { cause: error });
  if (code === 'LEVEL_IO_ERROR') return new UserError(EXIT.io, text, { cause: error });
  const failure = diskFailure(error, path);
  return failure instanceof UserError ? failure : null;
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

export function openError(path: string, error: unknown): Error {
  const code = codeOf(error);
  if (code === 'LEVEL_LOCKED') return lockedError(path, error);
  const text = causeOf(error);
  if (code === 'LEVEL_IO_ERROR') {
    return new UserError(EXIT.io, `${path}: the database does not open (${text})`, {
      cause: error,
    });
  }
  return new DamageError(`${path}: the database does not open (${text})`, { cause: error });
}

/** LevelDB's own words, which name the file. */
function causeOf(error: unknown): string {
  return error instanceof Error ? String((error.cause as Error)?.message ?? error) : String(error);
}

/** Level wraps the cause: `LEVEL_DATABASE_NOT_OPEN` around the error that tells. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === 'string' && code !== 'LEVEL_DATABASE_NOT_OPEN') return code;
  }
  return '';
}
