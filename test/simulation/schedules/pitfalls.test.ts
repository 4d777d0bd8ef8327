/** One schedule for each way in which others failed (design/consensus.md 5) that chance misses. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VoteKind } from '#src/types/vote.ts';
import type { SimNode } from '../node.ts';
import { simTiming, World, type WorldOptions } from '../world.ts';

const four = [1n, 1n, 1n, 1n];
const idle: WorldOptions = { timing: { ...simTiming, heartbeatMs: 60_000 } };

function started(stakes = four, options: WorldOptions = {}, seed = 1): World {
  const world = new World(seed, stakes, options);
  world.startAll();
  world.scheduler.runUntil(300);
  return world;
}

function run(world: World, ms: number): void {
  world.scheduler.runUntil(world.scheduler.now + ms);
}

const committedBy = (world: World, payment: string, nodes: readonly SimNode[] = world.nodes) =>
  nodes.every(({ slot }) => world.oracle.hasCommitted(slot, payment));

/** Milliseconds until everybody has committed it; fails where that takes longer than allowed. */
function finality(world: World, payment: string, maxMs: number, nodes = world.nodes): number {
  const from = world.scheduler.now;
  while (!committedBy(world, payment, nodes)) {
    if (world.scheduler.now - from > maxMs) assert.fail(`${payment} not final in ${maxMs} ms`);
    run(world, 0.5);
  }
  return world.scheduler.now - from;
}

function pay(world: World, slot: number, payment: string): void {
  assert.ok(world.nodes[slot]?.submit(payment));
}

function leaderSlot(world: World): number {
  const core = world.nodes.find(({ core }) => core !== null)?.core;
  const peerId = core?.options.set.validators[core.leader]?.peerId;
  return world.nodes.findIndex(({ peer }) => peer === peerId);
}

