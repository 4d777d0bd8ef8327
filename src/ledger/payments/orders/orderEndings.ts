/** How orders end that are not settled, in both modes (T4, T5 and T11 to T13 of payments.md 1.4). */
import type { Hash } from '#src/types/hash.ts';
import type { Call } from '../contract.ts';
import { fail, log } from './orderAbi.ts';
import { enter, mayWithdraw, needOrder, needOver } from './orderGuards.ts';
import { finish } from './orderPayments.ts';
import { STATE } from './orderStore.ts';

/** T4 and T12: the merchant withdraws, and the payer what it consented to. What is held is voided. */
export function cancel(call: Call, id: Hash): void {
  const { state, sender } = call;
  const { requested, routed, authorized } = STATE;
  const { record, head } = needOrder(call, id, requested, routed, authorized);
  const isAuthorized = head.state === authorized;
  if (isAuthorized && !head.isExternal) throw fail('WrongState', id, authorized);
  const isPayer = isAuthorized && sender === record.paid.get(state).payer;
  if (!isPayer && !mayWithdraw(call, record)) throw fail('NotAuthorized', sender);
  enter(call, record, STATE.cancelled);
  call.emit(log('OrderCancelled', id, record.merchantId.get(state), sender, 0n));
}

/** T5, T11 and T13: anybody, once the time is over. */
export function expire(call: Call, id: Hash): void {
  const { requested, routed, authorized } = STATE;
  const { record, head } = needOrder(call, id, requested, routed, authorized);
  const isAuthorized = head.state === authorized;
  needOver(call, record, id, isAuthorized ? 'captureBy' : 'payBy');
  if (isAuthorized && !head.isExternal) return finish(call, record, id, true);
  enter(call, record, STATE.expired);
  call.emit(log('OrderExpired', id, record.merchantId.get(call.state), 0n));
}
