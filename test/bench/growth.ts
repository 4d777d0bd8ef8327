/**
 * `npm run bench:growth`: what the size of the ledger costs. For each number of accounts: payments
 * executed and committed by a chain on a real, synced LevelDB, in one process without a network;
 * the time until the chain is open again; memory; and the disk, by table. Prints a table and writes
 * it as JSON to bench-results/.
 * `--accounts 10000,1000000`, `--payments 50000`, `--block 500` payments in one, `--archive`, `--dir`
 * where there is room.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Level } from 'level';
import { LevelShelf } from '#storage/levelShelf.ts';
import { TABLES } from '#storage/tables.ts';
import { TinyChain } from '../chain/network.ts';
import { foundLedger, type Plan, randomPayments, readNetwork } from './growthLedger.ts';

const { values } = parseArgs({
  options: {
    accounts: { type: 'string', default: '10000,1000000' },
    payments: { type: 'string', default: '50000' },
    dir: { type: 'string', default: tmpdir() },
    block: { type: 'string', default: '500' },
    archive: { type: 'boolean', default: false },
    phase: { type: 'string' },
  },
});
const blockPayments = Number(values.block);

/** What LevelDB can do beside the methods that every implementation has. */
type Sizes = {
  compactRange(from: Uint8Array, to: Uint8Array): Promise<void>;
  approximateSize(from: Uint8Array, to: Uint8Array): Promise<number>;
};

/** One phase in a process of its own, so that its memory is its own. */
function inProcess(phase: string, dir: string, plan: Plan): Record<string, number> {
  const { accounts, payments } = plan;
  const numbers = ['--accounts', `${accounts}`, '--payments', `${payments}`];
  numbers.push('--block', `${blockPayments}`, ...(values.archive ? ['--archive'] : []));
  const text = execFileSync(
    process.execPath,
    [...process.execArgv, import.meta.filename, '--phase', phase, '--dir', dir, ...numbers],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 20 },
  );
  return JSON.parse(text) as Record<string, number>;
}

const phases: Record<string, (dir: string, plan: Plan) => Promise<Record<string, number>>> = {
  async found(dir, plan) {
    const since = performance.now();
    await foundLedger(dir, plan, values.archive);
    return { foundSeconds: (performance.now() - since) / 1_000 };
  },

  async pay(dir, plan) {
    const tiny = await TinyChain.open(readNetwork(dir), await LevelShelf.open(join(dir, 'chain')));
    const payments = randomPayments(plan);
    const spent = { build: 0, commit: 0 };
    const since = { wall: 0, cpu: process.cpuUsage() };
    let measured = 0;
    for (let at = 0; at < payments.length; at += blockPayments) {
      const blocks = at / blockPayments;
      // The first half fills the caches.
      if (blocks === Math.floor(payments.length / blockPayments / 2)) {
        Object.assign(spent, { build: 0, commit: 0 });
        since.cpu = process.cpuUsage();
        measured = 0;
      }
      const some = payments.slice(at, at + blockPayments);
      const start = performance.now();
      const block = tiny.build(some);
      const built = performance.now();
      if (block.transactions.length !== some.length) throw new Error('a payment did not fit');
      const proven = tiny.network.proven([block]);
      const begun = performance.now();
      await tiny.chain.commit(proven, 0);
      spent.build += built - start;
      spent.commit += performance.now() - begun;
      tiny.events.length = 0;
      measured += some.length;
    }
    const cpu = process.cpuUsage(since.cpu);
    const { rss } = process.memoryUsage();
    await tiny.store.close();
    return {
      measured,
      paymentsPerSecond: measured / ((spent.build + spent.commit) / 1_000),
      buildMicros: (1_000 * spent.build) / measured,
      commitMicros: (1_000 * spent.commit) / measured,
      cpuMicros: (cpu.user + cpu.system) / measured,
      rssMiB: rss / 2 ** 20,
    };
  },

  async open(dir) {
    const since = performance.now();
    const tiny = await TinyChain.open(readNetwork(dir), await LevelShelf.open(join(dir, 'chain')));
    const openMs = performance.now() - since;
    const { rss } = process.memoryUsage();
    await tiny.store.close();
    return { openMs, openRssMiB: rss / 2 ** 20 };
  },

  /** Bytes by table, after compaction. */
  async size(dir) {
    const path = join(dir, 'chain');
    const bytes = { keyEncoding: 'view', valueEncoding: 'view' } as const;
    const db = new Level<Uint8Array, Uint8Array>(path, bytes) as Level<Uint8Array, Uint8Array> &
      Sizes;
    await db.open({ createIfMissing: false });
    await db.compactRange(Uint8Array.of(0), Uint8Array.of(255));
    const sizes: Record<string, number> = {};
    for (const [name, prefix] of Object.entries(TABLES)) {
      const [from, to] = [Uint8Array.of(prefix), Uint8Array.of(prefix + 1)];
      sizes[name] = await db.approximateSize(from, to);
    }
    await db.close();
    return sizes;
  },
};

async function measure(accounts: number, payments: number): Promise<Record<string, number>> {
  const dir = mkdtempSync(join(values.dir, 'mpbp-growth-'));
  try {
    const plan = { accounts, payments };
    const found = inProcess('found', dir, plan);
    const empty = inProcess('size', dir, plan);
    const paid = inProcess('pay', dir, plan);
    const opened = inProcess('open', dir, plan);
    const full = inProcess('size', dir, plan);
    const result: Record<string, number> = { accounts, ...found, ...paid, ...opened };
    let grown = 0;
    let total = 0;
    for (const [table, bytes] of Object.entries(full)) {
      const more = (bytes - (empty[table] ?? 0)) / plan.payments;
      result[`${table} bytes/payment`] = more;
      // Accounts are there already, and their tries: what is rewritten does not grow.
      grown += more;
      total += empty[table] ?? 0;
    }
    result['all bytes/payment'] = grown;
    result['bytes/account'] = total / accounts;
    return result;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const counts = values.accounts.split(',').map(Number);
if (values.phase !== undefined) {
  const phase = phases[values.phase];
  if (phase === undefined) throw new Error(`no phase ${values.phase}`);
  const plan = { accounts: counts[0] ?? 0, payments: Number(values.payments) };
  process.stdout.write(JSON.stringify(await phase(values.dir, plan)));
} else {
  process.stdout.write(
    `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
      `Node ${process.version}, blocks of ${blockPayments}, every commit synced\n`,
  );
  const columns: Record<string, number>[] = [];
  for (const count of counts) {
    columns.push(await measure(count, Number(values.payments)));
    process.stdout.write(`${count} accounts measured\n`);
  }
  for (const name of Object.keys(columns[0] ?? {})) {
    const figures = columns.map((column) => (column[name] ?? 0).toFixed(1).padStart(14));
    process.stdout.write(`${name.padEnd(30)}${figures.join('')}\n`);
  }
  mkdirSync('bench-results', { recursive: true });
  const path = `bench-results/growth-${new Date().toISOString().replace(/[:.]/g, '-')}.json`;
  writeFileSync(path, `${JSON.stringify(columns, null, 2)}\n`);
  process.stdout.write(`\nwritten to ${path}\n`);
}
