/**
 * Subscriptions that a client can take up again where it was: each notice says from which block the
 * next one comes, and `mpbp_subscribe` begins at any block, old ones included. Nothing is missed and
 * nothing told twice, over as many connections and restarts of the node as one likes, because final
 * blocks do not change and a notice has everything of its block.
 *
 * A stream keeps a height and no queue. While it is behind it reads a few blocks a turn, and waits
 * where its client does; at the head it is told of each block as that becomes final.
 */
import type { Block } from '#src/types/block.ts';
import type { Receipt } from '#src/types/receipt.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { Backend } from './backend.ts';
import type { Session } from './dispatch.ts';
import { invalidParam, limitExceeded } from './errors.ts';
import { formatHeader, quantity } from './formats.ts';
import { randomId } from './ids.ts';
import type { KeptChoices } from './keptChoices.ts';
import type { RpcLimits } from './limits.ts';
import { type LogFilter, logsIn, mayHave, readLogFilter } from './logs.ts';
import { isAbsent, type Params, readQuantity, readText } from './params.ts';

type Topic = { readonly name: 'newHeads' } | { readonly name: 'logs'; readonly filter: LogFilter };

type Stream = {
  readonly id: string;
  readonly session: Session;
  readonly topic: Topic;
  /** The first block of which nothing was told yet. */
  next: Height;
  /** For its client, which has much to read. */
  isWaiting: boolean;
};

/** For all streams together: there are more important things to do. */
const turnMs = 4;
/** How long a client is waited for that does not read as fast as it is told of the past. */
const slowMs = 20;

export class Streams {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  readonly #kept: KeptChoices;
  readonly #streams = new Map<string, Stream>();
  /** The one that waits longest first. */
  readonly #behind = new Set<Stream>();
  #isReading = false;

  constructor(backend: Backend, limits: RpcLimits, kept: KeptChoices) {
    this.#backend = backend;
    this.#limits = limits;
    this.#kept = kept;
  }

  /** `[topic, filter, from]`; without `from` what becomes final from now on. */
  add([name, filter, from]: Params, session: Session): string {
    const { subscriptionsPerSocketMax: max } = this.#limits;
    if (session.subscriptions.size >= max) {
      throw limitExceeded(`more than ${max} subscriptions on one connection`);
    }
    const topic = this.#readTopic(name, filter);
    const next = this.#readFrom(from);
    if (topic.name === 'logs') this.#kept.keep(topic.filter, session.caller);
    const id = randomId();
    const stream: Stream = { id, session, topic, next, isWaiting: false };
    this.#streams.set(id, stream);
    session.subscriptions.add(id);
    // Behind the answer, which tells the client its id.
    setImmediate(() => this.#follow(stream));
    return id;
  }

  /** False for another connection's, as for one that never was. */
  remove(id: string, session: Session): boolean {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.session !== session) return false;
    session.subscriptions.delete(id);
    if (stream.topic.name === 'logs') this.#kept.forget(stream.topic.filter, session.caller);
    this.#behind.delete(stream);
    return this.#streams.delete(id);
  }

  removeAll(session: Session): void {
    for (const id of [...session.subscriptions]) this.remove(id, session);
  }

  onFinal(block: Block, receipts: readonly Receipt[]): void {
    const endMs = performance.now() + turnMs;
    for (const stream of this.#streams.values()) {
      const isNext = stream.next === block.header.height;
      if (isNext && performance.now() < endMs) this.#tell(stream, block, receipts);
      else this.#follow(stream);
    }
  }

  close(): void {
    this.#streams.clear();
    this.#behind.clear();
  }

  #readTopic(value: unknown, filter: unknown): Topic {
    const name = readText(value, 0);
    switch (name) {
      case 'newHeads':
        if (!isAbsent(filter)) throw invalidParam(1, 'newHeads has no filter');
        return { name };
      case 'logs':
        return { name, filter: readLogFilter(filter, 1, this.#limits) };
      default:
        throw invalidParam(0, 'no such topic: newHeads, logs');
    }
  }

  #readFrom(value: unknown): Height {
    const { height } = this.#backend.head.header;
    if (isAbsent(value)) return asHeight(height + 1n);
    const from = readQuantity(value, 2, 64);
    if (from > height + 1n) throw invalidParam(2, 'that block is not there yet');
    const { replayBlocksMax } = this.#limits;
    if (height - from >= BigInt(replayBlocksMax)) {
      throw invalidParam(2, `more than ${replayBlocksMax} blocks ago: read these with eth_getLogs`);
    }
    return asHeight(from);
  }

  /** Up to the head; from then on blocks come by themselves. */
  #follow(stream: Stream): void {
    if (stream.isWaiting || !this.#isBehind(stream)) return;
    this.#behind.add(stream);
    if (!this.#isReading) void this.#readAll();
  }

  /** A block for each in turn, and never long at a time, however many are behind. */
  async #readAll(): Promise<void> {
    this.#isReading = true;
    let endMs = performance.now() + turnMs;
    for (const stream of this.#behind) {
      this.#behind.delete(stream);
      if (stream.session.isSlow) this.#waitFor(stream);
      else {
        this.#readNext(stream);
        // At the end of what this loop goes through.
        if (this.#isBehind(stream)) this.#behind.add(stream);
      }
      if (performance.now() < endMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      endMs = performance.now() + turnMs;
    }
    this.#isReading = false;
  }

  #waitFor(stream: Stream): void {
    stream.isWaiting = true;
    setTimeout(() => {
      stream.isWaiting = false;
      this.#follow(stream);
    }, slowMs);
  }

  #isBehind({ id, next }: Stream): boolean {
    return this.#streams.has(id) && next <= this.#backend.head.header.height;
  }

  /** Most blocks have nothing for most filters: of these no more than the header is read. */
  #readNext(stream: Stream): void {
    const { topic, next } = stream;
    const header = this.#backend.headerAt(next);
    const isIdle =
      topic.name === 'logs' && header !== null && !mayHave(header.logsBloom, topic.filter);
    const block = isIdle ? null : this.#backend.blockAt(next);
    const receipts = block === null ? null : this.#backend.receiptsAt(next);
    if (block === null || receipts === null) stream.next = asHeight(next + 1n);
    else this.#tell(stream, block, receipts);
  }

  #tell(stream: Stream, block: Block, receipts: readonly Receipt[]): void {
    const { id, session, topic } = stream;
    stream.next = asHeight(block.header.height + 1n);
    const cursor = quantity(stream.next);
    if (topic.name === 'newHeads') {
      return notify(id, session, { cursor, head: formatHeader(block.header, block.hash) });
    }
    if (!mayHave(block.header.logsBloom, topic.filter)) return;
    const logs = logsIn(block, receipts, topic.filter);
    if (logs.length > 0) notify(id, session, { cursor, logs });
  }
}

function notify(subscription: string, session: Session, result: unknown): void {
  const params = { subscription, result };
  session.send(JSON.stringify({ jsonrpc: '2.0', method: 'mpbp_subscription', params }));
}
