import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

/** One of each part of the table. */
const rows = [
  'four validators: one call until final, p50',
  'one validator: batches of 100',
  'one validator: payouts to new accounts',
  'four validators: payouts to accounts paid before',
  'four validators: orders created',
  'four validators: orders from terms to money',
  'own machinery per payment',
  '32 validators in times of 4',
  'catch-up in times of the production',
  'audit replay',
  'disk per payment, compacted',
  'start to first answer',
];

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
  for (const row of rows) {
    assert.ok(printed.includes(row), printed);
  }
});
