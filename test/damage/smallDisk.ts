/** A disk of a few MiB, mounted for a test, and filled by somebody else. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const blockBytes = 64 * 1024;

export class SmallDisk {
  readonly #path: string;
  readonly #foreign: string;

  private constructor(path: string) {
    this.#path = path;
    this.#foreign = join(path, 'foreign');
  }

  /** Under a directory, whose files move onto it; null where mounting is not permitted. */
  static mount(path: string, mebibytes: number): SmallDisk | null {
    const aside = `${path}.aside`;
    if (existsSync(path)) cpSync(path, aside, { recursive: true });
    else mkdirSync(path, { recursive: true });
    const options = ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`];
    const { status } = spawnSync('mount', [...options, 'tmpfs', path], { stdio: 'ignore' });
    if (status === 0 && existsSync(aside)) cpSync(aside, path, { recursive: true });
    rmSync(aside, { recursive: true, force: true });
    return status === 0 ? new SmallDisk(path) : null;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#path);
    return bavail * bsize;
  }

  /** A foreign file takes all but so much. */
  fill(leftBytes: number): void {
    const file = openSync(this.#foreign, 'a');
    const block = Buffer.alloc(blockBytes);
    try {
      while (this.freeBytes > leftBytes) {
        writeSync(file, block, 0, Math.min(blockBytes, this.freeBytes - leftBytes));
      }
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(file);
    }
  }

  clear(): void {
    rmSync(this.#foreign, { force: true });
  }

  /** Also where somebody still has a file of it open. */
  unmount(): void {
    spawnSync('umount', ['-l', this.#path], { stdio: 'ignore' });
  }
}
