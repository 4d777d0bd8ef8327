/** What is done to a network. Each round leaves everybody up and every wire sound. */
import assert from 'node:assert/strict';
import { pause } from './payments.ts';
import { call } from './witness.ts';
import type { World } from './world.ts';

export type Scenario = {
  readonly name: string;
  readonly validators: number;
  /** Rounds, unless the command line says otherwise. */
  readonly rounds: number;
  /** Over the shim: what it says about its syncs is true, or not, or comes late. */
  readonly disk?: 'real' | 'lies' | 'slow';
  play(world: World, round: number): Promise<Note>;
};

/** Figures worth a line, by name. */
export type Note = Readonly<Record<string, number>>;

/** From the end of a fault to a block that was not there before it. */
const healMsMax = 10_000;
/** From the start of a process to its answer. */
const readyMsMax = 10_000;

export const scenarios: readonly Scenario[] = [
  { name: 'kill one', validators: 4, rounds: 5, play: killOne },
  { name: 'kill two of seven', validators: 7, rounds: 3, play: killTwo },
  { name: 'kill all', validators: 4, rounds: 5, play: killAll },
  { name: 'restart all', validators: 4, rounds: 2, play: restartAll },
  { name: 'pause one', validators: 4, rounds: 2, play: pauseOne },
  { name: 'pause a quorum', validators: 4, rounds: 2, play: pauseTwo },
  { name: 'partitions of four', validators: 4, rounds: 5, play: partitionFour },
  { name: 'partitions of seven', validators: 7, rounds: 3, play: partitionSeven },
  { name: 'one-way', validators: 4, rounds: 3, play: oneWay },
  { name: 'flapping', validators: 4, rounds: 1, play: flapping },
  { name: 'clogged, one by one', validators: 4, rounds: 1, play: swizzle },
  { name: 'delay 50 ms', validators: 4, rounds: 1, play: delayed },
  { name: 'loss', validators: 4, rounds: 1, play: lossy },
  { name: 'thin wires', validators: 4, rounds: 1, play: thin },
  { name: 'one of four down', validators: 4, rounds: 1, play: oneDown },
  { name: 'empty directory', validators: 4, rounds: 2, play: emptied },
  { name: 'old copy', validators: 4, rounds: 2, play: oldCopy },
  { name: 'old copy, all restarted', validators: 4, rounds: 3, play: oldCopyAll },
];

async function killOne(world: World): Promise<Note> {
  const { cluster, random, witness } = world;
  const victim = random.below(cluster.members.length);
  await pause(random.between(200, 1_500));
  await cluster.kill(victim);
  const whileDown = await witness.above(witness.height, healMsMax);
  await pause(random.between(0, 800));
  await world.restart(victim);
  return { 'block while down': whileDown, 'ready again': await backUp(world) };
}

async function killTwo(world: World): Promise<Note> {
  const { cluster, random, witness } = world;
  const [first = 0, second = 1] = random.shuffle([...cluster.members.keys()]);
  await pause(random.between(200, 1_500));
  await cluster.kill(first, second);
  const whileDown = await witness.above(witness.height, healMsMax);
  await world.restart(second, first);
  return { 'block while down': whileDown, 'ready again': await backUp(world) };
}

async function killAll(world: World): Promise<Note> {
  const { cluster, random } = world;
  const all = [...cluster.members.keys()];
  await pause(random.between(500, 2_000));
  await cluster.kill(...all);
  return startInAnyOrder(world);
}

async function restartAll(world: World): Promise<Note> {
  const { cluster } = world;
  await pause(1_000);
  const started = performance.now();
  assert.ok(await cluster.stop(...cluster.members.keys()), 'all stop by themselves');
  const stopMs = performance.now() - started;
  return { stop: stopMs, ...(await startInAnyOrder(world)) };
}

async function pauseOne(world: World): Promise<Note> {
  const { cluster, random, witness } = world;
  const victim = random.below(cluster.members.length);
  cluster.pause(victim);
  await pause(500);
  const before = witness.height;
  await pause(9_500);
  assert.ok(witness.height > before, 'three of four go on');
  cluster.resume(victim);
  return { 'blocks meanwhile': witness.height - before, healed: await newBlock(world) };
}

async function pauseTwo(world: World): Promise<Note> {
  const { cluster, random } = world;
  const two = random.shuffle([...cluster.members.keys()]).slice(0, 2);
  for (const victim of two) cluster.pause(victim);
  await standsStill(world, 4_000);
  for (const victim of two) cluster.resume(victim);
  return { healed: await newBlock(world) };
}

async function partitionFour(world: World, round: number): Promise<Note> {
  const [a = 0, b = 1, c = 2, d = 3] = world.random.shuffle([0, 1, 2, 3]);
  const shapes = [
    [
      [a, b],
      [c, d],
    ],
    [[a, b, c], [d]],
    [[a], [b], [c], [d]],
  ];
  const shape = shapes[round % 5];
  if (shape !== undefined) return split(world, shape, round % 5 === 1);
  // A ring, then a chain: everybody is reached, but only through others.
  const links = [[a, b], [b, c], [c, d], ...(round % 5 === 3 ? [[d, a]] : [])];
  return only(world, links);
}

