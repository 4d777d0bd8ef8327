import type { Caller } from './access/access.ts';
import type { RpcLimits } from './limits.ts';
import type { LogFilter } from './logs.ts';
import { Shares } from './shares.ts';

/**
 * How many addresses and topics are remembered for all who wait for logs. One filter may have
 * thousands, and anybody may leave a thousand filters behind.
 */
export class KeptChoices {
  readonly #shares: Shares;

  constructor(limits: RpcLimits) {
    const what = 'addresses and topics in all filters and subscriptions';
    this.#shares = new Shares(what, limits.keptChoicesMax, limits);
  }

  /** Throws an RpcError where there is no room. */
  keep(filter: LogFilter, caller: Caller): void {
    this.#shares.take(caller, countIn(filter));
  }

  forget(filter: LogFilter, caller: Caller): void {
    this.#shares.give(caller, countIn(filter));
  }
}

function countIn({ addresses, topics }: LogFilter): number {
  return topics.reduce((sum, choices) => sum + (choices?.size ?? 0), addresses?.size ?? 0);
}
