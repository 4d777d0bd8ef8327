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
import type { Call } from '../contract.ts';
import { fail, log } from './tokenAbi.ts';
import { checkMovement, needAvailable, spendAllowance, tokenAt, tokenOf } from './tokenStore.ts';

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
  checkMovement(state, head, { token: self, from, to, amount: value, hasMemo: true });
  const expiration = expirationOf(call, wanted);
  lock(call, from, value);
  record.head.set(state, { from, status: HOLD.ordered, expiration });
  record.aim.set(state, { to, value });
  record.notary.set(state, notary);
  record.issuer.set(state, sender);
  call.emit(log(self, 'HoldCreated', sender, operationId, from, to, notary, value, expiration));
}

/** The notary, in time; what is not paid goes back. */
export function executeHold(call: Call, operationId: Hash, value: bigint): void {
  const { state, self, sender } = call;
  const { head } = tokenOf(call);
  const { record, from, expiration } = openHold(call, operationId);
  const { to, value: held } = record.aim.get(state);
  if (record.notary.get(state) !== sender) throw fail('NotHoldParty', sender);
  if (isOver(call, expiration)) throw fail('HoldExpired', operationId, expiration);
  if (value === 0n || value > held) throw fail('HoldTooSmall', operationId, held, value);
  checkMovement(state, head, { token: self, from, to, amount: value, hasMemo: true });
  record.head.set(state, { from, status: HOLD.executed, expiration });
  unlock(call, self, { from, held, to, paid: value });
  const issuer = record.issuer.get(state);
  call.emit(log(self, 'HoldExecuted', issuer, operationId, sender, held, value));
}

/** The notary or the payee at any time; anybody when its time is over. */
export function releaseHold(call: Call, operationId: Hash): void {
  const { state, self, sender } = call;
  tokenOf(call);
  const { record, from, expiration } = openHold(call, operationId);
  const { to, value: held } = record.aim.get(state);
  const status = releasedBy(call, { expiration, to, notary: record.notary.get(state) });
  if (status === null) throw fail('NotHoldParty', sender);
  record.head.set(state, { from, status, expiration });
  unlock(call, self, { from, held, to, paid: 0n });
  call.emit(log(self, 'HoldReleased', record.issuer.get(state), operationId, status));
}

/** Its owner or whoever made it, in time. */
export function renewHold(call: Call, operationId: Hash, timeToExpiration: bigint): void {
  const { state, self, sender } = call;
  tokenOf(call);
  const { record, from, expiration } = openHold(call, operationId);
  const issuer = record.issuer.get(state);
  if (sender !== from && sender !== issuer) throw fail('NotHoldParty', sender);
  if (isOver(call, expiration)) throw fail('HoldExpired', operationId, expiration);
  const renewed = expirationOf(call, { operationId, timeToExpiration });
  record.head.set(state, { from, status: HOLD.ordered, expiration: renewed });
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
  const { state } = call;
  if (value > tokenAmountMax) throw fail('AmountTooLarge', value, tokenAmountMax);
  needAvailable(state, token, from, value);
  const { balances, supplies } = tokenAt(token);
  const own = balances(from).get(state);
  const { available, held } = own;
  balances(from).set(state, { ...own, available: available - value, held: held + value });
  const sums = supplies.get(state);
  supplies.set(state, { ...sums, held: sums.held + value });
}

type Unlocking = {
  readonly from: Address;
  /** All that was locked for this. */
  readonly held: bigint;
  readonly to: Address;
  /** Of it, what moves; the rest is available again. */
  readonly paid: bigint;
};

export function unlock(call: Call, token: Address, { from, held, to, paid }: Unlocking): void {
  const { state } = call;
  const { balances, supplies } = tokenAt(token);
  const own = balances(from).get(state);
  const available = own.available + held - paid;
  balances(from).set(state, { ...own, available, held: own.held - held });
  const sums = supplies.get(state);
  supplies.set(state, { ...sums, held: sums.held - held });
  if (paid === 0n) return;
  const taker = balances(to).get(state);
  balances(to).set(state, { ...taker, available: taker.available + paid });
  call.emit(log(token, 'Transfer', from, to, paid));
}

function openHold(call: Call, operationId: Hash) {
  const record = tokenAt(call.self).holds(operationId);
  const { from, status, expiration } = record.head.get(call.state);
  if (status === 0n) throw fail('UnknownHold', operationId);
  if (status !== HOLD.ordered) throw fail('HoldNotOpen', operationId, status);
  return { record, from, expiration };
}

function releasedBy(
  call: Call,
  hold: { expiration: bigint; to: Address; notary: Address },
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
