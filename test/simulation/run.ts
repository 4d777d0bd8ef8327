/**
 * `npm run simulate -- --seeds 1000 --seed 1`: runs seeds, prints speed, and for a failing one the
 * command that shows it again.
 */
import { parseArgs } from 'node:util';
import { runSeed } from './scenario.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
  },
});
const first = Number(values.seed);
const count = Number(values.seeds);
if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
  process.stderr.write('usage: npm run simulate -- [--seeds N] [--seed FIRST]\n');
  process.exit(64);
}
const started = performance.now();
let simulatedMs = 0;
let heights = 0;
let messages = 0;
let failures = 0;
let worst = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    const result = runSeed(seed);
    simulatedMs += result.simulatedMs;
    heights += result.heights;
    messages += result.messages;
    worst = Math.max(worst, result.recoveryMs);
  } catch (error) {
    failures++;
    process.stdout.write(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n`);
    process.stdout.write(`  again: npm run simulate -- --seeds 1 --seed ${seed}\n`);
    if (failures >= 5) break;
  }
  if (process.stdout.isTTY) process.stdout.write(`\r${seed - first + 1}/${count}`);
}
const seconds = (performance.now() - started) / 1000;
process.stdout.write(
  `${count} seeds, ${failures} failed; ${(simulatedMs / 1000).toFixed(0)} s simulated in ` +
    `${seconds.toFixed(1)} s (${(simulatedMs / 1000 / seconds).toFixed(0)} times real time), ` +
    `${heights} heights, ${messages} messages, worst recovery ${worst.toFixed(0)} ms\n`,
);
process.exitCode = failures === 0 ? 0 : 1;
