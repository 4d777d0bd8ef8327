import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runSeed } from './scenario.ts';

/** At least as many seeds as the project promises for each change. */
const seeds = 2_000;

describe('agreement under faults', () => {
  it(`keeps every promise on ${seeds} seeds`, (t) => {
    const started = performance.now();
    let simulatedMs = 0;
    let heights = 0;
    let worstMs = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      try {
        const result = runSeed(seed);
        simulatedMs += result.simulatedMs;
        heights += result.heights;
        worstMs = Math.max(worstMs, result.recoveryMs);
      } catch (error) {
        const again = `again: npm run simulate -- --seeds 1 --seed ${seed}`;
        assert.fail(`seed ${seed}: ${error instanceof Error ? error.message : error}\n${again}`);
      }
    }
    const factor = simulatedMs / (performance.now() - started);
    t.diagnostic(`${heights} heights, ${factor.toFixed(0)} times real time`);
    t.diagnostic(`worst recovery ${worstMs.toFixed(0)} ms after healing`);
  });

  it('is the same run for the same seed', () => {
    // The last one has money.
    for (const seed of [3, 17, 28]) assert.equal(runSeed(seed).digest, runSeed(seed).digest);
  });
});
