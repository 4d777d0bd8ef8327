/** Validators as real processes with their own data directories, and every way to mistreat them. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chainOf } from '#src/chain/genesisChain.ts';
import { parseGenesis } from '#src/types/genesis.ts';
import type { Validator } from '#src/types/validatorSet.ts';
import { createChain } from '../../bin/commands/init.ts';
import { createDataDir } from '../../bin/dataDir.ts';
import { nodeFlags } from '../../bin/nodeFlags.ts';
import { createNodeKeys } from '../../bin/nodeKeys.ts';
import { reservePorts } from '../ports.ts';
import { FaultyNet } from './faultyProxy.ts';
import { fundedAddresses, fundsEach } from './payments.ts';

const root = join(import.meta.dirname, '..', '..');
const program = join(root, 'bin', 'mpbp.ts');
export const chainId = 6727;

export type ClusterOptions = {
  readonly validators: number;
  /** Peer id that may listen to everything. */
  readonly observer: string;
  /** Where everything is kept; otherwise a directory below the system's for such. */
  readonly dir?: string;
  /** Validators dial each other themselves: no proxy in between takes or breaks anything. */
  readonly direct?: true;
  /** Each serves its metrics. */
  readonly operator?: true;
  /** More funded accounts. */
  readonly funded?: readonly string[];
  /** Added to genesis' `config`. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Added to the environment of a validator when it is started. */
  readonly environment?: (index: number, dir: string) => Readonly<Record<string, string>>;
};

type Member = {
  readonly dir: string;
  readonly rpc: string;
  readonly rpcPort: number;
  readonly p2pPort: number;
  readonly metrics: string;
  peerId: string;
  child: ChildProcess | null;
  state: 'down' | 'up' | 'paused';
};

export class Cluster {
  readonly dir: string;
  readonly members: readonly Member[];
  readonly networkId: Uint8Array;
  /** In the order of the set, which is what `signer` in a vote counts. */
  readonly set: readonly Validator[];
  readonly net: FaultyNet;
  readonly genesisText: string;
  readonly #options: ClusterOptions;
  readonly #distrusted = new Set<number>();
  /** Ends that nobody asked for. */
  readonly deaths: string[] = [];

  private constructor(
    dir: string,
    members: readonly Member[],
    genesisText: string,
    net: FaultyNet,
    options: ClusterOptions,
  ) {
    const genesis = parseGenesis(genesisText);
    if (!genesis.ok) throw new Error(`genesis: ${JSON.stringify(genesis.refusal)}`);
    const { electorate } = chainOf(genesis.value);
    this.dir = dir;
    this.members = members;
    this.genesisText = genesisText;
    this.networkId = electorate.networkId;
    this.set = electorate.set.validators;
    this.net = net;
    this.#options = options;
  }

  /** Data directories and proxies; no process yet. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'mpbp-chaos-'));
    const count = options.validators;
    const firstPort = await reservePorts(4 * count);
    const port = (at: number) => firstPort + at;
    const members = Array.from({ length: count }, (_, at): Member => {
      const [rpcPort, p2pPort] = [port(at), port(count + at)];
      const rpc = `http://127.0.0.1:${rpcPort}`;
      const home = join(dir, `node${at}`);
      const metrics = `http://127.0.0.1:${port(3 * count + at)}/metrics`;
      const idle = { peerId: '', child: null, state: 'down' } as const;
      return { dir: home, rpc, rpcPort, p2pPort, metrics, ...idle };
    });
    const keys = await Promise.all(members.map((member) => createNodeKeys(member.dir, null)));
    for (const [at, member] of members.entries()) member.peerId = keys[at]?.peerId ?? '';
    const genesis = {
      config: { chainId, heartbeatMs: 5_000, ...options.config },
      timestamp: Math.floor(Date.now() / 1_000) - 1,
      members: keys.map((_, at) => ({ id: `member-${at}`, name: `Member ${at}` })),
      validators: keys.map((publicKeys, at) => ({
        memberId: `member-${at}`,
        ...publicKeys,
        addresses: [`/ip4/127.0.0.1/tcp/${port((options.direct ? 1 : 2) * count + at)}`],
        operator: feeAccount(at),
        stake: '1',
        feeRecipient: feeAccount(at),
      })),
      alloc: Object.fromEntries(
        [...fundedAddresses(), ...(options.funded ?? [])].map((address) => [
          address,
          { balance: fundsEach.toString() },
        ]),
      ),
    };
    const text = `${JSON.stringify(genesis, null, 2)}\n`;
    for (const member of members) await createChain(createDataDir(member.dir, text));
    const net = await FaultyNet.open(
      (options.direct ? [] : members).map((member, at) => ({
        front: port(2 * count + at),
        target: member.p2pPort,
        pid: () => member.child?.pid ?? null,
      })),
    );
    return new Cluster(dir, members, text, net, options);
  }

  /** Those that a client can reach. */
  get live(): readonly string[] {
    return this.members.filter(({ state }) => state === 'up').map(({ rpc }) => rpc);
  }

