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
/** A payment that is still waiting this long after it was last sent may have been lost. */
const resendAfterMs = 500;

/**
 * Payments between pools: every node tells every peer what its own clients submitted, in batches of
 * whatever came in one turn of the event loop. What waits long is sent again to those who propose
 * next.
 */
export class Relay {
  readonly #net: RelayNet;
  readonly #pool: Pool;
  readonly #now: () => number;
  /** The longest ago first. */
  readonly #sentAt = new Map<Hash, number>();
  #outgoing: SignedTransaction[] = [];

  constructor(net: RelayNet, pool: Pool, now: () => number) {
    this.#net = net;
    this.#pool = pool;
    this.#now = now;
  }

  /** Sent with the others of this turn. */
  announce(transaction: SignedTransaction): void {
    this.#outgoing.push(transaction);
    this.#mark(transaction.hash);
    if (this.#outgoing.length === 1) setImmediate(() => this.#flush());
  }

  /** Received from a peer, who told everyone. */
  heard(hash: Hash): void {
    this.#mark(hash);
  }

  /** Found on disk at start: nobody here knows whether it was ever sent. */
  resume(hash: Hash): void {
    this.#sentAt.set(hash, Number.NEGATIVE_INFINITY);
  }

  forget(hash: Hash): void {
    this.#sentAt.delete(hash);
  }

  /** What has waited, to those who propose next. */
  push(peers: readonly string[]): void {
    const before = this.#now() - resendAfterMs;
    const waiting: SignedTransaction[] = [];
    for (const [hash, sentAt] of this.#sentAt) {
      if (sentAt > before || waiting.length >= relayTransactionsMax) break;
      const transaction = this.#pool.get(hash);
      if (transaction === null) continue;
      this.#mark(hash);
      waiting.push(transaction);
    }
    for (const message of encodeBatches(waiting)) {
      for (const peer of peers) this.#net.send(peer, message);
    }
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

  #mark(hash: Hash): void {
    // A key that is set again would keep its old place.
    this.#sentAt.delete(hash);
    this.#sentAt.set(hash, this.#now());
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
