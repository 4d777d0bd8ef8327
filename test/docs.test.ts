import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

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
