/** D2: `MPBP_POWER_CUTS` sets how many, here `cutsMin`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { run } from '../cluster/devnet.ts';
import type { Syncing } from './powerCut.ts';
import { buildShim } from './powerCut.ts';
import { type CutReport, LoneValidator } from './powerCuts.ts';

const cutsMin = Number(process.env.MPBP_POWER_CUTS ?? 50);
/** Validators that are cut beside each other. */
const beside = 2;
const controls = 3;
const shim = buildShim();

async function cutOften(syncing: Syncing, cuts: number, seed: number): Promise<CutReport> {
  assert.ok(shim !== null);
  const validator = await LoneValidator.open(shim, syncing, seed);
  try {
    while (validator.report.cuts < cuts && validator.report.broken.length === 0) {
      await validator.cut();
    }
    await validator.finish();
    if (syncing === 'on') {
      const { code, stdout, stderr } = await run(['db', 'check', validator.dir]);
      if (code !== EXIT.ok) validator.report.broken.push(stdout + stderr);
    }
    return validator.report;
  } finally {
    await validator.destroy();
  }
}

describe('power cuts with payments in flight', { concurrency: 1, timeout: 1_800_000 }, () => {
  it(`${cutsMin} times: what was final is, what was heard is in the journal`, async (t) => {
    if (shim === null) return t.skip('no C compiler');
    const each = Math.ceil(cutsMin / beside);
    const seeds = Array.from({ length: beside }, (_, at) => at + 1);
    const reports = await Promise.all(seeds.map((seed) => cutOften('on', each, seed)));
    for (const { broken, cuts, final, heard, lostBytes } of reports) {
      t.diagnostic(`${cuts} cuts, ${final} final, ${heard} votes heard, ${lostBytes} bytes lost`);
      assert.deepEqual(broken, []);
      assert.ok(final > cuts && heard > cuts && lostBytes > 0, 'there was something to lose');
    }
  });

  it(`${controls} disks that lie about syncs are each found out`, async (t) => {
    if (shim === null) return t.skip('no C compiler');
    for (let seed = 1; seed <= controls; seed++) {
      const { broken } = await cutOften('off', 1, seed);
      t.diagnostic(`found: ${broken[0]}`);
      assert.notDeepEqual(broken, [], 'a test that does not see this sees nothing');
    }
  });
});
