/**
 * Ports for test processes that are told theirs before they listen. Many tests run at the same
 * time: a range belongs to one process from the moment it asks until it ends, whether or not
 * anybody listens there yet.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below those that the system gives to outgoing connections. */
const [lowest, highest] = [10_000, 32_700];
const rangePorts = 20;
const claims = join(tmpdir(), 'mpbp-test-ports');

const mine = new Set<number>();
process.once('exit', () => {
  for (const range of mine) release(range);
});

/** The first of so many consecutive ports, which are nobody else's until this process ends. */
export async function reservePorts(count: number): Promise<number> {
  const needed = Math.ceil(count / rangePorts);
  const ranges = Math.floor((highest - lowest) / rangePorts) - needed;
  for (let tried = 0; tried < 1_000; tried++) {
    const range = Math.floor(Math.random() * ranges);
    const wanted = Array.from({ length: needed }, (_, at) => range + at);
    const claimed = wanted.filter((one) => claim(one));
    const first = lowest + range * rangePorts;
    if (claimed.length === needed && (await areFree(first, count))) return first;
    for (const one of claimed) release(one);
  }
  throw new Error('no ports are free');
}

function claim(range: number): boolean {
  mkdirSync(claims, { recursive: true });
  const path = claimPath(range);
  for (let tried = 0; tried < 2; tried++) {
    try {
      writeFileSync(path, `${process.pid}`, { flag: 'wx' });
      mine.add(range);
      return true;
    } catch {
      if (isHeld(path)) return false;
      rmSync(path, { force: true });
    }
  }
  return false;
}

function release(range: number): void {
  rmSync(claimPath(range), { force: true });
}

function claimPath(range: number): string {
  return join(claims, `${range}`);
}

/** By a process that lives; one that was killed left its claim. */
function isHeld(path: string): boolean {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}

async function areFree(first: number, count: number): Promise<boolean> {
  const free = Array.from({ length: count }, (_, at) => isFree(first + at));
  return (await Promise.all(free)).every((one) => one);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
