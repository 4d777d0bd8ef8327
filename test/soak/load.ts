/**
 * A steady load that never waits for the network: payments at the moments that the rate says,
 * each by one call that answers when it is final, and reads beside them. Whatever happens to a
 * node, a payment is asked after at the next one until it is final or has been given up as lost.
 */
import type { Address } from '#src/types/address.ts';
import { type Account, accounts, pause, type Signed, Target, transfer } from '../bench/load.ts';

const senders = 200;
const firstSender = 1_000;
const payeeAt = 999;
const chainId = 6727n;
/** A payment that is not final by then is lost. */
const patienceMs = 60_000;
const readMethods = [
  ['eth_blockNumber', []],
  ['eth_getBlockByNumber', ['latest', true]],
  ['mpbp_nodeStatus', []],
  ['eth_gasPrice', []],
] as const;

export function loadAccounts(): readonly Account[] {
  return accounts(firstSender, senders);
}

/** Milliseconds until final. */
type Latency = number;

export class Load {
  readonly payee: Address;
  readonly latencies: Latency[] = [];
  readonly lost: string[] = [];
  sent = 0;
  reads = 0;
  readsFailed = 0;
  /** Answers other than the receipt, by their words: a node that is down, a wait that was long. */
  readonly retries = new Map<string, number>();
  readonly #targets: readonly Target[];
  readonly #isUp: (index: number) => boolean;
  readonly #group: readonly Account[] = loadAccounts();
  readonly #open = new Set<Promise<void>>();
  #stopping = false;
  #running: Promise<void>[] = [];

  constructor(urls: readonly string[], isUp: (index: number) => boolean) {
    this.#targets = urls.map((url) => new Target(url, 128));
    this.#isUp = isUp;
    this.payee = (accounts(payeeAt, 1)[0] as Account).address;
  }

  get waiting(): number {
    return this.#open.size;
  }

  get final(): number {
    return this.latencies.length;
  }

  start(paymentsPerSecond: number, readsPerSecond: number): void {
    this.#running = [
      this.#steadily(paymentsPerSecond, (at) => this.#pay(at)),
      ...this.#targets.map((_, node) =>
        this.#steadily(readsPerSecond, (at) => this.#read(node, at)),
      ),
    ];
  }

  /** Until all that was sent is final or lost. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    await Promise.all(this.#open);
  }

  close(): void {
    for (const target of this.#targets) target.close();
  }

  /**
   * What each node says that the payee has, in wei: a wei was paid each time. A payment is final
   * when one node says so; the others are asked when they have come to the same height.
   */
  async received(): Promise<bigint[]> {
    const heights = await Promise.all(this.#targets.map(heightOf));
    const highest = heights.reduce((one, other) => (one > other ? one : other), 0n);
    return Promise.all(
      this.#targets.map(async (target) => {
        for (let tried = 0; tried < 100 && (await heightOf(target)) < highest; tried++) {
          await pause(100);
        }
        return BigInt(await target.call<string>('eth_getBalance', [this.payee, 'latest']));
      }),
    );
  }

  async #steadily(perSecond: number, act: (at: number) => Promise<void>): Promise<void> {
    const started = performance.now();
    for (let at = 0; !this.#stopping; at++) {
      const wait = started + (at * 1_000) / perSecond - performance.now();
      if (wait > 0) await pause(wait);
      const one = act(at).finally(() => this.#open.delete(one));
      this.#open.add(one);
    }
  }

  async #pay(at: number): Promise<void> {
    const payer = this.#group[at % senders] as Account;
    const payment = transfer(payer, this.payee, chainId);
    this.sent++;
    const started = performance.now();
    for (let tried = at; performance.now() - started < patienceMs; tried++) {
      const node = tried % this.#targets.length;
      if (!this.#isUp(node)) continue;
      if (await this.#isFinal(this.#targets[node] as Target, payment)) {
        this.latencies.push(performance.now() - started);
        return;
      }
      await pause(100);
    }
    this.lost.push(payment.hash);
  }

  /** Sent before, it gives the receipt as well, now or when it comes. */
  async #isFinal(target: Target, { raw, hash }: Signed): Promise<boolean> {
    try {
      await target.call('eth_sendRawTransactionSync', [raw, 10_000]);
      return true;
    } catch (error) {
      const words = String((error as Error).message).replace(/\d+|0x\w+/g, 'N');
      this.retries.set(words, (this.retries.get(words) ?? 0) + 1);
    }
    const receipt = await target.call('eth_getTransactionReceipt', [hash]).catch(() => null);
    return receipt !== null;
  }

  async #read(node: number, at: number): Promise<void> {
    if (!this.#isUp(node)) return;
    const [method, params] = readMethods[at % readMethods.length] as (typeof readMethods)[number];
    try {
      await (this.#targets[node] as Target).call(method, params);
      this.reads++;
    } catch {
      this.readsFailed++;
    }
  }
}

async function heightOf(target: Target): Promise<bigint> {
  return BigInt(await target.call<string>('eth_blockNumber', []));
}
