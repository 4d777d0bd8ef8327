/**
 * What an account did, entry by entry, written in the same batch as the block. The entries of an
 * account add up to its balance: received and fees in, sent and its fee out (ledger invariant 9).
 */

import type { Movement } from '#src/ledger/execute.ts';
import { effectiveGasPrice, intrinsicGas } from '#src/ledger/gas.ts';
import { FEE_MANAGER } from '#src/ledger/payments/addresses.ts';
import { type OtherFee, otherFeeIn } from '#src/ledger/payments/fees/otherFee.ts';
import { assert } from '#src/lib/failure.ts';
import {
  type Address,
  addressFromBytes,
  addressToBytes,
  isReservedAddress,
  ZERO_ADDRESS,
} from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import { createAddress } from '#src/types/createAddress.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { memoBytesMax } from '#src/types/limits.ts';
import type { Log, Receipt } from '#src/types/receipt.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  rlpBytes,
  rlpToSafeInteger,
  rlpToUint,
  uintToRlp,
} from '#src/types/rlp.ts';
import { asHeight, asWei, type Height, type Wei } from '#src/types/units.ts';
import { paymentsIn, type TokenMovement, tokenMovementsIn } from './tokenMovements.ts';

const KINDS = ['genesis', 'sent', 'received', 'self', 'fees'] as const;
/** `self`: to oneself, costs the fee only. `fees`: a proposer's income from one block. */
export type HistoryKind = (typeof KINDS)[number];

export type HistoryEntry = {
  readonly account: Address;
  readonly height: Height;
  /** Position of the transaction in its block; of `fees`, the number of transactions. */
  readonly index: number;
  readonly kind: HistoryKind;
  readonly amount: Wei;
  /**
   * What this account paid for the transaction, in what `amount` is in: nothing unless it sent it, or
   * pays for whoever did.
   */
  readonly fee: Wei;
  readonly counterparty: Address | null;
  readonly transactionHash: Hash | null;
  readonly timestampMs: number;
  /** The first bytes of the data of a plain payment: a memo, where the sender wrote one. */
  readonly memo: Uint8Array;
  readonly succeeded: boolean;
  /** Of which currency `amount` is; null for the native coin. */
  readonly token: Address | null;
  /** What was paid for, or refunded. */
  readonly orderId: Hash | null;
  /** The virtual address that was paid: it tells the receiver from whom or what for. */
  readonly via: Address | null;
};

/** What the entry did to the balance of the native coin. */
export function deltaOf(entry: HistoryEntry): bigint {
  return entry.token === null ? changeOf(entry) : 0n;
}

/** What it did to the balance that it is about. */
export function changeOf({ kind, amount, fee }: HistoryEntry): bigint {
  switch (kind) {
    case 'genesis':
    case 'received':
    case 'fees':
      return amount;
    case 'sent':
      return -amount - fee;
    case 'self':
      return -fee;
  }
}

/**
 * The entries of one block: two a transaction, or one where it moves nothing, two for each movement of coin that a contract made
 * by itself, and one for the proposer; what currencies moved, and fees in them, which FeeManager has
 * from one block in one entry each. `movements` are those of the outcome, in order.
 */
