/**
 * Frames on a byte stream: four bytes of big-endian length, then that many bytes. An empty frame
 * carries nothing and is refused, like one that claims more than the reader's limit; the claim is
 * checked before memory is taken, and memory follows the bytes that came, not the claim.
 */
export const FRAME_HEADER_BYTES = 4;

const FIRST_BODY_BYTES = 64 * 1024;

export type FrameRefusal =
  | { code: 'FRAME_EMPTY' }
  | { code: 'FRAME_TOO_LONG'; max: number; got: number };

/** One buffer, so that the same bytes can be written to every peer. */
export function encodeFrame(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + message.length);
  new DataView(frame.buffer).setUint32(0, message.length);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

export class FrameReader {
  /** May change between frames: a greeting is shorter than a block. */
  messageBytesMax: number;
  #length = 0;
  #lengthBytes = 0;
  #body: Uint8Array | null = null;
  #bodyBytes = 0;

  constructor(messageBytesMax: number) {
    this.messageBytesMax = messageBytesMax;
  }

  /**
   * Calls `onMessage` with each message that is complete now, in a buffer of its own; it answers
   * false to have the rest ignored. After a refusal the reader is of no more use.
   */
  push(chunk: Uint8Array, onMessage: (message: Uint8Array) => boolean): FrameRefusal | null {
    let at = 0;
    while (at < chunk.length) {
      if (this.#lengthBytes < FRAME_HEADER_BYTES) {
        at = this.#readLength(chunk, at);
        if (this.#lengthBytes < FRAME_HEADER_BYTES) return null;
        if (this.#length === 0) return { code: 'FRAME_EMPTY' };
        if (this.#length > this.messageBytesMax) {
          return { code: 'FRAME_TOO_LONG', max: this.messageBytesMax, got: this.#length };
        }
      }
      const take = Math.min(chunk.length - at, this.#length - this.#bodyBytes);
      const message = this.#readBody(chunk, at, take);
      at += take;
      if (message !== null && !onMessage(message)) return null;
    }
    return null;
  }

  #readLength(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && this.#lengthBytes < FRAME_HEADER_BYTES) {
      this.#length = this.#length * 256 + (chunk[at] as number);
      this.#lengthBytes++;
      at++;
    }
    return at;
  }

  #readBody(chunk: Uint8Array, at: number, take: number): Uint8Array | null {
    // A copy, even where the message lies whole in the chunk: a view would keep a 64 KiB buffer
    // alive for every 200 bytes the pool holds on to.
    if (take === this.#length)
      return this.#finish(Uint8Array.prototype.slice.call(chunk, at, at + take));
    const end = this.#bodyBytes + take;
    let body = this.#body ?? new Uint8Array(Math.min(this.#length, FIRST_BODY_BYTES));
    if (end > body.length) {
      const grown = new Uint8Array(Math.min(this.#length, Math.max(end, body.length * 2)));
      grown.set(body.subarray(0, this.#bodyBytes));
      body = grown;
    }
    body.set(chunk.subarray(at, at + take), this.#bodyBytes);
    this.#body = body;
    this.#bodyBytes = end;
    return end === this.#length ? this.#finish(body) : null;
  }

  #finish(message: Uint8Array): Uint8Array {
    this.#length = 0;
    this.#lengthBytes = 0;
    this.#body = null;
    this.#bodyBytes = 0;
    return message;
  }
}
