/** What is done to the disks. Needs a C compiler for the shim. */
import assert from 'node:assert/strict';
import { pause } from './payments.ts';
import {
  backUp,
  copyOf,
  forgetful,
  measure,
  type Note,
  newBlock,
  returnOf,
  type Scenario,
  startInAnyOrder,
  trustNoMore,
} from './scenarios.ts';
import type { World } from './world.ts';

const slowMs = 500;
/** D7: of the interval between blocks, 95th percentile. */
const slowTimesMax = 1.5;
const measureMs = 20_000;
const agedBlocks = 1_000;
const agedMsMax = 300_000;

export const powerScenarios: readonly Scenario[] = [
  { name: 'power cut of one', validators: 4, rounds: 10, disk: 'real', play: cutOne },
  { name: 'power cut of all', validators: 4, rounds: 10, disk: 'real', play: cutAll },
  { name: 'power cut of all, lying disks', validators: 4, rounds: 5, disk: 'lies', play: cutLiars },
  { name: 'one slow disk', validators: 4, rounds: 1, disk: 'slow', play: slowDisk },
  { name: 'copy of 1,000 blocks ago', validators: 4, rounds: 20, play: agedCopy },
];

async function cutOne(world: World): Promise<Note> {
  const { cluster, random, witness } = world;
  const victim = random.below(cluster.members.length);
  await pause(random.between(200, 1_500));
  await cluster.kill(victim);
  world.cutPower(victim);
  await witness.above(witness.height, 10_000);
  await world.restart(victim);
  return { 'ready again': await backUp(world), 'lost KiB': world.lostBytes / 1_024 };
}

/** It fails anyway: there is no need to wait long for it. */
async function cutLiars(world: World): Promise<Note> {
  return cutAll(world, 0, 4_000);
}

async function cutAll(world: World, _round: number, healMs?: number): Promise<Note> {
  const { cluster, random } = world;
  const all = [...cluster.members.keys()];
  await pause(random.between(300, 2_000));
  await cluster.kill(...all);
  world.cutPower(...all);
  return { ...(await startInAnyOrder(world, healMs)), 'lost KiB': world.lostBytes / 1_024 };
}

/** D8: the same copy comes back again and again, each time older. */
async function agedCopy(world: World, round: number): Promise<Note> {
  const { cluster, witness } = world;
  if (round === 0) {
    await copyOf(world);
    await witness.above(witness.height + agedBlocks, agedMsMax);
  } else await trustNoMore(world, forgetful);
  await cluster.kill(forgetful);
  cluster.restoreFrom(cluster.backupOf(forgetful), forgetful);
  return returnOf(world);
}

/** The first validator's syncs take half a second more. */
async function slowDisk(world: World): Promise<Note> {
  const { cluster } = world;
  await pause(1_000);
  const slow = await intervals(world);
  await cluster.kill(0);
  world.disk(0).slowMs = 0;
  await world.restart(0);
  await backUp(world);
  await newBlock(world);
  const sound = await intervals(world);
  const [slowP95, p95] = [slow['p95 ms'] ?? 0, sound['p95 ms'] ?? 1];
  const times = slowP95 / p95;
  assert.ok(times <= slowTimesMax, `blocks take ${times.toFixed(1)} times as long (p95)`);
  return {
    [`p95 ms with ${slowMs} ms`]: slowP95,
    'p95 ms': p95,
    'times as long': times,
    [`blocks/s with ${slowMs} ms`]: slow['blocks/s'] ?? 0,
    'blocks/s': sound['blocks/s'] ?? 0,
  };
}

/** From one block to the next, as an observer hears of them. */
async function intervals(world: World): Promise<Note> {
  const { proposedAt } = world.observer.signatures;
  const from = proposedAt.length;
  const rate = await measure(world, measureMs);
  const heard = proposedAt.slice(from);
  const sorted = heard.slice(1).map((at, index) => at - (heard[index] ?? at));
  sorted.sort((a, b) => a - b);
  return { ...rate, 'p95 ms': sorted[Math.floor(sorted.length * 0.95)] ?? 0 };
}

/** Milliseconds that a sync of this validator takes more in that scenario. */
export function slownessOf(disk: Scenario['disk'], index: number): number {
  return disk === 'slow' && index === 0 ? slowMs : 0;
}
