import { limitExceeded } from './errors.ts';
import type { RpcLimits } from './limits.ts';
import type { LogFilter } from './logs.ts';

/**
 * How many addresses and topics are remembered for all who wait for logs. One filter may have
 * thousands, and anybody may leave a thousand filters behind.
 */
export class KeptChoices {
  readonly #max: number;
  #kept = 0;

  constructor({ keptChoicesMax }: RpcLimits) {
    this.#max = keptChoicesMax;
  }

  /** Throws an RpcError where there is no room. */
  keep(filter: LogFilter): void {
    const count = countIn(filter);
    if (this.#kept + count > this.#max) {
      const what = 'addresses and topics in all filters and subscriptions';
      throw limitExceeded(`more than ${this.#max} ${what} of this node`);
    }
    this.#kept += count;
  }

  forget(filter: LogFilter): void {
    this.#kept -= countIn(filter);
  }
}

function countIn({ addresses, topics }: LogFilter): number {
  return topics.reduce((sum, choices) => sum + (choices?.size ?? 0), addresses?.size ?? 0);
}
