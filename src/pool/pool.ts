/**
 * Payments that wait for a block. Admission is a verdict: the checks stand in order, the cheapest
 * first, and the first that fails is the answer. A sender's payments are *executable* while their
 * nonces follow on from its account without a gap; the others wait, within a narrow limit, and
 * never push an executable one out (Li et al., DETER, CCS 2021).
 */

import type { Cover } from '#src/ledger/fees.ts';
import { takesNoCoin } from '#src/ledger/payments/contracts.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { initCodeBytesMax } from '#src/types/limits.ts';
import type { Envelope, SignedTransaction } from '#src/types/transaction.ts';
import type { Gas, Wei } from '#src/types/units.ts';
import { advance, costOf, type Entry, gappedIn, type Lane } from './lane.ts';
import type { PoolRefusal } from './refusal.ts';

export type PoolLimits = {
  readonly poolTransactionsMax: number;
  /** Waiting behind a nonce gap, all senders together. */
  readonly gappedTransactionsMax: number;
  readonly senderTransactionsMax: number;
  readonly nonceGapMax: number;
  readonly lifetimeMs: number;
  /** How much more a replacement has to pay, in percent of both prices. */
  readonly replacementBumpPercent: number;
};

export const defaultPoolLimits: PoolLimits = {
  poolTransactionsMax: 5_000,
  gappedTransactionsMax: 1_000,
  senderTransactionsMax: 64,
  nonceGapMax: 64,
  lifetimeMs: 3_600_000,
  replacementBumpPercent: 10,
};

/** The rules of the ledger that admission applies beforehand. */
export type PoolRules = {
  readonly baseFeePerGas: Wei;
  /** Zero where no such transaction can be in a block. */
  gasLimitFor(transaction: Envelope): Gas;
  intrinsicGas(transaction: Envelope): bigint;
};

/** Nonce and balance at the head: final state, so that admission never depends on a proposal. */
export type AccountReader = (address: Address) => { nonce: bigint; balance: bigint };

export type PoolOptions = {
  readonly limits: PoolLimits;
  readonly rules: PoolRules;
  readonly account: AccountReader;
  /** What would pay the fee at the head without the sender's coin (FeeManager). */
  coverOf(transaction: SignedTransaction): Cover | null;
  now(): number;
};

/** Transactions that are looked at again after each block, in turn. */
const reviewedAtOnce = 32;

