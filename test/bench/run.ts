/**
 * `npm run bench`: the table of what this node promises to be, with goals and how far each is
 * reached; anvil beside it in the same run. Prints it and writes it as JSON to bench-results/.
 * A ratio of 1 and more is a goal that is reached.
 * `--quick` takes fewer payments, to see that everything runs; `--alone` leaves anvil out.
 */
import { parseArgs } from 'node:util';
import { measureCurrency } from './currency.ts';
import {
  type Account,
  accounts,
  fund,
  latencies,
  pause,
  rate,
  syncLatencies,
  Target,
  transfer,
} from './load.ts';
import { machinery } from './machinery.ts';
import { measureOrders } from './orders.ts';
import { type Running, startAnvil, startDevnet } from './peers.ts';
import { measureRecord } from './record.ts';
import { finalityUnderDelay } from './simulated.ts';
import { type Goal, percentile, Table } from './table.ts';

const flag = { type: 'boolean', default: false } as const;
const { values } = parseArgs({ options: { quick: flag, alone: flag } });
const lonePayments = values.quick ? 30 : 300;
const manyPayments = values.quick ? 500 : 20_000;
const senders = 20;
const currencyCounts = values.quick
  ? { transfers: 500, batches: 2 }
  : { transfers: 10_000, batches: 60 };
const orders = values.quick ? 200 : 6_000;
const regionDelayMs = 40;

type Measured = { readonly p50: number; readonly single: number };
type Goals = {
  p50?: Goal;
  p99?: Goal;
  single?: Goal;
  cpu?: Goal;
  transfers?: Goal;
  items?: Goal;
};

const table = new Table();
const four = await measureDevnet('four validators', 4, {
  p50: { atMost: 10 },
  p99: { atMost: 30 },
  single: { atLeast: 2_000 },
  cpu: { atMost: 800 },
  transfers: { atLeast: 1_200 },
  items: { atLeast: 15_000 },
});
const one = await measureDevnet('one validator', 1, { single: { atLeast: 5_000 } });
await besideAnvil();
await ownMachinery();
regions();
await measureRecord(table, values.quick ? 1_000 : 20_000);
table.say('accounts in millions: npm run bench:growth; an hour of payments: npm run test:soak');
table.write('');
process.exit(0);

async function measureDevnet(label: string, validators: number, goals: Goals): Promise<Measured> {
  const running = await startDevnet(validators);
  try {
    const measured = await measure(label, running, true, goals);
    await measureCurrency(table, label, running, currencyCounts, goals);
    // A shop and its acquirer are of two members.
    if (validators > 1) await measureOrders(table, label, running, orders);
    return measured;
  } finally {
    await running.stop();
  }
}

async function measure(
  label: string,
  running: Running,
  sync: boolean,
  goals: Goals,
): Promise<Measured> {
  const target = new Target(running.rpc[0] ?? '');
  const group = accounts(100, senders);
  const [lone, payee] = accounts(80, 2) as [Account, Account];
  await fund(target, [...group, lone]);
  await latencies(target, lone, payee.address, 20);
  const polled = await latencies(target, lone, payee.address, lonePayments);
  table.noteLatency(`${label}: submit, then poll for the receipt`, polled);
  let p50 = percentile(polled, 0.5);
  if (sync) {
    const waited = await syncLatencies(target, lone, payee.address, lonePayments);
    table.noteLatency(`${label}: one call until final`, waited, goals);
    p50 = percentile(waited, 0.5);
    const woken: number[] = [];
    for (let i = 0; i < (values.quick ? 3 : 10); i++) {
      await pause(1_500);
      woken.push(...(await syncLatencies(target, lone, payee.address, 1)));
    }
    woken.sort((a, b) => a - b);
    table.note(`${label}: first payment after 1.5 s idle, p50`, percentile(woken, 0.5), 'ms');
  }
  const single = await measureRate(label, running, target, { group, payee, goals, batch: 1 });
  await measureRate(label, running, target, { group, payee, goals: {}, batch: 100 });
  target.close();
  return { p50, single };
}

async function measureRate(
  label: string,
  running: Running,
  target: Target,
  {
    group,
    payee,
    goals,
    batch,
  }: { group: readonly Account[]; payee: Account; goals: Goals; batch: number },
): Promise<number> {
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  const signed = Array.from({ length: manyPayments }, (_, at) =>
    transfer(group[at % senders] as Account, payee.address, chainId),
  );
  const cpuBefore = running.cpuSeconds();
  const perSecond = await rate([target], signed, { inFlight: batch === 1 ? 64 : 1, batch });
  const cpu = ((running.cpuSeconds() - cpuBefore) / manyPayments) * 1e6;
  const way = batch === 1 ? 'single requests, 64 in flight' : `batches of ${batch}`;
  table.note(`${label}: ${way}`, perSecond, 'payments/s', goals.single);
  table.note(`${label}: ${way}, CPU of all nodes`, cpu, 'µs/payment', goals.cpu);
  return perSecond;
}

/** The same payments over the same connections, to a node without consensus and without a disk. */
async function besideAnvil(): Promise<void> {
  const automine = values.alone ? null : await startAnvil([]);
  if (automine === null) {
    const why = values.alone ? 'not asked for' : 'not available for this machine';
    return table.say(`anvil: ${why}, no comparison`);
  }
  const target = new Target(automine.rpc[0] ?? '');
  const [lone, payee] = accounts(0, 2) as [Account, Account];
  await latencies(target, lone, payee.address, 20);
  const mined = await latencies(target, lone, payee.address, lonePayments);
  table.noteLatency('anvil automine', mined);
  target.close();
  await automine.stop();
  const slower = four.p50 / percentile(mined, 0.5);
  table.note('four validators, p50 in times of anvil automine', slower, '×', { atMost: 3 });
  const interval = await startAnvil(['--block-time', '0.1', '--gas-limit', '300000000']);
  if (interval === null) return;
  const { single } = await measure('anvil, 100 ms blocks', interval, false, {});
  await interval.stop();
  table.note('one validator, rate in times of anvil', one.single / single, '×', { atLeast: 0.7 });
}

async function ownMachinery(): Promise<void> {
  const { steps, own } = await machinery(values.quick ? 4 : 40, 500);
  for (const [step, micros] of Object.entries(steps)) table.note(`  ${step}`, micros, 'µs');
  table.note('own machinery per payment, signature aside', own, 'µs', { atMost: 80 });
}

/** Real messages over links that take their time; a machine that costs what it was measured to. */
function regions(): void {
  const payments = values.quick ? 5 : 40;
  const [few, many] = [4, 32].map((n) => finalityUnderDelay(n, regionDelayMs, payments));
  if (few === undefined || many === undefined) return;
  const goal = { atMost: 3.2 * regionDelayMs + 10 };
  table.note(`simulated, ${regionDelayMs} ms one way: until final`, few, 'ms', goal);
  table.note('32 validators in times of 4, until final', many / few, '×', { atMost: 2 });
}
