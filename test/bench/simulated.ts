import { simTiming, World } from '../simulation/world.ts';
import { percentile } from './table.ts';

/** The wide-area values of the design: an empty block waits longer than a message travels. */
export const wideAreaTimers = {
  leaderMs: 1_500,
  advanceMs: 3_000,
  retryMs: 1_000,
  capMs: 30_000,
  minEmptyIntervalMs: 500,
};

/**
 * Simulated milliseconds from the leader that has a payment to all final: the median over payments
 * at whoever leads, on an idle network of `n` whose messages take `delay` ms.
 */
export function finalityUnderDelay(n: number, delay: number, payments: number): number {
  const timing = { ...simTiming, ...wideAreaTimers, heartbeatMs: 600_000 };
  const world = new World(
    1,
    Array.from({ length: n }, () => 1n),
    { timing },
  );
  world.network.delayMin = delay;
  world.network.delayMax = delay;
  world.startAll();
  world.scheduler.runUntil(5_000);
  const times: number[] = [];
  for (let i = 0; i < payments; i++) {
    world.scheduler.runUntil(world.scheduler.now + 10 * delay + 1_000);
    const core = world.nodes[0]?.core;
    const leader = core?.options.set.validators[core.leader]?.peerId;
    const node = world.nodes.find(({ peer }) => peer === leader);
    const from = world.scheduler.now;
    node?.submit(`p${i}`);
    while (!world.nodes.every(({ slot }) => world.oracle.hasCommitted(slot, `p${i}`))) {
      world.scheduler.runUntil(world.scheduler.now + 0.05);
    }
    times.push(world.scheduler.now - from);
  }
  return percentile(
    times.sort((a, b) => a - b),
    0.5,
  );
}
