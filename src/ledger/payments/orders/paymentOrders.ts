/**
 * PaymentOrders, 0x4d5042…0022 (payments.md 1 and 2.3): a sale that its merchant signed, from the
 * request to the refund. Money goes from payer to merchant in one step, and every state that is not
 * final has a deadline that anybody can enforce. This is what settles in tokens of the ledger.
 */
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { PAYMENT_ORDERS } from '../addresses.ts';
import { type Call, defineContract, type View } from '../contract.ts';
import { memberHasRole, ROLE, standingOf } from '../memberStore.ts';
import { RECEIVE_TYPE, takeAuthorization } from '../tokens/authorizations.ts';
import { isAllowed } from '../tokens/policyStore.ts';
import { RECOVERY_GAS, signerOf, structHash } from '../tokens/signatures.ts';
import { checkMovement, isToken, move, pausedSeconds, tokenAt } from '../tokens/tokenStore.ts';
import {
  feesOf,
  hasRight,
  MERCHANT,
  merchantHead,
  merchants,
  RIGHT,
  TOKEN_CHANNEL,
} from './merchantStore.ts';
import { fail, log, orderAbi } from './orderAbi.ts';
import { claimParked, endHold, feesFor, holdFor, settle } from './orderMoney.ts';
import {
  CAPTURE,
  type OrderRecord,
  type OrderTerms,
  orders,
  readTerms,
  STATE,
  termsDigest,
  writeTerms,
} from './orderStore.ts';

const BPS = 10_000n;
/** Ten years: longer is a slip of the pen, and far from where 48 bits of seconds end. */
const spanSecondsMax = 315_360_000n;

