/**
 * A power cut: what was not synced is gone. The processes run over a shim (powerCut.c) that keeps
 * what the disk would hold; after a kill each data directory becomes what the cut would leave.
 *
 * Names survive as of the last sync of anything, or a later moment; a file's content as of its own
 * last sync, sometimes with a part of what was appended since, as disks write when they like. What is
 * written in place fits in a sector, which is the old one or the new one.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SeededRandom } from '#src/lib/random.ts';

/** Written whole or not at all. */
const sectorBytes = 512;

export type Syncing = 'on' | 'off';

/** The shim, compiled; null where there is no compiler. */
export function buildShim(): string | null {
  const out = join(mkdtempSync(join(tmpdir(), 'mpbp-shim-')), 'powerCut.so');
  const source = join(import.meta.dirname, 'powerCut.c');
  const args = ['-O2', '-shared', '-fPIC', '-o', out, source, '-ldl'];
  const { status } = spawnSync('gcc', args, { stdio: 'inherit' });
  process.once('exit', () => rmSync(dirname(out), { recursive: true, force: true }));
  return status === 0 ? out : null;
}

/** The disk of one data directory. */
export class Disk {
  readonly #root: string;
  readonly #store: string;
  readonly #faults: string;
  readonly #shim: string;
  readonly #syncing: Syncing;
  /** That a sync takes more; holds from the next start. */
  slowMs: number;
  /** Bytes that cuts have taken away. */
  lostBytes = 0;

  constructor(root: string, shim: string, syncing: Syncing, slowMs: number) {
    this.#root = root;
    this.#shim = shim;
    this.#syncing = syncing;
    this.slowMs = slowMs;
    this.#store = `${root}.durable`;
    this.#faults = `${root}.faults`;
    this.settle();
  }

  get environment(): Record<string, string> {
    return {
      LD_PRELOAD: this.#shim,
      MPBP_CUT_ROOT: this.#root,
      MPBP_CUT_STORE: this.#store,
      MPBP_CUT_SYNC: this.#syncing,
      MPBP_CUT_FAULTS: this.#faults,
      MPBP_CUT_SLOW: `${this.slowMs}`,
      UV_USE_IO_URING: '0',
    };
  }

  /** `WHAT ERROR PATH`, as powerCut.c says, at once; null: the disk is sound again. */
  fail(fault: string | null): void {
    if (fault === null) rmSync(this.#faults, { force: true });
    else writeFileSync(this.#faults, `${fault}\n`);
  }

  /** Everything that is there is on the disk: after a clean start, and after a cut. */
  settle(): void {
    rmSync(this.#store, { recursive: true, force: true });
    mkdirSync(this.#store, { mode: 0o700 });
    const names = filesBelow(this.#root).map((path) => {
      const { ino } = statSync(path);
      copyFileSync(path, this.#copy(ino));
      linkSync(path, `${this.#copy(ino)}.live`);
      return `${ino} ${path}\n`;
    });
    writeFileSync(join(this.#store, 'names'), names.join(''));
  }

  /** The process is gone; its directory becomes what the disk held. */
  cut(random: SeededRandom): void {
    const names = random.chance(0.5)
      ? new Map(
          readFileSync(join(this.#store, 'names'), 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => [line.slice(line.indexOf(' ') + 1), line.split(' ')[0] ?? '']),
        )
      : new Map(filesBelow(this.#root).map((path) => [path, `${statSync(path).ino}`]));
    const contents = new Map<string, Buffer>();
    for (const [path, ino] of names) contents.set(path, this.#survives(ino, path, random));
    for (const path of filesBelow(this.#root)) {
      if (!contents.has(path)) this.lostBytes += statSync(path).size;
      rmSync(path);
    }
    for (const [path, bytes] of contents) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(path, bytes, { mode: 0o600 });
    }
    this.settle();
  }

  #survives(ino: string, path: string, random: SeededRandom): Buffer {
    const copy = this.#copy(ino);
    const kept = existsSync(copy) ? readFileSync(copy) : Buffer.alloc(0);
    const live = existsSync(`${copy}.live`) ? `${copy}.live` : path;
    const isSame = existsSync(live) && `${statSync(live).ino}` === ino;
    const now = isSame ? readFileSync(live) : kept;
    if (now.length < kept.length) return kept;
    if (!now.subarray(0, kept.length).equals(kept)) {
      assert.ok(now.length <= sectorBytes, `${path} is only appended to`);
      return random.chance(0.5) ? kept : now;
    }
    const later = random.chance(0.5) ? random.below(now.length - kept.length + 1) : 0;
    this.lostBytes += now.length - kept.length - later;
    return now.subarray(0, kept.length + later);
  }

  #copy(ino: number | string): string {
    return join(this.#store, `${ino}`);
  }
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
