import type { Block, Floor } from '#consensus/core/types.ts';
import { nextTurn } from '#src/lib/clock.ts';
import { InvariantError } from '#src/lib/failure.ts';
import type { Certificate, VerifiedVotes } from '#src/types/certificate.ts';
import type { Ledger } from './ports.ts';

export type CommitsOptions = {
  readonly ledger: Ledger;
  /** How far the journal is on disk when a commit is written. */
  journalSeq(): number;
  readonly known: VerifiedVotes;
  /** Blocks are on disk, or were there already. */
  onCommitted(): void;
  /** Blocks are on disk of which agreement here did not know. */
  onImported(floor: Floor, certificate: Certificate): void;
  onFailed(error: unknown): void;
};

/** Two roads to the one door, in one queue: what was agreed on here, and what was fetched. */
export class Commits {
  readonly #options: CommitsOptions;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: CommitsOptions) {
    this.#options = options;
  }

  commit(blocks: readonly Block[], certificate: Certificate): void {
    const { ledger, onCommitted, onFailed } = this.#options;
    this.#queue = this.#queue
      .then(async () => {
        const { height } = ledger.floor;
        const fresh = blocks.filter((block) => block.height > height);
        if (fresh.length > 0) await this.#write(fresh, certificate);
        onCommitted();
      })
      .catch(onFailed);
  }

  /** False where the range does not fit any more. Its certificate has been verified. */
  importRange(blocks: readonly Block[], certificate: Certificate): Promise<boolean> {
    const { onFailed } = this.#options;
    const job = this.#queue.then(() => this.#import(blocks, certificate));
    this.#queue = job.then(() => undefined, onFailed);
    return job.catch(() => false);
  }

  /** Waits for what is being written; takes no range after that. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue;
  }

  async #import(blocks: readonly Block[], certificate: Certificate): Promise<boolean> {
    if (this.#closed) return false;
    const { ledger, onImported, onCommitted } = this.#options;
    const fresh = blocks.filter((block) => block.height > ledger.floor.height);
    const first = fresh[0];
    const last = fresh.at(-1);
    if (first === undefined || last === undefined) return true;
    if (first.parentHash !== ledger.floor.hash) return false;
    for (const block of fresh) {
      const wrong = await ledger.execute(block);
      // The quorum made it final, so this node's own execution is what differs.
      if (wrong !== null) throw new InvariantError(`a final block is invalid here: ${wrong}`);
      await nextTurn();
    }
    await this.#write(fresh, certificate);
    const { hash, height, timestampMs } = last;
    const floor: Floor = { view: certificate.statement.view, hash, height, timestampMs };
    // Past the last block of an epoch the next one begins, and that says all.
    if (!last.epochEnd) onImported(floor, certificate);
    onCommitted();
    return true;
  }

  #write(blocks: readonly Block[], certificate: Certificate): Promise<void> {
    const { ledger, journalSeq, known } = this.#options;
    return ledger.commit(blocks, certificate, journalSeq(), known);
  }
}
