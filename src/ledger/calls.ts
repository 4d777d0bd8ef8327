/**
 * The calls of a transaction as they happen, for whoever asks what it did. Nobody does while a block
 * is made or checked: an observer is told, and changes nothing.
 */
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Log } from '#src/types/receipt.ts';

export type CallType =
  | 'CALL'
  | 'CALLCODE'
  | 'DELEGATECALL'
  | 'STATICCALL'
  | 'CREATE'
  | 'CREATE2'
  | 'SELFDESTRUCT';

export type CallBegin = {
  readonly type: CallType;
  /** Whose code calls: of a delegated call the account that runs, not its caller. */
  readonly from: Address;
  /** Whose code is called; null for what is being created. */
  readonly to: Address | null;
  /** Null where the call can move none. */
  readonly value: bigint | null;
  readonly gas: bigint;
  readonly input: Uint8Array;
};

export type CallEnd = {
  readonly gasUsed: bigint;
  /** What came back; of a creation the code. */
  readonly output: Uint8Array;
  /** What went wrong, in the word of whoever found it; null where nothing did. */
  readonly error: string | null;
  /** Where the new contract is, or would be had it not failed; null where that was never known. */
  readonly created: Address | null;
};

export type CallObserver = {
  enter(call: CallBegin): void;
  exit(end: CallEnd): void;
  /** Of the call that was entered last and has not ended; also what is taken back later. */
  log(log: Log): void;
};

export type CallFrame = CallBegin &
  CallEnd & {
    readonly calls: readonly CallFrame[];
    readonly logs: readonly FrameLog[];
  };

/** `position`: how many calls the frame had made before. */
export type FrameLog = Log & { readonly position: number };

export type TraceLimits = {
  /** Calls in one answer. */
  readonly framesMax: number;
  /** Of inputs, outputs and logs together. */
  readonly bytesMax: number;
};

/** There is more to tell than the limits allow: thrown through whatever runs. */
export class TraceTooLarge extends Error {}

type Open = CallBegin & { calls: CallFrame[]; logs: FrameLog[] };

/** Keeps what happened, one tree for each transaction, as far as the limits of all allow. */
export class CallRecorder implements CallObserver {
  readonly #limits: TraceLimits;
  readonly #onlyTop: boolean;
  #open: Open[] = [];
  #top: CallFrame | null = null;
  /** Of calls, in them or not. */
  #depth = 0;
  #frames = 0;
  #bytes = 0;

  constructor(limits: TraceLimits, onlyTop = false) {
    this.#limits = limits;
    this.#onlyTop = onlyTop;
  }

  /** The transaction that ended, which is forgotten here; null where none began. */
  take(): CallFrame | null {
    const top = this.#top;
    assert(this.#open.length === 0, 'what began has ended');
    this.#top = null;
    return top;
  }

  enter(call: CallBegin): void {
    this.#depth++;
    if (this.#isHidden) return;
    this.#frames++;
    if (this.#frames > this.#limits.framesMax) {
      throw new TraceTooLarge(`more than ${this.#limits.framesMax} calls`);
    }
    this.#open.push({ ...call, input: this.#copy(call.input), calls: [], logs: [] });
  }

  exit(end: CallEnd): void {
    const isHidden = this.#isHidden;
    this.#depth--;
    if (isHidden) return;
    const call = this.#open.pop();
    assert(call !== undefined, 'what ends has begun');
    const frame = { ...call, ...end, output: this.#copy(end.output) };
    const parent = this.#open.at(-1);
    if (parent === undefined) this.#top = frame;
    else parent.calls.push(frame);
  }

  log(log: Log): void {
    const call = this.#open.at(-1);
    if (call === undefined || this.#isHidden) return;
    // A log without data takes its place in the answer, too.
    this.#count(32 * (log.topics.length + 4));
    const position = call.calls.length;
    call.logs.push({ ...log, data: this.#copy(log.data), position });
  }

  get #isHidden(): boolean {
    return this.#onlyTop && this.#depth > 1;
  }

  /** What is given may be a part of memory that is written on. */
  #copy(bytes: Uint8Array): Uint8Array {
    this.#count(bytes.length);
    return bytes.slice();
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.bytesMax) {
      throw new TraceTooLarge(`more than ${this.#limits.bytesMax} bytes`);
    }
  }
}
