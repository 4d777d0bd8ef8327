import type { Hash } from '#src/types/hash.ts';
import { hashHeader } from '#src/types/header.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { Backend } from './backend.ts';
import { limitExceeded, RPC, RpcError } from './errors.ts';
import { randomId } from './ids.ts';
import type { RpcLimits } from './limits.ts';
import { type LogFilter, type Range, readLogFilter, readRange, searchLogs } from './logs.ts';
import { isAbsent, readBlockNumber, readObject } from './params.ts';

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

  constructor(backend: Backend, limits: RpcLimits) {
    this.#backend = backend;
    this.#limits = limits;
    this.#pending = new PendingLog(limits.pendingHashesMax);
  }

  onPending(hash: Hash): void {
    if (this.#filters.size > 0) this.#pending.push(hash);
  }

  addBlocks(): string {
    return this.#add({ kind: 'blocks', next: this.#afterHead() });
  }

  addPending(): string {
    return this.#add({ kind: 'pending', next: this.#pending.end });
  }

  /** The range may lie ahead: it is what `getFilterLogs` asks for. Changes begin after the head. */
  addLogs(value: unknown): string {
    const filter = readLogFilter(value, 0, this.#limits);
    const { fromBlock } = readObject(value, 0);
    if (!isAbsent(fromBlock)) readBlockNumber(fromBlock, 0);
    return this.#add({ kind: 'logs', next: this.#afterHead(), filter, value });
  }

  remove(id: string): boolean {
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
    const range = readRange(this.#backend, filter.value, 0);
    return searchLogs(this.#backend, filter.filter, range, this.#limits);
  }

  #add(state: FilterState): string {
    this.#dropExpired();
    const { filtersMax } = this.#limits;
    if (this.#filters.size >= filtersMax) throw limitExceeded(`more than ${filtersMax} filters`);
    const id = randomId();
    this.#filters.set(id, { ...state, polledAt: performance.now() });
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
      this.#filters.delete(id);
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
  | { readonly kind: 'logs'; next: bigint; readonly filter: LogFilter; readonly value: unknown };

type Filter = FilterState & { polledAt: number };

function notFound(): RpcError {
  return new RpcError(RPC.rejected, 'filter not found');
}
