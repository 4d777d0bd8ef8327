/**
 * The two ends of a one-way channel. The side that has something to say opens the stream (outlet),
 * the other accepts it (inlet):
 *
 *   outlet -> inlet   hello, then messages
 *   inlet -> outlet   hello, then a heartbeat now and then
 *
 * The outlet says nothing before it has seen an equal hello. The heartbeat is how an outlet learns
 * that a host died without a word: TCP alone would take minutes.
 */
import type { ByteStream } from '#p2p/carrier.ts';
import type { FrameRefusal } from '#p2p/frames.ts';
import { encodeFrame, FrameReader } from '#p2p/frames.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import { Outbox } from '#p2p/outbox.ts';
import type { Intake } from '#p2p/rate.ts';
import { FrameWriter, PIECE_BYTES } from '#p2p/writer.ts';
import { bytesEqual } from '#src/lib/bytes.ts';

/** One long-lived stream each way for each of these. */
export type Channel = 'consensus' | 'transactions';
export const CHANNELS: readonly Channel[] = ['consensus', 'transactions'];

export function messageBytesMax(channel: Channel, limits: NetworkLimits): number {
  return channel === 'consensus'
    ? limits.consensusMessageBytesMax
    : limits.transactionsMessageBytesMax;
}

export type LaneFailure =
  | { code: 'HELLO_DIFFERS'; theirs: Uint8Array }
  | { code: 'STREAM_CLOSED'; reason: string }
  | { code: 'BAD_FRAME'; refusal: FrameRefusal }
  | { code: 'SPOKE_TOO_SOON' }
  | { code: 'BAD_HEARTBEAT' };

export type LaneOptions = {
  stream: ByteStream;
  hello: Uint8Array;
  limits: NetworkLimits;
  intake: Intake;
  /** Hellos are equal. */
  onGreeted(): void;
  /** Once; the lane is dead, the stream is the owner's to close. */
  onFailure(failure: LaneFailure): void;
};

const HEARTBEAT = encodeFrame(Uint8Array.of(1));

/** Stops reading while any reason to is left. */
class Valve {
  readonly #stream: ByteStream;
  #reasons = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  hold(): void {
    if (this.#reasons++ === 0) this.#stream.pause();
  }

  release(): void {
    if (--this.#reasons === 0) this.#stream.resume();
  }

  holdFor(ms: number): void {
    if (this.#timer !== null) return;
    this.hold();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.release();
    }, Math.ceil(ms));
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

abstract class Lane {
  protected readonly stream: ByteStream;
  protected readonly options: LaneOptions;
  protected readonly reader: FrameReader;
  protected readonly valve: Valve;
  #greeted = false;
  #stopped = false;

  constructor(options: LaneOptions) {
    this.stream = options.stream;
    this.options = options;
    this.reader = new FrameReader(options.limits.helloBytesMax);
    this.valve = new Valve(this.stream);
  }

  get isGreeted(): boolean {
    return this.#greeted;
  }

  protected get isStopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.valve.stop();
  }

  protected abstract onHello(): void;
  protected abstract onFrame(message: Uint8Array): void;
  protected abstract onDrain(): void;

  protected listen(): void {
    this.stream.listen({
      onBytes: (chunk) => this.#read(chunk),
      onDrain: () => this.onDrain(),
      onEnd: () => this.fail({ code: 'STREAM_CLOSED', reason: 'ended' }),
      onClose: (reason) => this.fail({ code: 'STREAM_CLOSED', reason }),
    });
  }

  protected fail(failure: LaneFailure): void {
    if (this.#stopped) return;
    this.stop();
    this.options.onFailure(failure);
  }

  #read(chunk: Uint8Array): void {
    if (this.#stopped) return;
    let messages = 0;
    const refusal = this.reader.push(chunk, (message) => {
      messages++;
      if (this.#greeted) this.onFrame(message);
      else this.#greet(message);
      return !this.#stopped;
    });
    if (refusal !== null) this.fail({ code: 'BAD_FRAME', refusal });
    const waitMs = this.options.intake.take(messages, chunk.length, performance.now());
    if (waitMs > 0 && !this.#stopped) this.valve.holdFor(waitMs);
  }

  #greet(theirs: Uint8Array): void {
    this.onHello();
    if (!bytesEqual(theirs, this.options.hello)) {
      this.fail({ code: 'HELLO_DIFFERS', theirs });
      return;
    }
    this.#greeted = true;
    this.options.onGreeted();
  }
}

export type OutletOptions = LaneOptions & {
  /** Runs `write` now, or as soon as what else arrived in this turn may have joined it. */
  schedule(write: () => void): void;
};

export class Outlet extends Lane {
  readonly outbox: Outbox;
  readonly #schedule: (write: () => void) => void;
  #isScheduled = false;
  readonly #writer: FrameWriter;
  #silent = 0;

  constructor(options: OutletOptions) {
    super(options);
    const { limits, hello } = options;
    this.#schedule = options.schedule;
    this.outbox = new Outbox(limits.queueMessagesMax, limits.queueBytesMax);
    this.#writer = new FrameWriter(this.stream, () => this.outbox.shiftBatch(PIECE_BYTES));
    this.listen();
    this.stream.write(encodeFrame(hello));
  }

  /** False where something was dropped. */
  send(frame: Uint8Array): boolean {
    if (this.isStopped) return false;
    const kept = this.outbox.push(frame);
    if (this.#isScheduled || !this.#writer.isFree) return kept;
    this.#isScheduled = true;
    this.#schedule(() => {
      this.#isScheduled = false;
      this.#writer.pump();
    });
    return kept;
  }

  /** How many times this was called since the other side was last heard. */
  countSilence(): number {
    return this.#silent++;
  }

  override stop(): void {
    super.stop();
    this.#writer.stop();
    this.outbox.clear();
  }

  protected override onHello(): void {}

  protected override onFrame(message: Uint8Array): void {
    if (message.length !== 1) this.fail({ code: 'BAD_HEARTBEAT' });
    this.#silent = 0;
  }

  protected override onDrain(): void {
    this.#writer.drained();
  }
}

export type InletOptions = LaneOptions & {
  messageBytesMax: number;
  onMessage(message: Uint8Array): void;
};

export class Inlet extends Lane {
  readonly #messageBytesMax: number;
  readonly #onMessage: (message: Uint8Array) => void;
  #isOpen = false;

  constructor(options: InletOptions) {
    super(options);
    this.#messageBytesMax = options.messageBytesMax;
    this.#onMessage = options.onMessage;
    this.listen();
  }

  /** Messages may come; until then they are left waiting with their sender. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (this.isGreeted && !this.isStopped) this.valve.release();
  }

  beat(): void {
    // Into a stream nobody drains even heartbeats pile up; the library's write limit ends that.
    if (this.isGreeted && !this.isStopped) this.stream.write(HEARTBEAT);
  }

  protected override onHello(): void {
    this.stream.write(encodeFrame(this.options.hello));
    this.reader.messageBytesMax = this.#messageBytesMax;
    if (!this.#isOpen) this.valve.hold();
  }

  protected override onFrame(message: Uint8Array): void {
    if (this.#isOpen) this.#onMessage(message);
    else this.fail({ code: 'SPOKE_TOO_SOON' });
  }

  protected override onDrain(): void {}
}
