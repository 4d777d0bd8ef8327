/** Units of work: reading one thing is 1, other methods say what they take (`Method.units`). */
export type Quota = { readonly unitsPerSecond: number };

/** Who was silent may ask for as many seconds' worth at once. */
const burstSeconds = 5;

/**
 * How much one caller may still ask for: the generic cell rate algorithm (ITU-T I.371), with one
 * number a caller. The last request may go over the limit, and the caller then waits longer: what
 * something takes need not be known before it is read.
 */
export class Meter {
  readonly #now: () => number;
  readonly #msPerUnit: number;
  /** When everything that was taken so far would have been allowed at an even pace. */
  #evenAt = 0;

  /** `now` in milliseconds, never going back. */
  constructor({ unitsPerSecond }: Quota, now: () => number) {
    this.#now = now;
    this.#msPerUnit = 1_000 / unitsPerSecond;
  }

  /** Milliseconds until the next request; 0: now. */
  get waitMs(): number {
    return Math.max(0, this.#evenAt - this.#now() - burstSeconds * 1_000);
  }

  take(units: number): void {
    this.#evenAt = Math.max(this.#evenAt, this.#now()) + units * this.#msPerUnit;
  }
}
