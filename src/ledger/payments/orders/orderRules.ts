/**
 * What a payment of an order has to keep to (payments.md 1.4, T6): the limits of the merchant and of
 * the member that brought it in, and what both ends have to attest of a large one.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import type { Call } from '../contract.ts';
import { isAttested, thresholdOf } from '../tokens/attestations.ts';
import {
  count,
  giveBack,
  type Holder,
  orderHolder,
  type Returned,
  SUBJECT,
} from '../tokens/limits.ts';
import { tokenAt } from '../tokens/tokenStore.ts';
import { fail } from './orderAbi.ts';
import type { OrderRecord } from './orderStore.ts';

/** By the member of the payer and by that of the merchant, with exactly what is to be paid. */
export function needAttested(call: Call, id: Hash, record: OrderRecord, sender: Address): void {
  const { state } = call;
  const { token } = record.money.get(state);
  if (!tokenAt(token).head.get(state).hasThreshold) return;
  const threshold = thresholdOf(call, token);
  const { amount } = record.wanted.get(state);
  if (amount < threshold) return;
  const { account: receiver } = record.settlement.get(state);
  const receiverMemberId = record.accessMemberId.get(state);
  const attested = { referenceId: id, token, amount, sender, receiver };
  if (isAttested(state, attested, receiverMemberId)) return;
  throw fail('NotAttested', id, token, threshold);
}

/** In where it is paid, out where it is given back to the payer. */
export function countOrder(
  call: Call,
  record: OrderRecord,
  direction: bigint,
  amount: bigint,
): void {
  for (const holder of holdersOf(call.state, record)) count(call, holder, direction, amount);
}

/** What was held for it and not captured. */
export function giveBackOrder(call: Call, record: OrderRecord, returned: Returned): void {
  for (const holder of holdersOf(call.state, record)) giveBack(call, holder, returned);
}

function holdersOf(state: StateReader, record: OrderRecord): Holder[] {
  const { token } = record.money.get(state);
  if (!tokenAt(token).head.get(state).hasOrderLimits) return [];
  const merchantId = record.merchantId.get(state);
  const memberId = record.accessMemberId.get(state);
  return [
    orderHolder(state, SUBJECT.merchant, merchantId, token),
    orderHolder(state, SUBJECT.member, memberId, token),
  ];
}
