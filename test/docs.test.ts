import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { compatFigures } from '../bin/compatMetrics.ts';
import { Metrics } from '../bin/metrics.ts';
import { FakeBackend } from './rpc/fakeBackend.ts';

const root = join(import.meta.dirname, '..');

/** A file below test/ in back-ticks, and after it the names of tests in quotes. */
const NAMED = /`([a-zA-Z/.]+\.ts)` ((?:"[^"]+"(?:, )?)+)/g;

/** A table that promises tests is worth what the tests are: each one it names has to be there. */
it('docs/consensus.md names tests that exist, for each of the 42 failures', () => {
  const text = readFileSync(join(root, 'docs', 'consensus.md'), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| \d+ \|/.test(line));
  assert.equal(rows.length, 42);
  let named = 0;
  for (const row of rows) {
    for (const [, file = '', names = ''] of row.matchAll(NAMED)) {
      const path = join(root, 'test', file);
      assert.ok(existsSync(path), `${file} of: ${row}`);
      const source = readFileSync(path, 'utf8');
      for (const [, name = ''] of names.matchAll(/"([^"]+)"/g)) {
        assert.ok(source.includes(name), `${file} has no "${name}"`);
        named++;
      }
    }
  }
  assert.ok(named >= 35, `${named} tests named`);
});

/** A panel of a metric that is not there stays empty, and an alarm on one never rings. */
it('a dashboard of another client finds its figures where they are asked for', async () => {
  const backend = new FakeBackend([]);
  backend.blocksBehind = 3;
  const figures = async (metrics: Metrics) => {
    const lines = (await metrics.text()).matchAll(/^((?:ethereum|besu|cometbft)_\w+) (\S+)$/gm);
    metrics.close();
    return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
  };
  assert.deepEqual(await figures(new Metrics(backend)), {});
  const found = await figures(new Metrics(backend, compatFigures(backend)));
  const height = Number(backend.head.header.height);
  assert.equal(found.ethereum_blockchain_height, height);
  assert.equal(found.ethereum_best_known_block_number, height + 3);
  assert.equal(found.ethereum_peer_count, 1);
  assert.ok((found.ethereum_peer_limit ?? 0) > 100);
  assert.equal(found.besu_synchronizer_in_sync, 0);
  assert.equal(found.cometbft_consensus_validators, backend.electorate.set.validators.length);
});

it('docs/monitoring names metrics that a node has', async () => {
  const backend = new FakeBackend([]);
  const metrics = new Metrics(backend);
  const known = new Set((await metrics.text()).match(/^# TYPE (\w+)/gm)?.map((l) => l.slice(7)));
  metrics.close();
  const dir = join(root, 'docs', 'monitoring');
  let named = 0;
  for (const file of ['grafana.json', 'alerts.yml']) {
    const text = readFileSync(join(dir, file), 'utf8');
    for (const [name] of text.matchAll(/\b(?:mpbp|process|nodejs)_[a-z0-9_]*[a-z]\b(?![-.])/g)) {
      const metric = name.replace(/_bucket$/, '');
      assert.ok(known.has(metric), `${file} names ${name}`);
      named++;
    }
  }
  assert.ok(named >= 30, `${named} metrics named`);
  const { panels } = JSON.parse(readFileSync(join(dir, 'grafana.json'), 'utf8')) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  for (const { title, targets } of panels) assert.ok(targets.length > 0, title);
});
