/**
 * `npm test`: the type checker, the linter and every test, one after the other, each with its time.
 * Give folders or files below test/ to run only those: `npm test -- types ledger`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const only = process.argv.slice(2);
const patterns = only.length === 0 ? ['test/**/*.test.ts'] : only.map(patternOf);
const tool = (name: string) => join(root, 'node_modules', '.bin', name);

/** Hundreds of processes compile the same sources: once is enough. */
const cache = join(root, 'node_modules', '.cache', 'mpbp');
const env = { ...process.env, NODE_COMPILE_CACHE: cache };

const steps: { name: string; command: string; args: string[] }[] = [
  { name: 'type check', command: tool('tsc'), args: ['--noEmit'] },
  { name: 'lint', command: tool('biome'), args: ['check', '--error-on-warnings', '.'] },
  {
    name: 'tests',
    command: process.execPath,
    args: ['--test', '--test-timeout=600000', ...patterns],
  },
];
for (const { name, command, args } of steps) {
  process.stdout.write(`--- ${name}\n`);
  const started = performance.now();
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`--- ${name}: ${status === 0 ? 'ok' : 'FAILED'}, ${seconds} s\n`);
  if (status !== 0) process.exit(1);
}

function patternOf(name: string): string {
  const path = join('test', name);
  if (existsSync(join(root, path)) && !name.endsWith('.ts')) return `${path}/**/*.test.ts`;
  return name.startsWith('test') ? name : path;
}
