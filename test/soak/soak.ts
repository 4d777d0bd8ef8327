/** A network of real validators under a steady load, watched, stopped and judged. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pause, ready } from '../bench/load.ts';
import { percentile } from '../bench/table.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { Load, loadAccounts } from './load.ts';
import { bytesBelow, type Sample, sample, slopePerMinute } from './samples.ts';

export type SoakOptions = {
  readonly seconds: number;
  readonly paymentsPerSecond: number;
  /** Of each node. */
  readonly readsPerSecond: number;
  readonly validators: number;
  readonly sampleSeconds: number;
  /** One validator is stopped and started in the middle. */
  readonly restart: boolean;
  /** For the data, which is left there; otherwise a directory that is deleted. */
  readonly dir: string | null;
  /** Of each validator. */
  readonly nodeOptions?: string;
  say(line: string): void;
};

export type NodeReport = {
  readonly rssAt5MiB: number;
  readonly rssEndMiB: number;
  readonly rssMaxMiB: number;
  readonly rssSlopeMiBPerMinute: number;
  readonly heapEndMiB: number;
  /** While no client is connected, before the load and after it. */
  readonly fdsFirst: number;
  readonly fdsEnd: number;
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  readonly cpuPercent: number;
  readonly errors: number;
  readonly stopMs: number;
  readonly stopCode: number | null;
};

export type Report = {
  readonly sent: number;
  readonly final: number;
  readonly lost: number;
  readonly reads: number;
  readonly readsFailed: number;
  readonly latencyMs: { p50: number; p95: number; p99: number; max: number };
  readonly diskBytesPerPayment: number;
  readonly retries: Readonly<Record<string, number>>;
  readonly nodes: readonly NodeReport[];
  readonly samples: readonly (readonly Sample[])[];
  /** Promises that were not kept (reliability M1 to M3, S1, S2), in words. */
  readonly broken: readonly string[];
};

/** Connections that a client has closed are gone by then. */
const idleMs = 2_000;
const settledSeconds = 300;
const rssMiBMax = 600;
const slopeMiBPerMinuteMax = 1;
/** V8's young generation fills and empties by 128 MiB: a line through less is about that. */
const slopeMinutesMin = 20;
const fdsMax = 512;
const fdsGrownMax = 24;
const stopMsMax = 5_000;

export async function soak(options: SoakOptions): Promise<Report> {
  if (options.dir !== null) mkdirSync(options.dir, { recursive: true });
  const cluster = await Cluster.create({
    validators: options.validators,
    observer: observerId,
    direct: true,
    operator: true,
    funded: loadAccounts().map(({ address }) => address),
    ...(options.dir === null ? {} : { dir: options.dir }),
    environment: () => ({ NODE_OPTIONS: options.nodeOptions ?? '' }),
  });
  const load = new Load(
    cluster.members.map(({ rpc }) => rpc),
    (index) => cluster.members[index]?.state === 'up',
  );
  try {
    cluster.startAll();
    await Promise.all(cluster.members.map(({ rpc }) => ready(rpc)));
    const before = await idle(cluster);
    const samples = await run(cluster, load, options);
    const received = await load.received();
    load.close();
    await pause(idleMs);
    const fds = { before, after: await idle(cluster) };
    const stops = await Promise.all(cluster.members.map((_, index) => stop(cluster, index)));
    const disk = bytesBelow(join(cluster.dir, 'node0')) / Math.max(1, load.final);
    return judge(cluster, load, { samples, received, fds, stops, disk });
  } finally {
    load.close();
    await cluster.destroy(options.dir !== null);
    if (options.dir === null) rmSync(cluster.dir, { recursive: true, force: true });
  }
}

/** File descriptors of each validator while no client is connected. */
async function idle(cluster: Cluster): Promise<number[]> {
  const found = cluster.members.map(async ({ child, metrics, dir }) => {
    const one = await sample(metrics, child?.pid ?? 0, dir, 0);
    return one?.fds ?? Number.NaN;
  });
  return Promise.all(found);
}

async function run(cluster: Cluster, load: Load, options: SoakOptions): Promise<Sample[][]> {
  const samples: Sample[][] = cluster.members.map(() => []);
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1_000;
  let restart = options.restart ? options.seconds / 2 : Number.POSITIVE_INFINITY;
  load.start(options.paymentsPerSecond, options.readsPerSecond);
  for (let next = options.sampleSeconds; elapsed() < options.seconds; ) {
    await pause(Math.max(0, Math.min(next, options.seconds) - elapsed()) * 1_000);
    next += options.sampleSeconds;
    if (elapsed() >= restart) {
      restart = Number.POSITIVE_INFINITY;
      await stop(cluster, cluster.members.length - 1);
      await pause(1_000);
      cluster.start(cluster.members.length - 1);
    }
    for (const [index, { child, metrics, dir }] of cluster.members.entries()) {
      const one = await sample(metrics, child?.pid ?? 0, dir, elapsed());
      if (one !== null) samples[index]?.push(one);
    }
    options.say(progress(elapsed(), load, samples));
  }
  await load.stop();
  return samples;
}