export function historyOf(
  block: Block,
  receipts: readonly Receipt[],
  movements: readonly Movement[] = [],
): HistoryEntry[] {
  const { height, baseFeePerGas, coinbase, consensus } = block.header;
  const { timestampMs } = consensus;
  const entries: HistoryEntry[] = [];
  let gasBefore = 0n;
  let next = 0;
  /** By token; null for the coin. */
  const fees = new Map<Address | null, bigint>();
  for (const [index, transaction] of block.transactions.entries()) {
    const receipt = receipts[index];
    assert(receipt !== undefined, 'a receipt for each transaction');
    const { sender, value, hash, data, nonce } = transaction;
    const price = effectiveGasPrice(transaction, baseFeePerGas);
    const gasUsed = receipt.cumulativeGasUsed - gasBefore;
    const usual = gasUsed * price;
    gasBefore = receipt.cumulativeGasUsed;
    const { succeeded, logs } = receipt;
    const other = otherFeeIn(logs);
    const fee = asWei(other === null ? usual : 0n);
    const { token: paidIn, amount: paid } = other ?? { token: null, amount: usual };
    fees.set(paidIn, (fees.get(paidIn) ?? 0n) + paid);
    const to = transaction.to ?? (succeeded ? createAddress(sender, nonce) : null);
    const amount = succeeded ? value : asWei(0n);
    const isCall = transaction.to === null || isReservedAddress(transaction.to);
    const memo = isCall ? EMPTY.memo : data.subarray(0, memoBytesMax);
    const place = { height, index, transactionHash: hash, timestampMs, succeeded };
    const common = { ...place, amount, memo, token: null, orderId: null, via: null };
    const kind = to === sender ? 'self' : 'sent';
    entries.push({ ...common, account: sender, kind, fee, counterparty: to });
    // Whoever is named by a payment of nothing did not ask to be told of it; a contract that ran is.
    const hasMoved = amount > 0n || transaction.to === null || gasUsed > intrinsicGas(transaction);
    if (to !== null && to !== sender && succeeded && hasMoved) {
      const zero = asWei(0n);
      entries.push({ ...common, account: to, kind: 'received', fee: zero, counterparty: sender });
    }
    for (let movement = movements[next]; movement?.index === index; movement = movements[++next]) {
      const { from, to: taker } = movement;
      const moved = { ...common, amount: asWei(movement.amount), fee: asWei(0n) };
      entries.push({ ...moved, account: from, kind: 'sent', counterparty: taker });
      entries.push({ ...moved, account: taker, kind: 'received', counterparty: from });
    }
    const inTokens = tokenEntries(logs, place, sender);
    if (other !== null) takeFee(inTokens, other, place, sender);
    entries.push(...inTokens);
  }
  for (const [token, amount] of fees) {
    const account = token === null ? coinbase : FEE_MANAGER;
    if (amount > 0n) entries.push(feesEntry(block, account, asWei(amount), token));
  }
  return entries;
}

type Place = Pick<
  HistoryEntry,
  'height' | 'index' | 'transactionHash' | 'timestampMs' | 'succeeded'
>;

/** With what its payer paid in the same currency, or alone where that is nothing. */
function takeFee(
  entries: HistoryEntry[],
  { payer, isSponsored, token, amount }: OtherFee,
  place: Place,
  sender: Address,
): void {
  const fee = asWei(amount);
  const at = entries.findIndex(
    ({ account, kind, token: of }) => account === payer && of === token && kind !== 'received',
  );
  const paid = entries[at];
  if (paid !== undefined && !isSponsored) entries[at] = { ...paid, fee };
  else {
    const counterparty = isSponsored ? sender : null;
    entries.push({
      ...EMPTY,
      ...place,
      account: payer,
      kind: 'sent',
      fee,
      token,
      counterparty,
      amount: asWei(0n),
    });
  }
}

/**
 * A payer sees what it paid for an order, or in a batch, as one; each receiver what it got. A movement
 * of nothing is told only to who sent it: anybody may move nothing from anybody's account, under the
 * name of an address that looks like a known one.
 */
function tokenEntries(logs: readonly Log[], place: Place, sender: Address): HistoryEntry[] {
  const movements = tokenMovementsIn(logs);
  if (movements.length === 0) return [];
  const none = { fee: asWei(0n) };
  const entries: HistoryEntry[] = [];
  const whom = (address: Address) => (address === ZERO_ADDRESS ? null : address);
  const isTold = ({ from, amount }: TokenMovement) => amount > 0n || from === sender;
  for (const { from, to, amount, ...what } of paymentsIn(movements.filter(isTold))) {
    if (from === ZERO_ADDRESS) continue;
    const kind = from === to ? 'self' : 'sent';
    const paid = { ...place, ...none, ...what, amount: asWei(amount), kind } as const;
    entries.push({ ...paid, account: from, counterparty: whom(to) });
  }
  for (const { from, to, amount, ...what } of movements) {
    if (to === ZERO_ADDRESS || to === from || amount === 0n) continue;
    const got = { ...place, ...none, ...what, amount: asWei(amount) };
    entries.push({ ...got, account: to, kind: 'received', counterparty: whom(from) });
  }
  return entries;
}

