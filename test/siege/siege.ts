/**
 * One validator of four under siege over JSON-RPC, and what everybody else notices of it: the time
 * between blocks, an honest client with a key, the memory. First the same without the attackers but
 * with as much work beside it, so that it is the siege that is judged and not the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { makeKey, writeAccess } from '../../bin/accessFile.ts';
import { type Account, accounts, pause, ready, Target, transfer } from '../bench/load.ts';
import { percentile } from '../bench/table.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { rssMiB } from '../soak/samples.ts';

const chainId = 6727n;
/** Payments of the honest, through the validators that are left alone. */
const paymentsPerSecond = 20;
const honestEveryMs = 100;
const settledMs = 10_000;
/** Of each address; a busy machine should reach it, too. */
const strangersUnitsPerSecond = 200;

export type Phase = {
  /** Milliseconds between blocks, as an unharmed validator sees them. */
  readonly intervalP95: number;
  readonly blocks: number;
  /** Of the honest client at the besieged validator, until it has its answer. */
  readonly honestP50: number;
  readonly honestP95: number;
  readonly honestFailed: number;
  readonly rssMaxMiB: number;
};

export type SiegeReport = {
  readonly before: Phase;
  readonly during: Phase;
  readonly after: Phase;
  readonly attackers: Readonly<Record<string, number>>;
  readonly deaths: readonly string[];
};

export async function besiege(
  seconds: number,
  say: (line: string) => void = () => {},
): Promise<SiegeReport> {
  const senders = accounts(3_000, 8);
  const [honest, payee] = accounts(3_100, 2) as [Account, Account];
  const cluster = await Cluster.create({
    ...{ validators: 4, observer: observerId, direct: true },
    funded: [...senders, honest].map(({ address }) => address),
    // Attackers are strangers, and this machine's own address is the honest client's.
    environment: () => ({
      MPBP_RPC_UNLIMITED: '10.0.0.1',
      MPBP_RPC_ANONYMOUS_UNITS_PER_SECOND: `${strangersUnitsPerSecond}`,
    }),
  });
  const others = cluster.members.slice(1).map(({ rpc }) => new Target(rpc, 16));
  const [besieged] = cluster.members;
  if (besieged === undefined) throw new Error('a cluster has members');
  const { key, stored } = makeKey({
    ...{ name: 'honest', role: 'user', methods: null, unitsPerSecond: null },
  });
  writeAccess(besieged.dir, [stored]);
  const own = new Target(`${besieged.rpc}/key/${key}`, 16);
  try {
    cluster.startAll();
    await Promise.all(cluster.members.map(({ rpc }) => ready(rpc)));
    const pid = besieged.child?.pid ?? 0;
    const phase = (ms: number) => observe({ own, others, senders, honest, payee, pid, ms });
    say(`before: ${seconds} s beside a process that only turns`);
    const burner = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    const before = await phase(seconds * 1_000).finally(() => burner.kill('SIGKILL'));
    say(`siege: ${seconds} s`);
    const attackers = startAttackers(besieged.rpcPort, seconds);
    const during = await phase(seconds * 1_000);
    const counts = await attackers;
    say('after');
    await pause(settledMs);
    const after = await phase(Math.min(10, seconds) * 1_000);
    return { before, during, after, attackers: counts, deaths: cluster.deaths };
  } finally {
    for (const target of [own, ...others]) target.close();
    await cluster.destroy();
  }
}

function startAttackers(port: number, seconds: number): Promise<Record<string, number>> {
  const program = join(import.meta.dirname, 'attackers.ts');
  const child: ChildProcess = spawn(process.execPath, [program, `${port}`, `${seconds}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code !== 0) reject(new Error(`the attackers ended with ${code}`));
    });
    if (child.stdout === null) return reject(new Error('no output to read'));
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve(JSON.parse(line) as Record<string, number>);
    });
  });
}

type Observed = {
  readonly own: Target;
  readonly others: readonly Target[];
  readonly senders: readonly Account[];
  readonly honest: Account;
  readonly payee: Account;
  readonly pid: number;
  readonly ms: number;
};

async function observe({ own, others, senders, honest, payee, pid, ms }: Observed): Promise<Phase> {
  const end = performance.now() + ms;
  const isOver = () => performance.now() >= end;
  const [witness] = others;
  if (witness === undefined) throw new Error('somebody is left alone');
  const seen: number[] = [];
  const latencies: number[] = [];
  let failed = 0;
  let rss = 0;
  const watchBlocks = async () => {
    // As a stranger: more often than 200 times a second is more than it may ask.
    for (let last = -1; !isOver(); await pause(8)) {
      const height = Number(await witness.call<string>('eth_blockNumber', []));
      // More than one since the last look: they share the time.
      for (let at = last === -1 ? height : last + 1; at <= height; at++) {
        seen.push(performance.now());
      }
      last = height;
    }
  };
  const pay = async () => {
    for (let at = 0; !isOver(); at++) {
      const sender = senders[at % senders.length] as Account;
      const { raw } = transfer(sender, payee.address, chainId);
      void others[at % others.length]?.call('eth_sendRawTransaction', [raw]).catch(() => {});
      await pause(1_000 / paymentsPerSecond);
    }
  };
  const live = async () => {
    for (let at = 0; !isOver(); at++) {
      const began = performance.now();
      const paying = at % 5 === 0;
      const asked = paying
        ? own.call('eth_sendRawTransaction', [transfer(honest, payee.address, chainId).raw])
        : own.call('eth_getBalance', [payee.address, 'latest']);
      try {
        await asked;
        latencies.push(performance.now() - began);
      } catch {
        failed++;
      }
      rss = Math.max(rss, rssMiB(pid));
      await pause(Math.max(0, honestEveryMs - (performance.now() - began)));
    }
  };
  await Promise.all([watchBlocks(), pay(), live()]);
  const intervals = seen.slice(1).map((time, at) => time - (seen[at] ?? time));
  const sorted = (list: number[]) => list.sort((a, b) => a - b);
  return {
    intervalP95: percentile(sorted(intervals), 0.95),
    blocks: seen.length,
    honestP50: percentile(sorted(latencies), 0.5),
    honestP95: percentile(latencies, 0.95),
    honestFailed: failed,
    rssMaxMiB: rss,
  };
}
