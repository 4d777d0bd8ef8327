/**
 * `npm run test:chaos -- [--only NAME,NAME] [--loops N] [--seed S] [--rate N] [--keep]`: every
 * scenario on a network of its own, with payments all the time, and a table at the end. `--only`
 * takes the beginnings of names; `--loops` says how many rounds each has; `--keep` leaves the
 * directories where they are. A seed gives the same faults; what processes make of them varies.
 */
import { parseArgs } from 'node:util';
import { buildShim, Disk } from './powerCut.ts';
import { powerScenarios, slownessOf } from './powerScenarios.ts';
import { type Note, type Scenario, scenarios } from './scenarios.ts';
import { World } from './world.ts';

type Row = {
  name: string;
  rounds: number;
  seconds: number;
  blocks: number;
  payments: number;
  votes: number;
  worstStallMs: number;
  notes: Note;
  failure: string | null;
};

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    loops: { type: 'string' },
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    rate: { type: 'string', default: '30' },
    keep: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const all = [...scenarios, ...powerScenarios];
const wanted = (values.only ?? '').split(',');
const chosen = all.filter(({ name }) => wanted.some((part) => name.startsWith(part)));
if (chosen.length === 0 || !Number.isSafeInteger(seed)) {
  process.stderr.write(`scenarios: ${all.map(({ name }) => name).join('; ')}\n`);
  process.exit(64);
}
process.stdout.write(`seed ${seed}\n`);
// Validators are killed when this process exits, and a signal alone would not make it exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const shim = chosen.some(({ disk }) => disk !== undefined) ? buildShim() : null;
const rows: Row[] = [];
for (const scenario of chosen) rows.push(await play(scenario));
print(rows);
process.exit(rows.every(({ failure }) => failure === null) ? 0 : 1);

async function play(scenario: Scenario): Promise<Row> {
  const { name, validators } = scenario;
  const rounds = Number(values.loops ?? scenario.rounds);
  const started = performance.now();
  const row: Row = {
    name,
    rounds: 0,
    seconds: 0,
    blocks: 0,
    payments: 0,
    votes: 0,
    worstStallMs: 0,
    notes: {},
    failure: null,
  };
  const world = await World.open({
    validators,
    seed,
    perSecond: Number(values.rate),
    ...(scenario.disk === undefined ? {} : { disk: diskFor(scenario.disk) }),
  });
  try {
    world.pay();
    for (let round = 0; round < rounds; round++) {
      row.notes = worst(row.notes, await scenario.play(world, round));
      await world.settle(true);
      row.rounds++;
      progress(`${name} ${row.rounds}/${rounds}`);
    }
    row.worstStallMs = world.witness.worstStallMs;
    await world.finish();
  } catch (error) {
    row.failure = error instanceof Error ? error.message : String(error);
  }
  const { cluster, observer, payments, witness } = world;
  for (const text of [
    ...observer.signatures.conflicts,
    ...witness.contradictions,
    ...cluster.deaths,
  ]) {
    row.failure = `${row.failure ?? ''}\n    ${text}`;
  }
  if (scenario.disk === 'lies') {
    const found = row.failure?.trim().split('\n')[0] ?? null;
    row.failure = found === null ? 'a lying disk was not noticed: the test proves nothing' : null;
    if (found !== null) process.stdout.write(`the control failed, as it has to: ${found}\n`);
  }
  row.seconds = (performance.now() - started) / 1_000;
  row.blocks = witness.height;
  row.payments = payments.accepted.size;
  row.votes = observer.signatures.votes;
  await world.close(values.keep);
  if (values.keep) process.stdout.write(`kept: ${cluster.dir}\n`);
  const figures = Object.entries(row.notes).map(([what, value]) => `${what} ${short(value)}`);
  progress('');
  process.stdout.write(
    `${row.failure === null ? 'ok    ' : 'FAILED'} ${name}, ${row.rounds} rounds, ` +
      `${row.seconds.toFixed(0)} s${figures.length > 0 ? `: ${figures.join(', ')}` : ''}\n`,
  );
  if (row.failure !== null) process.stdout.write(`  ${row.failure}\n`);
  return row;
}

/** Of each figure the greatest; of rates the smallest. */
function worst(a: Note, b: Note): Note {
  const merged: Record<string, number> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const pick = name.includes('/s') ? Math.min : Math.max;
    merged[name] = pick(merged[name] ?? value, value);
  }
  return merged;
}

function diskFor(kind: NonNullable<Scenario['disk']>): (dir: string, index: number) => Disk {
  const syncing = kind === 'lies' ? 'off' : 'on';
  return (dir, index) => {
    if (shim === null) throw new Error('no C compiler for the power cut shim');
    return new Disk(dir, shim, syncing, slownessOf(kind, index));
  };
}

function short(value: number): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

function progress(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r${text.padEnd(60)}\r`);
}

function print(played: readonly Row[]): void {
  const head = ['scenario', 'rounds', 's', 'blocks', 'payments', 'votes', 'worst stall ms', ''];
  const lines = played.map((row) => [
    row.name,
    `${row.rounds}`,
    row.seconds.toFixed(0),
    `${row.blocks}`,
    `${row.payments}`,
    `${row.votes}`,
    row.worstStallMs.toFixed(0),
    row.failure === null ? 'ok' : 'FAILED',
  ]);
  const widths = head.map((_, at) =>
    Math.max(...[head, ...lines].map((line) => (line[at] ?? '').length)),
  );
  const pad = (line: readonly string[]) =>
    line
      .map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)))
      .join('  ');
  process.stdout.write(`\n${[head, ...lines].map(pad).join('\n')}\nseed ${seed}\n`);
}
