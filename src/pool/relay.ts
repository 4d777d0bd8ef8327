import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { decodeRlp, encodeRlp, isRlpList } from '#src/types/rlp.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import type { Pool } from './pool.ts';

/** What the relay needs of the network; a message may be lost. */
export type RelayNet = {
  broadcast(message: Uint8Array): void;
  send(peer: string, message: Uint8Array): void;
};

export const relayBytesMax = 512 * 1024;
export const relayTransactionsMax = 2_000;
/**
 * A payment that still waits so long after it was sent may have been lost; each time it is sent
 * again the wait is twice as long, up to the last. What waits because blocks are full was not lost,
 * and there is much of it: sent again and again it would take the time that blocks need.
 */
const waitsMs = [500, 1_000, 2_000, 4_000, 8_000, 16_000] as const;
/** Between two messages of what is sent again. */
const pauseMs = 500;
/** What was heard waits at whoever told it, too, and is theirs to send again at first. */
const heardLevel = 2;

/**
 * Payments between pools: every node tells every peer what its own clients submitted, in batches of
 * whatever came in one turn of the event loop. What waits long is sent again to those who propose
 * next.
 */
export class Relay {
  readonly #net: RelayNet;
  readonly #pool: Pool;
  readonly #now: () => number;
  /** When each was sent, by the wait that it has; in each the longest ago first. */
  readonly #sentAt = waitsMs.map(() => new Map<Hash, number>());
  #outgoing: SignedTransaction[] = [];
  #pushedAt = Number.NEGATIVE_INFINITY;

  constructor(net: RelayNet, pool: Pool, now: () => number) {
    this.#net = net;
    this.#pool = pool;
    this.#now = now;
  }

  /** Sent with the others of this turn. */
  announce(transaction: SignedTransaction): void {
    this.#outgoing.push(transaction);
    this.#mark(transaction.hash, 0, this.#now());
    if (this.#outgoing.length === 1) setImmediate(() => this.#flush());
  }

  /** Received from a peer, who told everyone. */
  heard(hash: Hash): void {
    this.#mark(hash, heardLevel, this.#now());
  }

  /** Found on disk at start: nobody here knows whether it was ever sent. */
  resume(hash: Hash): void {
    this.#mark(hash, 0, Number.NEGATIVE_INFINITY);
  }

  forget(hash: Hash): void {
    for (const sent of this.#sentAt) sent.delete(hash);
  }

  /** What has waited, now and then as much as a message has room for, to those who propose next. */
  push(peers: readonly string[]): void {
    if (this.#now() < this.#pushedAt + pauseMs) return;
    const due = this.#due();
    if (due.length === 0) return;
    this.#pushedAt = this.#now();
    const message = encodeRlp(due);
    for (const peer of peers) this.#net.send(peer, message);
  }

  /** Everything that waits, to a peer that has just come. */
  greet(peer: string): void {
    const waiting: SignedTransaction[] = [];
    for (const { transaction } of this.#pool.entries()) {
      waiting.push(transaction);
      if (waiting.length >= relayTransactionsMax) break;
    }
    for (const message of encodeBatches(waiting)) this.#net.send(peer, message);
  }

  /** Raw; they are sent now. */
  #due(): Uint8Array[] {
    const now = this.#now();
    const due: Uint8Array[] = [];
    let bytes = 0;
    for (const [level, waitMs] of waitsMs.entries()) {
      for (const [hash, sentAt] of this.#sentAt[level] ?? []) {
        if (sentAt > now - waitMs) break;
        const raw = this.#pool.get(hash)?.raw;
        if (raw === undefined) continue;
        const full = bytes + raw.length > relayBytesMax || due.length >= relayTransactionsMax;
        if (due.length > 0 && full) return due;
        this.#mark(hash, Math.min(level + 1, waitsMs.length - 1), now);
        due.push(raw);
        bytes += raw.length;
      }
    }
    return due;
  }

  #mark(hash: Hash, level: number, at: number): void {
    // A key that is set again would keep its old place.
    this.forget(hash);
    this.#sentAt[level]?.set(hash, at);
  }

  #flush(): void {
    const transactions = this.#outgoing;
    this.#outgoing = [];
    for (const message of encodeBatches(transactions)) this.#net.broadcast(message);
  }
}

/** `RLP [raw, …]`, each within what a message may have in bytes and in payments. */
function* encodeBatches(transactions: readonly SignedTransaction[]): Generator<Uint8Array> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const { raw } of transactions) {
    const full = bytes + raw.length > relayBytesMax || batch.length >= relayTransactionsMax;
    if (batch.length > 0 && full) {
      yield encodeRlp(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(raw);
    bytes += raw.length;
  }
  if (batch.length > 0) yield encodeRlp(batch);
}

export type RelayRefusal = { code: 'RELAY_MALFORMED' } | { code: 'RELAY_TOO_MANY' };

export type RelayedPayment = { readonly hash: Hash; readonly raw: Uint8Array };

/** The raw payments of a message, with the hash by which the pool knows them. */
export function decodeRelay(message: Uint8Array): Verdict<RelayedPayment[], RelayRefusal> {
  const decoded = decodeRlp(message, 2 * relayBytesMax);
  if (!decoded.ok || !isRlpList(decoded.value)) return refuse({ code: 'RELAY_MALFORMED' });
  if (decoded.value.length > 2 * relayTransactionsMax) return refuse({ code: 'RELAY_TOO_MANY' });
  const found: RelayedPayment[] = [];
  for (const raw of decoded.value) {
    if (isRlpList(raw)) return refuse({ code: 'RELAY_MALFORMED' });
    found.push({ hash: keccakHash(raw), raw });
  }
  return accept(found);
}