export class Pool {
  readonly #options: PoolOptions;
  readonly #byHash = new Map<Hash, Entry>();
  readonly #bySender = new Map<Address, Lane>();
  /** Pushed out by a better price, or found to be unpaid, since the last `settle`. */
  #gone: Entry[] = [];
  /** Senders whose turn it is to be looked at again. */
  #toReview = this.#bySender.entries();
  #gapped = 0;
  #touched = new Set<Address>();

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byHash.size;
  }
  get executable(): number {
    return this.#byHash.size - this.#gapped;
  }
  /** Then only what replaces another, or waits behind a gap, is taken. */
  get isFull(): boolean {
    return this.executable >= this.#options.limits.poolTransactionsMax;
  }
  get gapped(): number {
    return this.#gapped;
  }

  get(hash: Hash): SignedTransaction | null {
    return this.#byHash.get(hash)?.transaction ?? null;
  }

  /** The nonce after the last executable payment: what a wallet should use next. */
  nextNonce(address: Address): bigint {
    const lane = this.#bySender.get(address);
    return lane === undefined ? this.#options.account(address).nonce : lane.next;
  }

  /** What can be said before anybody knows who signed, which is what costs. */
  judge(envelope: Envelope): PoolRefusal | null {
    const { rules } = this.#options;
    const { hash, to, gasLimit: gas, maxFeePerGas, data } = envelope;
    if (this.#byHash.has(hash)) return { code: 'ALREADY_KNOWN', hash };
    const { baseFeePerGas } = rules;
    if (maxFeePerGas < baseFeePerGas) {
      return { code: 'FEE_CAP_TOO_LOW', maxFeePerGas, baseFeePerGas };
    }
    if (to === null && data.length > initCodeBytesMax) {
      return { code: 'INIT_CODE_TOO_LONG', bytes: data.length, max: initCodeBytesMax };
    }
    if (to !== null && takesNoCoin(to)) {
      return { code: 'ADDRESS_RESERVED', address: to };
    }
    const limit = rules.gasLimitFor(envelope);
    if (gas > limit) return { code: 'EXCEEDS_BLOCK_GAS_LIMIT', gas, limit };
    const need = rules.intrinsicGas(envelope);
    return gas < need ? { code: 'INTRINSIC_GAS_TOO_LOW', gas, need } : null;
  }

  add(transaction: SignedTransaction, own: boolean): Verdict<Entry, PoolRefusal> {
    const { sender } = transaction;
    const early = this.judge(transaction);
    if (early !== null) return refuse(early);
    const account = this.#options.account(sender);
    const covered = this.#coveredOf(transaction);
    const refusal = this.#judgeAgainst(transaction, account, covered);
    if (refusal !== null) return refuse(refusal);
    return accept(this.#insert(transaction, account.nonce, own, covered));
  }

  /**
   * For each sender, its payments from this nonce on without a gap; senders in order of arrival.
   */
  *executableFrom(nonceOf: (address: Address) => bigint): Generator<SignedTransaction> {
    for (const [address, lane] of this.#bySender) {
      for (let nonce = nonceOf(address); ; nonce++) {
        const entry = lane.byNonce.get(nonce);
        if (entry === undefined) break;
        yield entry.transaction;
      }
    }
  }

  /** Whether the next payment of one of these senders is here; of any where none are named. */
  hasExecutable(
    nonceOf: (address: Address) => bigint,
    among: Iterable<Address> = this.#bySender.keys(),
  ): boolean {
    for (const address of among) {
      if (this.#bySender.get(address)?.byNonce.has(nonceOf(address))) return true;
    }
    return false;
  }

  /** Whose payments came since this was last asked. */
  takeTouched(): ReadonlySet<Address> {
    const touched = this.#touched;
    this.#touched = new Set();
    return touched;
  }

  /** Own and foreign payments in order of arrival. */
  *entries(): Generator<Entry> {
    yield* this.#byHash.values();
  }

  /** After a commit: the accounts of these senders moved. Returns what left the pool since. */
  settle(senders: Iterable<Address>): Entry[] {
    const gone = this.#gone;
    this.#gone = [];
    for (const sender of new Set(senders)) {
      const lane = this.#bySender.get(sender);
      if (lane === undefined) continue;
      const account = this.#options.account(sender);
      this.#raise(lane, sender, account.nonce, gone);
      // Somebody else's block may have spent what was promised here.
      this.#fit(lane, account.balance, gone);
    }
    this.#reviewSome(gone);
    return gone;
  }

  /** Drops what has waited too long. */
  expire(): Entry[] {
    const gone: Entry[] = [];
    const before = this.#options.now() - this.#options.limits.lifetimeMs;
    for (const entry of this.#byHash.values()) {
      if (entry.addedAt > before) break;
      const lane = this.#bySender.get(entry.transaction.sender);
      if (lane !== undefined) this.#drop(lane, entry, gone);
    }
    return gone;
  }

  /**
   * These could not be in a block for want of money. What the head cannot pay for either has been
   * spent elsewhere, and goes; the rest may come in a later block.
   */
  reconsider(transactions: readonly SignedTransaction[]): void {
    for (const { hash, sender } of transactions) {
      const lane = this.#bySender.get(sender);
      if (lane !== undefined && this.#byHash.has(hash)) this.#review(lane, sender, this.#gone);
    }
  }

  /** Nobody tells when a sponsor, or who pays in a currency, has spent the money otherwise. */
  #reviewSome(gone: Entry[]): void {
    for (let left = reviewedAtOnce; left > 0; ) {
      const next = this.#toReview.next();
      if (next.done) {
        this.#toReview = this.#bySender.entries();
        return;
      }
      const [sender, lane] = next.value;
      left -= lane.byNonce.size;
      this.#review(lane, sender, gone);
    }
  }

  /** From the first on that nobody else pays for, each is to be paid for by its sender. */
  #review(lane: Lane, sender: Address, gone: Entry[]): void {
    const entries = [...lane.byNonce.values()].filter(({ covered }) => covered > 0n);
    entries.sort((a, b) => (a.transaction.nonce < b.transaction.nonce ? -1 : 1));
    let covered = 0n;
    let isEnough = true;
    for (const entry of entries) {
      covered += entry.covered;
      const cover: Cover | null = isEnough ? this.#options.coverOf(entry.transaction) : null;
      isEnough = cover !== null && covered <= cover.available;
      if (isEnough) continue;
      this.#put(lane, { ...entry, cost: costOf(entry.transaction, 0n), covered: 0n });
    }
    this.#fit(lane, this.#options.account(sender).balance, gone);
  }

  // --- rules that look at the account and at what waits -----------------------------------------

  #judgeAgainst(
    transaction: SignedTransaction,
    account: { nonce: bigint; balance: bigint },
    covered: bigint,
  ): PoolRefusal | null {
    const { limits } = this.#options;
    const { sender, nonce } = transaction;
    const { nonce: want, balance } = account;
    if (nonce < want) return { code: 'NONCE_TOO_LOW', address: sender, want, got: nonce };
    const lane = this.#bySender.get(sender);
    const next = lane?.next ?? want;
    if (nonce > next + BigInt(limits.nonceGapMax)) {
      return { code: 'NONCE_TOO_HIGH', address: sender, want, got: nonce };
    }
    const replaced = lane?.byNonce.get(nonce);
    if (replaced !== undefined) {
      const underpriced = this.#underpriced(transaction, replaced.transaction);
      if (underpriced !== null) return underpriced;
    }
    const need = (lane?.cost ?? 0n) - (replaced?.cost ?? 0n) + costOf(transaction, covered);
    if (need > balance) {
      return { code: 'INSUFFICIENT_FUNDS', address: sender, have: balance, need };
    }
    if (replaced !== undefined) return null;
    // What closes a gap may always come: refused, it would hold up for ever what waits behind it.
    const closes = lane !== undefined && nonce === next && gappedIn(lane) > 0;
    if (!closes && (lane?.byNonce.size ?? 0) >= limits.senderTransactionsMax) {
      return { code: 'SENDER_LIMIT', address: sender, limit: limits.senderTransactionsMax };
    }
    if (nonce !== next && this.#gapped >= limits.gappedTransactionsMax) {
      return { code: 'POOL_FULL', limit: limits.gappedTransactionsMax };
    }
    if (nonce === next && this.executable >= limits.poolTransactionsMax) {
      return { code: 'POOL_FULL', limit: limits.poolTransactionsMax };
    }
    return null;
  }

  /** Its fee, if that can be paid without coin together with those that wait; else nothing. */
  #coveredOf(transaction: SignedTransaction): bigint {
    const cover = this.#options.coverOf(transaction);
    if (cover === null) return 0n;
    const { sender, nonce, gasLimit } = transaction;
    const fee = gasLimit * cover.price;
    const lane = this.#bySender.get(sender);
    const others = (lane?.covered ?? 0n) - (lane?.byNonce.get(nonce)?.covered ?? 0n);
    return others + fee <= cover.available ? fee : 0n;
  }

  #underpriced(transaction: SignedTransaction, old: SignedTransaction): PoolRefusal | null {
    const percent = 100n + BigInt(this.#options.limits.replacementBumpPercent);
    const pairs = [
      [transaction.maxFeePerGas, old.maxFeePerGas],
      [transaction.maxPriorityFeePerGas, old.maxPriorityFeePerGas],
    ] as const;
    for (const [got, before] of pairs) {
      const need = (before * percent + 99n) / 100n;
      if (got < need) return { code: 'REPLACEMENT_UNDERPRICED', need, got };
    }
    return null;
  }

  #insert(
    transaction: SignedTransaction,
    stateNonce: bigint,
    own: boolean,
    covered: bigint,
  ): Entry {
    const { sender, nonce } = transaction;
    const cost = costOf(transaction, covered);
    const entry: Entry = { transaction, cost, covered, addedAt: this.#options.now(), own };
    let lane = this.#bySender.get(sender);
    if (lane === undefined) {
      const none = { cost: 0n, covered: 0n };
      lane = { byNonce: new Map(), ...none, first: stateNonce, next: stateNonce };
      this.#bySender.set(sender, lane);
    }
    const replaced = lane.byNonce.get(nonce);
    if (replaced !== undefined) {
      this.#byHash.delete(replaced.transaction.hash);
      this.#gone.push(replaced);
    }
    this.#gapped -= gappedIn(lane);
    this.#put(lane, entry);
    advance(lane);
    this.#gapped += gappedIn(lane);
    this.#touched.add(sender);
    return entry;
  }

  /** In place of the one with the same nonce, if there is one. */
  #put(lane: Lane, entry: Entry): void {
    const { nonce, hash } = entry.transaction;
    const before = lane.byNonce.get(nonce);
    lane.cost += entry.cost - (before?.cost ?? 0n);
    lane.covered += entry.covered - (before?.covered ?? 0n);
    lane.byNonce.set(nonce, entry);
    this.#byHash.set(hash, entry);
  }

  #drop(lane: Lane, entry: Entry, gone: Entry[]): void {
    const { nonce, sender, hash } = entry.transaction;
    this.#gapped -= gappedIn(lane);
    lane.byNonce.delete(nonce);
    lane.cost -= entry.cost;
    lane.covered -= entry.covered;
    if (nonce < lane.next) lane.next = nonce;
    this.#gapped += gappedIn(lane);
    this.#byHash.delete(hash);
    if (lane.byNonce.size === 0) this.#bySender.delete(sender);
    gone.push(entry);
  }

  /** From the last on, so that none is left to wait behind one that is gone. */
  #fit(lane: Lane, balance: bigint, gone: Entry[]): void {
    while (lane.cost > balance && lane.byNonce.size > 0) {
      const last = [...lane.byNonce.keys()].reduce((a, b) => (a > b ? a : b));
      const entry = lane.byNonce.get(last);
      if (entry !== undefined) this.#drop(lane, entry, gone);
    }
  }

  /** The account has come so far: what is below can never be in a block again. */
  #raise(lane: Lane, sender: Address, nonce: bigint, gone: Entry[]): void {
    this.#gapped -= gappedIn(lane);
    for (; lane.first < nonce; lane.first++) {
      const entry = lane.byNonce.get(lane.first);
      if (entry === undefined) continue;
      lane.byNonce.delete(lane.first);
      lane.cost -= entry.cost;
      lane.covered -= entry.covered;
      this.#byHash.delete(entry.transaction.hash);
      gone.push(entry);
    }
    if (lane.next < lane.first) lane.next = lane.first;
    advance(lane);
    this.#gapped += gappedIn(lane);
    if (lane.byNonce.size === 0) this.#bySender.delete(sender);
  }
}