describe('restarts', () => {
  it('6, 9: all give a view up alone, crash and come back: nobody waits for its own vote', () => {
    // Of three, nobody's vote can be missed; of four, one's own can.
    for (const stakes of [four, four.slice(1)]) {
      const world = started(stakes, idle);
      world.network.partition(world.nodes.map(({ slot }) => [slot]));
      for (const { slot } of world.nodes) pay(world, slot, `p${slot}`);
      run(world, 2 * simTiming.advanceMs);
      for (const node of world.nodes) node.crash();
      world.network.heal();
      world.startAll();
      for (const { slot } of world.nodes) finality(world, `p${slot}`, 10 * simTiming.advanceMs);
    }
  });

  it('7, 8, 13: all crash at each of the three places around a vote, again and again', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = started(four, {}, seed);
      world.crashChance = 0.3;
      const accepted = new Set<string>();
      for (let i = 0; i < 20; i++) {
        for (const node of world.nodes) if (node.submit(`p${i}`)) accepted.add(`p${i}`);
        run(world, 40);
      }
      world.crashChance = 0;
      run(world, 400);
      world.startAll();
      for (const payment of accepted) finality(world, payment, 10 * simTiming.advanceMs);
    }
  });

  it('hailstorm: nodes are taken down in turn under load', () => {
    const world = started([1n, 1n, 1n, 1n, 1n, 1n, 1n]);
    for (let round = 0; round < 40; round++) {
      const slot = round % 7;
      world.crashAndRestart(slot);
      pay(world, (slot + 1) % 7, `p${round}`);
      run(world, 60);
    }
    run(world, 500);
    for (let round = 0; round < 40; round++) finality(world, `p${round}`, 2_000);
  });

  it('14: an old copy of a whole disk signs nothing that contradicts it', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = started(four, idle, seed);
      const [node] = world.nodes;
      assert.ok(node !== undefined);
      const backup = node.disk.copy();
      for (let i = 0; i < 5; i++) {
        pay(world, 1, `p${i}`);
        finality(world, `p${i}`, 1_000);
      }
      // The last view it voted in is not final when the disk goes: its votes are above its floor.
      world.network.filter = (_, __, message) =>
        message.t !== 'vote' || message.vote.statement.kind !== VoteKind.Finalize;
      pay(world, 1, 'open');
      run(world, 3);
      node.crash();
      node.disk = backup;
      world.network.filter = null;
      node.start();
      // Judged by the oracle: it stays honest in its eyes.
      finality(world, 'open', 10 * simTiming.advanceMs);
    }
  });

  it('14: a lost journal: signs nothing in this epoch and the next, and then again', () => {
    const world = started(four, idle);
    const [node] = world.nodes;
    assert.ok(node !== undefined);
    node.crash();
    node.disk.journal = [];
    node.disk.abstention = 'until recalled';
    node.start();
    run(world, 200);
    assert.equal(node.core?.me, null);
    pay(world, 1, '#stake:1:2:0');
    pay(world, 2, 'p');
    finality(world, 'p', 1_000);
    run(world, 1_000);
    assert.equal(node.core?.options.epoch, 1);
    assert.equal(node.core?.me, null, 'one of its votes may be in the next epoch already');
    pay(world, 1, '#stake:1:1:1');
    run(world, 1_000);
    assert.equal(node.core?.options.epoch, 2);
    assert.notEqual(node.core?.me, null);
  });

  it('14: with too few votes left to wait, the operators answer for it and all goes on', () => {
    for (const [stakes, lost] of [
      [[1n, 1n, 1n], [2]],
      [four, [2, 3]],
    ] as const) {
      for (let seed = 1; seed <= 20; seed++) {
        const world = started([...stakes], {}, seed);
        for (let i = 0; i < 100; i++) {
          world.scheduler.after(i * 2, () => world.nodes[0]?.submit(`p${i}`));
        }
        run(world, 100 + seed * 1.7);
        for (const slot of lost) {
          const node = world.nodes[slot] ?? assert.fail('a node');
          node.crash();
          node.disk.journal = [];
          node.isAccepted = true;
          // What peers hold is all that is left of what it signed.
          world.oracle.forgive(node.identity);
        }
        run(world, 500);
        world.startAll();
        pay(world, 0, 'last');
        finality(world, 'last', 20 * simTiming.advanceMs);
      }
    }
  });

  it('two processes with one key: one finds votes that it did not cast, and is silent', () => {
    const world = new World(1, four, { ...idle, twin: 3 });
    // By the book, both of them: nothing is kept from them.
    for (const node of world.nodes) node.behaviour = 'honest';
    for (const node of world.nodes.slice(0, 4)) node.start();
    run(world, 300);
    pay(world, 0, 'a');
    finality(world, 'a', 1_000, world.nodes.slice(0, 4));
    const second = world.nodes[4];
    second?.start();
    for (let i = 0; i < 5; i++) {
      pay(world, 0, `p${i}`);
      run(world, 50);
    }
    const signing = [world.nodes[3], second].filter((node) => node?.core?.me !== null);
    assert.ok(signing.length < 2, 'not both of them sign');
  });
});