export const paymentOrders = defineContract({
  name: 'PaymentOrders',
  address: PAYMENT_ORDERS,
  abi: orderAbi,
  functions: {
    createOrder: { gas: 20_000n, run: createOrder },
    routeOrder: {
      gas: 8_000n,
      run: (call, id, channelId, screeningHash) => {
        const { record } = needOrder(call, id, STATE.requested);
        const { acquirerId } = needAcquirer(call, record);
        needInTime(call, record, id, 'payBy');
        const wanted = record.channelId.get(call.state);
        const isOther = wanted !== ZERO_HASH && wanted !== channelId;
        if (isOther || channelId !== TOKEN_CHANNEL) throw fail('UnknownChannel', channelId);
        route(call, record, id, acquirerId, screeningHash);
      },
    },
    rejectOrder: {
      gas: 8_000n,
      run: (call, id, reasonCode, reasonHash) => {
        const { record } = needOrder(call, id, STATE.requested, STATE.routed);
        const { merchantId, acquirerId } = needAcquirer(call, record);
        enter(call, record, STATE.rejected);
        call.emit(log('OrderRejected', id, merchantId, acquirerId, reasonCode, reasonHash));
      },
    },
    pay: { gas: 10_000n, run: (call, id) => pay(call, id, call.sender) },
    payWithAuthorization: {
      gas: 10_000n,
      run: (call, id, payer, validAfter, validBefore, signature) => {
        const { record } = needOrder(call, id, STATE.routed);
        const { token } = record.money.get(call.state);
        const { amount: value } = record.wanted.get(call.state);
        // The nonce is the order: what is signed for one never pays another.
        const terms = {
          from: payer,
          to: PAYMENT_ORDERS,
          value,
          validAfter,
          validBefore,
          nonce: id,
        };
        takeAuthorization(call, token, RECEIVE_TYPE, terms, signature);
        pay(call, id, payer);
      },
    },
    capture: {
      gas: 10_000n,
      run: (call, id, gross) => {
        const { state } = call;
        const { record } = needOrder(call, id, STATE.authorized);
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
      },
    },
    voidOrder: {
      gas: 8_000n,
      run: (call, id) => {
        const { record } = needOrder(call, id, STATE.authorized);
        if (!mayWithdraw(call, record)) needAcquirer(call, record);
        finish(call, record, id, false);
      },
    },
    cancel: {
      gas: 8_000n,
      run: (call, id) => {
        const { record } = needOrder(call, id, STATE.requested, STATE.routed);
        if (!mayWithdraw(call, record)) throw fail('NotAuthorized', call.sender);
        enter(call, record, STATE.cancelled);
        const merchantId = record.merchantId.get(call.state);
        call.emit(log('OrderCancelled', id, merchantId, call.sender, 0n));
      },
    },
    reclaim: {
      gas: 8_000n,
      run: (call, id) => {
        const { record } = needOrder(call, id, STATE.authorized);
        const { payer } = record.paid.get(call.state);
        if (call.sender !== payer) throw fail('NotAuthorized', call.sender);
        needOver(call, record, id, 'captureBy');
        finish(call, record, id, true);
      },
    },
    expire: {
      gas: 8_000n,
      run: (call, id) => {
        const { record, state } = needOrder(
          ...([call, id, STATE.requested, STATE.routed, STATE.authorized] as const),
        );
        if (state === STATE.authorized) {
          needOver(call, record, id, 'captureBy');
          return finish(call, record, id, true);
        }
        needOver(call, record, id, 'payBy');
        enter(call, record, STATE.expired);
        call.emit(log('OrderExpired', id, record.merchantId.get(call.state), 0n));
      },
    },
    refund: { gas: 10_000n, run: refund },
    claimParkedFee: { gas: 8_000n, run: claimParked },
    getOrder: { gas: 8_000n, run: getOrder },
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

// --- transitions ---------------------------------------------------------------------------------

/** T1, and T2 with it where the merchant's acquirer routes by itself. */
function createOrder(call: Call, terms: OrderTerms, signature: Uint8Array): Hash {
  const { state, now } = call;
  const { merchantId, orderRef, token, channelId, payBy } = terms;
  const signed = termsDigest(state, terms);
  const id = hashFromBytes(signed);
  const merchant = merchantHead(state, merchantId);
  if (merchant?.status !== MERCHANT.active) throw fail('MerchantNotActive', merchantId);
  call.spend(RECOVERY_GAS);
  const signer = signerOf(signed, signature);
  if (signer === null || !hasRight(state, merchantId, signer, RIGHT.order)) {
    throw fail('InvalidSignature', signer ?? ZERO_ADDRESS);
  }
  const record = orders.orders(id);
  if (record.head.get(state).state !== 0n) throw fail('OrderExists', id);
  const byRef = orders.byRef(merchantId)(orderRef);
  const other = byRef.get(state);
  if (other !== ZERO_HASH) throw fail('OrderRefTaken', merchantId, orderRef, other);
  if (!isToken(state, token)) throw fail('UnknownToken', token);
  if (channelId !== ZERO_HASH && channelId !== TOKEN_CHANNEL) {
    throw fail('UnknownChannel', channelId);
  }
  const what = flawOf(terms, now);
  if (what !== null) throw fail('InvalidTerms', id, what);
  const fees = merchants.schedules(merchantId)(TOKEN_CHANNEL).get(state);
  const shares = feesFor(feesOf(state, fees), terms.amount, true);
  const total = shares.reduce((sum, { amount }) => sum + amount, 0n);
  const limit = (terms.amount * terms.maxFeeBps) / BPS;
  if (total > limit) throw fail('FeesAboveLimit', id, total, limit);
  const { captureMode, captureBy, refundBy, maxFeeBps } = terms;
  const began = { state: STATE.requested, createdAt: now, stateAt: now };
  record.head.set(state, { ...began, captureMode, maxFeeBps, fees });
  const pausedBefore = pausedSeconds(tokenAt(token).head.get(state), now);
  record.times.set(state, { payBy, captureBy, refundBy, pausedBefore });
  // Open orders keep what was registered when they were made.
  record.settlement.set(state, { account: merchant.settlementAccount, authorized: 0n });
  writeTerms(state, id, terms);
  byRef.set(state, id);
  const told = [orderRef, token, terms.amount, terms.payer, payBy] as const;
  call.emit(log('OrderRequested', id, merchantId, channelId, ...told));
  if (merchant.autoRoute) {
    const acquirerId = merchants.merchants(merchantId).acquirerId.get(state);
    route(call, record, id, acquirerId, ZERO_HASH);
  }
  return id;
}

/** In words what of the terms cannot be. */
function flawOf(terms: OrderTerms, now: bigint) {
  const { amount, captureMode, payBy, captureBy, refundBy, maxFeeBps } = terms;
  if (amount === 0n || amount > tokenAmountMax) return 'amount';
  // Fees of more than the whole would leave the merchant less than nothing.
  if (maxFeeBps > BPS) return 'maxFeeBps';
  if (captureMode > CAPTURE.authorize) return 'captureMode';
  if (payBy <= now) return 'payBy is over';
  if (payBy > captureBy || captureBy > refundBy) return 'deadlines out of order';
  return refundBy - now > spanSecondsMax ? 'deadlines too far away' : null;
}

function route(call: Call, record: OrderRecord, id: Hash, acquirerId: Hash, screening: Hash) {
  const { state } = call;
  record.channelId.set(state, TOKEN_CHANNEL);
  record.accessMemberId.set(state, acquirerId);
  enter(call, record, STATE.routed);
  const merchantId = record.merchantId.get(state);
  call.emit(log('OrderRouted', id, merchantId, TOKEN_CHANNEL, acquirerId, screening));
}

/** T6 and T7: the payer has agreed, by sending this or by what it signed. */
function pay(call: Call, id: Hash, payer: Address): void {
  const { state } = call;
  const { record } = needOrder(call, id, STATE.routed);
  needInTime(call, record, id, 'payBy');
  const { payer: wanted, amount } = record.wanted.get(state);
  if (wanted !== ZERO_ADDRESS && wanted !== payer) throw fail('PayerNotAllowed', payer);
  const merchantId = record.merchantId.get(state);
  const policy = merchants.merchants(merchantId).payerPolicyId.get(state);
  if (!isAllowed(state, policy, payer, 'sender')) throw fail('PayerNotAllowed', payer);
  const { token } = record.money.get(state);
  const { account: to } = record.settlement.get(state);
  const movement = { token, from: payer, to, amount, hasMemo: true };
  checkMovement(state, tokenAt(token).head.get(state), movement);
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

/** T9's end, T10 and T11: what was not captured goes back, what was is settled. */
function finish(call: Call, record: OrderRecord, id: Hash, isLate: boolean): void {
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

/** T20: from the account that was paid to whoever paid, and no more than was captured. */
function refund(call: Call, id: Hash, amount: bigint, refundRef: Hash): Hash {
  const { state } = call;
  const { record } = needOrder(call, id, STATE.settled);
  needKey(call, record, RIGHT.refund);
  needInTime(call, record, id, 'refundBy');
  const { payer, captured } = record.paid.get(state);
  const { token, refunded } = record.money.get(state);
  const rest = captured - refunded;
  if (amount === 0n || amount > rest) throw fail('AmountAboveRest', id, amount, rest);
  const { account: from } = record.settlement.get(state);
  const movement = { token, from, to: payer, amount, hasMemo: true };
  checkMovement(state, tokenAt(token).head.get(state), movement);
  record.money.set(state, { token, refunded: refunded + amount });
  move(call, movement);
  const refundId = structHash(id, refundRef, refunded);
  const merchantId = record.merchantId.get(state);
  const sums = [amount, refunded + amount] as const;
  call.emit(log('OrderRefunded', id, merchantId, payer, refundId, ...sums));
  return refundId;
}

function enter(call: Call, record: OrderRecord, next: bigint): void {
  const head = record.head.get(call.state);
  record.head.set(call.state, { ...head, state: next, stateAt: call.now });
}

function emitSettled(call: Call, record: OrderRecord, id: Hash, amount: bigint): void {
  const { state, now } = call;
  const [merchantId, channelId] = [record.merchantId.get(state), record.channelId.get(state)];
  call.emit(log('OrderSettled', id, merchantId, channelId, amount, ZERO_HASH, now));
}

// --- guards --------------------------------------------------------------------------------------

function needOrder(call: Call, id: Hash, ...wanted: readonly bigint[]) {
  const record = orders.orders(id);
  const { state } = record.head.get(call.state);
  if (state === 0n) throw fail('UnknownOrder', id);
  if (!wanted.includes(state)) throw fail('WrongState', id, state);
  return { record, state };
}

/** The caller acts for the member through which the merchant is here. */
function needAcquirer({ state, sender }: Call, record: OrderRecord) {
  const merchantId = record.merchantId.get(state);
  const acquirerId = merchants.merchants(merchantId).acquirerId.get(state);
  const standing = standingOf(state, sender);
  const isOne = standing.memberId === acquirerId && (standing.roles & ROLE.access) !== 0n;
  if (!isOne || !memberHasRole(state, acquirerId, ROLE.access)) throw fail('NotAuthorized', sender);
  return { merchantId, acquirerId };
}

function needKey({ state, sender }: Call, record: OrderRecord, right: bigint): void {
  if (!hasRight(state, record.merchantId.get(state), sender, right)) {
    throw fail('NotAuthorized', sender);
  }
}

/** Any key of the merchant's that takes part in orders. */
function mayWithdraw({ state, sender }: Call, record: OrderRecord): boolean {
  const merchantId = record.merchantId.get(state);
  return hasRight(state, merchantId, sender, RIGHT.order | RIGHT.capture | RIGHT.admin);
}

type Deadline = 'payBy' | 'captureBy' | 'refundBy';

/** Moved by the time for which the token stood still. */
function deadline({ state, now }: View, record: OrderRecord, which: Deadline): bigint {
  const times = record.times.get(state);
  const head = tokenAt(record.money.get(state).token).head.get(state);
  return times[which] + pausedSeconds(head, now) - times.pausedBefore;
}

function needInTime(call: Call, record: OrderRecord, id: Hash, which: Deadline): void {
  const end = deadline(call, record, which);
  if (call.now >= end) throw fail('TooLate', id, end);
}

function needOver(call: Call, record: OrderRecord, id: Hash, which: Deadline): void {
  const end = deadline(call, record, which);
  if (call.now < end) throw fail('TooEarly', id, end);
}

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
