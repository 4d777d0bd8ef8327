import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Block } from '#consensus/core/types.ts';
import type { Epoch, View } from '#src/types/units.ts';
import { VoteKind } from '#src/types/vote.ts';
import { genesis } from '../ledger.ts';
import { simTiming } from '../world.ts';
import { Bench } from './bench.ts';

const { Notarize, Nullify, Finalize } = VoteKind;

describe('one core, by the rules', () => {
  it('R4d: never speaks for a child of a block that nobody certified', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.certify(Nullify, 1);
    bench.propose(a.block); // late: everyone gave view 1 up, but its body is here
    const b = bench.block(2, a.block, a.state, ['b']);
    bench.propose(b.block);
    assert.equal(bench.notarized(b.block), false);
    bench.certify(Notarize, 1, a.block);
    assert.equal(bench.notarized(b.block), true, 'and does once it is certified');
  });

  it('R4e: never speaks for a block that skips a view without its nullification', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    bench.certify(Notarize, 1, a.block);
    const b = bench.block(2, genesis, bench.first, ['b']);
    bench.propose(b.block);
    assert.equal(bench.notarized(b.block), false);
    bench.certify(Nullify, 1);
    assert.equal(bench.notarized(b.block), true);
  });

  it('R5, R6: what it gave up it never makes final', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    bench.wait(simTiming.advanceMs + 5);
    assert.ok(bench.has(Nullify, 1));
    bench.certify(Notarize, 1, a.block);
    assert.equal(bench.has(Finalize, 1), false);
  });

  it('R4: still notarizes a view that it gave up, while it is in it', () => {
    const bench = new Bench().start();
    bench.feed({ t: 'pending', has: true, boundary: false });
    bench.wait(simTiming.leaderMs + 5);
    assert.ok(bench.has(Nullify, 1));
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    assert.ok(bench.notarized(a.block));
  });

  it('2.12: passes without a word through views whose votes it has forgotten', () => {
    const bench = new Bench([], { signFrom: 3 as View }).start();
    bench.feed({ t: 'pending', has: true, boundary: false });
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    bench.certify(Notarize, 1, a.block);
    bench.wait(simTiming.advanceMs + 5);
    const b = bench.block(2, a.block, a.state, ['b']);
    bench.propose(b.block);
    bench.wait(simTiming.advanceMs + 5);
    assert.deepEqual(bench.cast, [], 'no vote of any kind, whoever proposes');
    bench.certify(Notarize, 2, b.block);
    assert.equal(bench.has(Finalize, 2), false);
    const c = bench.block(3, b.block, b.state, ['c']);
    bench.propose(c.block);
    assert.ok(bench.notarized(c.block), 'and votes behind them');
  });

  it('keeps no block of a hostile leader once its view is past', () => {
    const bench = new Bench().start();
    const { block: real } = bench.block(1, genesis, bench.first, ['a']);
    const lie: Block = {
      ...real,
      hash: `0x${'e'.repeat(64)}` as Block['hash'],
      height: (1n << 40n) as Block['height'],
    };
    bench.propose(lie);
    bench.propose(real);
    bench.say({ t: 'block', block: real });
    bench.certify(Finalize, 1, real);
    bench.now += simTiming.fetchRetryMs;
    bench.say({ t: 'block', block: real });
    assert.equal(bench.core.floor.height, 1n);
    assert.equal(bench.core.block(lie.hash), null);
  });
});

