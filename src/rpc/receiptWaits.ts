import type { Block } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Receipt } from '#src/types/receipt.ts';
import { formatReceipt } from './formats.ts';

/** Who waits for a payment's receipt (EIP-7966). Answered in the call that makes it final. */
export class ReceiptWaits {
  readonly #byHash = new Map<Hash, Set<Wait>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** To be opened before the payment is handed in, so that no block can pass in between. */
  open(hash: Hash, timeoutMs: number): ReceiptWait {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const waits = this.#byHash.get(hash) ?? new Set<Wait>();
    const end = (receipt: unknown) => {
      if (!waits.delete(wait)) return;
      clearTimeout(timer);
      this.#size--;
      if (waits.size === 0 && this.#byHash.get(hash) === waits) this.#byHash.delete(hash);
      resolve(receipt);
    };
    const wait: Wait = { end };
    const timer = setTimeout(end, timeoutMs, null);
    this.#byHash.set(hash, waits.add(wait));
    this.#size++;
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
