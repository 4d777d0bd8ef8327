/**
 * `npm run simulate -- --seeds 1000 --seed 1`: runs seeds, with progress. For one that fails it
 * finds the shortest time of faults after which it still does, prints how that run went at its end,
 * and the command that shows it again.
 */
import { parseArgs } from 'node:util';
import { type Result, runSeed } from './scenario.ts';

const traceLines = 60;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    until: { type: 'string', default: 'Infinity' },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed);
const count = Number(values.seeds);
const until = Number(values.until);
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1 || !(until > 0)) {
  process.stderr.write(
    'usage: npm run simulate -- [--seeds N] [--seed FIRST] [--until MS] [--trace]\n' +
      '  --until  ends the faults after so many simulated milliseconds\n' +
      '  --trace  prints what every node did\n',
  );
  process.exit(64);
}

const started = performance.now();
const total = { ms: 0, heights: 0, messages: 0, failures: 0, worst: 0 };
const counts = new Map<string, number>();
for (let seed = first; seed < first + count; seed++) {
  const trace: string[] | null = values.trace ? [] : null;
  try {
    add(runSeed(seed, until, trace));
  } catch (error) {
    total.failures++;
    if (process.stderr.isTTY) process.stderr.write('\n');
    explain(seed, error);
    if (total.failures >= 5) break;
  }
  if (trace !== null) process.stdout.write(`${trace.join('\n')}\n`);
  progress(seed - first + 1);
}
report();
process.exitCode = total.failures === 0 ? 0 : 1;

function add(result: Result): void {
  total.ms += result.simulatedMs;
  total.heights += result.heights;
  total.messages += result.messages;
  total.worst = Math.max(total.worst, result.recoveryMs);
  for (const [what, times] of result.counts) counts.set(what, (counts.get(what) ?? 0) + times);
}

function explain(seed: number, error: unknown): void {
  const shortest = shorten(seed);
  const trace: string[] = [];
  const message = messageOf(seed, shortest, trace) ?? String(error);
  const again = Number.isFinite(shortest) ? ` --until ${shortest}` : '';
  process.stdout.write(
    `seed ${seed}: ${message}\n${trace.slice(-traceLines).join('\n')}\n` +
      `again: npm run simulate -- --seeds 1 --seed ${seed}${again} --trace\n\n`,
  );
}

/** By halves: a schedule that fails with less of it is easier to read. */
function shorten(seed: number): number {
  let fails = 6_000;
  if (messageOf(seed, fails) === null) return Number.POSITIVE_INFINITY;
  for (let step = fails / 2; step >= 10; step /= 2) {
    const tried = Math.round(fails - step);
    if (tried > 0 && messageOf(seed, tried) !== null) fails = tried;
  }
  return fails;
}

function messageOf(seed: number, end: number, trace: string[] | null = null): string | null {
  try {
    runSeed(seed, end, trace);
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

function progress(done: number): void {
  if (!process.stderr.isTTY) return;
  const seconds = (performance.now() - started) / 1000;
  const left = ((seconds / done) * (count - done)).toFixed(0);
  process.stderr.write(`\r${done}/${count} seeds, ${total.failures} failed, ${left} s left   `);
  if (done === count) process.stderr.write('\n');
}

function report(): void {
  const seconds = (performance.now() - started) / 1000;
  const simulated = total.ms / 1000;
  const number = (what: string) => counts.get(what) ?? 0;
  process.stdout.write(
    `${count} seeds, ${total.failures} failed; ${simulated.toFixed(0)} s simulated in ` +
      `${seconds.toFixed(1)} s (${(simulated / seconds).toFixed(0)} times real time)\n` +
      `${total.heights} heights, ${total.messages} messages, ${number('view')} views entered, ` +
      `${number('nullify')} nullified, ${number('epoch')} epochs begun, ` +
      `${number('crash')} crashes, ${number('backup restored')} backups restored, ` +
      `${number('equivocation')} contradictions seen, ${number('abstain')} abstentions; ` +
      `worst recovery ${total.worst.toFixed(0)} ms\n`,
  );
}
