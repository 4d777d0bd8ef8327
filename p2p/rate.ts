/**
 * A token bucket that may go into debt: what has arrived is always delivered, and the debt says for
 * how long to stop reading. Holds one second's worth.
 */
export class TokenBucket {
  readonly #perSecond: number;
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#atMs = nowMs;
  }

  /** Milliseconds until the debt is paid; 0 where there is none. */
  take(tokens: number, nowMs: number): number {
    const earned = ((nowMs - this.#atMs) * this.#perSecond) / 1000;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + earned) - tokens;
    this.#atMs = nowMs;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / this.#perSecond;
  }
}

/** What one peer may send us, in messages and in bytes. */
export class Intake {
  readonly #messages: TokenBucket;
  readonly #bytes: TokenBucket;

  constructor(messagesPerSecond: number, bytesPerSecond: number, nowMs: number) {
    this.#messages = new TokenBucket(messagesPerSecond, nowMs);
    this.#bytes = new TokenBucket(bytesPerSecond, nowMs);
  }

  /** Milliseconds to stop reading for. */
  take(messages: number, bytes: number, nowMs: number): number {
    return Math.max(this.#messages.take(messages, nowMs), this.#bytes.take(bytes, nowMs));
  }
}
