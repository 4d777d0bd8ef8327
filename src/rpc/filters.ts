import type { Hash } from '#src/types/hash.ts';
import { hashHeader } from '#src/types/header.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { Caller } from './access/access.ts';
import type { Backend } from './backend.ts';
import { RPC, RpcError } from './errors.ts';
import { randomId } from './ids.ts';
import type { KeptChoices } from './keptChoices.ts';
import type { RpcLimits } from './limits.ts';
import { type LogFilter, type Range, readLogFilter, readRange, searchLogs } from './logs.ts';
import { isAbsent, readBlockNumber, readHash, readObject } from './params.ts';
import { Shares } from './shares.ts';

/**
 * Filters that a client polls. They keep a position and no results, so that one that nobody polls
 * costs nothing; a poll after a long time gets its blocks in several answers.
 */
export class Filters {
  readonly #backend: Backend;
  readonly #limits: RpcLimits;
  /** The one polled longest ago first. */
  readonly #filters = new Map<string, Filter>();
  readonly #pending: PendingLog;
  readonly #kept: KeptChoices;
  readonly #shares: Shares;

  constructor(backend: Backend, limits: RpcLimits, kept: KeptChoices) {
    this.#backend = backend;
    this.#limits = limits;
    this.#kept = kept;
    this.#shares = new Shares('filters', limits.filtersMax, limits);
    this.#pending = new PendingLog(limits.pendingHashesMax);
  }

  onPending(hash: Hash): void {
    if (this.#filters.size > 0) this.#pending.push(hash);
  }

  addBlocks(caller: Caller): string {
    return this.#add(caller, { kind: 'blocks', next: this.#afterHead() });
  }

  addPending(caller: Caller): string {
    return this.#add(caller, { kind: 'pending', next: this.#pending.end });
  }

  /** The range may lie ahead: it is what `getFilterLogs` asks for. Changes begin after the head. */
  addLogs(value: unknown, caller: Caller): string {
    const filter = readLogFilter(value, 0, this.#limits);
    const { fromBlock, toBlock, blockHash } = readObject(value, 0);
    for (const end of [fromBlock, toBlock]) if (!isAbsent(end)) readBlockNumber(end, 0);
    if (!isAbsent(blockHash)) readHash(blockHash, 0);
    // Not what else the caller wrote, which may be long.
    const range = { fromBlock, toBlock, blockHash };
    return this.#add(caller, { kind: 'logs', next: this.#afterHead(), filter, range });
  }

  remove(id: string): boolean {
    const filter = this.#filters.get(id);
    if (filter === undefined) return false;
    if (filter.kind === 'logs') this.#kept.forget(filter.filter, filter.caller);
    this.#shares.give(filter.caller);
    return this.#filters.delete(id);
  }

  async changes(id: string): Promise<unknown[]> {
    const filter = this.#touch(id);
    if (filter.kind === 'pending') {
      const { hashes, end } = this.#pending.since(filter.next);
      filter.next = end;
      return hashes;
    }
    const range = this.#news(filter.next);
    if (range === null) return [];
    // Before the search, so that two polls at once do not both get these blocks.
    filter.next = range.to + 1n;
    if (filter.kind === 'blocks') return this.#hashes(range);
    try {
      return await searchLogs(this.#backend, filter.filter, range, this.#limits);
    } catch (error) {
      filter.next = range.from;
      throw error;
    }
  }

  async logs(id: string): Promise<unknown[]> {
    const filter = this.#touch(id);
    if (filter.kind !== 'logs') throw notFound();
    const range = readRange(this.#backend, filter.range, 0);
    return searchLogs(this.#backend, filter.filter, range, this.#limits);
  }

  #add(caller: Caller, state: FilterState): string {
    this.#dropExpired();
    this.#shares.take(caller);
    try {
      if (state.kind === 'logs') this.#kept.keep(state.filter, caller);
    } catch (error) {
      this.#shares.give(caller);
      throw error;
    }
    const id = randomId();
    this.#filters.set(id, { ...state, caller, polledAt: performance.now() });
    return id;
  }

  #touch(id: string): Filter {
    this.#dropExpired();
    const filter = this.#filters.get(id);
    if (filter === undefined) throw notFound();
    this.#filters.delete(id);
    this.#filters.set(id, filter);
    filter.polledAt = performance.now();
    return filter;
  }

  #dropExpired(): void {
    const before = performance.now() - this.#limits.filterLifetimeMs;
    for (const [id, { polledAt }] of this.#filters) {
      if (polledAt > before) break;
      this.remove(id);
    }
  }

  #afterHead(): bigint {
    return this.#backend.head.header.height + 1n;
  }

  #news(next: bigint): Range | null {
    const head = this.#backend.head.header.height;
    if (next > head) return null;
    const most = next + BigInt(this.#limits.logBlocksMax) - 1n;
    return { from: asHeight(next), to: most < head ? asHeight(most) : head };
  }

  #hashes({ from, to }: Range): Hash[] {
    const hashes: Hash[] = [];
    for (let at = from as bigint; at <= to; at++) {
      const header = this.#backend.headerAt(at as Height);
      if (header !== null) hashes.push(hashHeader(header));
    }
    return hashes;
  }
}

/** The newest hashes, shared by all filters, each at its own position. */
class PendingLog {
  readonly #max: number;
  #hashes: Hash[] = [];
  #dropped = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get end(): bigint {
    return BigInt(this.#dropped + this.#hashes.length);
  }

  push(hash: Hash): void {
    this.#hashes.push(hash);
    // Dropping half at a time keeps a push cheap.
    if (this.#hashes.length <= this.#max) return;
    const half = this.#max >> 1;
    this.#hashes = this.#hashes.slice(half);
    this.#dropped += half;
  }

  since(position: bigint): { hashes: Hash[]; end: bigint } {
    const first = Math.max(0, Number(position) - this.#dropped);
    return { hashes: this.#hashes.slice(first), end: this.end };
  }
}

/** `next`: the first block, or position among the pending hashes, that was not told yet. */
type FilterState =
  | { readonly kind: 'blocks'; next: bigint }
  | { readonly kind: 'pending'; next: bigint }
  | { readonly kind: 'logs'; next: bigint; readonly filter: LogFilter; readonly range: object };

type Filter = FilterState & { readonly caller: Caller; polledAt: number };

function notFound(): RpcError {
  return new RpcError(RPC.rejected, 'filter not found');
}
