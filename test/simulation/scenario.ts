import { statusIntervalMs } from '#consensus/core/limits.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { adversaries } from './byzantine.ts';
import type { SimDisk } from './disk.ts';
import type { Payment } from './ledger.ts';
import { randomDeed } from './money.ts';
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
  [1n, 1n, 1n, 1n, 1n, 1n, 1n],
  [1n, 1n, 1n, 1n],
  // Above 2^53, where a number would round.
  [(1n << 60n) + 1n, (1n << 60n) + 2n, 1n << 60n, (1n << 60n) - 1n],
  [1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n, 1n],
];

/** In so many networks one has money: its contracts take longer than all of agreement. */
const moneyEvery = 7;

/** Everything that one seed decides, in an order that never changes. */
export type Plan = {
  readonly world: World;
  /** The validator that lies, or has two nodes, or an old disk; null where nobody does. */
  readonly faulty: number | null;
  readonly faultsUntil: number;
};

/**
 * One seed: a network with faults of every kind for a while, then everything heals and what was
 * accepted has to become final on every honest node. Throws a Violation where a promise is broken.
 * `until` stops the faults earlier than the seed says, to find the shortest run that still fails;
 * `trace` is filled with what happened.
 */
export function runSeed(
  seed: number,
  until = Number.POSITIVE_INFINITY,
  trace: string[] | null = null,
): Result {
  const { world, faulty, faultsUntil: planned } = makePlan(seed);
  world.trace = trace;
  const { scheduler, network, nodes } = world;
  const faultsUntil = Math.min(planned, until);
  const accepted: Payment[] = [];
  world.startAll();
  // Of its own chance, so that a network without money would go the same way.
  const deeds = seed % moneyEvery === 0 ? new SeededRandom(seed) : null;
  submitSometimes(world, accepted, deeds, faultsUntil + 500);
  if (seed % 4 !== 1) changeValidators(world, accepted, faulty, faultsUntil);
  if (seed % 8 !== 0) misfortune(world, faultsUntil);
  if (faulty !== null) forget(world, faulty, faultsUntil);
  scheduler.runUntil(faultsUntil);
  heal(world);
  const healedAt = scheduler.now;
  scheduler.runUntil(healedAt + 600);
  const honest = nodes.filter((node) => node.isHonest);
  const settled = () =>
    world.oracle.pendingChanges === 0 &&
    honest.every((node) => node.core?.options.epoch === world.oracle.epoch) &&
    accepted.every((payment) =>
      honest.every((node) => world.oracle.hasCommitted(node.slot, payment)),
    );
  // Who missed the end of the work on an idle network hears of it with the next status.
  const patience = simTiming.capMs + 10 * simTiming.advanceMs + statusIntervalMs;
  const limit = healedAt + 600 + patience;
  // L1 to L6; checked once in a while, since it looks at everything.
  let recovered = settled();
  while (!recovered && scheduler.now < limit) {
    scheduler.runUntil(scheduler.now + 20);
    recovered = settled();
  }
  if (!recovered) throw new Violation(describeStall(world, accepted));
  const settledAt = scheduler.now;
  scheduler.runUntil(settledAt + 5);
  for (const node of honest) world.oracle.audit(node.slot, node.disk.chain);
  return {
    seed,
    simulatedMs: scheduler.now,
    heights: Number(world.oracle.heights),
    messages: network.messages,
    digest: world.oracle.digest,
    recoveryMs: settledAt - healedAt,
    counts: world.counts(),
  };
}

function heal(world: World): void {
  const { network } = world;
  network.heal();
  network.loss = 0;
  network.duplication = 0;
  network.delayMin = Math.min(network.delayMin, 5);
  network.delayMax = Math.min(network.delayMax, 20);
  for (const { slot } of world.nodes) network.slow(slot, 0);
  for (const { slot } of world.nodes) world.skew(slot, world.random.between(-100, 100));
  world.crashChance = 0;
  world.stallChance = 0;
  world.slowSyncChance = 0;
  world.contractsChance = 0;
  world.startAll();
}

function makePlan(seed: number): Plan {
  const stakes = stakeVectors[seed % stakeVectors.length] ?? [1n];
  const total = stakes.reduce((a, b) => a + b, 0n);
  // Drawn before the world is made, which draws for itself.
  const chosen = (Math.imul(seed, 2654435761) >>> 8) % (2 * stakes.length);
  const stake = stakes[chosen];
  // Strictly less than a third of the stake is faulty.
  const faulty = stake !== undefined && 3n * stake < total ? chosen : null;
  const isTwin = faulty !== null && seed % 5 === 0;
  // In every third network nothing is ever saved by the heartbeat (L7).
  const heartbeatMs = seed % 3 === 0 ? 60_000 : simTiming.heartbeatMs;
  const world = new World(seed, stakes, {
    timing: { ...simTiming, heartbeatMs },
    spares: seed % 4 === 1 ? 0 : 2,
    twin: isTwin ? faulty : null,
  });
  const { random, network } = world;
  if (random.chance(0.3)) {
    network.delayMin = random.between(0.1, 5);
    network.delayMax = network.delayMin + random.between(0.1, 30);
  }
  if (faulty !== null && !isTwin) world.behave(faulty, random.pick([...adversaries, 'amnesiac']));
  return { world, faulty, faultsUntil: random.between(2_000, 6_000) };
}

function submitSometimes(
  world: World,
  accepted: Payment[],
  deeds: SeededRandom | null,
  until: number,
): void {
  const { random, scheduler, nodes } = world;
  let count = 0;
  const next = () => {
    if (scheduler.now > until) return;
    const burst = random.chance(0.1) ? random.below(30) : 1;
    for (let i = 0; i < burst; i++) {
      const node = random.pick(nodes);
      const payment = `p${count++}${deeds === null ? '' : `$${randomDeed(deeds)}`}`;
      if (node.submit(payment) && node.isHonest) accepted.push(payment);
    }
    scheduler.after(
      random.chance(0.05) ? random.between(500, 2_500) : random.between(1, 120),
      next,
    );
  };
  scheduler.after(random.between(0, 50), next);
}

