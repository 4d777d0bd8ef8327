/** Payers who never stop: each sends one payment after the other through any node that answers. */
import { keccak256 } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import type { SeededRandom } from '#src/lib/random.ts';
import { chainId } from './cluster.ts';

const words = 'test test test test test test test test test test test junk';
const payersMax = 20;
export const fundsEach = 10n ** 24n;
export const payee = '0x00000000000000000000000000000000000ca501';
/** After this a payment that nobody promised is sent again. */
const patienceMs = 3_000;

const payers = Array.from({ length: payersMax }, (_, addressIndex) =>
  mnemonicToAccount(words, { addressIndex }),
);

export function fundedAddresses(): string[] {
  return payers.map(({ address }) => address.toLowerCase());
}

type Answer = { result?: string; error?: { message: string } };
type Payment = { readonly raw: string; readonly sentAt: number };

export class Payments {
  /** By hash, those that a node took with its word; milliseconds on the monotonic clock. */
  readonly accepted = new Map<string, number>();
  /** Sent, but the connection broke before the answer, or another node had it already. */
  readonly #doubtful = new Map<string, Payment>();
  readonly #live: () => readonly string[];
  readonly #isMined: (hash: string) => boolean;
  readonly #random: SeededRandom;
  readonly #nonces = payers.map(() => 0);
  readonly refusals = new Map<string, number>();
  #running: Promise<void>[] = [];
  #stopping = false;

  constructor(
    live: () => readonly string[],
    isMined: (hash: string) => boolean,
    random: SeededRandom,
  ) {
    this.#live = live;
    this.#isMined = isMined;
    this.#random = random;
  }

  start(perSecond: number): void {
    this.#stopping = false;
    const pauseMs = (payersMax * 1_000) / perSecond;
    this.#running = payers.map((_, at) => this.#pay(at, pauseMs));
    this.#running.push(this.#insist());
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    this.#running = [];
  }

  /** Sends again what no node has promised, so that what was promised behind it can be mined. */
  async insist(): Promise<void> {
    for (const [hash, { raw, sentAt }] of [...this.#doubtful]) {
      if (this.#isMined(hash)) this.#doubtful.delete(hash);
      else if (performance.now() - sentAt > patienceMs) await this.#submit(raw);
    }
  }

  async #insist(): Promise<void> {
    while (!this.#stopping) {
      await pause(500);
      await this.insist();
    }
  }

  async #pay(at: number, pauseMs: number): Promise<void> {
    const account = payers[at];
    await pause(this.#random.float() * pauseMs);
    while (account !== undefined && !this.#stopping) {
      const started = performance.now();
      const raw = await account.signTransaction({
        chainId,
        nonce: this.#nonces[at] ?? 0,
        to: payee,
        value: 1n,
        gas: 21_000n,
        maxFeePerGas: 2_000_000_000n,
        maxPriorityFeePerGas: 0n,
        type: 'eip1559',
      });
      await this.#deliver(raw);
      this.#nonces[at] = (this.#nonces[at] ?? 0) + 1;
      await pause(Math.max(0, pauseMs - (performance.now() - started)));
    }
  }

  /** Until some node has it, or might have it when everything ends. */
  async #deliver(raw: `0x${string}`): Promise<void> {
    for (;;) {
      const answer = await this.#submit(raw);
      if (answer !== null) {
        const { result, error } = answer;
        if (result !== undefined) {
          this.accepted.set(result, performance.now());
          return;
        }
        const text = error?.message ?? '';
        if (/already known|nonce too low/.test(text)) {
          this.#doubt(raw);
          return;
        }
        this.refusals.set(text, (this.refusals.get(text) ?? 0) + 1);
      }
      if (this.#stopping) {
        this.#doubt(raw);
        return;
      }
      await pause(50);
    }
  }

  #doubt(raw: `0x${string}`): void {
    const hash = keccak256(raw);
    this.#doubtful.set(hash, { raw, sentAt: performance.now() });
  }

  /** Null where no word came back. */
  async #submit(raw: string): Promise<Answer | null> {
    const live = this.#live();
    if (live.length === 0) return null;
    try {
      const response = await fetch(this.#random.pick(live), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'eth_sendRawTransaction',
          params: [raw],
        }),
        signal: AbortSignal.timeout(3_000),
      });
      return (await response.json()) as Answer;
    } catch {
      return null;
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
