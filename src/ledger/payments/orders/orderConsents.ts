/**
 * Orders that a rail settles, before it takes them: the payer's word that it may (T8 of payments.md
 * 1.4). The chain records it and moves nothing.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import type { Call } from '../contract.ts';
import { digest, RECOVERY_GAS, signerOf, structHash, typeHash } from '../tokens/signatures.ts';
import { movingHead } from '../tokens/tokenStore.ts';
import { fail, log } from './orderAbi.ts';
import { enter, needExternal, needInTime, needPayer } from './orderGuards.ts';
import { type OrderRecord, orders, STATE } from './orderStore.ts';

const CONSENT = typeHash(
  'PaymentConsent(bytes32 orderId,address payer,address token,uint256 amount,bytes32 channelId,' +
    'uint48 validBefore)',
);

export type PaymentConsent = {
  readonly orderId: Hash;
  readonly payer: Address;
  readonly token: Address;
  readonly amount: bigint;
  readonly channelId: Hash;
  /** Unix seconds. */
  readonly validBefore: bigint;
};

/** Anybody submits it; an order takes one. */
export function recordConsent(call: Call, consent: PaymentConsent, signature: Uint8Array): void {
  const { state, now } = call;
  const { orderId: id, payer, token, amount, validBefore } = consent;
  const record = needExternal(call, id, STATE.routed);
  needInTime(call, record, id, 'payBy');
  if (now >= validBefore) throw fail('AuthorizationExpired', validBefore);
  const what = flawOf(state, record, consent);
  if (what !== null) throw fail('ConsentMismatch', id, what);
  movingHead(state, token);
  const merchantId = needPayer(call, record, payer);
  call.spend(RECOVERY_GAS);
  if (signerOf(consentDigest(state, consent), signature) !== payer) {
    throw fail('InvalidSignature', payer);
  }
  record.paid.set(state, { payer, captured: 0n });
  record.settlement.set(state, { ...record.settlement.get(state), authorized: amount });
  enter(call, record, STATE.authorized);
  call.emit(log('OrderAuthorized', id, merchantId, payer, amount, false));
}

/** In words what of it is not the order's. */
function flawOf(state: StateReader, record: OrderRecord, consent: PaymentConsent) {
  const { token, amount, channelId } = consent;
  if (token !== record.money.get(state).token) return 'token';
  if (amount !== record.wanted.get(state).amount) return 'amount';
  return channelId === record.routedTo.get(state) ? null : 'channelId';
}

function consentDigest(state: StateReader, consent: PaymentConsent): Uint8Array {
  const { orderId, payer, token, amount, channelId, validBefore } = consent;
  const terms = [orderId, payer, token, amount, channelId, validBefore] as const;
  return digest(orders.domainSeparator.get(state), structHash(CONSENT, ...terms));
}
