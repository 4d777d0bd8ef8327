import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { EXIT } from '#src/lib/failure.ts';

export const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');

export type Result = { code: number | null; stdout: string; stderr: string };
const runMsMax = 60_000;
const readyMsMax = 60_000;

/** The command as a user types it, in a home of its own. */
export class Program {
  readonly #home: string;
  readonly #children: ChildProcess[] = [];

  constructor(home: string) {
    this.#home = home;
  }

  async run(...args: readonly string[]): Promise<Result> {
    const child = this.#spawn(args, runMsMax);
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const code = await exitOf(child);
    return { code, stdout, stderr };
  }

  /** Ends well; its JSON. */
  async json<T>(...args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, '--json');
    assert.equal(code, EXIT.ok, `mpbp ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** Ends with this code and says this, without a stack. */
  async fails(code: number, text: RegExp, ...args: readonly string[]): Promise<Result> {
    const result = await this.run(...args);
    const shown = `mpbp ${args.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`;
    assert.match(result.stdout + result.stderr, text, shown);
    assert.equal(result.code, code, shown);
    assert.doesNotMatch(shown, /\n\s+at |internal error/);
    return result;
  }

  /** One that stays: resolves when it has printed this. */
  async start(text: string, ...args: readonly string[]): Promise<Staying> {
    const child = this.#spawn(args, 0);
    this.#children.push(child);
    const staying = { child, output: '', stop: () => end(child) };
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`late: ${staying.output}`)), readyMsMax);
      const heard = (chunk: Buffer) => {
        staying.output += chunk.toString();
        if (staying.output.includes(text)) resolve();
        if (staying.output.includes(text)) clearTimeout(late);
      };
      child.stdout?.on('data', heard);
      child.stderr?.on('data', heard);
      child.once('exit', (code) => {
        clearTimeout(late);
        reject(new Error(`ended with ${code}: ${staying.output}`));
      });
    });
    return staying;
  }

  /** A network of one, chain 77, and the data directory of its validator. */
  async makeAlone(): Promise<string> {
    const dir = join(this.#home, 'node');
    const file = join(this.#home, 'genesis.json');
    const operator = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
    const chain = ['--chain-id', '77', '--alloc', `${operator}=1000`];
    await this.json('keys', 'new', '--data-dir', dir);
    await this.run('genesis', 'new', '--file', file, ...chain);
    const member = ['--id', 'alone', '--stake', '1', '--operator', operator];
    const address = ['--address', '/dns4/node.alone.example/tcp/30303'];
    const add = ['genesis', 'add-member', '--file', file, '--data-dir', dir];
    await this.run(...add, ...member, ...address);
    await this.json('init', '--genesis', file, '--data-dir', dir);
    return dir;
  }

  /** For the end of a test file. */
  killAll(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #spawn(args: readonly string[], timeout: number): ChildProcess {
    return spawn(process.execPath, [program, ...args], {
      cwd: this.#home,
      env: { PATH: process.env.PATH ?? '', HOME: this.#home },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
    });
  }
}

export type Staying = {
  readonly child: ChildProcess;
  output: string;
  stop(): Promise<number | null>;
};

function end(child: ChildProcess): Promise<number | null> {
  child.removeAllListeners('exit');
  const ended = exitOf(child);
  child.kill('SIGTERM');
  return ended;
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve));
}
