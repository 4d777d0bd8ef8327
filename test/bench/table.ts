/** What a benchmark prints and keeps: a name, a figure, and the goal where there is one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { secp256k1Backend } from '#src/crypto/secp256k1.ts';

export type Goal = { readonly atMost: number } | { readonly atLeast: number };

type Row = {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: number | null;
  /** 1 and more: the goal is reached. */
  readonly ratio: number | null;
};

export class Table {
  readonly rows: Row[] = [];

  constructor() {
    process.stdout.write(`${machine()}\n\n`);
    line(['', 'figure', 'goal', 'ratio']);
  }

  note(name: string, value: number, unit: string, goal?: Goal): void {
    const wanted = goal === undefined ? null : 'atMost' in goal ? goal.atMost : goal.atLeast;
    const ratio =
      goal === undefined ? null : 'atMost' in goal ? goal.atMost / value : value / goal.atLeast;
    this.rows.push({ name, value, unit, goal: wanted, ratio });
    const sign = goal === undefined ? '' : 'atMost' in goal ? '≤' : '≥';
    line([
      name,
      `${shown(value)} ${unit}`,
      wanted === null ? '' : `${sign} ${wanted} ${unit}`,
      ratio === null ? '' : ratio.toFixed(2),
    ]);
  }

  /** Milliseconds in rising order. */
  noteLatency(
    name: string,
    sorted: readonly number[],
    goals: { p50?: Goal; p99?: Goal } = {},
  ): void {
    this.note(`${name}, p50`, percentile(sorted, 0.5), 'ms', goals.p50);
    this.note(`${name}, p95`, percentile(sorted, 0.95), 'ms');
    this.note(`${name}, p99`, percentile(sorted, 0.99), 'ms', goals.p99);
  }

  say(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  write(name: string): void {
    mkdirSync('bench-results', { recursive: true });
    const at = new Date().toISOString();
    const path = `bench-results/${name}${at.replace(/[:.]/g, '-')}.json`;
    writeFileSync(
      path,
      `${JSON.stringify({ at, machine: machine(), rows: this.rows }, null, 2)}\n`,
    );
    this.say(`\nwritten to ${path}`);
  }
}

export function percentile(sorted: readonly number[], part: number): number {
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * part));
  return sorted[at] ?? Number.NaN;
}

function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return (
    `${cpus().length} x ${cpus()[0]?.model}, ${memory} GiB, Node ${process.version}, ` +
    `secp256k1 ${secp256k1Backend()}, every commit synced`
  );
}

function shown(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

function line([name = '', ...cells]: readonly string[]): void {
  const columns = cells.map((cell) => cell.padStart(20)).join('');
  process.stdout.write(`${name.padEnd(62)}${columns}\n`.replace(/ +\n/, '\n'));
}
