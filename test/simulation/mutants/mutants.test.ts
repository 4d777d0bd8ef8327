import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mutants } from './mutants.ts';

const here = import.meta.dirname;
const schedules = join(here, '..', 'schedules');
const limitMs = 120_000;

type Outcome = { readonly code: number; readonly text: string };

function run(name: string, args: readonly string[]): Promise<Outcome> {
  const plant = ['--import', join(here, 'plant.ts')];
  // The reporter of the outer run must not find the inner one's channel.
  const { NODE_TEST_CONTEXT: _context, ...outer } = process.env;
  const env = { ...outer, MUTANT: name };
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [...plant, ...args],
      { env, timeout: limitMs, maxBuffer: 1 << 26 },
      (error, text, errors) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        const all = `${text}${errors}`;
        // A mutant that does not run proves nothing about those who watch it.
        const broken = /(Syntax|Reference|Type)Error|its place in/.exec(all);
        if (broken === null) resolve({ code, text: all });
        else reject(new Error(`${name}: the mutant is no program: ${all.slice(-600)}`));
      },
    );
  });
}

function failedTest(text: string): string {
  return /^\s*not ok \d+ - (.*)$/m.exec(text)?.[1] ?? /✖ (.*)/.exec(text)?.[1] ?? 'a schedule';
}

/** A simulator that notices nothing proves nothing: each of these has to be caught. */
describe('planted faults', { concurrency: 2 }, () => {
  for (const { name, by, file } of mutants) {
    it(`${name}: noticed by ${by}`, async (t) => {
      if (by === 'seeds') {
        const { code, text } = await run(name, [join(here, 'seeds.ts'), '400']);
        assert.equal(code, 0, `${file}: ${text}`);
        t.diagnostic(text.trim().slice(0, 120));
        return;
      }
      const files = ['rules', 'otherEpochs', 'pitfalls'].map((test) =>
        join(schedules, `${test}.test.ts`),
      );
      for (const test of files) {
        const { code, text } = await run(name, ['--test-reporter=tap', test]);
        if (code === 0) continue;
        t.diagnostic(failedTest(text));
        return;
      }
      assert.fail(`${file}: no schedule failed`);
    });
  }
});
