/**
 * A client that believes what nodes answer: every final block that any of them has shown is kept,
 * and may never change again. It also measures how long the chain stood still.
 */
import { pause } from './payments.ts';

export type SeenBlock = {
  readonly number: string;
  readonly hash: string;
  readonly stateRoot: string;
  readonly receiptsRoot: string;
  readonly transactions: readonly string[];
};

export class Witness {
  /** By height, as first seen. */
  readonly blocks: SeenBlock[] = [];
  readonly mined = new Map<string, { height: number; at: number }>();
  readonly contradictions: string[] = [];
  /** The greatest number of milliseconds between two new heights while payments came. */
  worstStallMs = 0;
  #lastNewsAt = performance.now();
  readonly #live: () => readonly string[];
  #stopping = false;
  #running: Promise<void> = Promise.resolve();

  constructor(live: () => readonly string[]) {
    this.#live = live;
  }

  get height(): number {
    return this.blocks.length - 1;
  }

  start(): void {
    this.#running = this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** While nobody pays, standing still is right: the clock starts again. */
  forgive(): void {
    this.#lastNewsAt = performance.now();
  }

  /** A block as some node answered it. */
  believe(block: SeenBlock, from: string): void {
    const height = Number(block.number);
    const known = this.blocks[height];
    if (known !== undefined) {
      if (known.hash !== block.hash || known.stateRoot !== block.stateRoot) {
        this.contradictions.push(`${from}: block ${height} is ${block.hash}, was ${known.hash}`);
      }
      return;
    }
    this.blocks[height] = block;
    for (const hash of block.transactions) {
      const before = this.mined.get(hash);
      if (before !== undefined) {
        this.contradictions.push(`${hash} is in block ${before.height} and in ${height}`);
      }
      this.mined.set(hash, { height, at: performance.now() });
    }
  }

  /** Milliseconds until a height above `height` was seen; throws after `limitMs`. */
  async above(height: number, limitMs: number): Promise<number> {
    const started = performance.now();
    while (this.height <= height) {
      if (performance.now() - started > limitMs) {
        throw new Error(`no block above ${height} within ${limitMs} ms`);
      }
      await pause(10);
    }
    return performance.now() - started;
  }

  async #watch(): Promise<void> {
    while (!this.#stopping) {
      await Promise.all(this.#live.call(null).map((url) => this.#look(url).catch(() => {})));
      await pause(40);
    }
  }

  async #look(url: string): Promise<void> {
    const head = Number(await call<string>(url, 'eth_blockNumber', []));
    while (this.height < head && !this.#stopping) {
      const from = this.height + 1;
      const blocks = await blocksOf(url, from, Math.min(head, from + 49));
      const before = this.height;
      for (const block of blocks) this.believe(block, url);
      if (this.height > before) this.#news();
    }
  }

  #news(): void {
    const now = performance.now();
    this.worstStallMs = Math.max(this.worstStallMs, now - this.#lastNewsAt);
    this.#lastNewsAt = now;
  }
}

type Answer = { id: number; result?: unknown; error?: { message: string } };

export async function blocksOf(url: string, from: number, to: number): Promise<SeenBlock[]> {
  const heights = Array.from({ length: to - from + 1 }, (_, at) => from + at);
  const calls = heights.map((height, id) => ({
    jsonrpc: '2.0',
    id,
    method: 'eth_getBlockByNumber',
    params: [`0x${height.toString(16)}`, false],
  }));
  const answers = (await post(url, calls)) as Answer[];
  return answers
    .sort((a, b) => a.id - b.id)
    .map(({ result, error }) => {
      if (error !== undefined || result == null) throw new Error(error?.message ?? 'no block');
      return result as SeenBlock;
    });
}

export async function call<T>(url: string, method: string, params: unknown[]): Promise<T> {
  const { result, error } = (await post(url, { jsonrpc: '2.0', id: 1, method, params })) as Answer;
  if (error !== undefined) throw new Error(`${method}: ${error.message}`);
  return result as T;
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(3_000),
  });
  return response.json();
}
