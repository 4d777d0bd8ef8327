import { contentOf, type Payment } from './ledger.ts';
import type { Behaviour } from './node.ts';
import { Violation } from './oracle.ts';
import { simTiming, World } from './world.ts';

export type Result = {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly heights: number;
  readonly messages: number;
  readonly digest: number;
  /** Milliseconds from healing until everything accepted was final everywhere. */
  readonly recoveryMs: number;
  readonly counts: ReadonlyMap<string, number>;
};

const stakeVectors: readonly (readonly bigint[])[] = [
  [1n],
  [1n, 1n],
  [1n, 1n, 1n],
  [1n, 1n, 1n, 1n],
  [40n, 30n, 20n, 10n],
  [33n, 33n, 33n, 1n],
  [1n, 1n, 1n, 1n, 1n],
  [5n, 4n, 3n, 2n, 1n],
  [100n, 50n, 33n, 25n, 20n, 17n, 14n],
  [1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n],
  // Above 2^53, where a number would round.
  [(1n << 60n) + 1n, (1n << 60n) + 2n, 1n << 60n, (1n << 60n) - 1n],
];

const adversaries = [
  'equivocator',
  'silent',
  'doubleVoter',
  'staleParent',
  'forger',
  'liar',
] as const satisfies readonly Behaviour[];

/**
 * One seed: a network with faults of every kind for a while, then everything heals and what was
 * accepted has to become final on every honest node. Throws a Violation where a promise is broken.
 */
export function runSeed(seed: number): Result {
  const world = randomWorld(seed);
  const { random, scheduler, network, nodes } = world;
  const faultsUntil = random.between(2_000, 6_000);
  const accepted: Payment[] = [];
  world.startAll();
  submitSometimes(world, accepted, faultsUntil + 500);
  if (seed % 8 !== 0) misfortune(world, faultsUntil);
  scheduler.runUntil(faultsUntil);

  network.heal();
  network.loss = 0;
  network.duplication = 0;
  network.delayMin = Math.min(network.delayMin, 5);
  network.delayMax = Math.min(network.delayMax, 20);
  world.crashChance = 0;
  world.stallChance = 0;
  world.startAll();
  const healedAt = scheduler.now;
  scheduler.runUntil(healedAt + 600);
  const honest = nodes.filter((node) => node.behaviour === 'honest');
  const settled = () =>
    accepted.every((payment) =>
      honest.every((node) => node.up && world.oracle.hasCommitted(node.index, payment)),
    );
  const limit = healedAt + simTiming.capMs + 10 * simTiming.advanceMs + 600;
  // L1 to L5; checked once in a while, since it looks at everything.
  let recovered = settled();
  while (!recovered && scheduler.now < limit) {
    scheduler.runUntil(scheduler.now + 20);
    recovered = settled();
  }
  if (!recovered) throw new Violation(describeStall(world, accepted));
  return {
    seed,
    simulatedMs: scheduler.now,
    heights: Number(world.oracle.heights),
    messages: network.messages,
    digest: world.oracle.digest,
    recoveryMs: scheduler.now - healedAt,
    counts: world.counts(),
  };
}

function randomWorld(seed: number): World {
  const stakes = stakeVectors[seed % stakeVectors.length] ?? [1n];
  // In every third network nothing is ever saved by the heartbeat (L7).
  const heartbeatMs = seed % 3 === 0 ? 60_000 : simTiming.heartbeatMs;
  const world = new World(seed, stakes, { ...simTiming, heartbeatMs });
  const { random, network } = world;
  if (random.chance(0.3)) {
    network.delayMin = random.between(0.1, 5);
    network.delayMax = network.delayMin + random.between(0.1, 30);
  }
  const total = stakes.reduce((a, b) => a + b, 0n);
  if (random.chance(0.5)) {
    const index = random.below(stakes.length);
    // Strictly less than a third of the stake lies.
    if (3n * (stakes[index] ?? total) < total) {
      world.behave(index, random.pick(adversaries));
    }
  }
  return world;
}

function submitSometimes(world: World, accepted: Payment[], until: number): void {
  const { random, scheduler, nodes } = world;
  let count = 0;
  const next = () => {
    if (scheduler.now > until) return;
    const burst = random.chance(0.1) ? random.below(30) : 1;
    for (let i = 0; i < burst; i++) {
      const node = random.pick(nodes);
      const payment = `p${count++}`;
      if (node.submit(payment) && node.behaviour === 'honest') accepted.push(payment);
    }
    scheduler.after(
      random.chance(0.05) ? random.between(500, 2_500) : random.between(1, 120),
      next,
    );
  };
  scheduler.after(random.between(0, 50), next);
}

/** Loss, duplication, stalls, crashes, cuts: a new mix every now and then. */
function misfortune(world: World, until: number): void {
  const { random, scheduler, network, nodes } = world;
  const next = () => {
    if (scheduler.now > until) return;
    network.loss = random.chance(0.4) ? random.between(0, 0.5) : 0;
    network.duplication = random.chance(0.3) ? random.between(0, 0.3) : 0;
    world.stallChance = random.chance(0.2) ? 0.05 : 0;
    world.crashChance = random.chance(0.3) ? random.between(0.001, 0.05) : 0;
    const what = random.below(6);
    if (what === 0) network.heal();
    if (what === 1) {
      const order = random.shuffle(nodes.map((node) => node.index));
      const at = random.below(order.length + 1);
      network.partition([order.slice(0, at), order.slice(at)]);
    }
    if (what === 2) network.cut(random.below(nodes.length), random.below(nodes.length));
    if (what === 3) {
      const node = random.pick(nodes);
      if (node.up) world.crashAndRestart(node.index);
    }
    if (what === 4 && random.chance(0.3)) {
      for (const node of nodes) if (node.up) world.crashAndRestart(node.index);
    }
    scheduler.after(random.between(50, 900), next);
  };
  scheduler.after(random.between(10, 300), next);
}

function describeStall(world: World, accepted: readonly Payment[]): string {
  const { nodes, oracle } = world;
  const lines = nodes.map((node) => {
    const { core } = node;
    if (core === null) return `v${node.index} down`;
    const missing = accepted.filter((payment) => !oracle.hasCommitted(node.index, payment));
    return (
      `v${node.index} ${node.behaviour} view ${core.view} floor ${core.floor.view}/` +
      `${core.floor.height} armed ${core.armedAt} missing ${missing.length}`
    );
  });
  return `liveness: not final after healing\n  ${lines.join('\n  ')}`;
}

export { contentOf };
