import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Core } from '#consensus/core/core.ts';
import type { Block, Event, Proposal } from '#consensus/core/types.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Epoch, View } from '#src/types/units.ts';
import { type Statement, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { genesis, genesisRoot, makeBlock } from './ledger.ts';
import { simTiming, World } from './world.ts';

const signature = new Uint8Array(64);

/** One real core, fed by hand; every block executes as valid. */
class Bench {
  readonly world = new World(1, [1n, 1n, 1n, 1n]);
  readonly core = new Core(this.world.optionsFor(0), genesis, null);
  readonly cast: Statement[] = [];
  now = 0;

  /** Peers hold no vote of this node. */
  start(): void {
    this.feed({ t: 'tick' });
    for (const from of ['v1', 'v2', 'v3']) {
      const message = { t: 'recalled', epoch: 0 as Epoch, votes: [] } as const;
      this.feed({ t: 'message', from, message });
    }
  }

  feed(event: Event): void {
    for (const effect of this.core.step({ now: this.now, wall: 1_000_000 + this.now, event })) {
      if (effect.t === 'execute') {
        this.feed({ t: 'executed', hash: effect.block.hash, valid: true });
      }
      if (effect.t !== 'cast') continue;
      this.cast.push(effect.statement);
      this.feed({ t: 'durable', seq: effect.seq, signature });
    }
  }

  certificate(kind: VoteKind, view: View, block: Block | null = null): void {
    const statement: Statement = {
      kind,
      epoch: 0 as Epoch,
      view,
      parentView: block?.parentView ?? (0 as View),
      blockHash: block?.hash ?? ZERO_HASH,
    };
    const signers = [1, 2, 3];
    const certificate: Certificate = {
      statement,
      setSize: 4,
      signers,
      signatures: signers.map(() => signature),
    };
    this.feed({ t: 'message', from: 'v1', message: { t: 'certificate', certificate } });
  }

  propose(block: Block, view: View = block.view): void {
    const { hash, parentView } = block;
    const kind = VoteKind.Notarize;
    const statement = { kind, epoch: 0 as Epoch, view, parentView, blockHash: hash };
    const vote = { statement, signer: block.proposer, signature };
    const proposal: Proposal = { view, parentView, block, vote, justify: [] };
    this.feed({ t: 'message', from: 'v1', message: { t: 'proposal', proposal } });
  }

  block(view: number, parent: Block | typeof genesis, root: string, payment: string): Block {
    return makeBlock({
      parent,
      view: view as View,
      parentView: parent.view,
      proposer: this.world.schedule.leaderOf(view as View),
      timestampMs: 1_000_000 + view,
      payments: [payment],
      parentRoot: root,
    });
  }

  notarized(block: Block): boolean {
    return this.cast.some(({ kind, blockHash }) => kind === 1 && blockHash === block.hash);
  }
}

const rootOf = (block: Block) => (block.content as { stateRoot: string }).stateRoot;

describe('agreement, directed', () => {
  it('R4d: never speaks for a child of a block that nobody certified', () => {
    const bench = new Bench();
    bench.start();
    const a = bench.block(1, genesis, genesisRoot, 'a');
    const view = (v: number) => v as View;
    bench.certificate(VoteKind.Nullify, view(1));
    bench.propose(a); // late: everyone gave view 1 up, but its body is here
    const b = bench.block(2, a, rootOf(a), 'b');
    bench.propose(b);
    assert.equal(bench.notarized(b), false);
    bench.certificate(VoteKind.Notarize, view(1), a);
    assert.equal(bench.notarized(b), true, 'and does once it is certified');
  });

  it('R4e: never speaks for a block that skips a view without its nullification', () => {
    const bench = new Bench();
    bench.start();
    const a = bench.block(1, genesis, genesisRoot, 'a');
    bench.propose(a);
    bench.certificate(VoteKind.Notarize, 1 as View, a);
    const b = bench.block(2, genesis, genesisRoot, 'b');
    bench.propose(b);
    assert.equal(bench.notarized(b), false);
    bench.certificate(VoteKind.Nullify, 1 as View);
    assert.equal(bench.notarized(b), true);
  });

  it('keeps no block of a hostile leader once its view is past', () => {
    const bench = new Bench();
    bench.start();
    const real = bench.block(1, genesis, genesisRoot, 'a');
    const lie: Block = {
      ...real,
      hash: `0x${'e'.repeat(64)}` as Block['hash'],
      height: (1n << 40n) as Block['height'],
    };
    bench.propose(lie);
    bench.propose(real);
    bench.feed({ t: 'message', from: 'v1', message: { t: 'block', block: real } });
    bench.certificate(VoteKind.Finalize, 1 as View, real);
    bench.now += simTiming.fetchRetryMs;
    bench.feed({ t: 'message', from: 'v1', message: { t: 'block', block: real } });
    assert.equal(bench.core.floor.height, 1n);
    assert.equal(bench.core.block(lie.hash), null);
  });

  it('an idle network loses no view to a lone payment', () => {
    const world = new World(1, [1n, 1n, 1n, 1n], { ...simTiming, heartbeatMs: 60_000 });
    world.startAll();
    world.scheduler.runUntil(1_000);
    for (let i = 0; i < 20; i++) {
      world.nodes[i % 4]?.submit(`p${i}`);
      world.scheduler.runUntil(world.scheduler.now + 500);
      assert.ok(world.nodes.every(({ index }) => world.oracle.hasCommitted(index, `p${i}`)));
    }
    assert.equal(world.counts().get('nullify') ?? 0, 0);
  });
});
