/** What transitions of orders ask first: the order's state, who calls, and what time it is. */
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Call, View } from '../contract.ts';
import { isOperatorOf, ROLE } from '../memberStore.ts';
import { isAllowed } from '../tokens/policyStore.ts';
import { pausedSeconds, tokenAt } from '../tokens/tokenStore.ts';
import { TOKEN_CHANNEL } from './channelStore.ts';
import { hasRight, merchants, RIGHT } from './merchantStore.ts';
import { fail } from './orderAbi.ts';
import { type OrderRecord, orders } from './orderStore.ts';

export function needOrder({ state }: Call, id: Hash, ...wanted: readonly bigint[]) {
  const record = orders.orders(id);
  const head = record.head.get(state);
  if (head.state === 0n) throw fail('UnknownOrder', id);
  if (!wanted.includes(head.state)) throw fail('WrongState', id, head.state);
  return { record, head };
}

/** An order that is settled in tokens of the ledger. */
export function needOnChain(call: Call, id: Hash, ...wanted: readonly bigint[]) {
  const { record, head } = needOrder(call, id, ...wanted);
  if (head.isExternal) throw fail('WrongChannel', id, record.routedTo.get(call.state));
  return record;
}

/** An order that a rail settles. */
export function needExternal(call: Call, id: Hash, ...wanted: readonly bigint[]) {
  const { record, head } = needOrder(call, id, ...wanted);
  if (!head.isExternal) throw fail('WrongChannel', id, TOKEN_CHANNEL);
  return record;
}

/** The caller acts for the member through which the merchant is here. */
export function needAcquirer({ state, sender }: Call, record: OrderRecord) {
  const merchantId = record.merchantId.get(state);
  const acquirerId = merchants.merchants(merchantId).acquirerId.get(state);
  if (!isOperatorOf(state, sender, acquirerId, ROLE.access)) throw fail('NotAuthorized', sender);
  return { merchantId, acquirerId };
}

export function needKey({ state, sender }: Call, record: OrderRecord, right: bigint): void {
  if (!hasRight(state, record.merchantId.get(state), sender, right)) {
    throw fail('NotAuthorized', sender);
  }
}

/** Whom the merchant asks, and lets pay; the merchant. */
export function needPayer({ state }: Call, record: OrderRecord, payer: Address): Hash {
  const { payer: wanted } = record.wanted.get(state);
  if (wanted !== ZERO_ADDRESS && wanted !== payer) throw fail('PayerNotAllowed', payer);
  const merchantId = record.merchantId.get(state);
  const policy = merchants.merchants(merchantId).payerPolicyId.get(state);
  if (!isAllowed(state, policy, payer, 'sender')) throw fail('PayerNotAllowed', payer);
  return merchantId;
}

/** Any key of the merchant's that takes part in orders. */
export function mayWithdraw({ state, sender }: Call, record: OrderRecord): boolean {
  const merchantId = record.merchantId.get(state);
  return hasRight(state, merchantId, sender, RIGHT.order | RIGHT.capture | RIGHT.admin);
}

type Deadline = 'payBy' | 'captureBy' | 'refundBy';

/** Moved by the time for which the token stood still. */
export function deadline({ state, now }: View, record: OrderRecord, which: Deadline): bigint {
  const times = record.times.get(state);
  const head = tokenAt(record.money.get(state).token).head.get(state);
  return times[which] + pausedSeconds(head, now) - times.pausedBefore;
}

export function needInTime(call: Call, record: OrderRecord, id: Hash, which: Deadline): void {
  const end = deadline(call, record, which);
  if (call.now >= end) throw fail('TooLate', id, end);
}

export function needOver(call: Call, record: OrderRecord, id: Hash, which: Deadline): void {
  const end = deadline(call, record, which);
  if (call.now < end) throw fail('TooEarly', id, end);
}

export function enter(call: Call, record: OrderRecord, next: bigint): void {
  const head = record.head.get(call.state);
  record.head.set(call.state, { ...head, state: next, stateAt: call.now });
}
