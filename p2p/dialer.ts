/**
 * Keeps dialling one peer for as long as it is wanted: at once at first, ~100 ms after a loss, then
 * with back-off. Never gives up.
 */
import type { Backoff } from '#p2p/backoff.ts';

export class Dialer {
  readonly #dial: () => Promise<void>;
  readonly #backoff: Backoff;
  #timer: NodeJS.Timeout | null = null;
  #isDialling = false;
  #isWanted = false;
  #isStopped = false;

  /** `dial` never rejects; whether a connection came up is told through `linkUp`. */
  constructor(dial: () => Promise<void>, backoff: Backoff) {
    this.#dial = dial;
    this.#backoff = backoff;
  }

  start(): void {
    this.#isWanted = true;
    void this.#attempt();
  }

  /** There is a connection, whoever dialled it: no need to wait for another. */
  linkUp(): void {
    this.#isWanted = false;
    this.#cancel();
  }

  /** The last connection is gone. `wasStable`: it had worked, so this is a new failure. */
  linkDown(wasStable: boolean): void {
    if (wasStable) this.#backoff.reset();
    this.#isWanted = true;
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#isDialling || this.#isStopped || !this.#isWanted) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#attempt();
    }, this.#backoff.nextMs());
  }

  async #attempt(): Promise<void> {
    if (this.#isDialling || this.#isStopped) return;
    this.#isDialling = true;
    await this.#dial();
    this.#isDialling = false;
    // Wanted still where the dial failed, or where its connection has come and gone meanwhile.
    this.#schedule();
  }

  #cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
