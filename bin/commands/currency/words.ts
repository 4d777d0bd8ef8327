/** What a token's and a batch's errors mean, for people. */
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import { printable } from '../../output.ts';

/** Of an error's values, in their order. */
type Sentence = (...values: readonly unknown[]) => string;

/** An account by its address, a merchant or a member by what it is called. */
export function subjectText(subject: Hash): string {
  const account = `0x${subject.slice(26)}` as Address;
  if (subjectOf(account) === subject) return formatAddress(account);
  return printable(memberText(subject), 64);
}

export const PERIODS = ['payment', 'day', 'week', 'month', 'year'] as const;

export function periodText(unit: bigint): string {
  return unit === 0n ? 'at once' : `in a ${PERIODS[Number(unit)] ?? unit}`;
}

type Limit = {
  readonly whom: string;
  readonly token: Address;
  readonly direction: 'out' | 'in';
  readonly unit: bigint;
  readonly amount: bigint;
  readonly count: bigint;
};

export function limitText({ whom, token, direction, unit, amount, count }: Limit): string {
  const what = `${whom} ${direction === 'out' ? 'pays' : 'gets'}`;
  const most = [
    ...(amount > 0n ? [`${formatTokenAmount(amount)} ${currencyOf(token)}`] : []),
    ...(count > 0n ? [`${count} payments`] : []),
  ];
  const often = periodText(unit);
  if (most.length === 0) return `${what} as much ${currencyOf(token)} as it can ${often}`;
  return `${what} at most ${most.join(' and ')} ${often}`;
}

const units = (value: unknown) => formatTokenAmount(value as bigint);

export const TOKEN_SENTENCES: Readonly<Record<string, Sentence>> = {
  UnknownToken: (token) => `there is no currency at ${token}: mpbp token list`,
  EnforcedPause: () => 'the issuer has paused this currency: nothing of it moves for now',
  ERC20InsufficientBalance: (who, has, needs) =>
    `${who} has ${units(has)} to spend, and ${units(needs)} are asked for`,
  ERC7943InsufficientUnfrozenBalance: (who, wants, free) =>
    `of the money of ${who} only ${units(free)} is not frozen, and ${units(wants)} are asked for`,
  ERC20InvalidReceiver: (who) => `${who} can hold no money`,
  ERC7943CannotSend: (who) => `the currency's policy does not let ${who} send`,
  ERC7943CannotReceive: (who) => `the currency's policy does not let ${who} receive`,
  ConduitNotCredited: (who) =>
    `${who} is of a member that passes payments on, and so may not be paid`,
  MemoRequired: (who) => `${who} takes payments with a memo only`,
  ReceiverRefusesSender: (who, sender) => `${who} takes no payments from ${sender}`,
  ReceiverRefusesToken: (who) => `${who} does not take this currency`,
  AccessControlUnauthorizedAccount: (who) =>
    `${who} has not the role in this currency that it needs, or the issuer lost its own`,
  SupplyCapExceeded: (supply, cap) =>
    `there would be ${units(supply)} of it, and at most ${units(cap)} may be`,
  UnknownPolicy: (id) => `there is no policy ${id}`,
  AmountTooLarge: (amount) => `${units(amount)} is more than there can be`,
  TokenExists: (token) => `there is this currency of this issuer already, at ${token}`,
  InvalidName: (name) => `"${printable(String(name))}" cannot be a name: 1 to 64 ASCII characters`,
  InvalidSymbol: (symbol) => `"${printable(String(symbol))}" cannot be a symbol`,
  InvalidCurrency: (code) => `"${printable(String(code))}" is not three capital letters`,
  VirtualAddressUnregistered: (address) => `nobody has registered the virtual address ${address}`,
  LimitExceeded: (subject, _token, direction, unit, max, rest, maxCount, restCount) => {
    const does = `${subjectText(subject as Hash)} may ${direction === 0n ? 'pay' : 'get'}`;
    const inAmount = max === 0n ? [] : [`${units(rest)} of ${units(max)}`];
    const inNumber = maxCount === 0n ? [] : [`${restCount} of ${maxCount} payments`];
    const left = [...inAmount, ...inNumber].join(', ');
    return `a limit of what ${does} ${periodText(unit as bigint)}: ${left} left`;
  },
  UnknownSubject: (subject) =>
    `${subjectText(subject as Hash)} is no account, no merchant and no member`,
  BatchRefUsed: () => 'this batch was paid before',
};

const ITEM_WORDS: readonly string[] = [
  'paid',
  'not enough money was left',
  "too much of the payer's money is frozen",
  'this address can hold no money',
  "the currency's policy does not let it receive",
  'it takes payments with a memo only',
  'it takes no payments from this payer',
  'it does not take this currency',
  'it is of a member that passes payments on, and so may not be paid',
  'a limit of the payer or of this address has no room for it',
  'nobody has registered this virtual address',
];

/** Of a batch's item, by the number in its event. */
export function itemWords(errorCode: bigint): string {
  return ITEM_WORDS[Number(errorCode)] ?? `refused with code ${errorCode}`;
}
