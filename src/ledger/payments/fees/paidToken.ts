/**
 * Calls by which an account pays in a token, or gets back what it paid, and in which (payments.md
 * 2.5), as far as their data can tell. What merchants and members do with an order is not among
 * them: it would cost them a part of what they took in.
 */
import { toHex } from '#src/lib/bytes.ts';
import {
  type Address,
  addressFromBytes,
  isReservedAddress,
  isTokenAddress,
} from '#src/types/address.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import type { StateReader } from '../../state/reader.ts';
import { PAYMENT_ORDERS, PAYOUTS } from '../addresses.ts';
import { contractAt } from '../contracts.ts';
import { orders } from '../orders/orderStore.ts';

const TOKEN_PAYMENTS: ReadonlySet<string> = new Set([
  ...['transfer', 'transferWithMemo', 'transferFrom', 'transferFromWithMemo'],
  ...['transferWithAuthorization', 'receiveWithAuthorization', 'permit'],
  ...['hold', 'executeHold', 'releaseHold'],
]);

const ORDER_PAYMENTS: ReadonlySet<string> = new Set(['pay', 'payWithAuthorization', 'reclaim']);

/** Null where it is no payment in a token; what it names may turn out to be none. */
export function paidTokenOf(
  state: StateReader,
  { to, data }: Pick<TransactionFields, 'to' | 'data'>,
): Address | null {
  if (to === null || data.length < 4 || !isReservedAddress(to)) return null;
  const called = contractAt(to)?.functions.get(toHex(data.subarray(0, 4)));
  if (called === undefined || called.isView) return null;
  const { name } = called;
  if (isTokenAddress(to)) return TOKEN_PAYMENTS.has(name) ? to : null;
  if (to === PAYOUTS) {
    if (name === 'payoutBatch') return addressIn(data, 0);
    return name === 'payoutBatchWithAuthorization' ? addressIn(data, 1) : null;
  }
  if (to !== PAYMENT_ORDERS || !ORDER_PAYMENTS.has(name)) return null;
  const id = wordIn(data, 0);
  return id === null ? null : orders.orders(hashFromBytes(id)).money.get(state).token;
}

function addressIn(data: Uint8Array, word: number): Address | null {
  const bytes = wordIn(data, word);
  return bytes === null ? null : addressFromBytes(bytes.subarray(12));
}

function wordIn(data: Uint8Array, word: number): Uint8Array | null {
  const from = 4 + 32 * word;
  return data.length < from + 32 ? null : data.subarray(from, from + 32);
}
