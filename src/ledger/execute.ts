/**
 * `(state, block) -> (state, receipts)`. The same outcome serves the proposer, the validators and
 * the auditor's replay. No clock, no chance, no disk; iteration only over ordered things.
 */
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Soon, type Steps, wait, walk } from '#src/lib/steps.ts';
import { type Address, isReservedAddress } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { listRoot } from '#src/types/listRoot.ts';
import { encodeReceipt, joinBlooms, makeReceipt, type Receipt } from '#src/types/receipt.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, type Epoch, type Gas } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { precompilePrices } from './evm/precompilePrices.ts';
import { intrinsicGas } from './gas.ts';
import { Lanes } from './lanes.ts';
import { findDisorder, orderTransactions } from './order.ts';
import type { Transfer } from './payments/dispatch.ts';
import { type Books, enter, findImbalance } from './payments/tokens/books.ts';
import { closeEpoch } from './payments/validatorChanges.ts';
import {
  type Applied,
  type LaneName,
  type LedgerContext,
  type LedgerRules,
  laneOf,
} from './rules.ts';
import { EMPTY_CODE_HASH } from './state/account.ts';
import { Overlay } from './state/overlay.ts';
import type { StateChanges, StateReader } from './state/reader.ts';
import { applyTransaction, type InclusionRefusal } from './transfer.ts';

/** What a block fixes before any of its transactions runs. */
export type BlockContext = LedgerContext & {
  readonly parentHash: Hash;
  readonly parentStateRoot: Hash;
  readonly epoch: Epoch;
};

export type Outcome = {
  readonly stateRoot: Hash;
  readonly receipts: readonly Receipt[];
  /** Encoded once: for the root, and for the store. */
  readonly receiptBytes: readonly Uint8Array[];
  readonly receiptsRoot: Hash;
  readonly logsBloom: Uint8Array;
  readonly gasUsed: Gas;
  readonly changes: StateChanges;
  /** The state after the block. */
  readonly state: Overlay;
  /** Who decides from the next block on, where this block is the last of its epoch. */
  readonly nextSet: ValidatorSet | null;
  /** Coin that contracts moved by themselves, for the history. */
  readonly movements: readonly Movement[];
};

/** `index`: of the transaction that made a contract move its coin. */
export type Movement = Transfer & { readonly index: number };

export type ExecutionRefusal =
  | { code: 'BLOCK_ORDER'; index: number }
  | { code: 'BLOCK_LANE_FULL'; index: number; lane: LaneName }
  | { code: 'BLOCK_TRANSACTION_INVALID'; index: number; refusal: InclusionRefusal };

/**
 * Executes exactly these transactions; one that cannot be included makes the block invalid. Done at
 * once where none of them runs code.
 */
export function executeBlock(
  parent: StateReader,
  context: BlockContext,
  transactions: readonly SignedTransaction[],
): Soon<Verdict<Outcome, ExecutionRefusal>> {
  return walk(executing(parent, context, transactions));
}

function* executing(
  parent: StateReader,
  context: BlockContext,
  transactions: readonly SignedTransaction[],
): Steps<Verdict<Outcome, ExecutionRefusal>> {
  const disorder = findDisorder(context.parentHash, transactions);
  if (disorder !== null) return refuse({ code: 'BLOCK_ORDER', index: disorder });
  const lanes = new Lanes(context.rules);
  const run = new Run(parent, context);
  for (const [index, transaction] of transactions.entries()) {
    if (!lanes.take(transaction)) {
      return refuse({ code: 'BLOCK_LANE_FULL', index, lane: laneOf(transaction) });
    }
    const refusal = yield* run.apply(transaction, lanes);
    if (refusal !== null) return refuse({ code: 'BLOCK_TRANSACTION_INVALID', index, refusal });
  }
  return accept(run.finish());
}

/** Payments, in the block or refused, between two questions whether to go on. */
const lookEvery = 16;
/** A call of a native contract counts as so many payments as take as much gas. */
const paymentGas = 21_000n;

export type Assembled = {
  readonly transactions: readonly SignedTransaction[];
  readonly outcome: Outcome;
  /** Candidates that their senders cannot pay for in this block. */
  readonly unpaid: readonly SignedTransaction[];
};

/**
 * The proposer's way: as many of the candidates as fit, in the order that the rule demands, until
 * the caller says that it is enough. A sender's candidates come in order of nonce; one that cannot
 * be included takes the later ones of its sender with it.
 */
export function assembleBlock(
  parent: StateReader,
  context: BlockContext,
  candidates: Iterable<SignedTransaction>,
  goOn: () => boolean = () => true,
): Soon<Assembled> {
  return walk(assembling(parent, context, candidates, goOn));
}

function* assembling(
  parent: StateReader,
  context: BlockContext,
  candidates: Iterable<SignedTransaction>,
  goOn: () => boolean,
): Steps<Assembled> {
  const chosen = choose(parent, context.rules, candidates);
  const lanes = new Lanes(context.rules);
  const run = new Run(parent, context);
  const transactions: SignedTransaction[] = [];
  const unpaid: SignedTransaction[] = [];
  const failed = new Set<Address>();
  let sinceLook = 0;
  for (const transaction of orderTransactions(context.parentHash, chosen)) {
    if (sinceLook >= lookEvery) {
      if (!goOn()) break;
      sinceLook = 0;
    }
    if (failed.has(transaction.sender)) continue;
    if (!lanes.take(transaction)) {
      failed.add(transaction.sender);
      continue;
    }
    const refusal = yield* run.apply(transaction, lanes);
    if (refusal === null) {
      transactions.push(transaction);
      // One that ran code may have taken as long as all the others.
      sinceLook += run.hasRunCode ? lookEvery : Number(run.lastGas / paymentGas);
      continue;
    }
    sinceLook++;
    lanes.giveBack(transaction);
    failed.add(transaction.sender);
    if (refusal.code === 'INSUFFICIENT_FUNDS') unpaid.push(transaction);
  }
  return { transactions, outcome: run.finish(), unpaid };
}

