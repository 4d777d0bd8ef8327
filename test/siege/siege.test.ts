import assert from 'node:assert/strict';
import { test } from 'node:test';
import { besiegePools } from './pool.ts';
import { besiege } from './siege.ts';
import { lostBy } from './verdict.ts';

const timeout = 120_000;

test('a short siege: nobody dies, nobody honest is refused', { timeout }, async (t) => {
  const report = await besiege(15);
  t.diagnostic(JSON.stringify(report.attackers));
  assert.deepEqual(lostBy(report), []);
  assert.ok((report.attackers['deaf: subscribed'] ?? 0) > 0);
  assert.ok((report.attackers['fuzz: 200'] ?? 0) > 0);
});

test('a siege of the pools: every honest payment is final', { timeout }, async (t) => {
  const { honest, answers, deaths } = await besiegePools(10, 500, 4_000);
  t.diagnostic(JSON.stringify({ honest, answers }));
  assert.deepEqual(deaths, []);
  assert.ok(honest.sent > 100);
  assert.equal(honest.final, honest.sent);
  for (const code of ['INSUFFICIENT_FUNDS', 'FEE_CAP_TOO_LOW', 'REPLACEMENT_UNDERPRICED']) {
    assert.ok((answers[code] ?? 0) > 0, `nobody was told ${code}`);
  }
});
