import assert from 'node:assert/strict';
import { test } from 'node:test';
import { besiege } from './siege.ts';
import { lostBy } from './verdict.ts';

const timeout = 120_000;

test('a short siege: nobody dies, nobody honest is refused', { timeout }, async (t) => {
  const report = await besiege(15);
  t.diagnostic(JSON.stringify(report.attackers));
  assert.deepEqual(lostBy(report), []);
  assert.ok((report.attackers['deaf: subscribed'] ?? 0) >= 20);
  assert.ok((report.attackers['fuzz: 200'] ?? 0) > 0);
});
