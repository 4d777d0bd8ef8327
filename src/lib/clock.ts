/** Time comes in as a parameter, so that a simulator can own it. */
export type Clock = {
  /** Monotonic milliseconds, for timers. */
  now(): number;
  /** Unix milliseconds, for block timestamps only. */
  wall(): number;
};

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
};

/** Lets everything else that waits run first: long work is done in pieces. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
