/**
 * How much of one kind of work is done in one turn of the event loop: the rest waits for the next
 * ones, in order, so that what else the turns are for is never late by more than that.
 */
export class Turns {
  readonly #perTurnMax: number;
  readonly #waitingMax: number;
  #taken = 0;
  #isCounting = false;
  #waiting: (() => void)[] = [];

  constructor(perTurnMax: number, waitingMax: number) {
    this.#perTurnMax = perTurnMax;
    this.#waitingMax = waitingMax;
  }

  /** Whether one more would wait for long. */
  get isBusy(): boolean {
    return this.#waiting.length >= this.#waitingMax;
  }

  /** Null: now. Otherwise resolves in the turn that has room. */
  take(): Promise<void> | null {
    if (!this.#isCounting) {
      this.#isCounting = true;
      setImmediate(() => this.#next());
    }
    if (this.#taken < this.#perTurnMax && this.#waiting.length === 0) {
      this.#taken++;
      return null;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #next(): void {
    const now = this.#waiting.splice(0, this.#perTurnMax);
    this.#taken = now.length;
    this.#isCounting = now.length > 0;
    if (this.#isCounting) setImmediate(() => this.#next());
    for (const resolve of now) resolve();
  }
}
