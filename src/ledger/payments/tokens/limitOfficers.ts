/**
 * Who sets limits: of an account the token's officer for compliance, who could freeze it as well; of
 * a merchant the member that brought it in; of a member all members, by a vote. So nobody limits
 * anybody else's.
 */
import { type Address, canReceiveMoney } from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import { GOVERNANCE } from '../addresses.ts';
import { PERIOD } from '../calendar.ts';
import type { Call, View } from '../contract.ts';
import { isOperatorOf, ROLE, statusOf } from '../memberStore.ts';
import { merchantHead, merchants } from '../orders/merchantStore.ts';
import { TOKEN_ROLE } from './issuing.ts';
import {
  accountHolder,
  DIRECTION,
  type Holder,
  type NewLimit,
  orderHolder,
  readLimit,
  SUBJECT,
  subjectOf,
  writeLimit,
} from './limits.ts';
import { fail, log } from './policyAbi.ts';
import { policies } from './policyStore.ts';
import { hasRole, isToken, tokenAt } from './tokenStore.ts';

export function setLimit(
  call: Call,
  wanted: NewLimit & { readonly subject: Hash; readonly token: Address },
): void {
  const { subject, token, direction, unit, maxAmount, maxCount } = wanted;
  const holder = needHolder(call.state, subject, token);
  needLimitKind(direction, unit);
  // Of one payment there is nothing to count.
  if (unit === PERIOD.second && maxCount > 0n) throw fail('InvalidLimit', direction, unit);
  if (maxAmount > tokenAmountMax) throw fail('AmountTooLarge', maxAmount, tokenAmountMax);
  needOfficer(call, holder);
  keepLimits(call, holder, writeLimit(call, holder, wanted));
  call.emit(log('LimitSet', subject, token, direction, unit, maxAmount, maxCount));
}

export function limitOf(
  view: View,
  subject: Hash,
  token: Address,
  direction: bigint,
  unit: bigint,
) {
  const holder = needHolder(view.state, subject, token);
  needLimitKind(direction, unit);
  return readLimit(view, holder, direction, unit);
}

/** An account by its form, whoever else calls itself so; a member before a merchant. */
function needHolder(state: StateReader, subject: Hash, token: Address): Holder {
  if (!isToken(state, token)) throw fail('UnknownToken', token);
  const account = accountIn(subject);
  if (subjectOf(account) === subject) {
    const { limits } = tokenAt(token).balances(account).get(state);
    return accountHolder(token, account, limits);
  }
  if (statusOf(state, subject) !== 0n) return orderHolder(state, SUBJECT.member, subject, token);
  if (merchantHead(state, subject) === null) throw fail('UnknownSubject', subject);
  return orderHolder(state, SUBJECT.merchant, subject, token);
}

function needLimitKind(direction: bigint, unit: bigint): void {
  if (direction > DIRECTION.in || unit > PERIOD.year) throw fail('InvalidLimit', direction, unit);
}

function needOfficer({ state, sender }: Call, { kind, subject, token }: Holder): void {
  if (kind === SUBJECT.account) {
    const account = accountIn(subject);
    if (!canReceiveMoney(account)) throw fail('InvalidAccount', account);
  }
  if (!isOfficer(state, sender, { kind, subject, token })) throw fail('NotAuthorized', sender);
}

function isOfficer(
  state: StateReader,
  sender: Address,
  { kind, subject, token }: Omit<Holder, 'limits'>,
): boolean {
  if (kind === SUBJECT.account) return hasRole(state, token, TOKEN_ROLE.compliance, sender);
  if (kind === SUBJECT.member) return sender === GOVERNANCE;
  const acquirerId = merchants.merchants(subject).acquirerId.get(state);
  return isOperatorOf(state, sender, acquirerId, ROLE.access);
}

/** Where whoever moves money comes by anyway: who has no limits pays nothing for them. */
function keepLimits({ state }: Call, { kind, subject, token }: Holder, limits: bigint): void {
  const { balances, head } = tokenAt(token);
  if (kind === SUBJECT.account) {
    const own = balances(accountIn(subject));
    own.set(state, { ...own.get(state), limits });
    return;
  }
  policies.orderLimits(kind)(subject)(token).set(state, limits);
  head.set(state, { ...head.get(state), hasOrderLimits: true });
}

function accountIn(subject: Hash): Address {
  return `0x${subject.slice(26)}` as Address;
}