/** Validators join, leave, get more or less stake, and change their keys. */
function changeValidators(
  world: World,
  accepted: Payment[],
  faulty: number | null,
  until: number,
): void {
  const { random, scheduler, nodes, members } = world;
  // What each honest validator has at least, whichever of the changes so far take effect.
  const least = new Map(members.map(({ identity, stake }) => [identity, stake]));
  const lies = faulty === null ? 0n : (least.get(faulty) ?? 0n);
  let count = 0;
  const next = () => {
    if (scheduler.now > until) return;
    scheduler.after(random.between(100, 1_200), next);
    const { identity, isHonest } = random.pick(nodes);
    const kind = random.pick(['join', 'leave', 'stake', 'rotate'] as const);
    const stake = random.pick([...least.values()].filter((one) => one > 0n));
    if (!isHonest && kind !== 'rotate') return;
    const before = least.get(identity) ?? 0n;
    const after = kind === 'leave' || kind === 'join' ? 0n : stake < before ? stake : before;
    if (kind === 'stake') least.set(identity, after);
    if (kind === 'leave') least.set(identity, 0n);
    let honest = 0n;
    for (const [who, one] of least) if (who !== faulty) honest += one;
    // Also with every change that may or may not come, the faulty have less than a third.
    if (honest === 0n || 3n * lies >= lies + honest) {
      least.set(identity, before);
      return;
    }
    const change = `#${kind}:${identity}:${stake}:${count++}`;
    const node = random.pick(nodes);
    if (node.submit(change) && node.isHonest) accepted.push(change);
  };
  scheduler.after(random.between(50, 500), next);
}

/** Loss, duplication, stalls, slow disks, wrong clocks, crashes, cuts: a new mix now and then. */
function misfortune(world: World, until: number): void {
  const { random, scheduler, network, nodes } = world;
  const next = () => {
    if (scheduler.now > until) return;
    network.loss = random.chance(0.4) ? random.between(0, 0.5) : 0;
    network.duplication = random.chance(0.3) ? random.between(0, 0.3) : 0;
    world.stallChance = random.chance(0.2) ? 0.05 : 0;
    world.slowSyncChance = random.chance(0.1) ? 0.1 : 0;
    world.contractsChance = random.chance(0.5) ? 0.1 : 0;
    world.crashChance = random.chance(0.3) ? random.between(0.001, 0.05) : 0;
    const any = () => random.below(nodes.length);
    switch (random.below(9)) {
      case 0:
        network.heal();
        break;
      case 1: {
        const order = random.shuffle(nodes.map((node) => node.slot));
        const at = random.below(order.length + 1);
        network.partition([order.slice(0, at), order.slice(at)]);
        break;
      }
      case 2:
        network.cut(any(), any());
        break;
      case 3:
        if (nodes[any()]?.up) world.crashAndRestart(any());
        break;
      case 4:
        if (!random.chance(0.3)) break;
        for (const node of nodes) if (node.up) world.crashAndRestart(node.slot);
        break;
      case 5:
        network.slow(any(), random.chance(0.5) ? 0 : random.between(1, 80));
        break;
      case 6:
        world.skew(any(), random.between(-400, 400), random.between(0.99, 1.01));
        break;
      case 7:
        // A wrong clock is outvoted; where nobody can outvote it, its time has to be waited for.
        if (random.chance(0.2) && nodes.length > 3) {
          world.skew(any(), random.between(-5_000, 5_000));
        }
        break;
      case 8:
        for (const node of nodes) node.reconnect(random.pick(nodes));
    }
    scheduler.after(random.between(50, 900), next);
  };
  scheduler.after(random.between(10, 300), next);
}

/** The amnesiac's disk goes back to what it was some time ago; its owner calls it a backup. */
function forget(world: World, faulty: number, until: number): void {
  const { random, scheduler, nodes } = world;
  const node = nodes[faulty];
  if (node?.behaviour !== 'amnesiac') return;
  const backups: SimDisk[] = [];
  const next = () => {
    if (scheduler.now > until) return;
    backups.push(node.disk.copy());
    if (random.chance(0.4)) {
      node.crash();
      node.disk = random.pick(backups).copy();
      world.count('backup restored');
      scheduler.after(random.between(1, 200), () => {
        if (!node.up) node.start();
      });
    }
    scheduler.after(random.between(200, 900), next);
  };
  scheduler.after(random.between(200, 900), next);
}

function describeStall(world: World, accepted: readonly Payment[]): string {
  const { nodes, oracle } = world;
  const lines = nodes.map((node) => {
    const { core } = node;
    if (core === null) return `v${node.slot} down`;
    const missing = accepted.filter((payment) => !oracle.hasCommitted(node.slot, payment));
    return (
      `v${node.slot} ${node.behaviour} signs ${core.me} recalls ${core.isRecalling} ` +
      `epoch ${core.options.epoch} view ${core.view} floor ${core.floor.view}/` +
      `${core.floor.height} armed ${core.armedAt} missing ${missing.length}`
    );
  });
  const set = nodes
    .map(({ core }) => core?.options)
    .find((options) => options?.epoch === oracle.epoch)
    ?.set.validators.map(({ peerId, stake }) => `${peerId}:${stake}`);
  const state = `epoch ${oracle.epoch} of ${set}, ${oracle.pendingChanges} changes pending`;
  return `liveness: not final after healing, ${state}\n  ${lines.join('\n  ')}`;
}
