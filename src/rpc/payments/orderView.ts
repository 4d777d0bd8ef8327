/** An order as merchants and wallets are told of it. */
import { merchants } from '#src/ledger/payments/orders/merchantStore.ts';
import { orders, readTerms, routeOf, STATE } from '#src/ledger/payments/orders/orderStore.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { type Address, formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { currencyOf } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { quantity } from '../formats.ts';

export const STATE_NAMES: ReadonlyMap<bigint, string> = new Map(
  Object.entries(STATE).map(([name, number]) => [number, spelled(name)] as const),
);

/** Null where there is none of this id. */
export function formatOrder(state: StateReader, height: bigint, id: Hash) {
  const record = orders.orders(id);
  const head = record.head.get(state);
  if (head.state === 0n) return null;
  const { token, merchantId, orderRef, channelId, metadataHash, ...terms } = readTerms(state, id);
  const { payer, captured } = record.paid.get(state);
  const { account, authorized } = record.settlement.get(state);
  const merchant = merchants.merchants(merchantId);
  return {
    ...{ orderId: id, blockNumber: quantity(height), state: STATE_NAMES.get(head.state) },
    merchant: { merchantId, displayName: merchant.displayName.get(state) },
    ...{ orderRef, token: formatAddress(token), currency: currencyOf(token) },
    ...{ channelId, metadataHash },
    /** `channelId` is what the merchant signed. */
    routedChannelId: hashOrNull(routeOf(state, id)),
    amount: quantity(terms.amount),
    captureMode: terms.captureMode === 0n ? 'charge' : 'authorize',
    payBy: quantity(terms.payBy),
    captureBy: quantity(terms.captureBy),
    refundBy: quantity(terms.refundBy),
    maxFeeBps: quantity(terms.maxFeeBps),
    /** Whom the merchant asks, where it asks somebody; and who paid. */
    ...{ wantedPayer: addressOrNull(terms.payer), payer: addressOrNull(payer) },
    settlementAccount: formatAddress(account),
    ...{ authorized: quantity(authorized), captured: quantity(captured) },
    refunded: quantity(record.money.get(state).refunded),
    ...{ createdAt: quantity(head.createdAt), stateAt: quantity(head.stateAt) },
  };
}

function addressOrNull(address: Address): string | null {
  return address === ZERO_ADDRESS ? null : formatAddress(address);
}

function hashOrNull(hash: Hash): Hash | null {
  return hash === ZERO_HASH ? null : hash;
}

/** `inProcess` is IN_PROCESS in the design and for everybody who reads it. */
function spelled(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