describe('one core, before it signs', () => {
  it('2.12: signs nothing until a quorum has said which of its votes it holds', () => {
    const bench = new Bench();
    bench.feed({ t: 'tick' });
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    const asked = bench.sent.filter(({ message }) => message.t === 'recall');
    assert.deepEqual(
      asked.map(({ to }) => to).sort(),
      bench.others.map((at) => bench.peer(at)).sort(),
    );
    const [first = 1, second = 2] = bench.others;
    bench.say({ t: 'recalled', epoch: bench.options.epoch, votes: [] }, first);
    assert.equal(bench.cast.length, 0);
    bench.say({ t: 'recalled', epoch: bench.options.epoch, votes: [] }, second);
    assert.ok(bench.notarized(a.block));
  });

  it('2.12: signs nothing in this epoch where a peer holds a vote that it does not know', () => {
    const bench = new Bench();
    bench.feed({ t: 'tick' });
    const { epoch } = bench.options;
    const forgotten = bench.vote(bench.me, bench.statement(Nullify, 9));
    for (const [position, from] of bench.others.entries()) {
      bench.say({ t: 'recalled', epoch, votes: position === 0 ? [forgotten] : [] }, from);
    }
    bench.propose(bench.block(1, genesis, bench.first, ['a']).block);
    bench.wait(1_000);
    assert.deepEqual(bench.cast, []);
    assert.equal(bench.core.me, null);
  });

  it('2.12: does where peers hold what its journal holds', () => {
    const earlier = new Bench().start();
    const a = earlier.block(1, genesis, earlier.first, ['a']);
    earlier.propose(a.block);
    const [statement = assert.fail('a vote')] = earlier.cast;
    const vote = earlier.vote(earlier.me, statement);
    const bench = new Bench([{ t: 'vote', vote, block: a.block }]);
    bench.feed({ t: 'tick' });
    const { epoch } = bench.options;
    for (const from of bench.others) bench.say({ t: 'recalled', epoch, votes: [vote] }, from);
    bench.certify(Notarize, 1, a.block);
    assert.ok(bench.has(Finalize, 1));
  });
});

describe('one core, after a restart', () => {
  it('6: counts the votes of its journal again, for itself', () => {
    const vote = new Bench().vote(0, new Bench().statement(Nullify, 1));
    const bench = new Bench([{ t: 'vote', vote, block: null }]).start();
    for (const from of bench.others.slice(1)) {
      bench.say({ t: 'vote', vote: bench.vote(from, bench.statement(Nullify, 1)) }, from);
    }
    // commonware#4275: one vote short of a quorum for ever, everywhere.
    assert.equal(bench.core.view, 2);
  });

  it('9: says them again with the same bytes, and never another in their place', () => {
    const vote = new Bench().vote(0, new Bench().statement(Nullify, 1));
    const bench = new Bench([{ t: 'vote', vote, block: null }]).start();
    bench.wait(2 * simTiming.retryMs);
    const again = bench.sent.filter(({ message }) => message.t === 'vote');
    assert.ok(again.length >= 2);
    for (const { message } of again) assert.deepEqual(message, { t: 'vote', vote });
    bench.certify(Notarize, 1, bench.block(1, genesis, bench.first, ['a']).block);
    assert.equal(bench.has(Finalize, 1), false);
  });
});

describe('one core, over the end of an epoch', () => {
  const nullified = (bench: Bench) => ({ ...bench.statement(Nullify, 1), epoch: 1 as Epoch });
  const answers = (bench: Bench, epoch: number) => {
    for (const from of bench.others) {
      bench.say({ t: 'recalled', epoch: epoch as Epoch, votes: [] }, from);
    }
  };

  it('2.12: asks again in the next epoch, whose beginning those who answered had not seen', () => {
    const bench = new Bench().start();
    bench.beginNextEpoch();
    bench.feed({ t: 'pending', has: true, boundary: false });
    bench.wait(500);
    assert.deepEqual(bench.cast, []);
    assert.ok(bench.core.isRecalling);
    answers(bench, 1);
    bench.wait(500);
    assert.ok(bench.cast.length > 0);
  });

  it('2.12: what peers hold takes the place of a lost record that is accepted', () => {
    const bench = new Bench([], { record: 'accepted' });
    bench.feed({ t: 'tick' });
    const vote = bench.vote(bench.me, bench.statement(Nullify, 1));
    const { epoch } = bench.options;
    for (const from of bench.others) bench.say({ t: 'recalled', epoch, votes: [vote] }, from);
    assert.equal(bench.core.me, bench.me);
    assert.ok(bench.effects.some((effect) => effect.t === 'adopt' && effect.vote === vote));
    bench.certify(Notarize, 1, bench.block(1, genesis, bench.first, ['a']).block);
    assert.equal(bench.has(Finalize, 1), false, 'it gave that view up, as its peers remember');
    const other = bench.vote(bench.me, bench.statement(Nullify, 9));
    bench.say({ t: 'vote', vote: other });
    assert.equal(bench.core.me, null, 'later, a vote that it does not know is what it always is');
  });

  it('10: votes of its journal that are newer than its chain gate it once they are due', () => {
    const plain = new Bench();
    const vote = plain.vote(0, nullified(plain));
    const bench = new Bench([{ t: 'vote', vote, block: null }]).start();
    bench.beginNextEpoch();
    answers(bench, 1);
    const leader = bench.core.options.schedule.leaderOf(1 as View);
    const { block } = bench.block(1, genesis, bench.first, ['x']);
    const ofEpoch = { ...block, epoch: 1 as Epoch, height: 2n as Block['height'] };
    const child = { ...ofEpoch, parentHash: bench.core.floor.hash, proposer: leader };
    bench.say({ t: 'block', block: child });
    const statement = { ...bench.statement(Notarize, 1, child, 0), epoch: 1 as Epoch };
    bench.say({ t: 'certificate', certificate: bench.certificateOf(statement) });
    bench.say({ t: 'block', block: child });
    const finalized = bench.cast.some(({ kind, epoch }) => kind === Finalize && epoch === 1);
    assert.equal(finalized, false, 'its own journal says that it gave that view up');
    const again = bench.sent.some(({ message }) => message.t === 'vote' && message.vote === vote);
    bench.wait(2 * simTiming.retryMs);
    assert.ok(again || bench.sent.some(({ message }) => message.t === 'vote'));
  });
});

