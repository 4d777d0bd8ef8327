import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

it('the benchmark runs to its end, in a short form', { timeout: 180_000 }, async () => {
  const program = join(import.meta.dirname, 'run.ts');
  const child = spawn(process.execPath, [program, '--quick', '--alone']);
  let printed = '';
  child.stdout.on('data', (text: Buffer) => {
    printed += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    printed += text.toString();
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(code, 0, printed);
  for (const row of ['four validators: one call until final', 'one validator: batches of 100']) {
    assert.ok(printed.includes(row), printed);
  }
});
