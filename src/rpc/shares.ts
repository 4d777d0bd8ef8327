import type { Caller } from './access/access.ts';
import { limitExceeded } from './errors.ts';
import type { RpcLimits } from './limits.ts';

/**
 * So much of something for everybody together, of which nobody has more than a share: neither one
 * caller, nor all without a key together, so that who has one always finds a way in. Callers that
 * are not counted (this machine's, mostly) may have all of it.
 */
export class Shares {
  readonly #what: string;
  readonly #max: number;
  readonly #callerMax: number;
  readonly #anonymousMax: number;
  readonly #byCaller = new Map<Caller, number>();
  #taken = 0;
  #anonymous = 0;

  /** `what`: for a refusal, after a number. */
  constructor(what: string, max: number, limits: RpcLimits) {
    const { callerSharePercent, anonymousSharePercent } = limits;
    this.#what = what;
    this.#max = max;
    this.#callerMax = Math.ceil((max * callerSharePercent) / 100);
    this.#anonymousMax = Math.ceil((max * anonymousSharePercent) / 100);
  }

  /** Throws an {@link RpcError} where there is no room. */
  take(caller: Caller, count = 1): void {
    const own = (this.#byCaller.get(caller) ?? 0) + count;
    if (this.#taken + count > this.#max) {
      throw limitExceeded(`more than ${this.#max} ${this.#what} of this node`);
    }
    if (caller.meter !== null && own > this.#callerMax) {
      throw limitExceeded(`more than ${this.#callerMax} ${this.#what} of one caller`);
    }
    if (!caller.hasKey && this.#anonymous + count > this.#anonymousMax) {
      const whose = 'all callers without a key';
      throw limitExceeded(`more than ${this.#anonymousMax} ${this.#what} of ${whose}`);
    }
    this.#change(caller, count);
  }

  /** What was taken by the same caller. */
  give(caller: Caller, count = 1): void {
    this.#change(caller, -count);
  }

  #change(caller: Caller, by: number): void {
    const own = (this.#byCaller.get(caller) ?? 0) + by;
    if (own === 0) this.#byCaller.delete(caller);
    else this.#byCaller.set(caller, own);
    this.#taken += by;
    if (!caller.hasKey) this.#anonymous += by;
  }
}