describe('one core, with its peers', () => {
  it('R9: whoever votes in a view that is over is told how it ended', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    bench.certify(Finalize, 1, a.block);
    bench.now += 100;
    bench.sent.length = 0;
    const [from = 1] = bench.others;
    bench.say({ t: 'vote', vote: bench.vote(from, bench.statement(Nullify, 1)) }, from);
    const [answer] = bench.sent.filter(({ to }) => to === bench.peer(from));
    assert.equal(answer?.message.t, 'status');
    assert.ok(answer.message.t === 'status');
    assert.equal(answer.message.certificate?.statement.blockHash, a.block.hash);
  });

  it('31: asks for the certificates that a proposal needs, of the next peer each time', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.certify(Nullify, 2);
    bench.propose(bench.block(3, a.block, a.state, ['b']).block);
    bench.wait(300);
    const asked = bench.sent.filter(({ message }) => message.t === 'getCertificates');
    assert.ok(new Set(asked.map(({ to }) => to)).size >= 3);
  });

  it('2.8: pushes what it waits for to the leaders of this and the next two views', () => {
    const bench = new Bench().start();
    bench.certify(Nullify, 1);
    bench.effects.length = 0;
    bench.feed({ t: 'pending', has: true, boundary: false });
    const pushed = bench.effects.filter(({ t }) => t === 'pushPending');
    assert.equal(pushed.length, 1);
    const [effect] = pushed;
    assert.ok(effect?.t === 'pushPending');
    const leaders = [2, 3, 4].map((view) => bench.options.schedule.leaderOf(view as View));
    const expected = new Set(leaders.filter((at) => at !== bench.me).map((at) => bench.peer(at)));
    assert.deepEqual(new Set(effect.to), expected);
  });

  it('36: a block from the future is voted for when its time has come, and not before', () => {
    const bench = new Bench().start();
    const ahead = simTiming.maxFutureMs + 30;
    const a = bench.block(1, genesis, bench.first, ['a'], bench.wall + ahead);
    bench.propose(a.block);
    bench.wait(20);
    assert.equal(bench.notarized(a.block), false);
    bench.wait(15);
    assert.ok(bench.notarized(a.block));
  });

  it('32: a proposal whose justification never comes costs t_advance, and no more', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.certify(Nullify, 2);
    bench.propose(bench.block(3, a.block, a.state, ['b']).block);
    bench.wait(simTiming.leaderMs + 5);
    assert.equal(bench.has(Nullify, 3), false, 'there is a proposal');
    bench.wait(simTiming.advanceMs - simTiming.leaderMs);
    assert.ok(bench.has(Nullify, 3));
  });

  it('17: equal statements are no contradiction, whatever the signatures', () => {
    const bench = new Bench().start();
    const statement = bench.statement(Nullify, 1);
    const [from = 1] = bench.others;
    bench.say({ t: 'vote', vote: bench.vote(from, statement) }, from);
    const signature = new Uint8Array(64).fill(7);
    bench.say({ t: 'vote', vote: { ...bench.vote(from, statement), signature } }, from);
    assert.equal(contradictions(bench).length, 0);
  });

  it('2.13: the three provable faults are reported with both votes, legal pairs are not', () => {
    const bench = new Bench().start();
    const [from = 1] = bench.others;
    const a = bench.block(1, genesis, bench.first, ['a']).block;
    const b = bench.block(1, genesis, bench.first, ['b']).block;
    const pairs = [
      { kinds: [Notarize, Notarize], blocks: [a, b], fault: true },
      { kinds: [Finalize, Finalize], blocks: [a, b], fault: true },
      { kinds: [Nullify, Finalize], blocks: [null, a], fault: true },
      { kinds: [Finalize, Nullify], blocks: [a, null], fault: true },
      { kinds: [Notarize, Nullify], blocks: [a, null], fault: false },
      { kinds: [Notarize, Finalize], blocks: [a, b], fault: false },
    ] as const;
    for (const [at, { kinds, blocks, fault }] of pairs.entries()) {
      bench.effects.length = 0;
      const votes = [0, 1].map((n) =>
        bench.vote(from, bench.statement(kinds[n as 0], 10 + at, blocks[n as 0], 0)),
      );
      for (const vote of votes) bench.say({ t: 'vote', vote }, from);
      const found = contradictions(bench);
      assert.equal(found.length, fault ? 1 : 0, `${kinds}`);
      if (fault) assert.deepEqual([found[0]?.first, found[0]?.second], votes);
    }
  });
});

