import { type Channel, channel } from 'node:diagnostics_channel';

/**
 * What happens often, told to whoever counts it: a part that tells knows nobody who listens, and
 * while nobody does it costs a look at a field. For counting only: nothing may depend on it.
 */
export class Measure<T extends object> {
  readonly #channel: Channel;

  constructor(name: string) {
    this.#channel = channel(`mpbp:${name}`);
  }

  get isWatched(): boolean {
    return this.#channel.hasSubscribers;
  }

  tell(event: T): void {
    this.#channel.publish(event);
  }

  /** The function that ends it. */
  watch(listener: (event: T) => void): () => void {
    // The channel is this object's own: nothing else is told there.
    const heard = (event: unknown) => listener(event as T);
    this.#channel.subscribe(heard);
    return () => void this.#channel.unsubscribe(heard);
  }
}

/** A write that waited for the disk, and whether the disk took it. */
export const syncs = new Measure<{ log: string; ms: number; ok: boolean }>('sync');

/** An answer over JSON-RPC: `ok`, or its error code; with the refusal where it refused a payment. */
export const answers = new Measure<{ outcome: string; refusal: string | null }>('answer');

/** An error that nobody caught and that did not end the process. */
export const uncaught = new Measure<{ kind: string }>('uncaught');

/** A line of the log. */
export const logLines = new Measure<{ level: string }>('log');

/** How long no turn of the event loop ended. */
export const stalls = new Measure<{ ms: number }>('stall');

/** A view that was given up; its leader by position in the validator set. */
export const nullified = new Measure<{ why: string; leader: number }>('nullified');
