import type { Caller } from '../access/access.ts';
import type { RpcLimits } from '../limits.ts';
import { Shares } from '../shares.ts';

/**
 * What waits for a thread, by caller. Threads go to callers by turns, so that whoever asks for a
 * hundred views waits for them, and not whoever asks after that for one. Every other turn is for
 * those with a key, where one waits: addresses without one are as many as somebody wants.
 */
export class ViewQueue<T> {
  readonly #shares: Shares;
  /** While others wait, all threads but one. */
  readonly #callerThreadsMax: number;
  /** The caller whose turn is next first. */
  readonly #waiting = new Map<Caller, T[]>();
  #wasAnonymous = false;

  constructor(limits: RpcLimits) {
    this.#shares = new Shares('calls that wait for a thread', limits.viewsWaitingMax, limits);
    this.#callerThreadsMax = Math.max(1, limits.viewThreads - 1);
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** Throws an {@link RpcError} where there is no room. */
  push(caller: Caller, item: T): void {
    this.#shares.take(caller);
    const own = this.#waiting.get(caller) ?? [];
    own.push(item);
    this.#waiting.set(caller, own);
  }

  /** Whose turn it is. `threadsOf`: how many a caller has just now. */
  shift(threadsOf: (caller: Caller) => number): T | undefined {
    const callers = [...this.#waiting.keys()];
    const isModest = (caller: Caller) => threadsOf(caller) < this.#callerThreadsMax;
    const modest = callers.filter(isModest);
    const next = modest.length > 0 ? modest : callers;
    const caller = (this.#wasAnonymous ? next.find(({ hasKey }) => hasKey) : undefined) ?? next[0];
    const own = caller === undefined ? undefined : this.#waiting.get(caller);
    const item = own?.shift();
    if (caller === undefined || own === undefined || item === undefined) return undefined;
    this.#wasAnonymous = !caller.hasKey;
    this.#shares.give(caller);
    this.#waiting.delete(caller);
    if (own.length > 0) this.#waiting.set(caller, own);
    return item;
  }
}
