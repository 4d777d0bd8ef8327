/**
 * ERC-1996: money that stays in its owner's account and is promised to somebody. A notary executes
 * or releases it; when its time is over anybody may release it. Held money is not available, and
 * counts in the supply like all other.
 */
import { type Address, isReservedAddress } from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import { PAYMENT_ORDERS } from '../addresses.ts';
import { recipientOf } from '../addressStore.ts';
import type { Call } from '../contract.ts';
import { accountHolder, giveBack } from './limits.ts';
import { fail, log } from './tokenAbi.ts';
import {
  checkMovement,
  countOut,
  credit,
  type Movement,
  needAvailable,
  resolved,
  spendAllowance,
  tellVia,
  tokenAt,
  tokenOf,
} from './tokenStore.ts';

/** As ERC-1996 numbers them. */
export const HOLD = {
  ordered: 1n,
  executed: 2n,
  releasedByNotary: 3n,
  releasedByPayee: 4n,
  releasedOnExpiration: 5n,
} as const;

const TIME_MAX = (1n << 48n) - 1n;

export type NewHold = {
  readonly operationId: Hash;
  readonly from: Address;
  readonly to: Address;
  readonly notary: Address;
  readonly value: bigint;
  /** Seconds from now; 0 is without end. */
  readonly timeToExpiration: bigint;
};

/** Of the caller's own money, or of what it is allowed to take (`holdFrom`). */
export function hold(call: Call, wanted: NewHold): void {
  const { state, self, sender } = call;
  const { token, head } = tokenOf(call);
  const { operationId, from, to, notary, value } = wanted;
  const record = token.holds(operationId);
  if (record.head.get(state).status !== 0n) throw fail('HoldExists', operationId);
  // A contract of the system's is the notary of its own holds only.
  const isNobody = notary === ZERO || isReservedAddress(notary);
  if (value === 0n || isNobody) throw fail('InvalidHold', operationId);
  if (from !== sender) spendAllowance(call, from, value);
  const movement = { token: self, from, to, amount: value, hasMemo: true };
  checkMovement(state, head, resolved(state, movement));
  const expiration = expirationOf(call, wanted);
  lock(call, from, value);
  record.head.set(state, { from, status: HOLD.ordered, expiration, heldAt: call.now });
  record.aim.set(state, { to, value });
  record.notary.set(state, notary);
  record.issuer.set(state, sender);
  call.emit(log(self, 'HoldCreated', sender, operationId, from, to, notary, value, expiration));
}

/** The notary, in time; what is not paid goes back. */
export function executeHold(call: Call, operationId: Hash, value: bigint): void {
  const { state, self, sender } = call;
  const { head } = tokenOf(call);
  const { record, from, expiration, heldAt } = openHold(call, operationId);
  const { to, value: held } = record.aim.get(state);
  if (record.notary.get(state) !== sender) throw fail('NotHoldParty', sender);
  if (isOver(call, expiration)) throw fail('HoldExpired', operationId, expiration);
  if (value === 0n || value > held) throw fail('HoldTooSmall', operationId, held, value);
  const movement = resolved(state, { token: self, from, to, amount: value, hasMemo: true });
  checkMovement(state, head, movement);
  record.head.set(state, { from, status: HOLD.executed, expiration, heldAt });
  payHeld(call, movement);
  release(call, { token: self, from, amount: held - value, heldAt, isUnused: false });
  const issuer = record.issuer.get(state);
  call.emit(log(self, 'HoldExecuted', issuer, operationId, sender, held, value));
}

/** The notary or the payee at any time; anybody when its time is over. */
export function releaseHold(call: Call, operationId: Hash): void {
  const { state, self, sender } = call;
  tokenOf(call);
  const { record, from, expiration, heldAt } = openHold(call, operationId);
  const { to: named, value: held } = record.aim.get(state);
  const to = recipientOf(state, named);
  const status = releasedBy(call, { expiration, to, notary: record.notary.get(state) });
  if (status === null) throw fail('NotHoldParty', sender);
  record.head.set(state, { from, status, expiration, heldAt });
  release(call, { token: self, from, amount: held, heldAt, isUnused: true });
  call.emit(log(self, 'HoldReleased', record.issuer.get(state), operationId, status));
}

