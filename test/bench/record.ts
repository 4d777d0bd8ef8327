/**
 * What becomes of the record: how fast a node that was away comes back, how fast an auditor replays
 * it, what it takes on disk, and how soon a node answers that has it. Four real processes.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { type Account, accounts, fund, pause, rate, ready, Target, transfer } from './load.ts';
import type { Table } from './table.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const away = 3;
const senders = 40;

export async function measureRecord(table: Table, payments: number): Promise<void> {
  const cluster = await Cluster.create({ validators: 4, observer: observerId });
  try {
    cluster.startAll();
    for (const { rpc } of cluster.members) await ready(rpc);
    const [first] = cluster.members;
    if (first === undefined) return;
    const target = new Target(first.rpc);
    const group = accounts(100, senders);
    await fund(target, group);
    const produced = await pay(target, group, payments);
    await cluster.stop(away);
    await pay(target, group, payments);
    const caughtUp = payments / (await secondsUntilLevel(cluster, target));
    table.note('catch-up of a node that was away', caughtUp, 'payments/s');
    const goal = { atLeast: 5 };
    table.note('catch-up in times of the production', caughtUp / produced, '×', goal);
    target.close();
    await cluster.stop(...cluster.members.keys());
    await measureStopped(table, first.dir, 2 * payments);
    table.note('start to first answer', await secondsToStart(cluster), 's', { atMost: 5 });
  } finally {
    await cluster.destroy();
  }
}

async function pay(target: Target, group: readonly Account[], count: number): Promise<number> {
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  const [payee] = accounts(80, 1) as [Account];
  const signed = Array.from({ length: count }, (_, at) =>
    transfer(group[at % senders] as Account, payee.address, chainId),
  );
  return rate([target], signed, { inFlight: 1, batch: 100 });
}

/** From its first answer until it has what the others have. */
async function secondsUntilLevel(cluster: Cluster, target: Target): Promise<number> {
  const wanted = BigInt(await target.call<string>('eth_blockNumber', []));
  cluster.start(away);
  const late = new Target(cluster.members[away]?.rpc ?? '', 1);
  while ((await heightOf(late)) === null) await pause(2);
  const since = performance.now();
  while (((await heightOf(late)) ?? 0n) < wanted) await pause(2);
  late.close();
  return (performance.now() - since) / 1_000;
}

async function secondsToStart(cluster: Cluster): Promise<number> {
  const since = performance.now();
  cluster.start(0);
  const target = new Target(cluster.members[0]?.rpc ?? '', 1);
  while ((await heightOf(target)) === null) await pause(2);
  target.close();
  return (performance.now() - since) / 1_000;
}

async function measureStopped(table: Table, dir: string, payments: number): Promise<void> {
  const audit = await mpbp<{ transactions: number; seconds: number }>('audit', 'replay', dir);
  const replayed = audit.transactions / audit.seconds;
  table.note('audit replay', replayed, 'payments/s', { atLeast: 3_000 });
  const { bytesAfter } = await mpbp<{ bytesAfter: number }>('db', 'compact', dir);
  const goal = { atMost: 600 };
  table.note('disk per payment, compacted', bytesAfter / payments, 'bytes', goal);
}

async function mpbp<T>(...args: readonly string[]): Promise<T> {
  const program = join(root, 'bin', 'mpbp.ts');
  const { stdout } = await run(process.execPath, [program, ...args, '--json'], { cwd: root });
  return JSON.parse(stdout) as T;
}

async function heightOf(target: Target): Promise<bigint | null> {
  const answer = await target.call<string>('eth_blockNumber', []).catch(() => null);
  return answer === null ? null : BigInt(answer);
}
