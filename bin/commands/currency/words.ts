/** What a token's and a batch's errors mean, for people. */
import { formatTokenAmount } from '#src/types/currency.ts';
import { printable } from '../../output.ts';

type Sentence = (first: unknown, second: unknown, third: unknown) => string;

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
];

/** Of a batch's item, by the number in its event. */
export function itemWords(errorCode: bigint): string {
  return ITEM_WORDS[Number(errorCode)] ?? `refused with code ${errorCode}`;
}
