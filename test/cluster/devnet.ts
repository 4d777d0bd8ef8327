import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { reservePorts } from '../ports.ts';

const root = join(import.meta.dirname, '..', '..');
const program = join(root, 'bin', 'mpbp.ts');

/** For validators, and for those who join later. */
const portsEach = 10;

export type Ready = {
  ready: true;
  chainId: number;
  rpc: string[];
  dataDirs: string[];
  pids: number[];
};

/** A network of real processes, started by the command that a user types. */
export class Devnet {
  readonly dir: string;
  readonly rpcPort: number;
  readonly p2pPort: number;
  readonly #extra: readonly string[];
  #child: ChildProcess | null = null;
  #single: ChildProcess[] = [];
  ready: Ready = { ready: true, chainId: 0, rpc: [], dataDirs: [], pids: [] };

  private constructor(dir: string, rpcPort: number, p2pPort: number, extra: readonly string[]) {
    this.dir = dir;
    this.rpcPort = rpcPort;
    this.p2pPort = p2pPort;
    this.#extra = extra;
  }

  static async start(extra: readonly string[] = []): Promise<Devnet> {
    const dir = join(mkdtempSync(join(tmpdir(), 'mpbp-cluster-')), 'net');
    const rpcPort = await reservePorts(2 * portsEach);
    const devnet = new Devnet(dir, rpcPort, rpcPort + portsEach, extra);
    await devnet.up();
    return devnet;
  }

  /** The same command again goes on with the same chain. */
  async up(): Promise<void> {
    const args = [program, 'devnet', '--json', '--dir', this.dir, ...this.#extra];
    args.push('--rpc-port', `${this.rpcPort}`, '--p2p-port', `${this.p2pPort}`);
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let errors = '';
    child.stderr.on('data', (text: Buffer) => {
      errors += text.toString();
    });
    this.ready = await new Promise<Ready>((resolve, reject) => {
      createInterface({ input: child.stdout }).once('line', (line) => {
        resolve(JSON.parse(line) as Ready);
      });
      child.once('exit', (code) => reject(new Error(`devnet ended with ${code}: ${errors}`)));
    });
  }

  kill(index: number): void {
    tryKill(this.ready.pids[index] ?? 0, 'SIGKILL');
  }

  /** Those that `restart` started. */
  killRestarted(): void {
    for (const child of this.#single.splice(0)) child.kill('SIGKILL');
  }

  /** One validator by itself, as an operator starts it. */
  restart(index: number, ...flags: readonly string[]): ChildProcess {
    const dataDir = this.ready.dataDirs[index] ?? '';
    const args = [program, 'start', '--data-dir', dataDir, '--log.level', 'warn'];
    args.push('--rpc.port', `${this.rpcPort + index}`);
    args.push('--p2p.listen', `/ip4/127.0.0.1/tcp/${this.p2pPort + index}`, ...flags);
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'ignore' });
    this.#single.push(child);
    return child;
  }

  /** All processes at once, without any chance to write. */
  async killAll(): Promise<void> {
    const ended = exitOf(this.#child);
    for (const pid of this.ready.pids) tryKill(pid, 'SIGKILL');
    for (const child of this.#single) child.kill('SIGKILL');
    await ended;
  }

  /** Milliseconds that a clean stop took, and its exit code. */
  async stop(): Promise<{ ms: number; code: number | null }> {
    const started = performance.now();
    for (const child of this.#single) child.kill('SIGTERM');
    await Promise.all(this.#single.map(exitOf));
    this.#single = [];
    const ended = exitOf(this.#child);
    this.#child?.kill('SIGTERM');
    const code = await ended;
    return { ms: performance.now() - started, code };
  }

  async destroy(): Promise<void> {
    await this.stop();
    rmSync(join(this.dir, '..'), { recursive: true, force: true });
  }
}

/** Runs one command to its end. */
/** A command that hangs is ended, and its exit code then says so. */
const runMsMax = 60_000;

export async function run(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], { cwd: root, timeout: runMsMax });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => {
    stdout += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const code = await exitOf(child);
  return { code, stdout, stderr };
}

export async function rpc<T>(
  url: string,
  method: string,
  params: readonly unknown[] = [],
): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const answer = (await response.json()) as { result?: T; error?: { message: string } };
  if (answer.error !== undefined) throw new Error(answer.error.message);
  return answer.result as T;
}

/** Until the condition holds, or an error that says which one did not. */
export async function eventually(
  what: string,
  condition: () => Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const holds = await condition().catch(() => false);
    if (holds) return;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function exitOf(child: ChildProcess | null): Promise<number | null> {
  if (child === null || child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve(child?.exitCode ?? null);
  }
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}