async function partitionSeven(world: World, round: number): Promise<Note> {
  const [a = 0, b = 1, c = 2, bridge = 3, d = 4, e = 5, f = 6] = world.random.shuffle([
    0, 1, 2, 3, 4, 5, 6,
  ]);
  if (round % 3 === 0)
    return split(
      world,
      [
        [a, b, c, bridge],
        [d, e, f],
      ],
      false,
    );
  if (round % 3 === 1)
    return split(
      world,
      [
        [a, b, c, bridge, d],
        [e, f],
      ],
      true,
    );
  const left = [
    [a, b],
    [b, c],
    [a, c],
    [a, bridge],
    [b, bridge],
    [c, bridge],
  ];
  const right = [
    [d, e],
    [e, f],
    [d, f],
    [d, bridge],
    [e, bridge],
    [f, bridge],
  ];
  return only(world, [...left, ...right]);
}

async function oneWay(world: World, round: number): Promise<Note> {
  const { cluster, random, witness } = world;
  const mute = random.below(cluster.members.length);
  for (const other of cluster.members.keys()) {
    if (other === mute) continue;
    // First it is not heard, then it does not hear, then half and half.
    if (round % 3 !== 1) cluster.net.set(mute, other, { stalled: true });
    if (round % 3 !== 0 && other % 2 === 0) cluster.net.set(other, mute, { stalled: true });
  }
  const whileCut = await witness.above(witness.height + 1, healMsMax);
  await pause(4_000);
  cluster.net.heal();
  return { 'block while cut': whileCut, healed: await newBlock(world) };
}

async function flapping(world: World): Promise<Note> {
  const { cluster, random } = world;
  for (let turn = 0; turn < 10; turn++) {
    const [alone = 0, ...rest] = random.shuffle([...cluster.members.keys()]);
    cluster.net.partition([alone], rest);
    await pause(1_000);
    cluster.net.heal();
    await pause(random.between(0, 1_000));
  }
  return { healed: await newBlock(world) };
}

async function swizzle(world: World): Promise<Note> {
  const { cluster, random } = world;
  const pairs = [...cluster.members.keys()].flatMap((a) =>
    [...cluster.members.keys()].filter((b) => b !== a).map((b) => [a, b] as const),
  );
  for (const [from, to] of random.shuffle(pairs)) {
    cluster.net.set(from, to, { stalled: true });
    await pause(200);
  }
  await pause(1_000);
  for (const [from, to] of random.shuffle(pairs)) {
    cluster.net.set(from, to, { stalled: false });
    await pause(200);
  }
  return { healed: await newBlock(world) };
}

async function delayed(world: World): Promise<Note> {
  world.cluster.net.setAll({ delayMs: 40, jitterMs: 20 });
  const rate = await measure(world, 8_000);
  world.cluster.net.heal();
  return { ...rate, healed: await newBlock(world) };
}

/** TCP loses nothing but connections: what is lost comes late, or not at all. */
async function lossy(world: World): Promise<Note> {
  const { cluster, random, witness } = world;
  const from = witness.height;
  let resets = 0;
  for (let turn = 0; turn < 60; turn++) {
    const [a = 0, b = 1] = random.shuffle([...cluster.members.keys()]);
    if (random.chance(0.3)) resets += cluster.net.reset(a, b);
    else {
      cluster.net.set(a, b, { stalled: true });
      setTimeout(() => cluster.net.set(a, b, { stalled: false }), random.between(50, 600));
    }
    await pause(random.between(50, 250));
  }
  await pause(700);
  cluster.net.heal();
  return { resets, blocks: witness.height - from, healed: await newBlock(world) };
}

async function thin(world: World): Promise<Note> {
  world.cluster.net.setAll({ bytesPerSecond: 64 * 1024, delayMs: 5 });
  const rate = await measure(world, 8_000);
  world.cluster.net.heal();
  return { ...rate, healed: await newBlock(world) };
}

async function oneDown(world: World): Promise<Note> {
  const { cluster, random } = world;
  const victim = random.below(cluster.members.length);
  await pause(1_000);
  const whole = await measure(world, 10_000);
  await cluster.kill(victim);
  await pause(1_000);
  const three = await measure(world, 10_000);
  const part = (100 * (three['payments/s'] ?? 0)) / (whole['payments/s'] ?? 1);
  assert.ok(part >= 60, `with three of four: ${part.toFixed(0)} % of the payments`);
  await world.restart(victim);
  await backUp(world);
  return {
    'payments/s': whole['payments/s'] ?? 0,
    'with three': three['payments/s'] ?? 0,
    'blocks/s': whole['blocks/s'] ?? 0,
    'blocks/s with three': three['blocks/s'] ?? 0,
  };
}

