import type { FinalEvent } from '#src/chain/chain.ts';
import type { Log } from '#src/lib/log.ts';

/**
 * Final blocks out to whoever wants to know, after they are on disk. A listener is called at once
 * and must not block; one that throws is dropped, so that no subscriber can stop the chain.
 */
export class Feed {
  readonly #listeners = new Set<(event: FinalEvent) => void>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The function that ends the subscription. */
  subscribe(listener: (event: FinalEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: FinalEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#listeners.delete(listener);
        this.#log.warn('subscriber dropped', { reason: String(error) });
      }
    }
  }
}