/** `token`: of which currency it is; null for the native coin. */
export function genesisEntry(
  account: Address,
  amount: Wei,
  timestampMs: number,
  token: Address | null = null,
): HistoryEntry {
  return { ...EMPTY, account, height: asHeight(0n), kind: 'genesis', amount, timestampMs, token };
}

export function encodeHistoryEntry(entry: HistoryEntry): Uint8Array {
  const { kind, amount, fee, counterparty, transactionHash, timestampMs, memo, token } = entry;
  const { orderId, via } = entry;
  const ofToken =
    token === null
      ? []
      : [addressToBytes(token), orderId === null ? NO_BYTES : hashToBytes(orderId)];
  const ofVirtual = via === null ? [] : [addressToBytes(via)];
  return encodeRlp([
    uintToRlp(KINDS.indexOf(kind)),
    uintToRlp(amount),
    uintToRlp(fee),
    counterparty === null ? new Uint8Array(0) : addressToBytes(counterparty),
    transactionHash === null ? new Uint8Array(0) : hashToBytes(transactionHash),
    uintToRlp(timestampMs),
    memo,
    uintToRlp(entry.succeeded ? 1 : 0),
    ...ofToken,
    ...ofVirtual,
  ]);
}

/** Bytes that this node wrote and whose checksum held: anything else is our own bug. */
export function decodeHistoryEntry(
  bytes: Uint8Array,
  place: { account: Address; height: Height; index: number },
): HistoryEntry {
  const decoded = decodeRlp(bytes, bytes.length);
  assert(decoded.ok && isRlpList(decoded.value), 'a history entry is a list');
  const [kindItem, amount, fee, counterparty, hash, time, memo, succeeded, token, order, via] =
    decoded.value;
  const kind = KINDS[rlpToSafeInteger(kindItem) ?? -1];
  assert(kind !== undefined && memo instanceof Uint8Array, 'a history entry has a kind');
  const counterpartyBytes = rlpBytes(counterparty, 20);
  const [hashBytes, orderBytes] = [rlpBytes(hash, 32), rlpBytes(order, 32)];
  const [tokenBytes, viaBytes] = [rlpBytes(token, 20), rlpBytes(via, 20)];
  return {
    ...place,
    kind,
    amount: asWei(rlpToUint(amount, 32) ?? 0n),
    fee: asWei(rlpToUint(fee, 32) ?? 0n),
    counterparty: counterpartyBytes === null ? null : addressFromBytes(counterpartyBytes),
    transactionHash: hashBytes === null ? null : hashFromBytes(hashBytes),
    timestampMs: rlpToSafeInteger(time) ?? 0,
    memo,
    succeeded: rlpToSafeInteger(succeeded) === 1,
    token: tokenBytes === null ? null : addressFromBytes(tokenBytes),
    orderId: orderBytes === null ? null : hashFromBytes(orderBytes),
    via: viaBytes === null ? null : addressFromBytes(viaBytes),
  };
}

const EMPTY = {
  index: 0,
  fee: 0n as Wei,
  counterparty: null,
  transactionHash: null,
  memo: new Uint8Array(0),
  succeeded: true,
  token: null,
  orderId: null,
  via: null,
} as const;
const NO_BYTES = EMPTY.memo;

function feesEntry(
  block: Block,
  account: Address,
  amount: Wei,
  token: Address | null,
): HistoryEntry {
  const { height, consensus } = block.header;
  const { timestampMs } = consensus;
  const index = block.transactions.length;
  return { ...EMPTY, account, height, index, kind: 'fees', amount, timestampMs, token };
}
