/**
 * Money of currencies that a transaction moved, as its logs tell: who paid whom, what for, and for
 * which order. A payer's movements of one currency for one order are one; so are those of a batch.
 */

import { FEE_MANAGER, PAYMENT_ORDERS, PAYOUTS } from '#src/ledger/payments/addresses.ts';
import { isFeeLog } from '#src/ledger/payments/fees/otherFee.ts';
import { bytesToUint, utf8 } from '#src/lib/bytes.ts';
import { type Address, isTokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashToBytes, keccakHash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';

export type TokenMovement = {
  readonly token: Address;
  /** The zero address where money came into being, or ceased to. */
  readonly from: Address;
  readonly to: Address;
  readonly amount: bigint;
  readonly memo: Uint8Array;
  readonly orderId: Hash | null;
  /** The virtual address that was paid, where the receiver has made one for this. */
  readonly via: Address | null;
};

const topicOf = (event: string) => keccakHash(utf8(event));
const TRANSFER = topicOf('Transfer(address,address,uint256)');
const WITH_MEMO = topicOf('TransferWithMemo(address,address,uint256,bytes32)');
const VIRTUAL = topicOf('VirtualTransfer(address,address,address,uint256)');
const REFERENCE = topicOf('TransferReference(bytes32)');
/** Each tells of the movement before it, and how much of it that was, in this word of its data. */
const OF_ORDERS: ReadonlyMap<Hash, number> = new Map([
  [topicOf('OrderCaptured(bytes32,bytes32,address,uint256,uint256,uint256)'), 1],
  [topicOf('FeePaid(bytes32,address,bytes32,uint256)'), 0],
  [topicOf('FeeParked(bytes32,address,bytes32,uint256)'), 0],
  [topicOf('OrderRefunded(bytes32,bytes32,address,bytes32,uint256,uint256)'), 1],
]);
const BATCH_ITEM = topicOf('BatchItem(bytes32,uint32,address,uint256,bytes32,bool,uint16)');

type Open = { -readonly [K in keyof TokenMovement]: TokenMovement[K] };

const NO_MEMO = new Uint8Array(0);

/** In the order of the logs; without fees for the transaction itself (`otherFeeIn`). */
export function tokenMovementsIn(logs: readonly Log[]): readonly TokenMovement[] {
  const found: Open[] = [];
  /** What the log before has moved: a contract may move other money between an order's. */
  let moved: Open | null = null;
  for (const log of logs) {
    const { address, topics, data } = log;
    if (isFeeLog(log)) {
      if (moved?.to === FEE_MANAGER) found.pop();
      continue;
    }
    const [event, first, second] = topics;
    const before: Open | null = moved;
    moved = null;
    if (address === PAYMENT_ORDERS && event !== undefined && first !== undefined) {
      const word = OF_ORDERS.get(event);
      if (before === null || word === undefined) continue;
      const amount = bytesToUint(data.subarray(32 * word, 32 * word + 32));
      if (amount === before.amount) before.orderId = first;
      continue;
    }
    const paid = found.at(-1);
    if (address === PAYOUTS && event === BATCH_ITEM && paid !== undefined) {
      // Amount, memo, whether it was paid, why not.
      if (data[95] === 1) paid.memo = trimmed(data.subarray(32, 64));
      continue;
    }
    if (!isTokenAddress(address) || first === undefined) continue;
    if (event === TRANSFER && second !== undefined) {
      const [from, to] = [addressIn(first), addressIn(second)];
      const amount = bytesToUint(data);
      moved = { token: address, from, to, amount, memo: NO_MEMO, orderId: null, via: null };
      found.push(moved);
    }
    const last = found.at(-1);
    if (last?.token !== address) continue;
    if (event === WITH_MEMO) last.memo = textIn(topics[3]);
    if (event === REFERENCE) last.memo = textIn(first);
    if (event === VIRTUAL && second !== undefined) last.via = addressIn(second);
  }
  return found;
}

/**
 * One for each payer, currency and order, by its first receiver where there is one order. What it
 * paid to itself is apart: that took nothing away.
 */
export function paymentsIn(movements: readonly TokenMovement[]): readonly TokenMovement[] {
  const sums = new Map<string, Open & { isMany: boolean }>();
  for (const movement of movements) {
    const { token, from, to, amount, orderId, via } = movement;
    const key = `${token} ${from} ${orderId} ${from === to}`;
    const sum = sums.get(key);
    if (sum === undefined) sums.set(key, { ...movement, isMany: false });
    else {
      sum.amount += amount;
      sum.isMany ||= orderId === null && (to !== sum.to || via !== sum.via);
    }
  }
  return [...sums.values()].map(({ isMany, ...sum }) =>
    isMany ? { ...sum, to: ZERO_ADDRESS, memo: NO_MEMO, via: null } : sum,
  );
}

function addressIn(topic: Hash): Address {
  return `0x${topic.slice(26)}` as Address;
}

/** A word that is text ends where its zeros begin. */
function textIn(topic: Hash | undefined): Uint8Array {
  return topic === undefined ? NO_MEMO : trimmed(hashToBytes(topic));
}

function trimmed(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.slice(0, end);
}
