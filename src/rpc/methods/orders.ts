import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { asHeight } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import { logsIn, mayHave, readLogFilter } from '../logs.ts';
import { isAbsent, type JsonObject, readCount, readHash, readObject, readText } from '../params.ts';
import { formatOrder, STATE_NAMES } from '../payments/orderView.ts';
import { headState } from '../resolve.ts';
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
      const one = order(backend, own[1] ?? ZERO_HASH);
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

function order(backend: Backend, id: Hash) {
  return formatOrder(headState(backend), backend.head.header.height, id);
}
