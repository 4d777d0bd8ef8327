import type { Peer } from './types.ts';

/**
 * What is missing and who was asked. Each request has a next time and, each time, another peer:
 * an absent or lying peer costs one interval (commonware#4625: never ask only the leader).
 */
export class Fetches {
  readonly #open = new Map<string, { attempt: number; nextAt: number }>();
  readonly #peers: readonly Peer[];
  readonly #own: number | null;
  readonly #retryMs: number;
  readonly #retryMaxMs: number;

  /** `own`: this node's position among the peers, which it does not ask. */
  constructor(peers: readonly Peer[], own: number | null, retryMs: number, retryMaxMs: number) {
    this.#peers = peers;
    this.#own = own;
    this.#retryMs = retryMs;
    this.#retryMaxMs = retryMaxMs;
  }

  /** The peer to ask now, or null where the last request is still young. */
  due(key: string, now: number, prefer: number): Peer | null {
    const count = this.#peers.length;
    if (count === 0 || (count === 1 && this.#own !== null)) return null;
    const open = this.#open.get(key) ?? { attempt: 0, nextAt: now };
    if (now < open.nextAt) return null;
    let { attempt } = open;
    if ((prefer + attempt) % count === this.#own) attempt++;
    const wait = Math.min(this.#retryMaxMs, this.#retryMs * 1.5 ** open.attempt);
    this.#open.set(key, { attempt: attempt + 1, nextAt: now + wait });
    return this.#peers[(prefer + attempt) % count] ?? null;
  }

  has(key: string): boolean {
    return this.#open.has(key);
  }

  /** Keeps only what is still wanted, so that an answered request leaves no trace. */
  keepOnly(wanted: ReadonlySet<string>): void {
    for (const key of this.#open.keys()) if (!wanted.has(key)) this.#open.delete(key);
  }

  nextAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { nextAt } of this.#open.values()) next = Math.min(next, nextAt);
    return next;
  }
}
