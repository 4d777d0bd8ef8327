import type { Clock } from '#src/lib/clock.ts';

/** Later than this, the messages that came meanwhile are read first. */
const lateMs = 50;

/** One timer, set to whatever time was asked for last. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Monotonic milliseconds; infinity for never. */
  set(at: number): void {
    this.stop();
    if (!Number.isFinite(at)) return;
    const onTime = () => {
      this.#timer = null;
      // After a stall the proposal may already be in the socket's buffer: read first, then judge.
      if (this.#clock.now() - at > lateMs) setImmediate(this.#ring);
      else this.#ring();
    };
    this.#timer = setTimeout(onTime, Math.max(0, at - this.#clock.now()));
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
