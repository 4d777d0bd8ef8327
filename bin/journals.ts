import { existsSync } from 'node:fs';
import { isDamage } from '#src/lib/failure.ts';
import { AppendLog } from '#storage/appendLog.ts';
import type { DataDir } from './dataDir.ts';

/** Of the logs beside the database, those that are not as they were written. */
export function damagedJournals(dir: DataDir): { path: string; what: string }[] {
  return [dir.consensus, dir.pool, dir.evidence].flatMap((path) => {
    if (!existsSync(path)) return [];
    try {
      AppendLog.read(path);
      return [];
    } catch (error) {
      if (!isDamage(error)) throw error;
      return [{ path, what: error.message }];
    }
  });
}

/** 0 where there is no journal, or one that cannot be read. */
export function lastSeqOf(path: string): number {
  try {
    return AppendLog.read(path).records.at(-1)?.seq ?? 0;
  } catch {
    return 0;
  }
}
