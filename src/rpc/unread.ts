import type { RpcLimits } from './limits.ts';

/** One that answers were given to: a WebSocket, or the connection of an HTTP request. */
export type Reader = { cut(): void };

/**
 * Answers that were given and wait to be sent, of all connections together. Each has its own limit;
 * but a thousand that ask for long answers and read none would have all of the memory. Beyond the
 * limit whoever has read nothing for the longest is cut.
 */
export class Unread {
  readonly #max: number;
  /** Bytes by reader; the one that has read nothing for longest is the first. */
  readonly #readers = new Map<Reader, number>();
  #bytes = 0;

  constructor({ unreadBytesMax }: RpcLimits) {
    this.#max = unreadBytesMax;
  }

  add(reader: Reader, bytes: number): void {
    this.#readers.set(reader, (this.#readers.get(reader) ?? 0) + bytes);
    this.#bytes += bytes;
    for (const slowest of this.#readers.keys()) {
      if (this.#bytes <= this.#max) return;
      this.forget(slowest);
      slowest.cut();
    }
  }

  /** So much of it is on its way. */
  read(reader: Reader, bytes: number): void {
    const before = this.#readers.get(reader);
    if (before === undefined) return;
    this.#readers.delete(reader);
    this.#bytes -= bytes;
    if (before > bytes) this.#readers.set(reader, before - bytes);
  }

  forget(reader: Reader): void {
    this.#bytes -= this.#readers.get(reader) ?? 0;
    this.#readers.delete(reader);
  }
}
