/**
 * `npm run test:soak`: four real validators under 100 payments a second through all of them and 20
 * reads a second of each, for ten minutes. Prints how they fare, then a table; writes both as JSON
 * to bench-results/; ends with 1 where a promise was broken.
 * `--minutes 60`, `--rate 100`, `--reads 20`, `--validators 4`, `--restart` stops and starts one in
 * the middle, `--dir` keeps the data and the logs there, `--node-options` for V8 of each validator.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type NodeReport, type Report, soak } from './soak.ts';

const text = (value: string) => ({ type: 'string', default: value }) as const;
const { values } = parseArgs({
  options: {
    minutes: text('10'),
    rate: text('100'),
    reads: text('20'),
    validators: text('4'),
    dir: text(''),
    'node-options': text(''),
    restart: { type: 'boolean', default: false },
  },
});

const say = (line: string) => process.stdout.write(`${line}\n`);
const report = await soak({
  seconds: Number(values.minutes) * 60,
  paymentsPerSecond: Number(values.rate),
  readsPerSecond: Number(values.reads),
  validators: Number(values.validators),
  sampleSeconds: 10,
  restart: values.restart,
  dir: values.dir === '' ? null : values.dir,
  nodeOptions: values['node-options'],
  say,
});
print(report);
const at = new Date().toISOString();
const path = join('bench-results', `soak-${at.replace(/[:.]/g, '-')}.json`);
mkdirSync('bench-results', { recursive: true });
writeFileSync(path, `${JSON.stringify({ at, ...values, ...report }, null, 1)}\n`);
say(`written to ${path}`);
process.exitCode = report.broken.length === 0 ? 0 : 1;

function print({ latencyMs, nodes, broken, ...all }: Report): void {
  const { p50, p95, p99, max } = latencyMs;
  say(`\npayments sent/final/lost: ${all.sent}/${all.final}/${all.lost}`);
  say(`reads answered/failed: ${all.reads}/${all.readsFailed}`);
  say(`until final, p50/p95/p99/max: ${[p50, p95, p99, max].map(shown).join('/')} ms`);
  say(`disk: ${shown(all.diskBytesPerPayment)} bytes per payment, not compacted`);
  for (const [words, times] of Object.entries(all.retries)) say(`asked again ${times}x: ${words}`);
  const rows: readonly [string, (node: NodeReport) => number | null][] = [
    ['resident memory at 5 min, MiB', (node) => node.rssAt5MiB],
    ['… at the end', (node) => node.rssEndMiB],
    ['… at most', (node) => node.rssMaxMiB],
    ['… slope after 5 min, MiB/min', (node) => node.rssSlopeMiBPerMinute],
    ['V8 heap at the end, MiB', (node) => node.heapEndMiB],
    ['file descriptors when idle, before', (node) => node.fdsFirst],
    ['… after', (node) => node.fdsEnd],
    ['event loop delay, worst p99 of 10 s, ms', (node) => node.loopP99Ms],
    ['… longest, ms', (node) => node.loopMaxMs],
    ['CPU, % of a core', (node) => node.cpuPercent],
    ['errors', (node) => node.errors],
    ['stop, ms', (node) => node.stopMs],
    ['… exit code', (node) => node.stopCode],
  ];
  for (const [name, read] of rows) {
    const cells = nodes.map((node) => shown(read(node)).padStart(10)).join('');
    say(`${name.padEnd(42)}${cells}`);
  }
  for (const what of broken) say(`BROKEN: ${what}`);
  say(broken.length === 0 ? 'all promises kept' : `${broken.length} promises broken`);
}

function shown(value: number | null): string {
  if (value === null || Number.isNaN(value)) return '-';
  return Number.isInteger(value) ? `${value}` : value.toFixed(1);
}
