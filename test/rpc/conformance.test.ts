import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { testWithVectors } from '../types/vectors.ts';

testWithVectors('every method of a real network answers as specified', 'execution-apis', () => {
  const program = join(import.meta.dirname, 'conformance.ts');
  const { status, stdout } = spawnSync(process.execPath, [program], { timeout: 120_000 });
  assert.match(`${stdout}`, /\n\d\d methods, 0 failed\n/);
  assert.equal(status, 0);
});
