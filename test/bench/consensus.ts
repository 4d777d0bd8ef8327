/**
 * `npm run bench:consensus`: how long a payment takes to be final when messages take their time.
 * First simulated, where a machine costs nothing but its modelled disk and execution; then four
 * real processes with every link delayed, and more validators without delay. `--validators 4,10`
 * and `--delays 1,40` choose; `--simulated` leaves the real ones out.
 */
import { parseArgs } from 'node:util';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { accounts, fund, rate, ready, syncLatencies, Target, transfer } from './load.ts';
import { finalityUnderDelay, wideAreaTimers } from './simulated.ts';
import { percentile } from './table.ts';

const { values } = parseArgs({
  options: {
    validators: { type: 'string', default: '4,10,21,32' },
    delays: { type: 'string', default: '1,10,40,100' },
    payments: { type: 'string', default: '40' },
    simulated: { type: 'boolean', default: false },
  },
});
const sizes = values.validators.split(',').map(Number);
const delays = values.delays.split(',').map(Number);
const payments = Number(values.payments);
const manyPayments = 5_000;

process.stdout.write(
  'simulated: milliseconds from the leader that has the payment, to all final\n',
);
line(['one-way delay', ...sizes.map((n) => `n = ${n}`), '3 delays']);
for (const delay of delays) {
  const cells = sizes.map((n) => finalityUnderDelay(n, delay, payments).toFixed(1));
  line([`${delay} ms`, ...cells, `${3 * delay}`]);
}
if (!values.simulated) {
  process.stdout.write('\nreal processes on this machine: milliseconds, one call until final\n');
  line(['validators', 'one-way delay', 'p50', 'p95', 'p50 - 3 delays']);
  for (const delay of [0, ...delays]) await real(4, delay);
  for (const n of sizes) if (n !== 4) await real(n, 0);
  await oneDown();
}
process.exit(0);

async function real(n: number, delay: number): Promise<void> {
  const cluster = await Cluster.create({
    validators: n,
    observer: observerId,
    config: delay > 20 ? { timers: wideAreaTimers } : {},
  });
  try {
    cluster.startAll();
    const targets = cluster.members.map(({ rpc }) => new Target(rpc));
    for (const { rpc } of cluster.members) await ready(rpc);
    const [first] = targets;
    const [payer, payee] = accounts(80, 2);
    if (first === undefined || payer === undefined || payee === undefined) return;
    await fund(first, [payer]);
    cluster.net.setAll({ delayMs: delay });
    await syncLatencies(first, payer, payee.address, 5);
    const found: number[] = [];
    // Through every node in turn: some lead when the payment comes, most do not.
    for (const target of targets.slice(0, 8)) {
      found.push(...(await syncLatencies(target, payer, payee.address, payments / 4)));
    }
    found.sort((a, b) => a - b);
    const [p50, p95] = [percentile(found, 0.5), percentile(found, 0.95)];
    line([`${n}`, `${delay} ms`, p50.toFixed(1), p95.toFixed(1), (p50 - 3 * delay).toFixed(1)]);
  } finally {
    await cluster.destroy(false);
  }
}

/** Four validators under full load, then three of them; and what the dead leader costs a payment. */
async function oneDown(): Promise<void> {
  const cluster = await Cluster.create({ validators: 4, observer: observerId });
  try {
    cluster.startAll();
    for (const { rpc } of cluster.members) await ready(rpc);
    const targets = cluster.members.slice(0, 3).map(({ rpc }) => new Target(rpc));
    const [first] = targets;
    const group = accounts(100, 20);
    const [payer, payee] = accounts(80, 2);
    if (first === undefined || payer === undefined || payee === undefined) return;
    await fund(first, [payer, ...group]);
    const chainId = BigInt(await first.call<string>('eth_chainId', []));
    const load = async () => {
      const signed = Array.from({ length: manyPayments }, (_, at) =>
        transfer(group[at % group.length] ?? payer, payee.address, chainId),
      );
      return rate(targets, signed, { inFlight: 64, batch: 1 });
    };
    await load();
    const whole = await load();
    const calm = await syncLatencies(first, payer, payee.address, 100);
    await cluster.kill(3);
    const broken = await load();
    const hurt = await syncLatencies(first, payer, payee.address, 100);
    const share = `${((100 * broken) / whole).toFixed(0)} %`;
    process.stdout.write(
      `\nfour validators: ${whole.toFixed(0)} payments/s; one of them killed: ` +
        `${broken.toFixed(0)} payments/s, ${share}\n` +
        `one call until final, p50/p95/max: ${spread(calm)} ms with all, ` +
        `${spread(hurt)} ms with one dead\n`,
    );
  } finally {
    await cluster.destroy(false);
  }
}

function spread(sorted: readonly number[]): string {
  return [0.5, 0.95, 1].map((part) => percentile(sorted, part).toFixed(1)).join('/');
}

function line(cells: readonly string[]): void {
  process.stdout.write(`${cells.map((cell) => cell.padStart(16)).join('')}\n`);
}