  /** Those that payers give their payments to. */
  get trusted(): readonly string[] {
    return this.members
      .filter(({ state }, index) => state === 'up' && !this.#distrusted.has(index))
      .map(({ rpc }) => rpc);
  }

  distrust(index: number): void {
    this.#distrusted.add(index);
  }

  trust(index: number): void {
    this.#distrusted.delete(index);
  }

  p2pPortOf(peerId: string): number {
    return this.members.find((member) => member.peerId === peerId)?.p2pPort ?? 0;
  }

  start(index: number): void {
    const member = this.#member(index);
    const log = openSync(join(this.dir, `node${index}.log`), 'a', 0o600);
    const args: string[] = [...nodeFlags, program, 'start', '--data-dir', member.dir];
    args.push('--log.level', 'info');
    args.push('--rpc.port', `${member.rpcPort}`, '--p2p.allow', this.#options.observer);
    args.push('--p2p.listen', `/ip4/127.0.0.1/tcp/${member.p2pPort}`);
    if (this.#options.operator) args.push('--operator.port', new URL(member.metrics).port);
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...this.#options.environment?.(index, member.dir) },
    });
    closeSync(log);
    member.child = child;
    member.state = 'up';
    const orphaned = () => child.kill('SIGKILL');
    process.once('exit', orphaned);
    child.once('exit', (code, signal) => {
      process.removeListener('exit', orphaned);
      if (member.child !== child) return;
      member.child = null;
      if (member.state !== 'down') {
        this.deaths.push(`validator ${index}: ${signal ?? code}; ${this.#lastLines(index)}`);
      }
      member.state = 'down';
    });
  }

  startAll(order: readonly number[] = this.members.map((_, at) => at)): void {
    for (const index of order) this.start(index);
  }

  /** Without any chance to write. */
  async kill(...indexes: readonly number[]): Promise<void> {
    await this.#end(indexes, 'SIGKILL');
  }

  /** As an operator does it; false where one did not end well by itself. */
  async stop(...indexes: readonly number[]): Promise<boolean> {
    return this.#end(indexes, 'SIGTERM');
  }

  pause(index: number): void {
    const member = this.#member(index);
    member.child?.kill('SIGSTOP');
    if (member.state === 'up') member.state = 'paused';
  }

  resume(index: number): void {
    const member = this.#member(index);
    member.child?.kill('SIGCONT');
    if (member.state === 'paused') member.state = 'up';
  }

  /** Everything but keys and configuration is gone, and made again as `mpbp init` does. */
  async wipe(index: number): Promise<void> {
    const member = this.#member(index);
    for (const name of ['chain', 'consensus', 'pool', 'identity.json', 'genesis.json']) {
      rmSync(join(member.dir, name), { recursive: true, force: true });
    }
    await createChain(createDataDir(member.dir, this.genesisText));
  }

  /** A copy of the stopped validator's directory. */
  backUp(index: number): string {
    const copy = this.backupOf(index);
    rmSync(copy, { recursive: true, force: true });
    // A killed node leaves its socket behind, which is no file.
    const filter = (source: string) => !source.endsWith('.sock');
    cpSync(this.#member(index).dir, copy, { recursive: true, filter });
    return copy;
  }

  backupOf(index: number): string {
    return join(this.dir, `backup${index}`);
  }

  restoreFrom(copy: string, index: number): void {
    const { dir } = this.#member(index);
    rmSync(dir, { recursive: true, force: true });
    cpSync(copy, dir, { recursive: true });
  }

  log(index: number): string {
    return readFileSync(join(this.dir, `node${index}.log`), 'utf8');
  }

  /** A line of our own in every log, to find one's way afterwards. */
  note(text: string): void {
    for (const index of this.members.keys()) {
      const path = join(this.dir, `node${index}.log`);
      writeFileSync(path, `--- ${new Date().toISOString()} ${text}\n`, { flag: 'a' });
    }
  }

  /** Nothing of it is left, but the directories where `keep` says so. */
  async destroy(keep = false): Promise<void> {
    await this.kill(...this.members.keys());
    await this.net.close();
    if (!keep) rmSync(this.dir, { recursive: true, force: true });
  }

  async #end(indexes: readonly number[], signal: NodeJS.Signals): Promise<boolean> {
    const ends = indexes.map((index) => {
      const member = this.#member(index);
      const { child } = member;
      member.state = 'down';
      if (child === null) return true;
      const ended = new Promise<boolean>((resolve) => {
        const late = setTimeout(() => child.kill('SIGKILL'), 8_000);
        child.once('exit', (code) => {
          clearTimeout(late);
          resolve(code === 0);
        });
      });
      child.kill(signal);
      if (signal !== 'SIGKILL') child.kill('SIGCONT');
      return ended;
    });
    return (await Promise.all(ends)).every((clean) => clean);
  }

  #lastLines(index: number): string {
    return this.log(index).trimEnd().split('\n').slice(-3).join(' | ');
  }

  #member(index: number): Member {
    const member = this.members[index];
    if (member === undefined) throw new Error(`no validator ${index}`);
    return member;
  }
}

/** Where the fees of a validator go; nobody has its key. */
export function feeAccount(index: number): string {
  return `0x${(0xfee000 + index).toString(16).padStart(40, '0')}`;
}

/** Outside the range that the system gives to outgoing connections, and free now. */
