import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { merchants } from '#src/ledger/payments/orders/merchantStore.ts';
import { orders, readTerms, routeOf, STATE } from '#src/ledger/payments/orders/orderStore.ts';
import { trimSlot } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateReader } from '#src/ledger/state/reader.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { currencyOf } from '#src/types/currency.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { asHeight } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import { quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import { logsIn, mayHave, readLogFilter } from '../logs.ts';
import { isAbsent, type JsonObject, readCount, readHash, readObject, readText } from '../params.ts';
import { longSearches, turnMs } from '../turns.ts';

/** Payments that merchants asked for (payments.md 2.4), as the newest final block has them. */
export function orderMethods(backend: Backend, limits: RpcLimits): Methods {
  const list = (params: readonly unknown[]) => listOrders(backend, limits, params);
  return [
    ['mpbp_getOrder', { paramsMax: 1, units: 3, run: ([id]) => order(backend, readHash(id, 0)) }],
    ['mpbp_listOrders', { paramsMax: 3, units: 60, run: list }],
  ];
}

const ordersByDefault = 20;
const ordersMax = 100;
const REQUESTED = keccakHash(
  utf8('OrderRequested(bytes32,bytes32,bytes32,bytes32,address,uint256,address,uint48)'),
);
const CURSOR = /^(\d{1,15})\.(\d{1,9})$/;

/**
 * A merchant's orders, the newest first, each as it is now; or of all merchants. A page looks through
 * so many blocks at the most: an empty one with a cursor says that there may be more further back.
 */
async function listOrders(
  backend: Backend,
  limits: RpcLimits,
  [given, cursorText, limitGiven]: readonly unknown[],
): Promise<unknown> {
  const { merchantId, state } = isAbsent(given) ? NO_FILTER : readObject(given, 0);
  const merchant = isAbsent(merchantId) ? null : readHash(merchantId, 0);
  const wanted = isAbsent(state) ? null : readText(state, 0);
  if (wanted !== null && ![...STATE_NAMES.values()].includes(wanted)) {
    throw invalidParam(0, `state should be one of ${[...STATE_NAMES.values()].join(', ')}`);
  }
  const limit = isAbsent(limitGiven) ? ordersByDefault : readCount(limitGiven, 2);
  if (limit < 1 || limit > ordersMax) throw invalidParam(2, `a limit from 1 to ${ordersMax}`);
  const from = cursorOf(backend, cursorText);
  const topics = [[REQUESTED], null, merchant];
  const filter = readLogFilter({ address: PAYMENT_ORDERS, topics }, 0, limits);
  const found: unknown[] = [];
  const endMs = performance.now() + limits.logSearchMs;
  let turnEndMs = 0;
  const pace = async () => {
    if (performance.now() <= turnEndMs) return;
    await longSearches.next();
    turnEndMs = performance.now() + turnMs;
  };
  const lowest = from.height - BigInt(limits.logBlocksMax);
  for (let at = from.height; at > 0n; at--) {
    await pace();
    if (at <= lowest || turnEndMs > endMs) return { orders: found, cursor: `${at}.${ALL}` };
    const height = asHeight(at);
    const header = backend.headerAt(height);
    if (header === null || !mayHave(header.logsBloom, filter)) continue;
    const [block, receipts] = [backend.blockAt(height), backend.receiptsAt(height)];
    if (block === null || receipts === null) continue;
    const logs = logsIn(block, receipts, filter) as { topics: Hash[]; logIndex: string }[];
    for (const { topics: own, logIndex } of logs.reverse()) {
      const index = Number(BigInt(logIndex));
      if (at === from.height && index >= from.index) continue;
      await pace();
      const one = order(backend, own[1] ?? ZERO_HASH) as { state: string } | null;
      if (one === null || (wanted !== null && one.state !== wanted)) continue;
      found.push(one);
      if (found.length === limit) return { orders: found, cursor: `${at}.${index}` };
    }
  }
  return { orders: found, cursor: null };
}

const NO_FILTER: JsonObject = {};
/** More than any block has logs. */
const ALL = 999_999_999;

/** Where to go on: below this log of this block. */
function cursorOf(backend: Backend, text: unknown): { height: bigint; index: number } {
  const { height } = backend.head.header;
  if (isAbsent(text)) return { height, index: ALL };
  const parts = CURSOR.exec(readText(text, 1));
  if (parts === null) throw invalidParam(1, 'not a cursor of this list');
  const [, at = '0', index = '0'] = parts;
  const wanted = BigInt(at);
  return wanted > height ? { height, index: ALL } : { height: wanted, index: Number(index) };
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
