import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Sample, slopePerMinute } from './samples.ts';
import { soak } from './soak.ts';

/** That the instrument sees what it should; a verdict on slopes needs the long form. */
describe('the soak', { timeout: 240_000 }, () => {
  it('loses nothing in a minute with a restart, and sees every node to its end', async (test) => {
    const lines: string[] = [];
    const report = await soak({
      seconds: 60,
      paymentsPerSecond: 50,
      readsPerSecond: 20,
      validators: 4,
      sampleSeconds: 5,
      restart: true,
      dir: null,
      say: (line) => void lines.push(line),
    });
    test.diagnostic(lines.at(-1) ?? '');
    assert.deepEqual(report.broken, []);
    assert.equal(report.lost, 0);
    assert.equal(report.final, report.sent);
    assert.ok(report.final >= 2_500, `${report.final} in a minute at 50 a second`);
    assert.ok(report.reads >= 3_000, `${report.reads} reads`);
    assert.ok(report.latencyMs.p50 > 0);
    assert.ok(report.diskBytesPerPayment > 200);
    assert.equal(report.nodes.length, 4);
    for (const { rssEndMiB, heapEndMiB, fdsEnd, stopMs, stopCode, errors } of report.nodes) {
      assert.ok(rssEndMiB > 50 && heapEndMiB > 10 && heapEndMiB < rssEndMiB);
      assert.ok(fdsEnd > 10);
      assert.ok(stopMs > 0);
      assert.equal(stopCode, 0);
      assert.equal(errors, 0);
    }
    for (const samples of report.samples) {
      assert.ok(samples.length >= 8, `${samples.length} samples`);
      const heights = samples.map(({ height }) => height);
      assert.deepEqual(
        heights,
        heights.toSorted((a, b) => a - b),
      );
    }
  });

  it('finds a slope', () => {
    const at = (seconds: number, rssMiB: number) => ({ seconds, rssMiB }) as Sample;
    const rising = [at(0, 100), at(60, 103), at(120, 105), at(180, 108)];
    assert.equal(
      slopePerMinute(rising, (one) => one.rssMiB),
      2.6,
    );
    assert.ok(Number.isNaN(slopePerMinute(rising.slice(2), (one) => one.rssMiB)));
  });
});
