import { readFileSync } from 'node:fs';
import { EXIT, UserError } from '#src/lib/failure.ts';

const SAID: Readonly<Record<string, string>> = {
  EIO: 'the disk does not read or write',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of this user is used up',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
};

/** An error of the system with the file that it is about and an exit code; any other as it is. */
export function diskFailure(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof UserError) return error;
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  const exit = code === 'EACCES' || code === 'EPERM' ? EXIT.permission : EXIT.io;
  const said = SAID[code] ?? error.message;
  return new UserError(exit, `${path}: ${said} (${code})`, { cause: error });
}

/** A file that is missing is the caller's business, any other failure is the disk's. */
export function readWhole(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw (error as { code?: string }).code === 'ENOENT' ? error : diskFailure(error, path);
  }
}
