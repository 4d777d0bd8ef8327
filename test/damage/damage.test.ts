/** A short form of `npm run test:damage`, and the directories that no single file explains. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { TinyNetwork } from '../chain/network.ts';
import { type Fixture, makeFixture } from './fixture.ts';
import { inspect } from './inspect.ts';
import { kinds } from './mutations.ts';
import { type Outcome, Summary, Trials } from './trial.ts';

const mutations = 300;
const firstSeed = 1_000;
const blocks = 240;
const logFlips = 100;

const root = mkdtempSync(join(tmpdir(), 'mpbp-damage-'));
let fixture: Fixture;
before(async () => {
  // Where the password's file is the one that is gone, nobody is to be asked.
  process.env.MPBP_PASSWORD = 'in the place of a question';
  fixture = await makeFixture(join(root, 'fixture'), blocks);
});
after(() => rmSync(root, { recursive: true, force: true }));

describe('D3: damage of any file', () => {
  it(`${mutations} times over, is refused with a remedy or does no harm`, async () => {
    const trials = await Trials.create(fixture, root);
    const summary = new Summary();
    const outcomes = new Map<Outcome, number>();
    const seen = new Set<string>();
    for (let seed = firstSeed; seed < firstSeed + mutations; seed++) {
      const trial = await trials.run(seed);
      summary.add(trial);
      outcomes.set(trial.outcome, (outcomes.get(trial.outcome) ?? 0) + 1);
      if (trial.mutation !== null) seen.add(trial.mutation.kind);
    }
    // What only ever does no harm has damaged nothing.
    assert.ok((outcomes.get('refused') ?? 0) > mutations / 4, summary.text);
    assert.ok((outcomes.get('abstains') ?? 0) > 0, summary.text);
    assert.deepEqual([...seen].sort(), [...kinds].sort(), summary.text);
  });
});

describe('D5: a flipped bit in the log of a stopped node', () => {
  it(`is refused, ${logFlips} times over`, async () => {
    const random = new SeededRandom(5);
    const chain = join(fixture.now, 'chain');
    const log = readdirSync(chain).find((name) => name.endsWith('.log')) ?? assert.fail('a log');
    const sound = readFileSync(join(chain, log));
    for (let flip = 0; flip < logFlips; flip++) {
      const path = join(root, `d5-${flip}`);
      cpSync(fixture.now, path, { recursive: true });
      const bytes = Buffer.from(sound);
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      writeFileSync(join(path, 'chain', log), bytes);
      await assert.rejects(inspect(path, false), /damaged: .*mpbp db resync/, `byte ${at}`);
      rmSync(path, { recursive: true });
    }
  });
});

describe('D4: a directory whose database is gone, cut or of another chain', () => {
  let count = 0;
  const copyOf = (source: string) => {
    const path = join(root, `d4-${count++}`);
    cpSync(source, path, { recursive: true });
    return path;
  };
  const isRefused = (path: string) => (error: unknown) =>
    error instanceof UserError &&
    error.exitCode === EXIT.badData &&
    error.message.includes(`mpbp db resync ${path}`);
  const sources = () => [fixture.now, fixture.compacted];

  it('without CURRENT, without a file, or without the folder', async () => {
    for (const source of sources()) {
      for (const gone of ['chain/CURRENT', 'chain', 'empty']) {
        const path = copyOf(source);
        rmSync(join(path, gone === 'empty' ? 'chain' : gone), { recursive: true });
        if (gone === 'empty') mkdirSync(join(path, 'chain'));
        await assert.rejects(inspect(path, false), isRefused(path), gone);
      }
    }
  });

  it('whose MANIFEST was cut anywhere is refused or serves the same', async () => {
    const random = new SeededRandom(7);
    for (const source of sources()) {
      const healthy = await inspect(copyOf(source), false);
      for (let cut = 0; cut < 8; cut++) {
        const path = copyOf(source);
        const name = readdirSync(join(path, 'chain')).find((one) => one.startsWith('MANIFEST'));
        const manifest = join(path, 'chain', name ?? '');
        const at = cut === 0 ? 0 : random.below(statSync(manifest).size);
        truncateSync(manifest, at);
        const opened = await inspect(path, false).catch((error: unknown) => {
          assert.ok(isRefused(path)(error), `cut at ${at}: ${String(error)}`);
          return null;
        });
        if (opened !== null) assert.deepEqual(opened, healthy, `cut at ${at}`);
      }
    }
  });

  it('with the chain, or the genesis, of another network', async () => {
    const other = await makeFixture(join(root, 'other'), 12, new TinyNetwork([1, 1, 1, 2]));
    for (const part of ['chain', 'genesis.json', 'identity.json']) {
      const path = copyOf(fixture.now);
      rmSync(join(path, part), { recursive: true });
      cpSync(join(other.now, part), join(path, part), { recursive: true });
      if (part === 'chain') rmSync(join(path, 'chain.mark'));
      await assert.rejects(inspect(path, false), isRefused(path), part);
    }
  });

  it('that is an older copy, in the place of the newer', async () => {
    const path = copyOf(fixture.now);
    rmSync(join(path, 'chain'), { recursive: true });
    cpSync(join(fixture.old, 'chain'), join(path, 'chain'), { recursive: true });
    await assert.rejects(inspect(path, false), isRefused(path));
  });
});
