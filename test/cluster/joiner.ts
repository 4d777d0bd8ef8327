import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { mnemonicKey } from '#src/wallet/mnemonic.ts';
import { encodeCall } from '../../bin/commands/membership/contract.ts';
import { type Devnet, rpc, run } from './devnet.ts';

export const words = 'test test test test test test test test test test test junk';
const root = join(import.meta.dirname, '..', '..');

/** Where an account's words begin for a devnet's members; the fifth is ours. */
export const memberWords = (index: number) => 1_000 + index;

/** One command as a user types it; its document, or what it says where it fails. */
export async function cli<T>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await run([...args, '--json']);
  assert.equal(code, 0, `mpbp ${args.join(' ')}: ${stderr}${stdout}`);
  return JSON.parse(stdout) as T;
}

/** The bank that joins a running network, with its own wallet, keys and process. */
export class Joiner {
  readonly dataDir: string;
  readonly keystore: string;
  readonly url: string;
  readonly #p2p: string;
  readonly #rpcPort: number;
  #child: ChildProcess | null = null;

  constructor(net: Devnet) {
    this.dataDir = join(net.dir, '..', 'node5');
    this.keystore = join(net.dir, '..', 'bank5');
    this.#rpcPort = net.rpcPort + 5;
    this.url = `http://127.0.0.1:${this.#rpcPort}`;
    this.#p2p = `/ip4/127.0.0.1/tcp/${net.p2pPort + 5}`;
  }

  get address(): string {
    return this.#p2p;
  }

  /** A wallet, with the password beside it. */
  async makeWallet(): Promise<string> {
    mkdirSync(this.keystore, { mode: 0o700 });
    const [password, phrase] = [join(this.keystore, 'password'), join(this.keystore, 'words')];
    writeFileSync(password, 'fifth\n', { mode: 0o600 });
    writeFileSync(phrase, `${words}\n`, { mode: 0o600 });
    const made = await cli<{ address: string }>(
      ...['wallet', 'new', '--keystore', this.keystore, '--password-file', password],
      ...['--mnemonic-file', phrase, '--index', `${memberWords(4)}`],
    );
    return made.address;
  }

  start(): void {
    const log = openSync(join(this.dataDir, 'node.log'), 'a');
    const args = ['bin/mpbp.ts', 'start', '--data-dir', this.dataDir];
    args.push('--rpc.port', `${this.#rpcPort}`, '--p2p.listen', this.#p2p);
    this.#child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', log, log] });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}

/** An account that sends one transaction after another, each final before the next. */
export class Sender {
  readonly #account: ReturnType<typeof privateKeyToAccount>;
  readonly #url: string;
  readonly #chainId: number;

  constructor(url: string, chainId: number, wordsIndex: number) {
    this.#account = privateKeyToAccount(toHex(mnemonicKey(words, wordsIndex)));
    this.#url = url;
    this.#chainId = chainId;
  }

  /** Throws where the call reverts. */
  async call(
    contract: NativeContract,
    name: string,
    values: readonly unknown[],
    value = 0n,
  ): Promise<void> {
    const data = toHex(encodeCall(contract, name, ...values));
    const receipt = await this.#send(contract.address, value, data);
    assert.equal(receipt.status, '0x1', `${name}(${values.join(', ')})`);
  }

  async pay(to: `0x${string}`): Promise<void> {
    const receipt = await this.#send(to, 1n, '0x');
    assert.equal(receipt.status, '0x1');
  }

  async #send(to: `0x${string}`, value: bigint, data: `0x${string}`) {
    const { address } = this.#account;
    const nonce = Number(await rpc(this.#url, 'eth_getTransactionCount', [address, 'pending']));
    const raw = await this.#account.signTransaction({
      ...{ chainId: this.#chainId, nonce, to, value, data },
      ...{ gas: 1_900_000n, gasPrice: 10_000_000n, type: 'legacy' },
    });
    return rpc<{ status: string }>(this.#url, 'eth_sendRawTransactionSync', [raw, 30_000]);
  }
}

/** A payment every 200 ms, and how long each took to be final. */
export class Load {
  readonly latenciesMs: number[] = [];
  readonly failures: string[] = [];
  readonly #account = privateKeyToAccount(toHex(mnemonicKey(words, 2)));
  readonly #waiting = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  #nonce = 0;

  constructor(url: string, chainId: number, to: `0x${string}`) {
    this.#timer = setInterval(() => {
      const one = this.#pay(url, chainId, to, this.#nonce++).finally(() => {
        this.#waiting.delete(one);
      });
      this.#waiting.add(one);
    }, 200);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#waiting);
  }

  async #pay(url: string, chainId: number, to: `0x${string}`, nonce: number): Promise<void> {
    const begun = performance.now();
    const raw = await this.#account.signTransaction({
      ...{ chainId, nonce, to, value: 1n },
      ...{ gas: 21_000n, gasPrice: 10_000_000n, type: 'legacy' },
    });
    try {
      await rpc(url, 'eth_sendRawTransactionSync', [raw, 30_000]);
    } catch (error) {
      this.failures.push(`${nonce}: ${(error as Error).message}`);
    }
    this.latenciesMs.push(performance.now() - begun);
  }
}
