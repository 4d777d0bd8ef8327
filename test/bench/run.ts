/**
 * `npm run bench`: latency and rate of simple payments, for four validators and for one, with anvil
 * beside them in the same run. Prints a table and writes it as JSON to bench-results/.
 * `--quick` takes fewer payments, to see that everything runs; `--alone` leaves anvil out.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { secp256k1Backend } from '#src/crypto/secp256k1.ts';
import {
  type Account,
  accounts,
  fund,
  latencies,
  pause,
  percentile,
  rate,
  syncLatencies,
  Target,
  transfer,
} from './load.ts';
import { type Running, startAnvil, startDevnet } from './peers.ts';

const flag = { type: 'boolean', default: false } as const;
const { values } = parseArgs({ options: { quick: flag, alone: flag } });
const lonePayments = values.quick ? 30 : 300;
const manyPayments = values.quick ? 500 : 5_000;
const senders = 20;

type Row = { name: string; figure: string; goal: string };
const rows: Row[] = [];
const raw: Record<string, number> = {};

function note(name: string, value: number, unit: string, goal = ''): void {
  raw[name] = value;
  const digits = value < 100 ? 1 : 0;
  rows.push({ name, figure: `${value.toFixed(digits)} ${unit}`, goal });
  process.stdout.write(
    `${name.padEnd(56)} ${`${value.toFixed(digits)} ${unit}`.padStart(16)}  ${goal}\n`,
  );
}

async function measure(
  label: string,
  running: Running,
  sync: boolean,
  goals: Goals,
): Promise<void> {
  const targets = running.rpc.map((url) => new Target(url));
  const [first] = targets;
  if (first === undefined) return;
  const group = accounts(100, senders);
  const [lone, payee] = accounts(80, 2) as [Account, Account];
  await fund(first, [...group, lone]);
  await latencies(first, lone, payee.address, 20);
  const polled = await latencies(first, lone, payee.address, lonePayments);
  noteLatency(`${label}: submit, then poll for the receipt`, polled, goals.p50);
  if (sync) {
    const waited = await syncLatencies(first, lone, payee.address, lonePayments);
    noteLatency(`${label}: one call until final`, waited, goals.p50);
  }
  const woken: number[] = [];
  for (let i = 0; sync && i < (values.quick ? 3 : 10); i++) {
    await pause(1_500);
    woken.push(...(await syncLatencies(first, lone, payee.address, 1)));
  }
  woken.sort((a, b) => a - b);
  if (sync) note(`${label}: first payment after 1.5 s idle, p50`, percentile(woken, 0.5), 'ms');
  const chainId = BigInt(await first.call<string>('eth_chainId', []));
  const sign = () =>
    Array.from({ length: manyPayments }, (_, at) =>
      transfer(group[at % senders] as Account, payee.address, chainId),
    );
  for (const [name, options] of [
    ['single requests, 64 in flight', { inFlight: 64, batch: 1 }],
    ['batches of 100', { inFlight: 1, batch: 100 }],
  ] as const) {
    const signed = sign();
    const cpuBefore = running.cpuSeconds();
    const perSecond = await rate([first], signed, options);
    note(`${label}: ${name}`, perSecond, 'payments/s', goals.rate);
    const cpu = ((running.cpuSeconds() - cpuBefore) / manyPayments) * 1e6;
    note(
      `${label}: CPU per payment, all processes (${options.batch === 1 ? 'single' : 'batch'})`,
      cpu,
      'µs',
      goals.cpu,
    );
  }
  for (const target of targets) target.close();
}

type Goals = { p50: string; rate: string; cpu: string };

function noteLatency(name: string, sorted: readonly number[], goal: string): void {
  note(`${name}, p50`, percentile(sorted, 0.5), 'ms', goal);
  note(`${name}, p95`, percentile(sorted, 0.95), 'ms');
  note(`${name}, p99`, percentile(sorted, 0.99), 'ms');
}

process.stdout.write(
  `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `Node ${process.version}, secp256k1 ${secp256k1Backend()}, every commit synced\n\n`,
);
const network = await startDevnet(4, 18_545);
await measure('four validators', network, true, {
  p50: 'goal 10 ms',
  rate: 'goal 2000/s',
  cpu: 'goal 800 µs',
});
await network.stop();
const single = await startDevnet(1, 19_545);
await measure('one validator', single, true, { p50: '', rate: 'goal 5000/s', cpu: '' });
await single.stop();
const none = { p50: '', rate: '', cpu: '' };
const automine = values.alone ? null : await startAnvil(18_745, []);
if (automine === null) {
  const why = values.alone ? 'not asked for' : 'not available for this machine';
  process.stdout.write(`anvil: ${why}, no comparison\n`);
} else {
  const target = new Target(automine.rpc[0] ?? '');
  const [lone, payee] = accounts(0, 2) as [Account, Account];
  await latencies(target, lone, payee.address, 20);
  noteLatency('anvil automine', await latencies(target, lone, payee.address, lonePayments), '');
  target.close();
  await automine.stop();
  const interval = await startAnvil(18_746, ['--block-time', '0.1', '--gas-limit', '300000000']);
  if (interval !== null) {
    await measure('anvil, 100 ms blocks', interval, false, none);
    await interval.stop();
  }
}
mkdirSync('bench-results', { recursive: true });
const path = `bench-results/${new Date().toISOString().replace(/[:.]/g, '-')}.json`;
writeFileSync(path, `${JSON.stringify({ rows, raw }, null, 2)}\n`);
process.stdout.write(`\nwritten to ${path}\n`);
