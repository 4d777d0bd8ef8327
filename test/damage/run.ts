/** `npm run test:damage -- --mutations 3000 --seed 1`: damages copies of a data directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeFixture } from './fixture.ts';
import { Summary, Trials } from './trial.ts';

const { values } = parseArgs({
  options: {
    mutations: { type: 'string', default: '3000' },
    seed: { type: 'string', default: '1' },
    blocks: { type: 'string', default: '300' },
  },
});
const [first, count] = [Number(values.seed), Number(values.mutations)];
process.env.MPBP_PASSWORD = 'in the place of a question';
const root = mkdtempSync(join(tmpdir(), 'mpbp-damage-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

const started = performance.now();
const trials = await Trials.create(await makeFixture(root, Number(values.blocks)), root);
const summary = new Summary();
let failures = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    summary.add(await trials.run(seed));
  } catch (error) {
    failures++;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
  if (process.stderr.isTTY) process.stderr.write(`\r${seed - first + 1}/${count}`);
}
const seconds = Math.round((performance.now() - started) / 1_000);
process.stdout.write(`${summary.text}\n${count} mutations, ${failures} failures, ${seconds} s\n`);
process.exitCode = failures === 0 ? 0 : 1;
