import type { Log as Logger } from '#src/lib/log.ts';
import type { Block } from '#src/types/block.ts';
import type { Receipt } from '#src/types/receipt.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import type { Session } from './dispatch.ts';
import { invalidParam, limitExceeded } from './errors.ts';
import { formatHeader, formatTransaction } from './formats.ts';
import { randomId } from './ids.ts';
import type { KeptChoices } from './keptChoices.ts';
import type { RpcLimits } from './limits.ts';
import { type LogFilter, logsIn, mayHave, readLogFilter } from './logs.ts';
import { isAbsent, type Params, readBoolean, readText } from './params.ts';

type Listener = { readonly session: Session; readonly filter: LogFilter };
/** `to`: whoever listened when the block became final. */
type News = {
  readonly block: Block;
  readonly receipts: readonly Receipt[];
  readonly to: readonly (readonly [string, Listener])[];
};

const turnMs = 4;
/** Who has to miss nothing subscribes with `mpbp_subscribe`, which keeps no queue. */
const untoldBlocksMax = 64;

/** Who is told what. An event is encoded once, however many are told. */
export class Subscriptions {
  readonly #limits: RpcLimits;
  readonly #log: Logger;
  readonly #kept: KeptChoices;
  readonly #heads = new Map<string, Session>();
  readonly #hashes = new Map<string, Session>();
  readonly #transactions = new Map<string, Session>();
  readonly #logs = new Map<string, Listener>();
  readonly #untold: News[] = [];
  #isTelling = false;

  constructor(limits: RpcLimits, log: Logger, kept: KeptChoices) {
    this.#limits = limits;
    this.#log = log;
    this.#kept = kept;
  }

  add([kind, options]: Params, session: Session): string {
    const max = this.#limits.subscriptionsPerSocketMax;
    const name = readText(kind, 0);
    if (session.subscriptions.size >= max) {
      throw limitExceeded(`more than ${max} subscriptions on one connection`);
    }
    const id = randomId();
    switch (name) {
      case 'newHeads':
        this.#heads.set(id, session);
        break;
      case 'newPendingTransactions': {
        const full = isAbsent(options) ? false : readBoolean(options, 1);
        (full ? this.#transactions : this.#hashes).set(id, session);
        break;
      }
      case 'logs': {
        const filter = readLogFilter(options, 1, this.#limits);
        this.#kept.keep(filter, session.caller);
        this.#logs.set(id, { session, filter });
        break;
      }
      default:
        throw invalidParam(0, 'no such subscription: newHeads, logs, newPendingTransactions');
    }
    session.subscriptions.add(id);
    return id;
  }

  /** False for another connection's, as for one that never was. */
  remove(id: string, session: Session): boolean {
    if (!session.subscriptions.delete(id)) return false;
    const logs = this.#logs.get(id);
    if (logs !== undefined) this.#kept.forget(logs.filter, session.caller);
    for (const kind of [this.#heads, this.#hashes, this.#transactions, this.#logs]) kind.delete(id);
    return true;
  }

  removeAll(session: Session): void {
    for (const id of [...session.subscriptions]) this.remove(id, session);
  }

  onFinal(block: Block, receipts: readonly Receipt[]): void {
    if (this.#heads.size > 0) {
      tell(this.#heads, JSON.stringify(formatHeader(block.header, block.hash)));
    }
    if (this.#logs.size === 0) return;
    if (this.#untold.length >= untoldBlocksMax) {
      this.#untold.shift();
      this.#log.warn('logs of a block were not told: too many subscriptions');
    }
    this.#untold.push({ block, receipts, to: [...this.#logs] });
    if (!this.#isTelling) void this.#tellLogs();
  }

  /** A few milliseconds a turn: many subscriptions to many logs are millions of notices. */
  async #tellLogs(): Promise<void> {
    this.#isTelling = true;
    let endMs = performance.now() + turnMs;
    for (let news = this.#untold.shift(); news !== undefined; news = this.#untold.shift()) {
      const { block, receipts, to } = news;
      for (const [id, { session, filter }] of to) {
        if (!this.#logs.has(id) || !mayHave(block.header.logsBloom, filter)) continue;
        for (const log of logsIn(block, receipts, filter)) notify(id, session, JSON.stringify(log));
        if (performance.now() < endMs) continue;
        await new Promise((resolve) => setImmediate(resolve));
        endMs = performance.now() + turnMs;
      }
    }
    this.#isTelling = false;
  }

  onPending(transaction: SignedTransaction): void {
    if (this.#hashes.size > 0) tell(this.#hashes, `"${transaction.hash}"`);
    if (this.#transactions.size === 0) return;
    tell(this.#transactions, JSON.stringify(formatTransaction(transaction, null)));
  }

  close(): void {
    this.#log.debug('subscriptions end', { heads: this.#heads.size, logs: this.#logs.size });
    for (const kind of [this.#heads, this.#hashes, this.#transactions, this.#logs]) kind.clear();
    this.#untold.length = 0;
  }
}

function tell(subscribers: ReadonlyMap<string, Session>, result: string): void {
  for (const [id, session] of subscribers) notify(id, session, result);
}

function notify(id: string, session: Session, result: string): void {
  const params = `{"subscription":"${id}","result":${result}}`;
  session.send(`{"jsonrpc":"2.0","method":"eth_subscription","params":${params}}`);
}
