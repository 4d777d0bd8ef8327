import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Block } from '#consensus/core/types.ts';
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
