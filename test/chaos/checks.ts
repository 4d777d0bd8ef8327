/** What has to hold after every scenario, whatever was done to the network. */
import assert from 'node:assert/strict';
import { run } from '../cluster/devnet.ts';
import { feeAccount } from './cluster.ts';
import { fundedAddresses, fundsEach, pause, payee } from './payments.ts';
import { blocksOf, call } from './witness.ts';
import type { World } from './world.ts';

const settleMs = 20_000;

/** Everybody is there, agrees, and every promise is kept. */
export async function checkAll(world: World): Promise<void> {
  const { cluster, observer, witness } = world;
  assert.deepEqual(cluster.deaths, [], 'nobody stopped by itself');
  assert.deepEqual(observer.signatures.conflicts, [], 'nobody signed two conflicting statements');
  await allMined(world);
  await allEqual(world);
  await nothingMade(world);
  assert.deepEqual(witness.contradictions, [], 'what was final stays as it was');
  assert.deepEqual(cluster.deaths, [], 'nobody stopped by itself');
}

/** Every payment that a node promised is in a block; once, or the witness would have said so. */
async function allMined({ payments, witness }: World): Promise<void> {
  const deadline = performance.now() + settleMs;
  for (;;) {
    const open = [...payments.accepted.keys()].filter((hash) => !witness.mined.has(hash));
    if (open.length === 0) return;
    if (performance.now() > deadline) {
      assert.fail(`${open.length} accepted payments are not mined, such as ${open[0]}`);
    }
    await payments.insist();
    await pause(100);
  }
}

/** All nodes have the witness's blocks up to its height, and the same receipts at the top. */
async function allEqual(world: World): Promise<void> {
  const { cluster, witness } = world;
  const top = witness.height;
  for (const { rpc } of cluster.members) {
    await until(`${rpc} has block ${top}`, async () => {
      return Number(await call<string>(rpc, 'eth_blockNumber', [])) >= top;
    });
    for (let from = world.checkedHeight; from <= top; from += 50) {
      for (const block of await blocksOf(rpc, from, Math.min(top, from + 49))) {
        const known = witness.blocks[Number(block.number)];
        assert.deepEqual(block, known, `${rpc}: block ${block.number}`);
      }
    }
  }
  for (let height = Math.max(1, top - 2); height <= top; height++) {
    const at = `0x${height.toString(16)}`;
    const all = await Promise.all(
      cluster.members.map(({ rpc }) => call(rpc, 'eth_getBlockReceipts', [at])),
    );
    for (const receipts of all) assert.deepEqual(receipts, all[0], `receipts of ${height}`);
  }
  world.checkedHeight = top;
}

/** Money moves; it is neither made nor lost. Only recent states are kept, so the newest is asked. */
async function nothingMade({ cluster, witness }: World): Promise<void> {
  const accounts = [...fundedAddresses(), payee, ...cluster.members.map((_, at) => feeAccount(at))];
  const total = fundsEach * BigInt(fundedAddresses().length);
  for (const { rpc } of cluster.members) {
    await until(`${rpc} has exactly the money of genesis`, async () => {
      const at = `0x${witness.height.toString(16)}`;
      const balances = await Promise.all(
        accounts.map((account) => call<string>(rpc, 'eth_getBalance', [account, at])),
      );
      const sum = balances.reduce((all, balance) => all + BigInt(balance), 0n);
      assert.equal(sum, total, `${rpc}: money at ${at}`);
      return true;
    });
  }
}

/** The last word: an auditor replays what each validator has on disk. All are stopped. */
export async function auditAll({ cluster }: World): Promise<void> {
  for (const { dir } of cluster.members) {
    const { code, stdout, stderr } = await run(['audit', 'replay', dir, '--json']);
    assert.equal(code, 0, stdout + stderr);
    assert.equal((JSON.parse(stdout) as { sound: boolean }).sound, true, stdout);
  }
}

export async function until(
  what: string,
  holds: () => Promise<boolean>,
  limitMs = settleMs,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(50);
  }
}