describe('idle networks', () => {
  it('35: an idle network loses no view to a lone payment', () => {
    const world = started(four, idle);
    world.scheduler.runUntil(1_000);
    for (let i = 0; i < 20; i++) {
      pay(world, i % 4, `p${i}`);
      run(world, 500);
      assert.ok(committedBy(world, `p${i}`));
    }
    assert.equal(world.counts().get('nullify') ?? 0, 0);
  });

  it('33: the last votes of a payment are lost: it becomes final without a further payment', () => {
    const world = started(four, idle);
    world.network.filter = (_, __, message) =>
      message.t !== 'vote' || message.vote.statement.kind !== VoteKind.Finalize;
    pay(world, 0, 'p');
    run(world, 30);
    assert.equal(committedBy(world, 'p'), false);
    world.network.filter = null;
    finality(world, 'p', 3 * simTiming.advanceMs);
  });

  it('33: one that missed the end of the work is told, though nothing new happens', () => {
    const world = started(four, idle);
    world.network.partition([[0], [1, 2, 3]]);
    pay(world, 1, 'p');
    finality(world, 'p', 1_000, world.nodes.slice(1));
    // It votes in a view that is over, and standstill messages of others do not reach it.
    world.network.heal();
    world.network.filter = (_, to, message) => to !== 0 || message.t !== 'certificates';
    pay(world, 0, 'late');
    finality(world, 'late', 2_000);
    finality(world, 'p', 1);
  });

  it('L7: the first payment after an idle time is final soon, also under a dead leader', () => {
    const world = started([1n, 1n, 1n, 1n, 1n], idle);
    const dead = leaderSlot(world);
    world.nodes[dead]?.crash();
    run(world, 3_000);
    const alive = world.nodes.filter(({ slot }) => slot !== dead);
    pay(world, alive[0]?.slot ?? 0, 'p');
    const ms = finality(world, 'p', 2_000, alive);
    assert.ok(ms < simTiming.leaderMs + 20, `${ms} ms`);
  });

  it('2.8: a dead leader costs a wait once, and one message delay after that', () => {
    const world = started([1n, 1n, 1n, 1n, 1n, 1n, 1n], idle);
    world.nodes[0]?.crash();
    const alive = world.nodes.slice(1);
    const times: number[] = [];
    for (let i = 0; i < 60; i++) {
      pay(world, 1 + (i % 6), `p${i}`);
      times.push(finality(world, `p${i}`, 2_000, alive));
      run(world, 50);
    }
    const slow = times.filter((ms) => ms > simTiming.leaderMs);
    assert.ok(slow.length <= 1, `waited ${slow.length} times`);
  });

  it('2.8: a payment that only one node knows does not make it give up every view alone', () => {
    const world = started(four, idle);
    world.network.filter = (from, _, message) => message.t !== 'payments' || from !== 3;
    pay(world, 3, 'p');
    run(world, 5);
    world.network.filter = null;
    finality(world, 'p', 2 * simTiming.advanceMs);
  });

  it('2.15 (6): a node that was never there joins at the head of an idle chain', () => {
    const world = new World(1, four, { ...idle, spares: 1 });
    for (const node of world.nodes.slice(0, 4)) node.start();
    for (let i = 0; i < 5; i++) {
      run(world, 300);
      pay(world, 0, `#stake:1:${i + 2}:${i}`);
      for (let k = 0; k < 4; k++) {
        pay(world, 1, `p${i}.${k}`);
        run(world, 30);
      }
    }
    run(world, 1_000);
    assert.ok(world.oracle.epoch >= 4);
    world.nodes[4]?.start();
    run(world, 2_000);
    assert.equal(world.oracle.heightOf(4), world.oracle.heights);
    assert.equal(world.nodes[4]?.core?.options.epoch, world.oracle.epoch);
  });
});

describe('opposite certificates', () => {
  const ten = Array.from({ length: 10 }, () => 1n);

  /** In one view one half of the network sees the block notarized, the other sees it given up. */
  function split(halfOf: (slot: number) => boolean): World {
    const world = started(ten, idle);
    world.network.filter = (_, to, message) => {
      const kinds =
        message.t === 'vote'
          ? [message.vote.statement.kind]
          : message.t === 'certificate'
            ? [message.certificate.statement.kind]
            : message.t === 'certificates'
              ? message.certificates.map(({ statement }) => statement.kind)
              : [];
      if (kinds.includes(VoteKind.Finalize)) return false;
      if (kinds.includes(VoteKind.Notarize)) return halfOf(to);
      return true;
    };
    pay(world, 0, 'a');
    run(world, 3 * simTiming.advanceMs);
    return world;
  }

  it('31: halves that hold opposite certificates find together', () => {
    for (const halfOf of [
      (slot: number) => slot < 5,
      (slot: number) => slot % 2 === 0,
      (slot: number) => slot === 7,
    ]) {
      const world = split(halfOf);
      world.network.filter = null;
      pay(world, 9, 'b');
      finality(world, 'a', 20 * simTiming.advanceMs);
      finality(world, 'b', 10 * simTiming.advanceMs);
    }
  });

  it('31: also where the leader, whom one would ask first, is gone', () => {
    const world = split((slot) => slot < 5);
    world.network.filter = null;
    world.nodes[leaderSlot(world)]?.crash();
    const alive = world.nodes.filter((node) => node.up);
    pay(world, alive[0]?.slot ?? 0, 'b');
    finality(world, 'b', 20 * simTiming.advanceMs, alive);
  });
});