function progress(seconds: number, load: Load, samples: readonly (readonly Sample[])[]): string {
  const last = samples.map((of) => of.at(-1));
  const list = (read: (one: Sample) => number) =>
    last.map((one) => (one === undefined ? '-' : Math.round(read(one)))).join('/');
  return (
    `${(seconds / 60).toFixed(1)} min: ${load.final} of ${load.sent} final, ` +
    `${load.lost.length} lost, height ${list((one) => one.height)}, ` +
    `MiB ${list((one) => one.rssMiB)} (heap ${list((one) => one.heapMiB)}), ` +
    `fds ${list((one) => one.fds)}, loop p99/max ms ${list((one) => one.loopP99Ms)} ` +
    `${list((one) => one.loopMaxMs)}`
  );
}

type Seen = {
  readonly samples: readonly (readonly Sample[])[];
  readonly received: readonly bigint[];
  readonly fds: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly stops: readonly Stop[];
  readonly disk: number;
};

type Stop = { readonly ms: number; readonly code: number | null };

/** As an operator does it. */
async function stop(cluster: Cluster, index: number): Promise<Stop> {
  const started = performance.now();
  const child = cluster.members[index]?.child ?? null;
  await cluster.stop(index);
  return { ms: performance.now() - started, code: child?.exitCode ?? null };
}

function judge(
  cluster: Cluster,
  load: Load,
  { samples, received, fds, stops, disk }: Seen,
): Report {
  const nodes = samples.map((of, index) => {
    const idleFds = { fdsFirst: fds.before[index] ?? 0, fdsEnd: fds.after[index] ?? Number.NaN };
    return { ...reportOf(of, stops[index] as Stop), ...idleFds };
  });
  const sorted = load.latencies.toSorted((a, b) => a - b);
  const broken = [...cluster.deaths];
  const check = (kept: boolean, what: string) => {
    if (!kept) broken.push(what);
  };
  check(load.lost.length === 0, `${load.lost.length} payments were lost`);
  check(load.final > 0, 'nothing became final');
  for (const [index, wei] of received.entries()) {
    check(wei === BigInt(load.sent), `node ${index}: payee got ${wei} of ${load.sent}, once each`);
  }
  for (const [index, node] of nodes.entries()) {
    const { rssMaxMiB, rssSlopeMiBPerMinute: slope, fdsEnd, fdsFirst, stopMs, stopCode } = node;
    check(rssMaxMiB <= rssMiBMax, `node ${index}: ${rssMaxMiB} MiB resident`);
    check(!(slope > slopeMiBPerMinuteMax), `node ${index}: grows by ${slope} MiB a minute`);
    const grown = `${fdsFirst} file descriptors when idle became ${fdsEnd}`;
    check(fdsEnd <= fdsMax && fdsEnd - fdsFirst <= fdsGrownMax, `node ${index}: ${grown}`);
    check(node.errors === 0, `node ${index}: ${node.errors} errors, see its log`);
    check(stopCode === 0 && stopMs <= stopMsMax, `node ${index}: stop ${stopCode} in ${stopMs} ms`);
  }
  const p = (part: number) => percentile(sorted, part);
  return {
    sent: load.sent,
    final: load.final,
    lost: load.lost.length,
    reads: load.reads,
    readsFailed: load.readsFailed,
    latencyMs: { p50: p(0.5), p95: p(0.95), p99: p(0.99), max: sorted.at(-1) ?? Number.NaN },
    diskBytesPerPayment: disk,
    retries: Object.fromEntries(load.retries),
    nodes,
    samples,
    broken,
  };
}

function reportOf(
  samples: readonly Sample[],
  { ms, code }: Stop,
): Omit<NodeReport, 'fdsFirst' | 'fdsEnd'> {
  const settled = samples.filter(({ seconds }) => seconds >= startedAt(samples) + settledSeconds);
  const first = settled[0];
  const last = samples.at(-1);
  const before = samples[0];
  const minutes = ((last?.seconds ?? 0) - (first?.seconds ?? 0)) / 60;
  // A restart begins a new count of the processor's seconds.
  const cpu = (last?.cpuSeconds ?? 0) - (before?.cpuSeconds ?? 0);
  const highest = (read: (one: Sample) => number) => Math.max(...samples.map(read));
  return {
    rssAt5MiB: first?.rssMiB ?? Number.NaN,
    rssEndMiB: last?.rssMiB ?? Number.NaN,
    rssMaxMiB: highest((one) => one.rssMiB),
    rssSlopeMiBPerMinute:
      minutes < slopeMinutesMin ? Number.NaN : slopePerMinute(settled, (one) => one.rssMiB),
    heapEndMiB: last?.heapMiB ?? Number.NaN,
    loopP99Ms: highest((one) => one.loopP99Ms),
    loopMaxMs: highest((one) => one.loopMaxMs),
    cpuPercent: (100 * cpu) / ((last?.seconds ?? 0) - (before?.seconds ?? 0)),
    errors: last?.errors ?? Number.NaN,
    stopMs: ms,
    stopCode: code,
  };
}

/** Of the process that was there last: its processor's seconds began anew. */
function startedAt(samples: readonly Sample[]): number {
  const isFirst = (at: number) => {
    return (samples[at]?.cpuSeconds ?? 0) < (samples[at - 1]?.cpuSeconds ?? 0);
  };
  const first = samples.findLastIndex((_, at) => at > 0 && isFirst(at));
  return first < 0 ? 0 : (samples[first]?.seconds ?? 0);
}
