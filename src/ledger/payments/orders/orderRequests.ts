/**
 * How an order begins: what the merchant signed (T1 of payments.md 1.4), and where its acquirer sends
 * it, if it does (T2, T3).
 */
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader } from '../../state/reader.ts';
import type { Call } from '../contract.ts';
import { RECOVERY_GAS, signerOf } from '../tokens/signatures.ts';
import { isToken, pausedSeconds, tokenAt } from '../tokens/tokenStore.ts';
import { CHANNEL, channelHead, isOpenChannel, TOKEN_CHANNEL } from './channelStore.ts';
import {
  feesOf,
  hasRight,
  isBound,
  MERCHANT,
  merchantHead,
  merchants,
  RIGHT,
} from './merchantStore.ts';
import { fail, log } from './orderAbi.ts';
import { enter, needAcquirer, needInTime, needOrder } from './orderGuards.ts';
import { feesFor } from './orderMoney.ts';
import {
  CAPTURE,
  type OrderRecord,
  type OrderTerms,
  orders,
  STATE,
  termsDigest,
  writeTerms,
} from './orderStore.ts';

const BPS = 10_000n;
/** Ten years: longer is a slip of the pen, and far from where 48 bits of seconds end. */
const spanSecondsMax = 315_360_000n;

/** T1, and T2 with it where the merchant's acquirer routes by itself. */
export function createOrder(call: Call, terms: OrderTerms, signature: Uint8Array): Hash {
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
  const isAnyOrTokens = channelId === ZERO_HASH || channelId === TOKEN_CHANNEL;
  if (!isAnyOrTokens) needChannel(state, channelId);
  const what = flawOf(terms, now);
  if (what !== null) throw fail('InvalidTerms', id, what);
  const fees = merchants
    .schedules(merchantId)(isAnyOrTokens ? TOKEN_CHANNEL : channelId)
    .get(state);
  const shares = feesFor(feesOf(state, fees), terms.amount, true);
  const total = shares.reduce((sum, { amount }) => sum + amount, 0n);
  const limit = (terms.amount * terms.maxFeeBps) / BPS;
  if (total > limit) throw fail('FeesAboveLimit', id, total, limit);
  const { captureMode, captureBy, refundBy, maxFeeBps } = terms;
  const began = { state: STATE.requested, createdAt: now, stateAt: now };
  record.head.set(state, { ...began, captureMode, maxFeeBps, fees, isExternal: false });
  const pausedBefore = pausedSeconds(tokenAt(token).head.get(state), now);
  record.times.set(state, { payBy, captureBy, refundBy, pausedBefore });
  // Open orders keep what was registered when they were made.
  record.settlement.set(state, { account: merchant.settlementAccount, authorized: 0n });
  writeTerms(state, id, terms);
  byRef.set(state, id);
  const told = [orderRef, token, terms.amount, terms.payer, payBy] as const;
  call.emit(log('OrderRequested', id, merchantId, channelId, ...told));
  if (merchant.autoRoute && isAnyOrTokens) {
    const acquirerId = merchants.merchants(merchantId).acquirerId.get(state);
    route(call, record, id, { acquirerId, channelId: TOKEN_CHANNEL, screening: ZERO_HASH });
  }
  return id;
}

/** One that orders can come to be routed to. */
function needChannel(state: StateReader, channelId: Hash): void {
  const head = channelHead(state, channelId);
  if (head === null) throw fail('UnknownChannel', channelId);
  if (head.status === CHANNEL.closed) throw fail('ChannelNotActive', channelId);
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

/** T2. */
export function routeOrder(call: Call, id: Hash, channelId: Hash, screening: Hash): void {
  const { state } = call;
  const { record } = needOrder(call, id, STATE.requested);
  const { merchantId, acquirerId } = needAcquirer(call, record);
  needInTime(call, record, id, 'payBy');
  if (channelId !== TOKEN_CHANNEL) {
    needChannel(state, channelId);
    if (!isOpenChannel(state, channelId)) throw fail('ChannelNotActive', channelId);
    if (!isBound(state, merchantId, channelId)) {
      throw fail('ChannelNotBound', merchantId, channelId);
    }
  }
  const wanted = record.channelId.get(state);
  if (wanted !== ZERO_HASH && wanted !== channelId) throw fail('WrongChannel', id, wanted);
  route(call, record, id, { acquirerId, channelId, screening });
}

type Route = { readonly acquirerId: Hash; readonly channelId: Hash; readonly screening: Hash };

/** What the merchant signed stays as it is: where the order went stands beside it. */
function route(call: Call, record: OrderRecord, id: Hash, way: Route): void {
  const { state } = call;
  const { acquirerId, channelId, screening } = way;
  if (channelId !== TOKEN_CHANNEL) {
    record.head.set(state, { ...record.head.get(state), isExternal: true });
    record.routedTo.set(state, channelId);
  }
  record.accessMemberId.set(state, acquirerId);
  enter(call, record, STATE.routed);
  const merchantId = record.merchantId.get(state);
  call.emit(log('OrderRouted', id, merchantId, channelId, acquirerId, screening));
}

/** T3. */
export function rejectOrder(call: Call, id: Hash, reasonCode: bigint, reasonHash: Hash): void {
  const { record } = needOrder(call, id, STATE.requested, STATE.routed);
  const { merchantId, acquirerId } = needAcquirer(call, record);
  enter(call, record, STATE.rejected);
  call.emit(log('OrderRejected', id, merchantId, acquirerId, reasonCode, reasonHash));
}
