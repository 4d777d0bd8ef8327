/**
 * One link's conversation: an outlet and an inlet for every channel. Ready when hellos were equal
 * on all of them. A lane that fails takes the whole link with it: a fresh connection is simpler to
 * be sure of than a half-working one.
 */
import type { ByteStream, Link } from '#p2p/carrier.ts';
import type { Channel, LaneFailure, LaneOptions } from '#p2p/lanes.ts';
import { CHANNELS, Inlet, messageBytesMax, Outlet } from '#p2p/lanes.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import type { Intake } from '#p2p/rate.ts';

export const PROTOCOLS: Readonly<Record<Channel, string>> = {
  consensus: '/mpbp/consensus/1',
  transactions: '/mpbp/transactions/1',
};

/**
 * A vote leaves within the call that sends it. A transaction waits until the end of this turn of
 * the event loop: idle, that is microseconds; busy, many share one packet and one encryption.
 */
const SCHEDULES: Readonly<Record<Channel, (write: () => void) => void>> = {
  consensus: (write) => write(),
  transactions: (write) => setImmediate(write),
};

export type SessionFailure =
  | LaneFailure
  | { code: 'NO_STREAM'; channel: Channel }
  | { code: 'HELLO_TIMEOUT' }
  | { code: 'SILENT' };

export type SessionOptions = {
  link: Link;
  hello: Uint8Array;
  limits: NetworkLimits;
  intake: Intake;
  onReady(): void;
  onMessage(channel: Channel, message: Uint8Array): void;
  /** Once, while the link is still there; closing it is the owner's. */
  onFailure(failure: SessionFailure): void;
};

export class Session {
  readonly link: Link;
  readonly #options: SessionOptions;
  readonly #outlets = new Map<Channel, Outlet>();
  readonly #inlets = new Map<Channel, Inlet>();
  readonly #helloTimer: NodeJS.Timeout;
  #ready = false;
  #stopped = false;

  constructor(options: SessionOptions) {
    this.link = options.link;
    this.#options = options;
    this.#helloTimer = setTimeout(
      () => this.#fail({ code: 'HELLO_TIMEOUT' }),
      options.limits.helloTimeoutMs,
    );
    for (const channel of CHANNELS) void this.#openOutlet(channel);
  }

  get isReady(): boolean {
    return this.#ready && !this.#stopped;
  }

  /** Had been ready, even if it is over now. */
  get wasReady(): boolean {
    return this.#ready;
  }

  /** Their hello was seen to equal ours: they may ask for things. */
  get isGreeted(): boolean {
    return [...this.#inlets.values(), ...this.#outlets.values()].some((lane) => lane.isGreeted);
  }

  get queue(): { messages: number; bytes: number; dropped: number } {
    const sum = { messages: 0, bytes: 0, dropped: 0 };
    for (const { outbox } of this.#outlets.values()) {
      sum.messages += outbox.messages;
      sum.bytes += outbox.bytes;
      sum.dropped += outbox.dropped;
    }
    return sum;
  }

  send(channel: Channel, frame: Uint8Array): boolean {
    return this.isReady && this.#outlets.get(channel)?.send(frame) === true;
  }

  /** The other side opened its outlet. It has no use for a second one: that ends the session. */
  accept(channel: Channel, stream: ByteStream): void {
    if (this.#stopped) {
      stream.reset('session is over');
      return;
    }
    if (this.#inlets.has(channel)) {
      stream.reset('second stream');
      this.#fail({ code: 'STREAM_CLOSED', reason: `second ${channel} stream` });
      return;
    }
    const inlet = new Inlet({
      ...this.#laneOptions(stream),
      messageBytesMax: messageBytesMax(channel, this.#options.limits),
      onMessage: (message) => this.#options.onMessage(channel, message),
    });
    this.#inlets.set(channel, inlet);
    if (this.#ready) inlet.open();
  }

  /**
   * Call at every heartbeat interval. Counts ticks, not time: a busy process is not a dead peer.
   */
  tick(): void {
    if (!this.isReady) return;
    this.#inlets.get('consensus')?.beat();
    const silent = this.#outlets.get('consensus')?.countSilence() ?? 0;
    if (silent >= this.#options.limits.silentHeartbeatsMax) this.#fail({ code: 'SILENT' });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#helloTimer);
    for (const lane of this.#outlets.values()) lane.stop();
    for (const lane of this.#inlets.values()) lane.stop();
  }

  async #openOutlet(channel: Channel): Promise<void> {
    const stream = await this.link.openStream(
      PROTOCOLS[channel],
      this.#options.limits.helloTimeoutMs,
    );
    if (this.#stopped) {
      stream?.reset('session is over');
    } else if (stream === null) {
      this.#fail({ code: 'NO_STREAM', channel });
    } else {
      this.#outlets.set(
        channel,
        new Outlet({ ...this.#laneOptions(stream), schedule: SCHEDULES[channel] }),
      );
    }
  }

  #laneOptions(stream: ByteStream): LaneOptions {
    const { hello, limits, intake } = this.#options;
    return {
      stream,
      hello,
      limits,
      intake,
      onGreeted: () => this.#greeted(),
      onFailure: (failure) => this.#fail(failure),
    };
  }

  #greeted(): void {
    if (this.#ready) return;
    for (const channel of CHANNELS) {
      if (!this.#outlets.get(channel)?.isGreeted || !this.#inlets.get(channel)?.isGreeted) return;
    }
    this.#ready = true;
    clearTimeout(this.#helloTimer);
    this.#options.onReady();
    for (const inlet of this.#inlets.values()) inlet.open();
  }

  #fail(failure: SessionFailure): void {
    if (this.#stopped) return;
    this.stop();
    this.#options.onFailure(failure);
  }
}
