/** A short form of `npm run test:chaos`, and whether its instruments see what they are there for. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ed25519PublicKey, ed25519Sign, generateSeed } from '#src/crypto/ed25519.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Hash } from '#src/types/hash.ts';
import { asEpoch, asStake, asView } from '#src/types/units.ts';
import type { Validator } from '#src/types/validatorSet.ts';
import { encodeStatement, type Statement, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { Signatures } from './observer.ts';
import { buildShim, Disk } from './powerCut.ts';

describe('the instruments', () => {
  const seed = generateSeed();
  const networkId = new Uint8Array(32).fill(7);
  const validator = { consensusKey: ed25519PublicKey(seed), stake: asStake(1n) } as Validator;
  const [blockA, blockB] = ['aa', 'bb'].map((byte) => `0x${byte.repeat(32)}` as Hash);
  const say = (kind: VoteKind, view: number, blockHash = ZERO_HASH) => {
    const parentView = asView(0);
    const statement: Statement = {
      kind,
      epoch: asEpoch(0),
      view: asView(view),
      parentView,
      blockHash,
    };
    const signature = ed25519Sign(seed, encodeStatement(statement, networkId));
    return { statement, signer: 0, signature };
  };
  const { Notarize, Nullify, Finalize } = VoteKind;
  const cases = [
    {
      when: 'two blocks are notarized',
      votes: [say(Notarize, 1, blockA), say(Notarize, 1, blockB)],
    },
    {
      when: 'two blocks are finalized',
      votes: [say(Finalize, 1, blockA), say(Finalize, 1, blockB)],
    },
    { when: 'finalize follows nullify', votes: [say(Nullify, 1), say(Finalize, 1, blockA)] },
    { when: 'nullify follows finalize', votes: [say(Finalize, 1, blockA), say(Nullify, 1)] },
  ];
  for (const { when, votes } of cases) {
    it(`the observer sees a conflict when ${when}`, () => {
      const signatures = new Signatures([validator], networkId);
      for (const vote of votes) signatures.vote(vote);
      assert.equal(signatures.conflicts.length, 1);
    });
  }

  it('the observer sees none in honest votes, their repetition and forgeries', () => {
    const signatures = new Signatures([validator], networkId);
    const honest = [say(Notarize, 1, blockA), say(Nullify, 1), say(Notarize, 2, blockB)];
    for (const vote of [...honest, ...honest, say(Finalize, 2, blockB)]) signatures.vote(vote);
    signatures.vote({ ...say(Nullify, 2), signature: new Uint8Array(64) });
    assert.deepEqual(signatures.conflicts, []);
    assert.equal(signatures.votes, 4);
    assert.equal(signatures.forged, 1);
  });

  it('a power cut takes what was not synced, and leaves what was', (t) => {
    const shim = buildShim();
    if (shim === null) return t.skip('no C compiler');
    const dir = mkdtempSync(join(tmpdir(), 'mpbp-disk-'));
    const root = join(dir, 'data');
    mkdirSync(root);
    writeFileSync(join(root, 'before'), 'before');
    const script = `
      const fs = require('node:fs');
      const open = (name) => fs.openSync(${JSON.stringify(root)} + '/' + name, 'w');
      const synced = open('synced'), half = open('half');
      open('empty');
      fs.writeSync(synced, 'synced'); fs.fsyncSync(synced);
      fs.writeSync(half, 'kept'); fs.fdatasyncSync(half); fs.writeSync(half, ' and lost');
      const late = open('late'); fs.writeSync(late, 'lost');
      process.kill(process.pid, 'SIGKILL');`;
    const play = (syncing: 'on' | 'off') => {
      const disk = new Disk(root, shim, syncing, 0);
      spawnSync(process.execPath, ['-e', script], { env: { ...process.env, ...disk.environment } });
      disk.cut(new SeededRandom(1));
    };
    const text = (name: string) => readFileSync(join(root, name), 'utf8');
    play('off');
    assert.equal(text('before'), 'before');
    assert.throws(() => assert.equal(text('synced'), 'synced'), 'a lying disk kept nothing');
    play('on');
    assert.equal(text('synced'), 'synced');
    assert.match(text('half'), /^kept( and lost|( and los?| a?n?|))/);
    rmSync(dir, { recursive: true });
  });
});

describe('four validators under faults', { timeout: 240_000 }, () => {
  const short = [
    { only: 'kill one', loops: 1 },
    { only: 'partitions of four', loops: 1 },
    { only: 'restart all', loops: 1 },
    { only: 'power cut of all', loops: 2 },
  ];
  for (const { only, loops } of short) {
    it(`${only}, ${loops} rounds`, (t) => chaos(t, ['--only', only, '--loops', `${loops}`]));
  }
});

/** The runner in a process of its own, as people start it. */
async function chaos(t: TestContext, args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'run.ts'), ...args]);
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      printed += text.toString();
    });
  }
  const code = await new Promise((resolve) => child.once('exit', resolve));
  for (const line of printed.split('\n'))
    if (/^(ok|FAILED|seed|the control)/.test(line)) t.diagnostic(line);
  assert.equal(code, 0, printed);
}
