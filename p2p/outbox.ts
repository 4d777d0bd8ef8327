/**
 * Frames that wait for one peer on one channel. Bounded in number and bytes; when full the oldest
 * goes, because a newer vote says more than an older one and the protocol sends again what matters.
 */
export class Outbox {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #frames: Uint8Array[] = [];
  #head = 0;
  #bytes = 0;
  #dropped = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get messages(): number {
    return this.#frames.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Since the beginning. */
  get dropped(): number {
    return this.#dropped;
  }

  /** True where nothing had to go for it. */
  push(frame: Uint8Array): boolean {
    if (frame.length > this.#bytesMax) {
      this.#dropped++;
      return false;
    }
    const before = this.#dropped;
    while (this.messages >= this.#messagesMax || this.#bytes + frame.length > this.#bytesMax) {
      this.shift();
      this.#dropped++;
    }
    this.#frames.push(frame);
    this.#bytes += frame.length;
    return this.#dropped === before;
  }

  shift(): Uint8Array | null {
    const frame = this.#frames[this.#head];
    if (frame === undefined) return null;
    this.#head++;
    this.#bytes -= frame.length;
    // Cut the dead front off now and then: every shift would be quadratic, never would leak.
    if (this.#head >= 1024 || this.#head === this.#frames.length) {
      this.#frames = this.#frames.slice(this.#head);
      this.#head = 0;
    }
    return frame;
  }

  /** The oldest frame, and those behind it as long as all fit in `bytesMax`, as one piece. */
  shiftBatch(bytesMax: number): Uint8Array | null {
    let end = this.#head;
    let bytes = 0;
    for (; end < this.#frames.length; end++) {
      const more = (this.#frames[end] as Uint8Array).length;
      if (bytes + more > bytesMax) break;
      bytes += more;
    }
    if (end - this.#head < 2) return this.shift();
    const batch = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const frame = this.shift() as Uint8Array;
      batch.set(frame, at);
      at += frame.length;
    }
    return batch;
  }

  clear(): void {
    this.#frames = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
