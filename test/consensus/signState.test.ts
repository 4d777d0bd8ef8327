import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { SignState } from '#consensus/engine/signState.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Hash } from '#src/types/hash.ts';
import { asEpoch, asView } from '#src/types/units.ts';
import { encodeStatement, type Statement, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { AppendLog } from '#storage/appendLog.ts';

const networkId = new Uint8Array(32).fill(1);
const key = new Uint8Array(32).fill(2);
const other = new Uint8Array(32).fill(3);
const a = `0x${'aa'.repeat(32)}` as Hash;
const b = `0x${'bb'.repeat(32)}` as Hash;

function statement(kind: VoteKind, view: number, blockHash = a, epoch = 0): Statement {
  const isNullify = kind === VoteKind.Nullify;
  return {
    kind,
    epoch: asEpoch(epoch),
    view: asView(view),
    parentView: asView(isNullify ? 0 : view - 1),
    blockHash: isNullify ? ZERO_HASH : blockHash,
  };
}

function open(dir = mkdtempSync(join(tmpdir(), 'mpbp-sign-'))) {
  const { log, records } = AppendLog.open(dir);
  const state = new SignState(log, records, networkId);
  const admit = async (of: Statement, by = key) =>
    (await state.admit(by, encodeStatement(of, networkId)))?.code ?? 'signed';
  return { dir, log, state, admit };
}

const { Notarize, Nullify, Finalize } = VoteKind;

describe('the memory of a signer', () => {
  const rows = [
    {
      when: 'another block notarized',
      first: statement(Notarize, 5),
      later: statement(Notarize, 5, b),
    },
    {
      when: 'another block finalized',
      first: statement(Finalize, 5),
      later: statement(Finalize, 5, b),
    },
    {
      when: 'given up after finalizing',
      first: statement(Finalize, 5),
      later: statement(Nullify, 5),
    },
    {
      when: 'finalized after giving up',
      first: statement(Nullify, 5),
      later: statement(Finalize, 5),
    },
  ];
  for (const { when, first, later } of rows) {
    it(`refuses ${when}, also after a restart`, async () => {
      const { dir, log, admit } = open();
      assert.equal(await admit(first), 'signed');
      assert.equal(await admit(later), 'SIGN_CONFLICT');
      assert.equal(await admit(first), 'signed', 'the same again is no new signature');
      assert.equal(await admit(later, other), 'signed', 'another key has a memory of its own');
      await log.close();
      const again = open(dir);
      assert.equal(await again.admit(later), 'SIGN_CONFLICT');
      assert.equal(await again.admit(first), 'signed');
      await again.log.close();
    });
  }

  it('allows what the protocol allows', async () => {
    const { admit, log } = open();
    for (const one of [
      statement(Notarize, 5),
      statement(Nullify, 5),
      statement(Notarize, 7, b),
      statement(Finalize, 6),
      statement(Notarize, 6),
      statement(Notarize, 1, b, 1),
    ]) {
      assert.equal(await admit(one), 'signed');
    }
    await log.close();
  });

  it('refuses epochs that are over, forgotten views, other networks and other bytes', async () => {
    const { admit, state, log } = open();
    assert.equal(await admit(statement(Notarize, 10_000, a, 3)), 'signed');
    assert.equal(await admit(statement(Notarize, 1, a, 2)), 'SIGN_EPOCH_OVER');
    assert.equal(await admit(statement(Notarize, 10_000 - 4_096, a, 3)), 'SIGN_VIEW_FORGOTTEN');
    const elsewhere = encodeStatement(statement(Notarize, 1), new Uint8Array(32).fill(9));
    assert.equal((await state.admit(key, elsewhere))?.code, 'SIGN_NETWORK');
    for (const bytes of [new Uint8Array(0), new Uint8Array(105), elsewhere.slice(1)]) {
      assert.equal((await state.admit(key, bytes))?.code, 'SIGN_MALFORMED');
    }
    await log.close();
  });

  it('never admits a contradiction, in any order and over restarts', async () => {
    const random = new SeededRandom(7);
    let world = open();
    const signed = new Map<string, string>();
    for (let i = 0; i < 3_000; i++) {
      if (random.chance(0.01)) {
        await world.log.close();
        world = open(world.dir);
      }
      const kind = random.pick([Notarize, Nullify, Finalize]);
      const view = 1 + random.below(40);
      const one = statement(kind, view, random.pick([a, b]));
      if ((await world.admit(one)) !== 'signed') continue;
      const before = signed.get(`${kind}.${view}`);
      assert.ok(before === undefined || before === one.blockHash);
      signed.set(`${kind}.${view}`, one.blockHash);
      assert.ok(!signed.has(`${Nullify}.${view}`) || !signed.has(`${Finalize}.${view}`));
    }
    await world.log.close();
  });
});
