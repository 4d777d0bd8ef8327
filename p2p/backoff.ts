/** Waits between dials: doubling from `firstMs` to `maxMs`, and up to a quarter more by chance. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #chance: () => number;
  #failures = 0;

  /**
   * `chance` is uniform in [0, 1): validators that lost the same switch shall not come back in
   * step.
   */
  constructor(firstMs: number, maxMs: number, chance: () => number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#chance = chance;
  }

  nextMs(): number {
    const base = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#failures);
    if (base < this.#maxMs) this.#failures++;
    return base * (1 + this.#chance() / 4);
  }

  reset(): void {
    this.#failures = 0;
  }
}