/**
 * Its disk is new, its key is the old one: what it signed is forgotten. What it signed and nobody
 * heard may be signed anew in another way, so that only the wire counts, not the lost journal.
 */
async function emptied(world: World): Promise<Note> {
  const { cluster } = world;
  await trustNoMore(world, forgetful);
  await cluster.kill(forgetful);
  await cluster.wipe(forgetful);
  return returnOf(world);
}

/** Yesterday's directory comes back while the others go on. */
async function oldCopy(world: World): Promise<Note> {
  const { cluster } = world;
  const copy = await copyOf(world);
  await cluster.kill(forgetful);
  cluster.restoreFrom(copy, forgetful);
  return returnOf(world);
}

/** The hard case: all stop in the midst of a view, and one comes back without its memory of it. */
async function oldCopyAll(world: World): Promise<Note> {
  const { cluster, random } = world;
  const copy = await copyOf(world);
  await pause(random.between(300, 900));
  await cluster.kill(...cluster.members.keys());
  cluster.restoreFrom(copy, forgetful);
  const note = await startInAnyOrder(world);
  cluster.trust(forgetful);
  return { ...note, signs: await signs(world) };
}

/** Always the same one, because it may sign no more in this epoch: a second would be one too many. */
export const forgetful = 3;

export async function returnOf(world: World): Promise<Note> {
  await world.restart(forgetful);
  const readyMs = await backUp(world);
  await pause(2_000);
  world.cluster.trust(forgetful);
  return { 'ready again': readyMs, signs: await signs(world) };
}

/** 1 where it votes again. */
async function signs({ cluster }: World): Promise<number> {
  const rpc = cluster.members[forgetful]?.rpc ?? '';
  const status = await call<{ validator: string | null }>(rpc, 'mpbp_nodeStatus', []);
  return status.validator === null ? 0 : 1;
}

export async function copyOf(world: World): Promise<string> {
  const { cluster } = world;
  await trustNoMore(world, forgetful);
  await cluster.kill(forgetful);
  const copy = cluster.backUp(forgetful);
  await world.restart(forgetful);
  await world.ready();
  await pause(2_000);
  return copy;
}

/** What it promises from now on would go with its directory; what it promised is mined first. */
export async function trustNoMore(world: World, index: number): Promise<void> {
  world.cluster.distrust(index);
  await world.settle(true);
  await pause(world.random.between(300, 1_000));
}

// --- how it is judged ---------------------------------------------------------------------------

export async function backUp(world: World): Promise<number> {
  const started = performance.now();
  await world.ready();
  const ms = performance.now() - started;
  assert.ok(ms < readyMsMax, `ready after ${ms.toFixed(0)} ms`);
  return ms;
}

/** Two blocks more, because one may have been under way. */
export async function newBlock(world: World, limitMs = healMsMax): Promise<number> {
  return world.witness.above(world.witness.height + 1, limitMs);
}

export async function startInAnyOrder(world: World, limitMs = healMsMax): Promise<Note> {
  const { cluster, random } = world;
  for (const index of random.shuffle([...cluster.members.keys()])) {
    await world.restart(index);
    await pause(random.between(0, 400));
  }
  const readyMs = await backUp(world);
  return { 'ready again': readyMs, healed: await newBlock(world, limitMs) };
}

async function split(
  world: World,
  groups: readonly (readonly number[])[],
  goesOn: boolean,
): Promise<Note> {
  const { cluster, witness } = world;
  cluster.net.partition(...groups);
  const before = witness.height;
  if (goesOn) await pause(5_000);
  else await standsStill(world, 5_000);
  if (goesOn) assert.ok(witness.height > before + 1, 'the greater part goes on');
  cluster.net.heal();
  return { healed: await newBlock(world) };
}

/** Whoever is not linked cannot speak. Blocks may come or not, as long as there is one chain. */
async function only(world: World, links: readonly (readonly number[])[]): Promise<Note> {
  const { cluster, witness } = world;
  cluster.net.setAll({ stalled: true });
  for (const [a = 0, b = 0] of links) {
    cluster.net.set(a, b, { stalled: false });
    cluster.net.set(b, a, { stalled: false });
  }
  const before = witness.height;
  await pause(6_000);
  const blocks = witness.height - before;
  cluster.net.heal();
  return { 'blocks meanwhile': blocks, healed: await newBlock(world) };
}

/** What was decided before the fault may still be told; then there is nothing new. */
async function standsStill(world: World, ms: number): Promise<void> {
  await pause(1_000);
  const { height } = world.witness;
  await pause(ms - 1_000);
  assert.equal(world.witness.height, height, 'no quorum, no block');
}

export async function measure({ witness }: World, ms: number): Promise<Note> {
  const [height, mined, started] = [witness.height, witness.mined.size, performance.now()];
  await pause(ms);
  const seconds = (performance.now() - started) / 1_000;
  return {
    'payments/s': (witness.mined.size - mined) / seconds,
    'blocks/s': (witness.height - height) / seconds,
  };
}
