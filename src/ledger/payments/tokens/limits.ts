/**
 * How much may move in a period (payments.md 2.3): of an account, of a merchant or of a member, in
 * one token, out or in. What is put on hold counts when it is held; what comes back is given back to
 * the period it was counted in, as long as that runs.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader, StateWriter } from '../../state/reader.ts';
import { PERIOD, periodAt } from '../calendar.ts';
import { policies } from './policyStore.ts';
import { fail } from './tokenAbi.ts';

export const SUBJECT = { account: 0n, merchant: 1n, member: 2n } as const;
export const DIRECTION = { out: 0n, in: 1n } as const;
const UNITS = Object.values(PERIOD);
const unitsCount = BigInt(UNITS.length);

/** Whose limits in which token. */
export type Holder = {
  readonly kind: bigint;
  readonly subject: Hash;
  readonly token: Address;
  /** Which it has: a bit for each direction and unit. */
  readonly limits: bigint;
};

type Seen = { readonly state: StateReader; readonly now: bigint };
type Acting = { readonly state: StateWriter; readonly now: bigint };

/** An account as the subject of a limit: its address at the low end, as in a log's topic. */
export function subjectOf(account: Address): Hash {
  return `0x${'00'.repeat(12)}${account.slice(2)}` as Hash;
}

/** Whose limits are told by the word of its balance. */
export function accountHolder(token: Address, account: Address, limits: bigint): Holder {
  return { kind: SUBJECT.account, subject: subjectOf(account), token, limits };
}

/** A merchant or a member. */
export function orderHolder(state: StateReader, kind: bigint, subject: Hash, token: Address) {
  const limits = policies.orderLimits(kind)(subject)(token).get(state);
  return { kind, subject, token, limits };
}

/** Counts a payment in all limits of this direction, or in none where one has no room for it. */
export function count(call: Acting, holder: Holder, direction: bigint, amount: bigint): void {
  keep(call, charge(call, holder, direction, amount));
}

/** What of a charge is to be kept, once the payment is made. */
export function keep({ state }: Acting, charges: ReturnType<typeof charge>): void {
  for (const { limit, used } of charges) limit.used.set(state, used);
}

/** Refuses a payment that one of the limits has no room for. One of nothing is none. */
export function charge(seen: Seen, holder: Holder, direction: bigint, amount: bigint) {
  if (amount === 0n) return [];
  const { subject, token } = holder;
  return unitsIn(holder, direction).flatMap((unit) => {
    const limit = limitAt(holder, direction, unit);
    const { maxAmount, maxCount } = limit.rule.get(seen.state);
    const before = usedNow(seen, limit, unit);
    const restAmount = restOf(maxAmount, before.amount);
    const restCount = restOf(maxCount, before.count);
    const isOver = maxAmount > 0n && amount > restAmount;
    if (isOver || (maxCount > 0n && restCount === 0n)) {
      const rest = [maxAmount, restAmount, maxCount, restCount] as const;
      throw fail('LimitExceeded', subject, token, direction, unit, ...rest);
    }
    if (unit === PERIOD.second) return [];
    const used = { ...before, amount: before.amount + amount, count: before.count + 1n };
    return [{ limit, used }];
  });
}

export type Returned = {
  readonly amount: bigint;
  /** 1 where nothing of the payment is left. */
  readonly count: bigint;
  readonly heldAt: bigint;
};

/** What was held and did not move. */
export function giveBack({ state, now }: Acting, holder: Holder, returned: Returned): void {
  const { amount, count: payments, heldAt } = returned;
  const direction = holder.kind === SUBJECT.account ? DIRECTION.out : DIRECTION.in;
  for (const unit of unitsIn(holder, direction)) {
    if (unit === PERIOD.second) continue;
    const limit = limitAt(holder, direction, unit);
    const { start } = periodAt(unit, now);
    // What was held before there was the limit was never counted.
    if (heldAt <= limit.rule.get(state).since || heldAt < start) continue;
    const used = limit.used.get(state);
    // A view may look from an earlier time.
    if (used.period !== start) continue;
    const [left, leftCount] = [used.amount - amount, used.count - payments];
    limit.used.set(state, { ...used, amount: left, count: leftCount });
  }
}

export type NewLimit = {
  readonly direction: bigint;
  readonly unit: bigint;
  /** 0: any. Where both are 0 the limit is no more. */
  readonly maxAmount: bigint;
  readonly maxCount: bigint;
};

/** What is used of a limit that is there stays so. Gives what the holder has from now on. */
export function writeLimit({ state, now }: Acting, holder: Holder, wanted: NewLimit): bigint {
  const { direction, unit, maxAmount, maxCount } = wanted;
  const limit = limitAt(holder, direction, unit);
  const bit = 1n << indexOf(direction, unit);
  const isThere = (holder.limits & bit) !== 0n;
  const isWanted = maxAmount > 0n || maxCount > 0n;
  if (!isWanted) limit.used.set(state, { amount: 0n, count: 0n, period: 0n });
  const since = isThere ? limit.rule.get(state).since : now;
  limit.rule.set(state, { maxAmount, maxCount, since: isWanted ? since : 0n });
  return isWanted ? holder.limits | bit : holder.limits & ~bit;
}

/** As `limitOf` tells it; zeros where there is none. */
export function readLimit(seen: Seen, holder: Holder, direction: bigint, unit: bigint) {
  const limit = limitAt(holder, direction, unit);
  const { maxAmount, maxCount } = limit.rule.get(seen.state);
  if (!unitsIn(holder, direction).includes(unit)) return [0n, 0n, 0n, 0n, 0n] as const;
  if (unit === PERIOD.second) return [maxAmount, 0n, 0n, 0n, 0n] as const;
  const used = usedNow(seen, limit, unit);
  const usedCount = used.count < countMax ? used.count : countMax;
  return [maxAmount, maxCount, used.amount, usedCount, periodAt(unit, seen.now).end] as const;
}

const countMax = (1n << 32n) - 1n;

function unitsIn({ limits }: Holder, direction: bigint): bigint[] {
  return UNITS.filter((unit) => ((limits >> indexOf(direction, unit)) & 1n) === 1n);
}

/** One hash for each: whoever pays many at once has its limits looked up for each of them. */
function limitAt({ kind, subject, token }: Holder, direction: bigint, unit: bigint) {
  const which = (kind << 8n) | indexOf(direction, unit);
  return policies.limits(subject)((which << 160n) | BigInt(token));
}

function indexOf(direction: bigint, unit: bigint): bigint {
  return direction * unitsCount + unit;
}

/** Of one payment nothing is used before it. */
function usedNow({ state, now }: Seen, limit: ReturnType<typeof limitAt>, unit: bigint) {
  const { start: period } = periodAt(unit, now);
  const used = limit.used.get(state);
  return used.period === period ? used : { amount: 0n, count: 0n, period };
}

function restOf(max: bigint, used: bigint): bigint {
  return max > used ? max - used : 0n;
}
