import { Worker } from 'node:worker_threads';
import { assert } from '#src/lib/failure.ts';
import type { Secp256k1Name } from './secp256k1Backends.ts';

/** Which key made this signature? */
export type Question = {
  readonly digest: Uint8Array;
  /** `r || s`. */
  readonly signature: Uint8Array;
  readonly yParity: 0 | 1;
};

/** A batch on its way to a thread: digest 32, signature 64, parity 1, for each question. */
export const QUESTION_BYTES = 97;
/** And back: 1 where there is a key, then the key; else zeros. */
export const ANSWER_BYTES = 65;

type Thread = {
  readonly worker: Worker;
  /** In the order in which they were asked. */
  readonly waiting: ((answers: Uint8Array) => void)[];
};

/**
 * Keys recovered off the main thread, batch by batch: a thread has its batches answered in the
 * order in which it got them. The threads start with the first batch. Worth it only where there
 * are cores for them.
 */
export class RecoveryThreads {
  readonly #count: number;
  readonly #backend: Secp256k1Name;
  #threads: readonly Thread[] = [];

  constructor(count: number, backend: Secp256k1Name) {
    this.#count = count;
    this.#backend = backend;
  }

  /** For each question the 64-byte key, or null where no key can have made the signature. */
  async recover(questions: readonly Question[]): Promise<(Uint8Array | null)[]> {
    if (questions.length === 0) return [];
    const batch = new Uint8Array(questions.length * QUESTION_BYTES);
    for (const [index, { digest, signature, yParity }] of questions.entries()) {
      const at = index * QUESTION_BYTES;
      batch.set(digest, at);
      batch.set(signature, at + 32);
      batch[at + 96] = yParity;
    }
    const answers = await this.#ask(batch);
    return questions.map((_, index) => {
      const at = index * ANSWER_BYTES;
      return answers[at] === 1 ? answers.slice(at + 1, at + ANSWER_BYTES) : null;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  /** Of the thread that has the least to do. */
  #ask(batch: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
    if (this.#threads.length === 0) this.#start();
    const [first, ...others] = this.#threads;
    assert(first !== undefined, 'a thread at least');
    let chosen = first;
    for (const thread of others) {
      if (thread.waiting.length < chosen.waiting.length) chosen = thread;
    }
    return new Promise((resolve) => {
      chosen.waiting.push(resolve);
      chosen.worker.postMessage(batch, [batch.buffer]);
    });
  }

  #start(): void {
    const program = new URL('./recoveryThread.ts', import.meta.url);
    this.#threads = Array.from({ length: this.#count }, () => {
      const worker = new Worker(program, { workerData: this.#backend });
      const waiting: Thread['waiting'] = [];
      worker.unref();
      worker.on('message', (answers: Uint8Array) => {
        const next = waiting.shift();
        assert(next !== undefined, 'an answer for each batch');
        next(answers);
      });
      // Our own bug: nobody else's input gets this far unchecked.
      worker.on('error', (error) => {
        throw error;
      });
      return { worker, waiting };
    });
  }
}
