/** What one validator takes of the machine, read every few seconds. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readMetrics, total } from './metrics.ts';

export type Sample = {
  /** Since the beginning of the run. */
  readonly seconds: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  /** Outside V8: buffers, LevelDB's caches and its files. */
  readonly anonymousMiB: number;
  readonly fds: number;
  readonly handles: number;
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
  readonly height: number;
  readonly poolPayments: number;
  readonly diskBytes: number;
  readonly cpuSeconds: number;
  /** Errors that nobody caught, internal errors, failed writes and lines at level error. */
  readonly errors: number;
};

const MiB = 1024 * 1024;

/** Null where it does not answer: it is being started, or stopped. */
export async function sample(
  metricsUrl: string,
  pid: number,
  dir: string,
  seconds: number,
): Promise<Sample | null> {
  try {
    const seen = await readMetrics(metricsUrl);
    const of = (name: string) => seen.get(name) ?? Number.NaN;
    const loop = (quantile: string) =>
      of(`mpbp_event_loop_delay_seconds{quantile="${quantile}"}`) * 1_000;
    return {
      seconds,
      rssMiB: rssMiB(pid),
      heapMiB: of('nodejs_heap_size_total_bytes') / MiB,
      anonymousMiB: kilobytes(pid, 'RssAnon') / 1_024,
      fds: readdirSync(`/proc/${pid}/fd`).length,
      handles: of('nodejs_active_handles_total'),
      loopP99Ms: loop('0.99'),
      loopMaxMs: loop('1'),
      height: of('mpbp_consensus_height'),
      poolPayments: of('mpbp_pool_executable') + of('mpbp_pool_gapped'),
      diskBytes: bytesBelow(dir),
      cpuSeconds: of('process_cpu_seconds_total'),
      errors:
        total(seen, 'mpbp_unhandled_errors_total') +
        total(seen, 'mpbp_disk_errors_total') +
        (seen.get('mpbp_rpc_answers_total{outcome="-32603"}') ?? 0) +
        (seen.get('mpbp_log_lines_total{level="error"}') ?? 0),
    };
  } catch {
    return null;
  }
}

export function rssMiB(pid: number): number {
  return kilobytes(pid, 'VmRSS') / 1_024;
}

function kilobytes(pid: number, name: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN);
}

export function bytesBelow(dir: string): number {
  let bytes = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    try {
      bytes += entry.isDirectory() ? bytesBelow(path) : statSync(path).size;
    } catch {
      // LevelDB has deleted it meanwhile.
    }
  }
  return bytes;
}

/** By least squares: how much `read` rises a minute. Not a number with fewer than three samples. */
export function slopePerMinute(
  samples: readonly Sample[],
  read: (sample: Sample) => number,
): number {
  if (samples.length < 3) return Number.NaN;
  const points = samples.map((one) => [one.seconds / 60, read(one)] as const);
  const middle = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x0, y0] = [middle(0), middle(1)];
  let above = 0;
  let below = 0;
  for (const [x, y] of points) {
    above += (x - x0) * (y - y0);
    below += (x - x0) ** 2;
  }
  return above / below;
}
