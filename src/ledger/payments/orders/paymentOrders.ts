/**
 * PaymentOrders, 0x4d5042…0022 (payments.md 1 and 2.3): a sale that its merchant signed, from the
 * request to the refund. Every state that is not final has a deadline that anybody can enforce.
 *
 * One life-cycle has two modes: tokens of the ledger move from payer to merchant in one step, or a
 * rail outside moves the money and the chain records who wanted it so. Of the second there is what
 * comes before the rail takes the order.
 */
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { PAYMENT_ORDERS } from '../addresses.ts';
import { defineContract, type View } from '../contract.ts';
import { fail, orderAbi } from './orderAbi.ts';
import { recordConsent } from './orderConsents.ts';
import { cancel, expire } from './orderEndings.ts';
import { claimParked } from './orderMoney.ts';
import { capture, pay, payWithAuthorization, reclaim, refund, voidOrder } from './orderPayments.ts';
import { createOrder, rejectOrder, routeOrder } from './orderRequests.ts';
import { orders, readTerms, routeOf, termsDigest } from './orderStore.ts';

export const paymentOrders = defineContract({
  name: 'PaymentOrders',
  address: PAYMENT_ORDERS,
  abi: orderAbi,
  functions: {
    createOrder: { gas: 20_000n, run: createOrder },
    routeOrder: { gas: 8_000n, run: routeOrder },
    rejectOrder: { gas: 8_000n, run: rejectOrder },
    pay: { gas: 10_000n, run: (call, id) => pay(call, id, call.sender) },
    payWithAuthorization: { gas: 10_000n, run: payWithAuthorization },
    recordConsent: { gas: 10_000n, run: recordConsent },
    capture: { gas: 10_000n, run: capture },
    voidOrder: { gas: 8_000n, run: voidOrder },
    cancel: { gas: 8_000n, run: cancel },
    reclaim: { gas: 8_000n, run: reclaim },
    expire: { gas: 8_000n, run: expire },
    refund: { gas: 10_000n, run: refund },
    claimParkedFee: { gas: 8_000n, run: claimParked },
    getOrder: { gas: 8_000n, run: getOrder },
    channelOf: { gas: 5_000n, run: ({ state }, id) => routeOf(state, id) },
    stateOf: {
      gas: 5_000n,
      run: ({ state }, id) => [orders.orders(id).head.get(state).state, false] as const,
    },
    orderIdOf: {
      gas: 5_000n,
      run: ({ state }, merchantId, orderRef) => orders.byRef(merchantId)(orderRef).get(state),
    },
    hashOrder: {
      gas: 8_000n,
      run: ({ state }, terms) => hashFromBytes(termsDigest(state, terms)),
    },
    escrowedTotal: { gas: 5_000n, run: ({ state }, token) => orders.escrowed(token).get(state) },
    DOMAIN_SEPARATOR: { gas: 5_000n, run: ({ state }) => orders.domainSeparator.get(state) },
  },
});

function getOrder({ state }: View, id: Hash) {
  const record = orders.orders(id);
  const head = record.head.get(state);
  if (head.state === 0n) throw fail('UnknownOrder', id);
  const { payer, captured } = record.paid.get(state);
  const { account: settlementAccount, authorized } = record.settlement.get(state);
  return {
    terms: readTerms(state, id),
    ...{ state: head.state, createdAt: head.createdAt, stateAt: head.stateAt, resultBy: 0n },
    ...{ payer, captured, settlementAccount, authorized },
    refunded: record.money.get(state).refunded,
    accessMemberId: record.accessMemberId.get(state),
    // Of external channels.
    ...{ channelRefHash: ZERO_HASH, settlementRefHash: ZERO_HASH, evidenceHash: ZERO_HASH },
    suspended: false,
  };
}
