import { merchants } from '#src/ledger/payments/orders/merchantStore.ts';
import { orders, readTerms, STATE } from '#src/ledger/payments/orders/orderStore.ts';
import { trimSlot } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateReader } from '#src/ledger/state/reader.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { currencyOf } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { quantity } from '../formats.ts';
import { readHash } from '../params.ts';

/** Payments that merchants asked for (payments.md 2.4), as the newest final block has them. */
export function orderMethods(backend: Backend): Methods {
  return [
    ['mpbp_getOrder', { paramsMax: 1, units: 3, run: ([id]) => order(backend, readHash(id, 0)) }],
  ];
}

const STATE_NAMES = new Map(
  Object.entries(STATE).map(([name, number]) => [number, spelled(name)] as const),
);

/** Null where there is none of this id. */
function order(backend: Backend, id: Hash): unknown {
  const { height } = backend.head.header;
  const past = backend.stateAt(height);
  assert(past !== null, 'the state of the head is kept');
  const state: StateReader = {
    ...emptyState,
    slot: (address, key) => trimSlot(past.slot(address, new Uint8Array(Buffer.from(key, 'hex')))),
  };
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

/** `inProcess` is IN_PROCESS in the design and for everybody who reads it. */
function spelled(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
