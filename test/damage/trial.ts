/** One damaged copy, and what became of it. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Fixture } from './fixture.ts';
import { inspect, type Seen } from './inspect.ts';
import { groupOf, type Mutation, mutate } from './mutations.ts';

/**
 * `healthy`: everything is as in the twin. `abstains`: the chain is, and the validator knows that
 * its journal is not. `forgot`: the end of the own submissions or of the evidence is gone, which
 * peers have. `refused`: exit code 65 with the file and the command.
 */
export type Outcome = 'healthy' | 'abstains' | 'forgot' | 'refused' | 'no effect';
export type Trial = { readonly mutation: Mutation | null; readonly outcome: Outcome };

export class Trials {
  readonly #fixture: Fixture;
  readonly #root: string;
  readonly #twins = new Map<string, Seen>();

  private constructor(fixture: Fixture, root: string) {
    this.#fixture = fixture;
    this.#root = root;
  }

  static async create(fixture: Fixture, root: string): Promise<Trials> {
    const trials = new Trials(fixture, root);
    for (const source of [fixture.now, fixture.compacted]) {
      const twin = join(root, 'twin');
      cpSync(source, twin, { recursive: true });
      trials.#twins.set(source, await inspect(twin, true));
      rmSync(twin, { recursive: true });
    }
    return trials;
  }

  /** Throws with the seed where a wrong value would have been served or signed. */
  async run(seed: number): Promise<Trial> {
    const random = new SeededRandom(seed);
    const { now, old, compacted } = this.#fixture;
    const [source, older] = random.chance(0.7) ? [now, old] : [compacted, now];
    const dir = join(this.#root, `trial-${seed}`);
    cpSync(source, dir, { recursive: true });
    let mutation: Mutation | null = null;
    try {
      mutation = mutate(dir, older, random);
      if (mutation === null) return { mutation, outcome: 'no effect' };
      const outcome = await this.#outcome(dir, source, mutation);
      return { mutation, outcome };
    } catch (error) {
      const what = mutation === null ? '' : Object.values(mutation).join(' ');
      const detail = error instanceof Error ? error.stack : String(error);
      throw new Error(`seed ${seed}: ${what}: ${detail}`, { cause: error });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  async #outcome(dir: string, source: string, { file }: Mutation): Promise<Outcome> {
    const twin = this.#twins.get(source);
    if (twin === undefined) throw new Error('no twin');
    let seen: Seen;
    try {
      seen = await inspect(dir, file.startsWith('keys'));
    } catch (error) {
      return refused(error, dir, file);
    }
    if (seen.keys !== null && seen.keys !== twin.keys) throw new Error('other keys');
    if (seen.chain !== twin.chain) {
      throw new Error(
        `another chain is served, of height ${seen.height} in place of ${twin.height}`,
      );
    }
    if (seen.journal !== null && seen.journal !== twin.journal) throw new Error('other signatures');
    for (const part of ['pool', 'evidence'] as const) {
      const isPrefix = seen[part].every((record, at) => record === twin[part][at]);
      if (!isPrefix) throw new Error(`another ${part}`);
      if (seen[part].length < twin[part].length) return 'forgot';
    }
    return seen.journal === null ? 'abstains' : 'healthy';
  }
}

function refused(error: unknown, dir: string, file: string): Outcome {
  if (!(error instanceof UserError)) throw error;
  const { message, exitCode } = error;
  const isNamed = message.includes(dir);
  if (/^keys/.test(file) && [EXIT.badData, EXIT.usage].some((code) => code === exitCode)) {
    return 'refused';
  }
  if (exitCode !== EXIT.badData || !isNamed) throw error;
  // The operator's own file has no checksum and no copy.
  const isMended = message.includes(`mpbp db resync ${dir}`) || file === 'mpbp.toml';
  if (!isMended) throw error;
  return 'refused';
}

/** Rows of file and kind, with how often each outcome came. */
export class Summary {
  readonly #counts = new Map<string, Map<Outcome, number>>();

  add({ mutation, outcome }: Trial): void {
    if (mutation === null) return;
    const row = `${groupOf(mutation.file).padEnd(28)} ${mutation.kind.padEnd(8)}`;
    const counts = this.#counts.get(row) ?? new Map<Outcome, number>();
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    this.#counts.set(row, counts);
  }

  get text(): string {
    const rows = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    return rows
      .map(([row, counts]) => `${row} ${[...counts].map((one) => one.join(' ')).join(', ')}`)
      .join('\n');
  }
}
