import type { Block } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Receipt } from '#src/types/receipt.ts';
import type { Caller } from './access/access.ts';
import { formatReceipt } from './formats.ts';
import type { RpcLimits } from './limits.ts';
import { Shares } from './shares.ts';

/** Who waits for a payment's receipt (EIP-7966). Answered in the call that makes it final. */
export class ReceiptWaits {
  readonly #byHash = new Map<Hash, Set<Wait>>();
  readonly #shares: Shares;

  constructor(limits: RpcLimits) {
    this.#shares = new Shares('waits for receipts', limits.syncWaitsMax, limits);
  }

  /**
   * To be opened before the payment is handed in, so that no block can pass in between. Throws an
   * {@link RpcError} where too many wait.
   */
  open(hash: Hash, timeoutMs: number, caller: Caller): ReceiptWait {
    this.#shares.take(caller);
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const waits = this.#byHash.get(hash) ?? new Set<Wait>();
    const end = (receipt: unknown) => {
      if (!waits.delete(wait)) return;
      clearTimeout(timer);
      this.#shares.give(caller);
      if (waits.size === 0 && this.#byHash.get(hash) === waits) this.#byHash.delete(hash);
      resolve(receipt);
    };
    const wait: Wait = { end };
    const timer = setTimeout(end, timeoutMs, null);
    this.#byHash.set(hash, waits.add(wait));
    return { receipt: promise, cancel: () => end(null) };
  }

  onFinal(block: Block, receipts: readonly Receipt[]): void {
    if (this.#byHash.size === 0) return;
    for (const [index, { hash }] of block.transactions.entries()) {
      const waits = this.#byHash.get(hash);
      if (waits === undefined) continue;
      const receipt = formatReceipt({ block, index }, receipts);
      for (const wait of [...waits]) wait.end(receipt);
    }
  }

  /** Lets everybody go: the server closes. */
  close(): void {
    for (const waits of [...this.#byHash.values()]) for (const wait of [...waits]) wait.end(null);
  }
}

export type ReceiptWait = {
  /** Null at the timeout and when cancelled. */
  readonly receipt: Promise<unknown>;
  cancel(): void;
};

type Wait = { end(receipt: unknown): void };
