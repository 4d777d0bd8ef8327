/**
 * Gives long searches the event loop one at a time: one of them each turn, in the order they ask.
 * Of hundreds that only let the loop turn now and then, each turn would have hundreds of slices.
 */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #isSet = false;

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#set();
    });
  }

  #set(): void {
    if (this.#isSet) return;
    this.#isSet = true;
    setImmediate(() => {
      this.#isSet = false;
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#set();
    });
  }
}

/** All of the process. */
export const longSearches = new Turns();
/** How long each has its turn. */
export const turnMs = 4;