/** Its owner or whoever made it, in time. */
export function renewHold(call: Call, operationId: Hash, timeToExpiration: bigint): void {
  const { state, self, sender } = call;
  tokenOf(call);
  const { record, from, expiration, heldAt } = openHold(call, operationId);
  const issuer = record.issuer.get(state);
  if (sender !== from && sender !== issuer) throw fail('NotHoldParty', sender);
  if (isOver(call, expiration)) throw fail('HoldExpired', operationId, expiration);
  const renewed = expirationOf(call, { operationId, timeToExpiration });
  record.head.set(state, { from, status: HOLD.ordered, expiration: renewed, heldAt });
  call.emit(log(self, 'HoldRenewed', issuer, operationId, expiration, renewed));
}

export function holdData(state: StateReader, token: Address, operationId: Hash) {
  const { holds, orderHolds } = tokenAt(token);
  const ofOrder = orderHolds(operationId);
  const isOfOrder = ofOrder.head.get(state).status !== 0n;
  const record = isOfOrder ? ofOrder : holds(operationId);
  const { from, status, expiration } = record.head.get(state);
  const { to, value } = record.aim.get(state);
  const notary = isOfOrder ? PAYMENT_ORDERS : record.notary.get(state);
  return [from, to, notary, value, expiration, status] as const;
}

/** Money that is its owner's, and not available. */
export function lock(call: Call, from: Address, value: bigint, token = call.self): void {
  if (value > tokenAmountMax) throw fail('AmountTooLarge', value, tokenAmountMax);
  needAvailable(call.state, token, from, value);
  countOut(call, token, from, value);
  moveHeld(call, { token, from, held: value, available: -value });
}

/** Of what is held; it was counted as its owner's when it was locked. */
export function payHeld(call: Call, movement: Movement): void {
  const { token, from, to, amount: value } = movement;
  moveHeld(call, { token, from, held: -value, available: 0n });
  credit(call, movement);
  call.emit(log(token, 'Transfer', from, to, value));
  tellVia(call, movement);
}

export type Release = {
  readonly token: Address;
  readonly from: Address;
  readonly amount: bigint;
  readonly heldAt: bigint;
  /** Nothing of the hold was paid: it is no payment any more. */
  readonly isUnused: boolean;
};

/** What is not paid is its owner's to spend again. */
export function release(call: Call, released: Release): void {
  const { token, from, amount, heldAt, isUnused } = released;
  if (amount === 0n) return;
  const { limits } = moveHeld(call, { token, from, held: -amount, available: amount });
  if (limits === 0n) return;
  const count = isUnused ? 1n : 0n;
  giveBack(call, accountHolder(token, from, limits), { amount, count, heldAt });
}

type Change = { token: Address; from: Address; held: bigint; available: bigint };

/** Gives what there was before. */
function moveHeld(call: Call, { token, from, held, available }: Change) {
  const { state } = call;
  const { balances, supplies } = tokenAt(token);
  const own = balances(from).get(state);
  const changed = { available: own.available + available, held: own.held + held };
  balances(from).set(state, { ...own, ...changed });
  const sums = supplies.get(state);
  supplies.set(state, { ...sums, held: sums.held + held });
  return own;
}

function openHold(call: Call, operationId: Hash) {
  const record = tokenAt(call.self).holds(operationId);
  const { from, status, expiration, heldAt } = record.head.get(call.state);
  if (status === 0n) throw fail('UnknownHold', operationId);
  if (status !== HOLD.ordered) throw fail('HoldNotOpen', operationId, status);
  return { record, from, expiration, heldAt };
}

function releasedBy(
  call: Call,
  hold: { expiration: bigint; to: Address | null; notary: Address },
): bigint | null {
  if (call.sender === hold.notary) return HOLD.releasedByNotary;
  if (call.sender === hold.to) return HOLD.releasedByPayee;
  return isOver(call, hold.expiration) ? HOLD.releasedOnExpiration : null;
}

function isOver({ now }: Call, expiration: bigint): boolean {
  return expiration !== 0n && now >= expiration;
}

function expirationOf(
  { now }: Call,
  { operationId, timeToExpiration }: Pick<NewHold, 'operationId' | 'timeToExpiration'>,
): bigint {
  if (timeToExpiration === 0n) return 0n;
  const expiration = now + timeToExpiration;
  if (expiration > TIME_MAX) throw fail('InvalidHold', operationId);
  return expiration;
}

const ZERO = `0x${'00'.repeat(20)}` as Address;
