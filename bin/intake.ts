import type { Engine } from '#consensus/engine/engine.ts';
import type { Chain, FinalEvent } from '#src/chain/chain.ts';
import type { Log } from '#src/lib/log.ts';
import type { Pool } from '#src/pool/pool.ts';
import { decodeRelay, type Relay } from '#src/pool/relay.ts';
import type { Submissions } from '#src/pool/submissions.ts';
import { decodeTransaction } from '#src/types/decodeTransaction.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';

export type IntakeParts = {
  readonly chain: Chain;
  readonly pool: Pool;
  readonly relay: Relay;
  readonly submissions: Submissions;
  readonly engine: Engine;
  readonly pending: Set<(transaction: SignedTransaction) => void>;
  readonly log: Log;
  /** The disk failed while a promise to a client was written. */
  onFatal(error: Error): void;
};

/** Blocks between two looks for payments that waited too long. */
const expireEveryBlocks = 64n;

/** Where payments come in, from clients, from peers and from the disk, and where they leave. */
export class Intake {
  readonly #parts: IntakeParts;
  #newestSeq = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** What this node promised before it was stopped. */
  resume(records: readonly { seq: number; payload: Uint8Array }[], newestSeq: number): void {
    const { chain, pool, relay, submissions, log } = this.#parts;
    const { chainId } = chain.params;
    let waiting = 0;
    for (const { seq, payload } of records) {
      const decoded = decodeTransaction(payload, { chainId });
      if (!decoded.ok || !pool.add(decoded.value, true).ok) continue;
      submissions.resume(decoded.value.hash, seq);
      relay.resume(decoded.value.hash);
      waiting++;
    }
    this.#newestSeq = newestSeq;
    if (waiting > 0) log.info('submissions resumed', { waiting });
  }

  /** A client's payment that the pool admitted. Resolves when it is kept. */
  async accepted(transaction: SignedTransaction): Promise<void> {
    const { relay, engine, submissions, pending, onFatal } = this.#parts;
    try {
      const kept = submissions.keep(transaction);
      relay.announce(transaction);
      engine.poolChanged();
      for (const listener of pending) listener(transaction);
      await kept;
    } catch (error) {
      onFatal(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  /**
   * A peer's batch: what is new and valid goes into the pool, what cannot be right costs standing.
   */
  relayed(
    _from: string,
    message: Uint8Array,
    penalize: (penalty: 'drop' | 'ban', reason: string) => void,
  ): void {
    const { chain, pool, relay, engine, pending } = this.#parts;
    const { chainId } = chain.params;
    const batch = decodeRelay(message);
    if (!batch.ok) return penalize('ban', batch.refusal.code);
    let added = 0;
    for (const { hash, raw } of batch.value) {
      if (pool.get(hash) !== null || chain.locate(hash) !== null) continue;
      const decoded = decodeTransaction(raw, { chainId, hash });
      // An honest node decoded it before it passed it on.
      if (!decoded.ok) return penalize('ban', decoded.refusal.code);
      const admitted = pool.add(decoded.value, false);
      if (!admitted.ok) continue;
      relay.heard(hash);
      added++;
      for (const listener of pending) listener(decoded.value);
    }
    if (added > 0) engine.poolChanged();
  }

  settle({ block }: FinalEvent): void {
    const { pool, relay, submissions } = this.#parts;
    const touched = new Set(block.transactions.map(({ sender }) => sender));
    const gone = pool.settle(touched);
    if (block.header.height % expireEveryBlocks === 0n) gone.push(...pool.expire());
    for (const { transaction } of gone) {
      relay.forget(transaction.hash);
      submissions.settle(transaction.hash);
    }
    for (const { hash } of block.transactions) submissions.settle(hash);
    submissions.prune(this.#newestSeq);
  }
}
