/**
 * Orders that are settled in tokens of the ledger: paid at once or held and captured later, and
 * refunded (T6, T7, T9 to T11 and T20 of payments.md 1.4).
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { PAYMENT_ORDERS } from '../addresses.ts';
import type { Call } from '../contract.ts';
import { RECEIVE_TYPE, takeAuthorization } from '../tokens/authorizations.ts';
import { DIRECTION } from '../tokens/limits.ts';
import { structHash } from '../tokens/signatures.ts';
import { checkMovement, move, tokenAt } from '../tokens/tokenStore.ts';
import { TOKEN_CHANNEL } from './channelStore.ts';
import { merchants, RIGHT } from './merchantStore.ts';
import { fail, log } from './orderAbi.ts';
import {
  deadline,
  enter,
  mayWithdraw,
  needAcquirer,
  needInTime,
  needKey,
  needOnChain,
  needOver,
  needPayer,
} from './orderGuards.ts';
import { endHold, holdFor, settle } from './orderMoney.ts';
import { countOrder, needAttested } from './orderRules.ts';
import { CAPTURE, type OrderRecord, STATE } from './orderStore.ts';

/** T6 and T7: the payer has agreed, by sending this or by what it signed. */
export function pay(call: Call, id: Hash, payer: Address): void {
  const { state } = call;
  const record = needOnChain(call, id, STATE.routed);
  needInTime(call, record, id, 'payBy');
  const merchantId = needPayer(call, record, payer);
  const { amount } = record.wanted.get(state);
  const { token } = record.money.get(state);
  const { account: to } = record.settlement.get(state);
  needAttested(call, id, record, payer);
  const movement = { token, from: payer, to, amount, hasMemo: true };
  checkMovement(state, tokenAt(token).head.get(state), movement);
  countOrder(call, record, DIRECTION.in, amount);
  record.settlement.set(state, { account: to, authorized: amount });
  const isCharge = record.head.get(state).captureMode === CAPTURE.charge;
  call.emit(log('OrderAuthorized', id, merchantId, payer, amount, !isCharge));
  if (isCharge) {
    settle(call, { id, record, from: payer, gross: amount, isFirst: true, isHeld: false });
    record.paid.set(state, { payer, captured: amount });
    enter(call, record, STATE.settled);
    emitSettled(call, record, id, amount);
    return;
  }
  record.paid.set(state, { payer, captured: 0n });
  const expiration = deadline(call, record, 'captureBy');
  holdFor(call, { id, token, from: payer, to, amount, expiration });
  enter(call, record, STATE.authorized);
}

/** By a signature; the nonce is the order: what is signed for one never pays another. */
export function payWithAuthorization(
  call: Call,
  id: Hash,
  payer: Address,
  validAfter: bigint,
  validBefore: bigint,
  signature: Uint8Array,
): void {
  const record = needOnChain(call, id, STATE.routed);
  const { token } = record.money.get(call.state);
  const { amount: value } = record.wanted.get(call.state);
  const to = PAYMENT_ORDERS;
  const terms = { from: payer, to, value, validAfter, validBefore, nonce: id };
  takeAuthorization(call, token, RECEIVE_TYPE, terms, signature);
  pay(call, id, payer);
}

/** T9. */
export function capture(call: Call, id: Hash, gross: bigint): void {
  const { state } = call;
  const record = needOnChain(call, id, STATE.authorized);
  needKey(call, record, RIGHT.capture);
  needInTime(call, record, id, 'captureBy');
  const { payer, captured } = record.paid.get(state);
  const { authorized } = record.settlement.get(state);
  const rest = authorized - captured;
  if (gross === 0n || gross > rest) throw fail('AmountAboveRest', id, gross, rest);
  const isFirst = captured === 0n;
  settle(call, { id, record, from: payer, gross, isFirst, isHeld: true });
  record.paid.set(state, { payer, captured: captured + gross });
  if (gross === rest) finish(call, record, id, false);
}

/** T10. */
export function voidOrder(call: Call, id: Hash): void {
  const record = needOnChain(call, id, STATE.authorized);
  if (!mayWithdraw(call, record)) needAcquirer(call, record);
  finish(call, record, id, false);
}

/** T11, by the payer. */
export function reclaim(call: Call, id: Hash): void {
  const record = needOnChain(call, id, STATE.authorized);
  const { payer } = record.paid.get(call.state);
  if (call.sender !== payer) throw fail('NotAuthorized', call.sender);
  needOver(call, record, id, 'captureBy');
  finish(call, record, id, true);
}

/** What was not captured goes back, what was is settled: the end of T9, T10 and T11. */
export function finish(call: Call, record: OrderRecord, id: Hash, isLate: boolean): void {
  const { state, sender } = call;
  const { captured } = record.paid.get(state);
  const { authorized } = record.settlement.get(state);
  const { token } = record.money.get(state);
  const rest = authorized - captured;
  endHold(call, { id, token, rest, captured }, isLate);
  const merchantId = record.merchantId.get(state);
  if (captured > 0n) {
    enter(call, record, STATE.settled);
    emitSettled(call, record, id, captured);
  } else if (isLate) {
    enter(call, record, STATE.expired);
    call.emit(log('OrderExpired', id, merchantId, rest));
  } else {
    enter(call, record, STATE.cancelled);
    call.emit(log('OrderCancelled', id, merchantId, sender, rest));
  }
}

/**
 * T20: to whoever paid, and no more than was captured. From the merchant's account of today, whose
 * owner agreed to be it: the one that was paid may be somebody else's by now.
 */
export function refund(call: Call, id: Hash, amount: bigint, refundRef: Hash): Hash {
  const { state } = call;
  const record = needOnChain(call, id, STATE.settled);
  needKey(call, record, RIGHT.refund);
  needInTime(call, record, id, 'refundBy');
  const { payer, captured } = record.paid.get(state);
  const { token, refunded } = record.money.get(state);
  const rest = captured - refunded;
  if (amount === 0n || amount > rest) throw fail('AmountAboveRest', id, amount, rest);
  const merchantId = record.merchantId.get(state);
  const { settlementAccount: from } = merchants.merchants(merchantId).head.get(state);
  // No account's limit stands between a customer and its money.
  const counts = 'for nobody';
  const movement = { token, from, to: payer, amount, hasMemo: true, counts } as const;
  checkMovement(state, tokenAt(token).head.get(state), movement);
  countOrder(call, record, DIRECTION.out, amount);
  record.money.set(state, { token, refunded: refunded + amount });
  move(call, movement);
  const refundId = structHash(id, refundRef, refunded);
  const sums = [amount, refunded + amount] as const;
  call.emit(log('OrderRefunded', id, merchantId, payer, refundId, ...sums));
  return refundId;
}

function emitSettled(call: Call, record: OrderRecord, id: Hash, amount: bigint): void {
  const { state, now } = call;
  const merchantId = record.merchantId.get(state);
  call.emit(log('OrderSettled', id, merchantId, TOKEN_CHANNEL, amount, ZERO_HASH, now));
}
