/**
 * Writes frames to a stream as fast as the stream takes them, and no faster: the stream's own
 * buffer stays short, so that what can still be dropped or overtaken waits where we can see it.
 */
import type { ByteStream } from '#p2p/carrier.ts';

/** A long frame goes in pieces, so that a vote on another stream waits for one piece only. */
export const PIECE_BYTES = 64 * 1024;

export class FrameWriter {
  readonly #stream: ByteStream;
  readonly #next: () => Uint8Array | null;
  #frame: Uint8Array | null = null;
  #at = 0;
  #blocked = false;
  #stopped = false;

  constructor(stream: ByteStream, next: () => Uint8Array | null) {
    this.#stream = stream;
    this.#next = next;
  }

  /** Nothing half written, and the stream takes more at once. */
  get isFree(): boolean {
    return !this.#blocked && !this.#stopped && this.#frame === null;
  }

  pump(): void {
    while (!this.#blocked && !this.#stopped) {
      if (this.#frame === null) {
        this.#frame = this.#next();
        this.#at = 0;
        if (this.#frame === null) return;
      }
      const frame = this.#frame;
      const end = Math.min(this.#at + PIECE_BYTES, frame.length);
      const piece = end - this.#at === frame.length ? frame : frame.subarray(this.#at, end);
      this.#at = end;
      if (end === frame.length) this.#frame = null;
      this.#blocked = !this.#stream.write(piece);
    }
  }

  drained(): void {
    this.#blocked = false;
    this.pump();
  }

  stop(): void {
    this.#stopped = true;
  }
}
