/**
 * How an order's money moves: from the payer to the merchant's settlement account and to the
 * receivers of its fees, each in one step (payments.md 1.5, R2 and R3). A fee that its receiver
 * cannot get is parked, so that it holds up nobody else.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { PAYMENT_ORDERS } from '../addresses.ts';
import { type Call, Revert } from '../contract.ts';
import { HOLD, lock, payHeld as payHeldOf, release } from '../tokens/holds.ts';
import { log as tokenLog } from '../tokens/tokenAbi.ts';
import {
  checkReceiver,
  countOut,
  type Movement,
  move,
  movingHead,
  needWithinLimits,
  tokenAt,
} from '../tokens/tokenStore.ts';
import { type Fee, feesOf } from './merchantStore.ts';
import { fail, log } from './orderAbi.ts';
import { giveBackOrder } from './orderRules.ts';
import { type OrderRecord, orders } from './orderStore.ts';

const BPS = 10_000n;

/** What of this much each receiver gets; what is fixed is taken once. Rounded for the merchant. */
export function feesFor(
  fees: readonly Fee[],
  gross: bigint,
  isFirst: boolean,
): readonly { readonly fee: Fee; readonly amount: bigint }[] {
  return fees
    .map((fee) => ({ fee, amount: (gross * fee.bps) / BPS + (isFirst ? fee.fixedAmount : 0n) }))
    .filter(({ amount }) => amount > 0n);
}

export type Capture = {
  readonly id: Hash;
  readonly record: OrderRecord;
  readonly from: Address;
  readonly gross: bigint;
  readonly isFirst: boolean;
  /** Of what is held for the order; else of what is available. */
  readonly isHeld: boolean;
};

/** Pays the merchant net and the fees; the sum is exactly what was captured. */
export function settle(call: Call, capture: Capture): void {
  const { state } = call;
  const { id, record, from, gross, isFirst, isHeld } = capture;
  const { token } = record.money.get(state);
  const { account: settlement } = record.settlement.get(state);
  const { fees: list, maxFeeBps } = record.head.get(state);
  const shares = feesFor(feesOf(state, list), gross, isFirst);
  const fees = shares.reduce((sum, { amount }) => sum + amount, 0n);
  const limit = (gross * maxFeeBps) / BPS;
  if (fees > limit) throw fail('FeesAboveLimit', id, fees, limit);
  const net = gross - fees;
  const pay = isHeld ? payHeld : move;
  const head = movingHead(state, token);
  // What is held was counted as the payer's then.
  if (!isHeld) countOut(call, token, from, gross);
  const part = { token, from, hasMemo: true, counts: 'for receiver' } as const;
  const toMerchant = { ...part, to: settlement, amount: net };
  checkReceiver(state, head, toMerchant);
  if (net > 0n) pay(call, toMerchant);
  const merchantId = record.merchantId.get(state);
  call.emit(log('OrderCaptured', id, merchantId, settlement, gross, net, fees));
  for (const { fee, amount } of shares) {
    const toReceiver = { ...part, to: fee.receiver, amount, isFee: true };
    const check = () => {
      checkReceiver(state, head, toReceiver);
      needWithinLimits(call, toReceiver);
    };
    if (canPay(check)) {
      pay(call, toReceiver);
      call.emit(log('FeePaid', id, fee.receiver, fee.kind, amount));
    } else {
      pay(call, { ...toReceiver, to: PAYMENT_ORDERS });
      const parked = orders.parked(id)(fee.receiver);
      parked.set(state, parked.get(state) + amount);
      call.emit(log('FeeParked', id, fee.receiver, fee.kind, amount));
    }
  }
}

function canPay(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof Revert) return false;
    throw error;
  }
}

/** Of what is held for orders. */
function payHeld(call: Call, movement: Movement): void {
  const { token, amount } = movement;
  payHeldOf(call, movement);
  const escrowed = orders.escrowed(token);
  escrowed.set(call.state, escrowed.get(call.state) - amount);
}

export type OrderHold = {
  readonly id: Hash;
  readonly token: Address;
  readonly from: Address;
  readonly to: Address;
  readonly amount: bigint;
  readonly expiration: bigint;
};

/** ERC-1996, with this contract as notary: in the payer's own account. */
export function holdFor(call: Call, hold: OrderHold): void {
  const { state, now: heldAt } = call;
  const { id, token, from, to, amount, expiration } = hold;
  lock(call, from, amount, token);
  const record = tokenAt(token).orderHolds(id);
  record.head.set(state, { from, status: HOLD.ordered, expiration, heldAt });
  record.aim.set(state, { to, value: amount });
  const escrowed = orders.escrowed(token);
  escrowed.set(state, escrowed.get(state) + amount);
  const parties = [from, to, PAYMENT_ORDERS] as const;
  call.emit(tokenLog(token, 'HoldCreated', PAYMENT_ORDERS, id, ...parties, amount, expiration));
}

/** The rest is its owner's again; the hold is over. */
export function endHold(
  call: Call,
  { id, token, rest, captured }: { id: Hash; token: Address; rest: bigint; captured: bigint },
  isLate: boolean,
): void {
  const { state } = call;
  const record = tokenAt(token).orderHolds(id);
  const { from, expiration, heldAt } = record.head.get(state);
  const isUnused = captured === 0n;
  if (rest > 0n) {
    release(call, { token, from, amount: rest, heldAt, isUnused });
    giveBackOrder(call, orders.orders(id), { amount: rest, count: isUnused ? 1n : 0n, heldAt });
    const escrowed = orders.escrowed(token);
    escrowed.set(state, escrowed.get(state) - rest);
  }
  const released = isLate ? HOLD.releasedOnExpiration : HOLD.releasedByNotary;
  const status = captured > 0n ? HOLD.executed : released;
  record.head.set(state, { from, status, expiration, heldAt });
  const { value } = record.aim.get(state);
  if (captured > 0n) {
    const amounts = [PAYMENT_ORDERS, value, captured] as const;
    call.emit(tokenLog(token, 'HoldExecuted', PAYMENT_ORDERS, id, ...amounts));
  } else call.emit(tokenLog(token, 'HoldReleased', PAYMENT_ORDERS, id, status));
}

/** What waited for its receiver, once it can be paid. */
export function claimParked(call: Call, id: Hash, receiver: Address): void {
  const { state } = call;
  const parked = orders.parked(id)(receiver);
  const amount = parked.get(state);
  if (amount === 0n) throw fail('NothingParked', id, receiver);
  const { token } = orders.orders(id).money.get(state);
  const from = PAYMENT_ORDERS;
  const movement = { token, from, to: receiver, amount, hasMemo: true, isFee: true };
  checkReceiver(state, movingHead(state, token), movement);
  parked.set(state, 0n);
  move(call, movement);
  call.emit(log('FeePaid', id, receiver, ZERO_HASH, amount));
}
