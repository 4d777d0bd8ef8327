/**
 * D6: a full disk. A validator whose disk is full answers and does nothing else; with room it goes on
 * by itself. `MPBP_DISK_FULL_LOOPS` sets how often, here `loopsOfOne`.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { until } from '../chaos/checks.ts';
import { pause } from '../chaos/payments.ts';
import { newBlock } from '../chaos/scenarios.ts';
import { call } from '../chaos/witness.ts';
import { World } from '../chaos/world.ts';
import { run } from '../cluster/devnet.ts';
import { SmallDisk } from './smallDisk.ts';

const loopsOfOne = Number(process.env.MPBP_DISK_FULL_LOOPS ?? 5);
const loopsOfAll = Math.max(1, loopsOfOne >> 2);
const victim = 3;
const diskMebibytes = 48;
const reserveMebibytes = 4;
const reserveBytes = reserveMebibytes * 1024 ** 2;
/** For votes that had left before. */
const onTheWayMs = 300;
/** From room on the disk to a vote. */
const resumeMsMax = 10_000;

type Status = { diskFull: string | null; height: string };

for (const guard of ['the reserve', 'LevelDB itself'] as const) {
  /** Without a reserve the writes meet the full disk. */
  const reserve = guard === 'the reserve' ? reserveMebibytes : 0;
  const leftBytes = guard === 'the reserve' ? reserveBytes - 4_096 : 0;

  describe(`a full disk, noticed by ${guard}`, { concurrency: 1, timeout: 600_000 }, () => {
    let world: World;
    let disks: SmallDisk[] = [];
    const rpcOf = (index: number) => world.cluster.members[index]?.rpc ?? '';
    const status = (index: number) => call<Status>(rpcOf(index), 'mpbp_nodeStatus', []);
    const votesOf = (index: number) => {
      const { set, members } = world.cluster;
      const signer = set.findIndex(({ peerId }) => peerId === members[index]?.peerId);
      return world.observer.signatures.votesOf.get(signer) ?? 0;
    };
    const isFull = async (index: number) => (await status(index)).diskFull !== null;

    before(async () => {
      const mounts = new Map<number, SmallDisk | null>();
      const options = { validators: 4, seed: 11, perSecond: 40 };
      world = await World.open({
        ...options,
        environment: (index, dir) => {
          if (!mounts.has(index)) mounts.set(index, SmallDisk.mount(dir, diskMebibytes));
          return { MPBP_STORAGE_RESERVE_MEBIBYTES: `${reserve}` };
        },
      });
      disks = [...mounts.values()].filter((disk) => disk !== null);
      world.pay();
    });
    after(async () => {
      await world.cluster.kill(...world.cluster.members.keys());
      for (const disk of disks) disk.unmount();
      await world.close();
    });

    it(`${loopsOfOne} times on one of four: it answers, and goes on by itself`, async (t) => {
      if (disks.length < 4) return t.skip('file systems cannot be mounted here');
      const disk = disks[victim];
      assert.ok(disk !== undefined);
      let slowestMs = 0;
      for (let loop = 0; loop < loopsOfOne; loop++) {
        // By somebody else's file, or that far that the next blocks do it.
        disk.fill(loop % 2 === 0 ? leftBytes : leftBytes + 40_000);
        await until('it says that its disk is full', () => isFull(victim));
        const height = Number((await status(victim)).height);
        await pause(onTheWayMs);
        const votes = votesOf(victim);
        const others = await newBlock(world);
        assert.ok(others < 10_000, 'the others go on');
        await answersWhileFull(rpcOf(victim), 1_000);
        const then = await status(victim);
        assert.ok(Number(then.height) <= height + 1, 'it writes no block');
        assert.equal(votesOf(victim), votes, 'it casts no vote');
        disk.clear();
        const started = performance.now();
        await until(
          'it is level',
          async () => {
            return Number((await status(victim)).height) >= world.witness.height - 1;
          },
          resumeMsMax,
        );
        await until(
          'it votes',
          async () => {
            return votesOf(victim) > votes;
          },
          resumeMsMax,
        );
        slowestMs = Math.max(slowestMs, performance.now() - started);
        assert.equal(await isFull(victim), false);
      }
      t.diagnostic(`level and voting again after at most ${slowestMs.toFixed(0)} ms`);
      await world.settle(true);
    });

    it(`${loopsOfAll} times on all: the network stands still, and goes on by itself`, async (t) => {
      if (disks.length < 4) return t.skip('file systems cannot be mounted here');
      for (let loop = 0; loop < loopsOfAll; loop++) {
        for (const disk of disks) disk.fill(leftBytes);
        for (const index of disks.keys()) {
          await until('it says that its disk is full', () => isFull(index));
        }
        const { height } = world.witness;
        await pause(1_500);
        assert.ok(world.witness.height <= height + 1, 'nobody writes a block');
        for (const index of disks.keys()) await answersWhileFull(rpcOf(index), 100);
        for (const disk of disks) disk.clear();
        const ms = await newBlock(world, resumeMsMax);
        t.diagnostic(`a block ${ms.toFixed(0)} ms after there was room`);
      }
      await world.settle(false);
    });

    it('loses no promise, contradicts no vote, and has sound databases in the end', async (t) => {
      if (disks.length < 4) return t.skip('file systems cannot be mounted here');
      await world.finish();
      for (const { dir } of world.cluster.members) {
        assert.ok(existsSync(dir));
        const { code, stdout, stderr } = await run(['db', 'check', dir]);
        assert.equal(code, EXIT.ok, stdout + stderr);
      }
    });
  });
}

/** Reads, which are answered, and payments, which are refused. */
async function answersWhileFull(rpc: string, ms: number): Promise<void> {
  const end = performance.now() + ms;
  do {
    const head = await call<string>(rpc, 'eth_blockNumber', []);
    const block = await call<{ number: string }>(rpc, 'eth_getBlockByNumber', [head, true]);
    assert.equal(block.number, head);
    assert.match(await call<string>(rpc, 'eth_getBalance', [account, 'latest']), /^0x/);
    const params = ['0x00'];
    await assert.rejects(call(rpc, 'eth_sendRawTransaction', params), /disk is full/);
    assert.equal((await fetch(`${rpc}/readyz`)).status, 503);
    assert.equal((await fetch(`${rpc}/healthz`)).status, 200);
    await pause(20);
  } while (performance.now() < end);
}

const account = '0x00000000000000000000000000000000000ca501';