/** As many as could be in a block if each took the least that it can. */
function choose(
  parent: StateReader,
  rules: LedgerRules,
  candidates: Iterable<SignedTransaction>,
): readonly SignedTransaction[] {
  const lanes = new Lanes(rules);
  const closed = new Set<Address>();
  const chosen: SignedTransaction[] = [];
  for (const candidate of candidates) {
    if (lanes.isFull('payment') && lanes.isFull('evm')) break;
    if (closed.has(candidate.sender)) continue;
    if (lanes.takeLeast(candidate, laneToBe(parent, candidate))) chosen.push(candidate);
    else closed.add(candidate.sender);
  }
  return chosen;
}

/**
 * Transfers that will turn out to run code would take the places of payments, and then find no room
 * for what they ask. One that asks for no more than its own cost has room anyway, and most payments
 * are such: they are not looked up.
 */
function laneToBe(parent: StateReader, transaction: SignedTransaction): LaneName {
  const lane = laneOf(transaction);
  const { to, gasLimit } = transaction;
  if (lane === 'evm' || to === null || isReservedAddress(to)) return lane;
  if (gasLimit <= intrinsicGas(transaction)) return lane;
  const { codeHash = EMPTY_CODE_HASH } = parent.account(to) ?? {};
  return precompilePrices.has(to) || codeHash !== EMPTY_CODE_HASH ? 'evm' : lane;
}

class Run {
  readonly #state: Overlay;
  readonly #context: BlockContext;
  readonly #receipts: Receipt[] = [];
  readonly #movements: Movement[] = [];
  /** Of currencies, by the logs. */
  readonly #books: Books = new Map();
  #gasUsed = 0n;
  /** Of the last transaction. */
  hasRunCode = false;
  lastGas = 0n;

  constructor(parent: StateReader, context: BlockContext) {
    this.#state = new Overlay(parent);
    this.#context = context;
  }

  /** Null when it is in the block. */
  *apply(transaction: SignedTransaction, lanes: Lanes): Steps<InclusionRefusal | null> {
    const mayRunCode = () => lanes.shift(transaction);
    const soon = applyTransaction(this.#state, transaction, this.#context, mayRunCode);
    this.hasRunCode = !('ok' in soon);
    const applied = yield* wait(soon);
    if (!applied.ok) return applied.refusal;
    lanes.settle(applied.value);
    this.#include(transaction, applied.value);
    return null;
  }

  #include(transaction: SignedTransaction, applied: Applied): void {
    const { gasUsed, ended, logs, transfers } = applied;
    this.#gasUsed += gasUsed;
    this.lastGas = gasUsed;
    const cumulativeGasUsed = asGas(this.#gasUsed);
    const { type } = transaction;
    const succeeded = ended === 'well';
    const index = this.#receipts.length;
    for (const transfer of transfers) this.#movements.push({ index, ...transfer });
    enter(this.#books, logs);
    this.#receipts.push(makeReceipt({ type, succeeded, cumulativeGasUsed, logs }));
  }

  finish(): Outcome {
    const { height, timestampMs } = this.#context;
    const nextSet = closeEpoch(this.#state, { height, timestampMs });
    const { root, changes } = this.#state.seal(this.#context.parentStateRoot);
    assertConservation(changes);
    assertBooks(this.#books, changes, this.#state);
    const receiptBytes = this.#receipts.map(encodeReceipt);
    return {
      stateRoot: root,
      receipts: this.#receipts,
      receiptBytes,
      receiptsRoot: listRoot(receiptBytes),
      logsBloom: joinBlooms(this.#receipts.map((receipt) => receipt.logsBloom)),
      gasUsed: asGas(this.#gasUsed),
      changes,
      state: this.#state,
      nextSet,
      movements: this.#movements,
    };
  }
}

/** The same of every currency that moved: available and held together. */
function assertBooks(books: Books, { before }: StateChanges, after: StateReader): void {
  if (books.size === 0) return;
  const earlier: StateReader = {
    account: (address) => before.accounts.get(address) ?? after.account(address),
    slot: (address, key) => before.slots.get(address)?.get(key) ?? after.slot(address, key),
    code: (hash) => after.code(hash),
    trieNode: () => null,
  };
  const imbalance = findImbalance(books, earlier, after);
  assert(imbalance === null, `money is neither made nor lost: ${imbalance}`);
}

/** Ledger invariants 1 to 3: a block moves the coin, it neither makes nor loses any. */
function assertConservation({ accounts, before }: StateChanges): void {
  let sum = 0n;
  for (const [address, account] of accounts) {
    const old = before.accounts.get(address) ?? null;
    sum += (account?.balance ?? 0n) - (old?.balance ?? 0n);
    assert((account?.nonce ?? 0n) >= (old?.nonce ?? 0n), 'a nonce never falls');
  }
  assert(sum === 0n, 'a block neither makes nor loses coin');
}
