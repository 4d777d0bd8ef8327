/** Processes that the benchmark measures: our own networks, and anvil beside them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { reservePorts } from '../ports.ts';
import { Target } from './load.ts';

const root = join(import.meta.dirname, '..', '..');

export type Running = {
  readonly rpc: readonly string[];
  /** CPU seconds of all its processes so far. */
  cpuSeconds(): number;
  stop(): Promise<void>;
};

export async function startDevnet(validators: number): Promise<Running> {
  const rpcPort = await reservePorts(2 * validators);
  const dir = mkdtempSync(join(tmpdir(), 'mpbp-bench-'));
  const args = ['bin/mpbp.ts', 'devnet', '--json', '--fresh', '--dir', dir];
  args.push('--validators', `${validators}`, '--rpc-port', `${rpcPort}`);
  args.push('--p2p-port', `${rpcPort + validators}`);
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const ready = await firstLine(child);
  const { rpc, pids } = JSON.parse(ready) as { rpc: string[]; pids: number[] };
  return {
    rpc,
    cpuSeconds: () => pids.reduce((sum, pid) => sum + cpuOf(pid), 0),
    stop: async () => {
      await stopChild(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/**
 * Fetched by name from the package registry, for the benchmark only; null where it is not there.
 */
export async function startAnvil(args: readonly string[]): Promise<Running | null> {
  const port = await reservePorts(1);
  const binary = anvilBinary();
  if (binary === null) return null;
  const child = spawn(binary, ['--port', `${port}`, '--silent', ...args], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const target = new Target(url, 1);
  for (let attempt = 0; ; attempt++) {
    try {
      await target.call('eth_chainId', []);
      break;
    } catch (error) {
      if (attempt > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  target.close();
  return {
    rpc: [url],
    cpuSeconds: () => cpuOf(child.pid ?? 0),
    stop: () => stopChild(child),
  };
}

function anvilBinary(): string | null {
  const home = join(tmpdir(), 'mpbp-bench-anvil');
  const arch = process.arch === 'x64' ? 'amd64' : 'arm64';
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  const binary = join(home, 'node_modules', name, 'bin', 'anvil');
  if (!existsSync(binary)) {
    const args = ['install', '--prefix', home, '--no-save', '--ignore-scripts', `${name}@1.7.1`];
    spawnSync('npm', args, { stdio: 'ignore' });
  }
  return existsSync(binary) ? binary : null;
}

function firstLine(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (stdout === null) throw new Error('no output to read');
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stdout });
    lines.once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the network ended with ${code}`)));
  });
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

/** proc(5): user and system time in ticks of 1/100 s; 0 where the system has no /proc. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}
