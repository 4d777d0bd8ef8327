import type { Hash } from '#src/types/hash.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';

/** An append-only log whose `sync` is a promise about the disk. */
export type SubmissionLog = {
  append(payload: Uint8Array): number;
  sync(): Promise<void>;
  prune(seq: number): void;
  close(): Promise<void>;
};

/**
 * What clients of this node were told is accepted: raw transactions on disk, synced together, until
 * a block has them. After a restart they are admitted again.
 */
export class Submissions {
  readonly #log: SubmissionLog;
  /** In order of sequence number, because they are put in that order. */
  readonly #open = new Map<Hash, number>();
  #newestSeq = 0;

  constructor(log: SubmissionLog) {
    this.#log = log;
  }

  /** Resolves when a power cut would not lose it. */
  keep(transaction: SignedTransaction): Promise<void> {
    this.resume(transaction.hash, this.#log.append(transaction.raw));
    return this.#log.sync();
  }

  /** Found in the log at start: it is kept already. */
  resume(hash: Hash, seq: number): void {
    // A key that is set again would keep its old place.
    this.#open.delete(hash);
    this.#open.set(hash, seq);
    if (seq > this.#newestSeq) this.#newestSeq = seq;
  }

  /** It is in a final block, or can never be. */
  settle(hash: Hash): void {
    this.#open.delete(hash);
  }

  /** Cuts what nothing needs any more; `newestSeq` is the newest one that was there at start. */
  prune(newestSeq: number): void {
    for (const seq of this.#open.values()) {
      this.#log.prune(seq);
      return;
    }
    this.#log.prune(Math.max(newestSeq, this.#newestSeq) + 1);
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
