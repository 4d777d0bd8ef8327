/** Transactions run again, in a thread, as they ran in their block. */

import { concatBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Log as Logger } from '#src/lib/log.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight } from '#src/types/units.ts';
import type { Caller } from './access/access.ts';
import type { Backend } from './backend.ts';
import { JsonText } from './dispatch.ts';
import { RPC, RpcError } from './errors.ts';
import type { RpcLimits } from './limits.ts';
import { pruned } from './resolve.ts';
import { failureWords } from './views/viewErrors.ts';
import type { ReplayRequest, TraceRequest, TraceWish } from './views/viewRequest.ts';
import { brokenView, type ViewThreads } from './views/viewThreads.ts';

/** Which transactions of a block: all that are before them run as well, and are not told of. */
type Span = { readonly first: number; readonly end: number; readonly isList: boolean };

type Asked = {
  readonly wish: TraceWish;
  readonly caller: Caller;
  readonly ms: number | undefined;
};

export class Traces {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  readonly #views: ViewThreads;
  readonly #log: Logger;

  constructor(backend: Backend, limits: RpcLimits, views: ViewThreads, log: Logger) {
    this.#backend = backend;
    this.#limits = limits;
    this.#views = views;
    this.#log = log;
  }

  /** `ms`: how long it may take, where that is less than the limit. */
  ofTransaction(hash: Hash, wish: TraceWish, caller: Caller, ms?: number): Promise<JsonText> {
    const place = this.#backend.locate(hash);
    const block = place === null ? null : this.#backend.blockAt(place.height);
    if (place === null || block === null) throw new RpcError(RPC.rejected, 'transaction not found');
    const { index: first } = place;
    return this.#replay(block, { first, end: first + 1, isList: false }, { wish, caller, ms });
  }

  ofBlock(block: Block, wish: TraceWish, caller: Caller, ms?: number): Promise<JsonText> {
    if (block.header.height === 0n) {
      throw new RpcError(RPC.rejected, 'genesis is not traceable');
    }
    const span = { first: 0, end: block.transactions.length, isList: true };
    return this.#replay(block, span, { wish, caller, ms });
  }

  /** Who made a contract in this block, and in which transaction; null where nobody did. */
  creatorIn(block: Block, created: Address, caller: Caller): Promise<JsonText> {
    const span = { first: 0, end: block.transactions.length, isList: false };
    const shape = 'creator' as const;
    const wish = { shape, created, onlyTopCall: false, withLog: false };
    return this.#replay(block, span, { wish, caller, ms: undefined });
  }

  /** With the limits of one trace. */
  async ask(request: WithoutLimits, caller: Caller, ms = this.#limits.traceMs): Promise<JsonText> {
    const { traceFramesMax: framesMax, traceBytesMax: bytesMax, traceMs } = this.#limits;
    const limits = { framesMax, bytesMax };
    const answer = await this.#views.ask({ ...request, limits, ms: Math.min(ms, traceMs) }, caller);
    switch (answer.t) {
      case 'traces':
        return new JsonText(answer.json);
      case 'too much':
        throw new RpcError(RPC.tooLarge, `too much to tell: ${answer.reason}`);
      case 'failed':
        throw new RpcError(RPC.rejected, failureWords(answer.reason));
      case 'broken':
        throw brokenView(this.#log, answer.reason);
    }
  }

  #replay(block: Block, span: Span, { wish, caller, ms }: Asked): Promise<JsonText> {
    const { header } = block;
    const parent = asHeight(header.height - 1n);
    if (this.#backend.stateAt(parent) === null) throw pruned(this.#backend, parent);
    const receipts = this.#backend.receiptsAt(header.height);
    assert(receipts !== null, 'a block has receipts');
    const { coinbase, prevRandao, height, consensus } = header;
    const { timestampMs } = consensus;
    const { rules } = this.#backend;
    const run = block.transactions.slice(0, span.end);
    const request: Omit<ReplayRequest, 'limits' | 'ms'> = {
      ...{ kind: 'replay', wish, height: parent, first: span.first, isList: span.isList },
      block: { rules, height, timestampMs, coinbase, prevRandao },
      transactions: concatBytes(...run.map(({ raw }) => raw)),
      lengths: run.map(({ raw }) => raw.length),
      senders: run.map(({ sender }) => sender),
      receipts: receipts.slice(span.first, span.end).map((receipt, at) => {
        const before = receipts[span.first + at - 1]?.cumulativeGasUsed ?? 0n;
        const { cumulativeGasUsed, succeeded } = receipt;
        return { gasUsed: cumulativeGasUsed - before, succeeded };
      }),
    };
    return this.ask(request, caller, ms);
  }
}

type WithoutLimits = TraceRequest extends infer R
  ? R extends TraceRequest
    ? Omit<R, 'limits' | 'ms'>
    : never
  : never;
