import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { isDamage } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight } from '#src/types/units.ts';
import type { Caller } from '../access/access.ts';
import type { Backend } from '../backend.ts';
import { limitExceeded, RPC, RpcError } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import { ViewQueue } from './viewQueue.ts';
import {
  type AnswerTo,
  type Read,
  type ReadAnswer,
  VIEW_READY,
  type ViewAnswer,
  type ViewRequest,
} from './viewRequest.ts';

type Waiting = {
  readonly caller: Caller;
  readonly request: ViewRequest;
  resolve(answer: ViewAnswer): void;
  reject(error: Error): void;
};

type Thread = {
  readonly worker: Worker;
  readonly reads: MessagePort;
  /** Once it has loaded: the time of a question begins then. */
  isReady: boolean;
  job: Waiting | null;
  timer: NodeJS.Timeout | null;
};

/** A busy machine loads the EVM for a while. */
const startMsMax = 15_000;

/**
 * Runs contracts for those who ask, in threads that are ended when their time is up: code never
 * gives way by itself, and this thread votes. They start when they are first wanted.
 */
export class ViewThreads {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  readonly #log: Log;
  readonly #threads = new Set<Thread>();
  readonly #queue: ViewQueue<Waiting>;
  #closed = false;

  constructor(backend: Backend, limits: RpcLimits, log: Log) {
    this.#backend = backend;
    this.#limits = limits;
    this.#queue = new ViewQueue(limits);
    this.#log = log;
  }

  /** Rejects with an {@link RpcError} where there is no room, or no time left. */
  async ask<R extends ViewRequest>(request: R, caller: Caller): Promise<AnswerTo<R>> {
    if (this.#closed) throw limitExceeded('the node stops');
    const { promise, resolve, reject } = Promise.withResolvers<AnswerTo<R>>();
    // A thread answers what it was asked.
    const answer = resolve as (value: ViewAnswer) => void;
    this.#queue.push(caller, { caller, request, resolve: answer, reject });
    this.#next();
    return promise;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (let one = this.#shift(); one !== undefined; one = this.#shift()) {
      one.reject(limitExceeded('the node stops'));
    }
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, 'the node stops')));
  }

  #next(): void {
    if (this.#queue.isEmpty || this.#closed) return;
    let thread = [...this.#threads].find(({ job }) => job === null);
    if (thread === undefined && this.#threads.size < this.#limits.viewThreads) {
      thread = this.#start();
    }
    const waiting = thread === undefined ? undefined : this.#shift();
    if (thread === undefined || waiting === undefined) return;
    thread.job = waiting;
    thread.worker.postMessage(waiting.request);
    this.#limitTime(thread);
  }

  #shift(): Waiting | undefined {
    return this.#queue.shift((caller) => {
      let threads = 0;
      for (const { job } of this.#threads) if (job?.caller === caller) threads++;
      return threads;
    });
  }

  #limitTime(thread: Thread): void {
    if (thread.timer !== null) clearTimeout(thread.timer);
    thread.timer = null;
    if (thread.job === null) return;
    const { request } = thread.job;
    const viewMs = 'ms' in request ? request.ms : this.#limits.viewMs;
    const ms = thread.isReady ? viewMs : startMsMax;
    const end = () => void this.#end(thread, `execution aborted (timeout = ${ms} ms)`);
    thread.timer = setTimeout(end, ms);
  }

  #start(): Thread {
    const { port1, port2 } = new MessageChannel();
    const answered = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL('./viewThread.ts', import.meta.url), {
      workerData: { reads: port2, answered },
      transferList: [port2],
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.viewMebibytesMax },
    });
    const thread: Thread = { worker, reads: port1, isReady: false, job: null, timer: null };
    this.#threads.add(thread);
    worker.unref();
    port1.on('message', (read: Read) => {
      port1.postMessage(this.#answer(thread, read));
      Atomics.add(answered, 0, 1);
      Atomics.notify(answered, 0);
    });
    port1.unref();
    worker.on('message', (answer: ViewAnswer | typeof VIEW_READY) => {
      if (answer !== VIEW_READY) return this.#done(thread, answer);
      thread.isReady = true;
      this.#limitTime(thread);
    });
    // Out of memory, mostly.
    worker.on('error', (error) => {
      this.#log.warn('view thread ended', { reason: error.message });
      void this.#end(thread, 'execution aborted');
    });
    return thread;
  }

  #done(thread: Thread, answer: ViewAnswer): void {
    const { job } = thread;
    thread.job = null;
    this.#limitTime(thread);
    job?.resolve(answer);
    this.#next();
  }

  async #end(thread: Thread, why: string): Promise<void> {
    const { job } = thread;
    thread.job = null;
    this.#limitTime(thread);
    this.#threads.delete(thread);
    thread.reads.close();
    job?.reject(limitExceeded(why));
    await thread.worker.terminate();
    this.#next();
  }

  #answer(thread: Thread, read: Read): ReadAnswer {
    try {
      return this.#read(thread, read);
    } catch (error) {
      // Thrown where nobody catches it: a damaged node stops, and does not go on answering.
      if (isDamage(error)) setImmediate(() => Promise.reject(error));
      this.#log.error('view could not read', { reason: String(error) });
      return { ok: false };
    }
  }

  #read({ job }: Thread, read: Read): ReadAnswer {
    const height = job?.request.height;
    if (height === undefined) return { ok: false };
    if (read.t === 'blockHash') return { ok: true, value: this.#blockHash(read.height) };
    const state = this.#backend.stateAt(asHeight(height));
    if (state === null) return { ok: false };
    if (read.t === 'code') return { ok: true, value: state.code(read.hash) };
    if (read.t === 'slot') {
      const key = new Uint8Array(Buffer.from(read.key, 'hex'));
      return { ok: true, value: state.slot(read.address, key) };
    }
    const account = state.account(read.address);
    if (account === null) return { ok: true, value: null };
    const { nonce, balance, codeHash } = account;
    return { ok: true, value: { nonce, balance, codeHash } };
  }

  #blockHash(height: bigint): Hash | null {
    const { hash, header } = this.#backend.head;
    if (height >= header.height) return height === header.height ? hash : null;
    return this.#backend.headerAt(asHeight(height + 1n))?.parentHash ?? null;
  }
}

/** A fault of ours: the log has it, the caller does not. */
export function brokenView(log: Log, reason: string): RpcError {
  log.error('view failed', { reason });
  return new RpcError(RPC.internal, 'internal error');
}