function contradictions(bench: Bench) {
  return bench.effects.flatMap((effect) =>
    effect.t === 'report' && effect.metric.t === 'equivocation' ? [effect.metric] : [],
  );
}

describe('the end of an epoch', () => {
  /** Three blocks and the one that ends the epoch, notarized and not final. */
  function atBoundary() {
    const bench = new Bench().start();
    let parent: Block | typeof genesis = genesis;
    let { first: state } = bench;
    for (let view = 1; view <= 4; view++) {
      const payments = view === 1 ? ['#stake:1:2:0'] : [`p${view}`];
      const made = bench.block(view, parent, state, payments);
      bench.propose(made.block);
      bench.certify(Notarize, view, made.block);
      parent = made.block;
      state = made.state;
    }
    const boundary = parent as Block;
    assert.ok(boundary.epochEnd);
    return { bench, boundary, state };
  }

  it('R10: nothing else is notarized on its last block', () => {
    const { bench, boundary, state } = atBoundary();
    const child = bench.block(5, boundary, { ...state, epoch: 0 }, ['x']);
    bench.propose(child.block);
    assert.equal(bench.notarized(child.block), false);
  });

  it('R10: the last block itself is, on its own notarization, and in no other way', () => {
    const { bench, boundary } = atBoundary();
    bench.certify(Nullify, 5);
    bench.propose(boundary, 6, 4);
    const again = bench.cast.filter(({ blockHash }) => blockHash === boundary.hash);
    assert.deepEqual(
      again
        .filter(({ kind }) => kind === Notarize)
        .map(({ view, parentView }) => [view, parentView]),
      [
        [4, 3],
        [6, 4],
      ],
    );
  });

  it('R10: a block that ends no epoch is not taken twice', () => {
    const bench = new Bench().start();
    const a = bench.block(1, genesis, bench.first, ['a']);
    bench.propose(a.block);
    bench.certify(Notarize, 1, a.block);
    bench.propose(a.block, 2, 1);
    assert.equal(bench.has(Notarize, 2), false);
  });

  it('R10: whoever leads proposes it again at once, without a heartbeat', () => {
    const { bench, boundary } = atBoundary();
    const led = bench.viewLed(true, 5);
    for (let view = 5; view < led; view++) bench.certify(Nullify, view);
    const proposals = bench.sent.filter(
      ({ message }) => message.t === 'proposal' && message.proposal.view === led,
    );
    assert.equal(proposals.length, 1);
    const [{ message } = assert.fail('a proposal')] = proposals;
    assert.ok(message.t === 'proposal');
    assert.equal(message.proposal.block.hash, boundary.hash);
    assert.equal(message.proposal.parentView, 4);
  });

  it('any of its finalizations ends the epoch, and nothing more is signed in it', () => {
    const { bench, boundary } = atBoundary();
    bench.certify(Nullify, 5);
    bench.certify(Finalize, 6, boundary, 4);
    assert.ok(bench.core.hasEnded);
    const before = bench.cast.length;
    bench.wait(simTiming.capMs);
    assert.equal(bench.cast.length, before);
    const commit = bench.effects.findLast(({ t }) => t === 'commit');
    assert.ok(commit?.t === 'commit');
    assert.equal(commit.blocks.at(-1)?.hash, boundary.hash);
  });
});
