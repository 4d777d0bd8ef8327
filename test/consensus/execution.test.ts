import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Block } from '#consensus/core/types.ts';
import { decodeMessage } from '#consensus/engine/codec.ts';
import type { View } from '#src/types/units.ts';
import { VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { makeBlock, Rig, statementOf } from './rig.ts';

/** What may come between a question to the ledger and its answer, where contracts have to run. */
const first = 1 as View;
const second = 2 as View;
const running: Rig[] = [];
afterEach(async () => {
  for (const rig of running.splice(0)) await rig.engine.stop();
});

function started(leadsFirst: boolean): { rig: Rig; block: Block; others: number[] } {
  const rig = new Rig({ leadsFirst });
  running.push(rig);
  rig.start();
  rig.sent.length = 0;
  rig.hasContracts = true;
  const proposer = rig.schedule.leaderOf(first);
  const others = [0, 1, 2, 3].filter((index) => index !== rig.me);
  return { rig, others, block: makeBlock({ view: first, proposer }) };
}

function votesOf(rig: Rig): number[] {
  return rig.sent.flatMap(({ bytes }) => {
    const message = decodeMessage(bytes, rig.ledger);
    return message.ok && message.value.t === 'vote' ? [message.value.vote.statement.kind] : [];
  });
}

function proposalsOf(rig: Rig): number[] {
  return rig.sent.flatMap(({ bytes }) => {
    const message = decodeMessage(bytes, rig.ledger);
    return message.ok && message.value.t === 'proposal' ? [message.value.proposal.view] : [];
  });
}

const certify = (rig: Rig, kind: VoteKind, block: Block, others: readonly number[]) =>
  rig.receive({
    t: 'certificate',
    certificate: rig.certificate(statementOf(kind, block), others),
  });

describe('a ledger that answers later', () => {
  it('no vote before the answer, one after it; nothing is asked twice', async () => {
    const { rig, block } = started(false);
    rig.receive(rig.proposalOf(block));
    rig.receive(rig.proposalOf(block), rig.peers[1]);
    await rig.settle();
    assert.deepEqual(votesOf(rig), []);
    assert.deepEqual(rig.executed, [block.hash]);
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.deepEqual(votesOf(rig), [VoteKind.Notarize]);
    assert.equal(rig.prepared.length, 1, 'and the next one is prepared');
    assert.deepEqual(rig.fatal, []);
  });

  it('an answer that the block is invalid gives the view up', async () => {
    const { rig, block } = started(false);
    rig.invalid.add(block.hash);
    rig.receive(rig.proposalOf(block));
    await rig.settle();
    assert.deepEqual(votesOf(rig), []);
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.deepEqual(votesOf(rig), [VoteKind.Nullify]);
  });

  it('who has given the view up in time still finalizes nothing in it', async () => {
    const { rig, block, others } = started(false);
    rig.receive(rig.proposalOf(block));
    rig.now = 600;
    rig.engine.poolChanged();
    rig.pending = true;
    rig.engine.poolChanged();
    rig.now = 2_000;
    rig.engine.start();
    await rig.settle();
    assert.deepEqual(votesOf(rig).slice(0, 1), [VoteKind.Nullify]);
    certify(rig, VoteKind.Notarize, block, others);
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.ok(!votesOf(rig).includes(VoteKind.Finalize), 'R5 and R6 exclude each other');
    assert.deepEqual(rig.fatal, []);
  });

  it('certificates that come first wait for it: then vote, commit, and the next view', async () => {
    const { rig, block, others } = started(false);
    rig.receive(rig.proposalOf(block));
    certify(rig, VoteKind.Notarize, block, others);
    certify(rig, VoteKind.Finalize, block, others);
    await rig.settle();
    assert.deepEqual(rig.committed, [], 'what is not executed is not committed');
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.deepEqual(rig.committed, [block]);
    assert.equal(rig.engine.status.view, second);
    assert.deepEqual(rig.fatal, []);
  });

  it('a child waits for its parent’s answer, and both are committed in order', async () => {
    const { rig, block, others } = started(false);
    const fields = { parentHash: block.hash, height: 2n as Block['height'], parentView: first };
    const leader = rig.schedule.leaderOf(second);
    const timestampMs = block.timestampMs + 1;
    const child = makeBlock({ ...fields, view: second, proposer: leader, timestampMs });
    rig.receive(rig.proposalOf(block));
    certify(rig, VoteKind.Notarize, block, others);
    if (leader !== rig.me) rig.receive(rig.proposalOf(child));
    certify(rig, VoteKind.Finalize, block, others);
    await rig.settle();
    assert.deepEqual(rig.executed, [block.hash], 'the child is not asked for yet');
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.deepEqual(rig.committed, [block]);
  });

  it('“invalid” of a block that became final meanwhile counts for nothing', async () => {
    const { rig, block, others } = started(false);
    rig.receive(rig.proposalOf(block));
    certify(rig, VoteKind.Notarize, block, others);
    await rig.settle();
    rig.invalid.add(block.hash);
    // As a range that was fetched: on disk before the core has heard of it.
    rig.committed.push(block);
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.deepEqual(rig.fatal, []);
  });

  it('a failure of the ledger stops the engine, once', async () => {
    const { rig, block } = started(false);
    rig.receive(rig.proposalOf(block));
    await rig.settle();
    rig.unanswered[0]?.fail(new Error('the disk is gone'));
    await rig.settle();
    assert.deepEqual(
      rig.fatal.map(({ message }) => message),
      ['the disk is gone'],
    );
  });

  it('after a stop nothing is heard, and nothing fails', async () => {
    for (const end of ['give', 'fail'] as const) {
      const { rig, block } = started(false);
      rig.receive(rig.proposalOf(block));
      await rig.settle();
      await rig.engine.stop();
      rig.sent.length = 0;
      rig.looks = 0;
      rig.unanswered[0]?.[end](new Error('closed'));
      await rig.settle();
      assert.deepEqual([rig.sent, rig.fatal], [[], []]);
      assert.equal(rig.looks, 0, 'the chain may be closed by now');
    }
  });

  it('an answer during a stall is heard when it is over', async () => {
    const { rig, block } = started(false);
    rig.receive(rig.proposalOf(block));
    await rig.settle();
    rig.stalled = true;
    rig.unanswered[0]?.give();
    await rig.settle();
    assert.deepEqual(votesOf(rig), []);
    rig.stalled = false;
    rig.engine.start();
    await rig.settle();
    assert.deepEqual(votesOf(rig), [VoteKind.Notarize]);
  });

  it('a block that was built is proposed; in a view that is over it is not', async () => {
    for (const isOver of [false, true]) {
      const { rig, block } = started(true);
      rig.pending = true;
      rig.engine.poolChanged();
      await rig.settle();
      assert.equal(rig.builds, 1);
      assert.deepEqual(proposalsOf(rig), []);
      if (isOver) {
        const others = [0, 1, 2, 3].filter((index) => index !== rig.me);
        const nothing = { parentView: 0 as View, blockHash: ZERO_HASH };
        const statement = { ...statementOf(VoteKind.Nullify, block), ...nothing };
        const certificate = rig.certificate(statement, others);
        rig.receive({ t: 'certificate', certificate });
        await rig.settle();
        assert.equal(rig.engine.status.view, second);
      }
      rig.built = { t: 'block', block };
      rig.unanswered[0]?.give();
      await rig.settle();
      assert.deepEqual(proposalsOf(rig), isOver ? [] : [first]);
      assert.deepEqual(rig.fatal, []);
    }
  });
});