describe('timers and clocks', () => {
  it('30: views of halves that were apart for long are the same again at once', () => {
    const world = started(four, idle);
    world.network.partition([
      [0, 1],
      [2, 3],
    ]);
    pay(world, 0, 'a');
    pay(world, 2, 'b');
    run(world, 30_000);
    world.network.heal();
    // No timer had doubled into hours (besu#7642): the cap and one retry.
    finality(world, 'a', simTiming.capMs + 2 * simTiming.retryMs);
    finality(world, 'b', simTiming.capMs);
  });

  it('36: a leader whose clock runs ahead does not halt the chain, nor make others late', () => {
    for (const offset of [-10_000, 400, 3_000, 3_600_000]) {
      const world = started([1n, 1n, 1n, 1n, 1n], idle);
      world.skew(2, offset);
      for (let i = 0; i < 20; i++) {
        pay(world, 0, `p${i}`);
        finality(world, `p${i}`, simTiming.capMs);
        run(world, 20);
      }
    }
  });

  it('32: late timers, as after a long pause of the process, lose no view that goes well', () => {
    const world = started();
    world.stallChance = 0.5;
    for (let i = 0; i < 50; i++) {
      pay(world, i % 4, `p${i}`);
      run(world, 20);
    }
    world.stallChance = 0;
    for (let i = 0; i < 50; i++) finality(world, `p${i}`, 2_000);
  });
});

describe('changes of the validators', () => {
  function change(world: World, what: string): void {
    pay(world, 1, what);
    run(world, 1_000);
  }

  it('L6, 27: complete while one validator is down, and while one is silent', () => {
    const world = started([1n, 1n, 1n, 1n, 1n], { ...idle, spares: 2 });
    world.nodes[4]?.crash();
    change(world, '#join:5:1:0');
    change(world, '#join:6:1:1');
    world.behave(2, 'silent');
    change(world, '#leave:4:1:2');
    assert.equal(world.oracle.epoch, 3);
    assert.equal(world.oracle.pendingChanges, 0);
  });

  it('26: all crash at every place around the last block of an epoch', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = started(four, { spares: 1 }, seed);
      for (let i = 0; i < 3; i++) pay(world, 0, `p${i}`);
      run(world, 5);
      pay(world, 0, '#join:4:1:0');
      pay(world, 1, '#rotate:2:1:1');
      world.crashChance = 0.2;
      run(world, 150 + seed * 3);
      for (const node of world.nodes) if (node.up) world.crashAndRestart(node.slot);
      world.crashChance = 0;
      run(world, 400);
      finality(world, '#join:4:1:0', 3_000);
      finality(world, '#rotate:2:1:1', 1_000);
      run(world, 1_000);
      assert.equal(world.oracle.pendingChanges, 0);
      for (const { slot, disk } of world.nodes) world.oracle.audit(slot, disk.chain);
    }
  });

  it('21, 22: an ex-validator that votes on in the old epoch is answered and not counted', () => {
    const world = started([1n, 1n, 1n, 1n, 1n], idle);
    world.network.partition([[4], [0, 1, 2, 3]]);
    change(world, '#leave:4:1:0');
    assert.equal(world.oracle.epoch, 1);
    world.network.heal();
    pay(world, 4, 'late');
    finality(world, 'late', 2_000);
    assert.equal(world.nodes[4]?.core?.options.epoch, 1);
    assert.equal(world.nodes[4]?.core?.me, null);
  });

  it('11 of besu, #11109: a change that is voted in waits for no heartbeat', () => {
    const world = started(four, idle);
    const from = world.scheduler.now;
    pay(world, 0, '#stake:1:3:0');
    while (world.oracle.epoch === 0) {
      assert.ok(world.scheduler.now - from < 10 * simTiming.minEmptyIntervalMs);
      run(world, 1);
    }
  });
});

describe('bounds', () => {
  it('L8, L9: ten minutes apart: few messages, little kept, together again at once', () => {
    const world = started(four, idle);
    world.network.partition([
      [0, 1],
      [2, 3],
    ]);
    for (let i = 0; i < 50; i++) pay(world, i % 4, `p${i}`);
    run(world, 60_000);
    const before = world.network.messages;
    run(world, 540_000);
    const each = (world.network.messages - before) / 540 / 4;
    // Own status, certificates, at most three votes, a proposal and payments to every other node.
    assert.ok(each < 200, `${each} messages a second and node`);
    for (const { core, disk } of world.nodes) {
      assert.ok((core?.keptViews ?? 0) <= 8);
      assert.ok(disk.journal.length < 500);
    }
    world.network.heal();
    for (let i = 0; i < 50; i++) finality(world, `p${i}`, simTiming.capMs + 500);
  });
});
