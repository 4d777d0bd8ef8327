/** What merchants and orders are called on the command line. */

import { STATE } from '#src/ledger/payments/orders/orderStore.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import { type Hash, hashToBytes, parseHash } from '#src/types/hash.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { printable } from '../../output.ts';
import { amountOf } from '../currency/tokens.ts';
import { Session, type SessionOptions } from '../membership/session.ts';
import { type Sentences, timeOf } from '../membership/words.ts';

/** A text of up to 32 bytes, or the 32 bytes themselves. */
export function idOf(text: string, what: string): Hash {
  if (text.startsWith('0x')) {
    const hash = parseHash(text);
    if (hash === null) throw new UserError(EXIT.usage, `${what} should be 0x and 64 digits`);
    return hash;
  }
  const bytes = utf8(text);
  if (bytes.length === 0 || bytes.length > 32) {
    throw new UserError(EXIT.usage, `${what} should have 1 to 32 bytes, not ${bytes.length}`);
  }
  return memberIdOf(text);
}

/** As somebody wrote it, where it was a text. */
export function textOf(id: Hash): string {
  const bytes = hashToBytes(id);
  const length = bytes.indexOf(0);
  const text = Buffer.from(length < 0 ? bytes : bytes.subarray(0, length)).toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) && memberIdOf(text) === id ? text : id;
}

/** To be typed into a shell: the text may be a stranger's, and a shell would run what is in it. */
export function wordOf(id: Hash): string {
  const text = textOf(id);
  return /^[A-Za-z0-9][\w.-]*$/.test(text) ? text : id;
}

/** In currency units, and more than nothing. */
export function saleAmount(text: string, what: string): bigint {
  const amount = amountOf(text, what, { baseUnits: false });
  if (amount > 0n) return amount;
  throw new UserError(EXIT.usage, `${what} should be more than 0, such as 12.50`);
}

export function money(amount: bigint, token: Address): string {
  return `${formatTokenAmount(amount)} ${currencyOf(token)}`;
}

/** Of channels, which merchants and orders have to do with, too. */
const ofChannels: Sentences = {
  UnknownChannel: (id) => `there is no channel ${spell(id)} [UnknownChannel]`,
  ChannelClosed: (id) => `channel ${spell(id)} is closed, for good [ChannelClosed]`,
};

/** What ChannelRegistry refuses. */
export const channelSentences: Sentences = {
  ...ofChannels,
  NotAuthorized: (who) =>
    `${who} has not the right to do this: it needs an account of the channel's member with the ` +
    'role channel, and for a heartbeat the connection itself [NotAuthorized]',
  ChannelExists: (id) => `there is a channel ${spell(id)} already [ChannelExists]`,
  InvalidChannel: (id, what) => `channel ${spell(id)}: the ${what} cannot be [InvalidChannel]`,
  InvalidAccount: (who) =>
    `${who} cannot be this: a connection is an account of a member with the role connection, ` +
    'and result key and connection are two [InvalidAccount]',
  ConnectionTaken: (who, id) => `${who} works for channel ${spell(id)} [ConnectionTaken]`,
  InvalidSignature: (who) =>
    `${who} has not signed for this channel, or for an earlier change of its key ` +
    '[InvalidSignature]',
  BlockToCome: (seen, height) => `block ${seen} is still to come (now ${height}) [BlockToCome]`,
};

/** What the contracts refuse, for people; the name of the error is there for programs. */
export const sentences: Sentences = {
  ...ofChannels,
  NotAuthorized: (who) => `${who} has not the right to do this [NotAuthorized]`,
  InvalidSignature: (who) =>
    `the signature is not by a key that may sign this (${who}) [InvalidSignature]`,
  MerchantExists: (id) => `there is a merchant ${spell(id)} already [MerchantExists]`,
  LegalEntityTaken: (_, id) =>
    `this legal entity is merchant ${spell(id)} already [LegalEntityTaken]`,
  UnknownMerchant: (id) => `there is no merchant ${spell(id)} [UnknownMerchant]`,
  MerchantNotActive: (id) => `there is no active merchant ${spell(id)} [MerchantNotActive]`,
  OrderRefTaken: (_, ref, id) => `there is an order "${spell(ref)}" already: ${id} [OrderRefTaken]`,
  WrongState: (_, state) =>
    `the order is ${orderState(state)}: this cannot be done now [WrongState]`,
  TooLate: (_, end) => `it is too late: until ${timeOf(Number(end))} [TooLate]`,
  TooEarly: (_, end) => `it is too early: from ${timeOf(Number(end))} [TooEarly]`,
  AmountAboveRest: (_, __, rest) =>
    `at most ${formatTokenAmount(rest as bigint)} are left [AmountAboveRest]`,
  PayerNotAllowed: (who) => `the merchant asks somebody else, not ${who} [PayerNotAllowed]`,
  ChannelCodeTaken: (_, code, id) =>
    `the rail calls merchant ${spell(id)} "${spell(code)}" already [ChannelCodeTaken]`,
  ChannelNotActive: (id) => `channel ${spell(id)} takes no orders now [ChannelNotActive]`,
  ChannelNotBound: (id, channel) =>
    `channel ${spell(channel)} does not know merchant ${spell(id)}: mpbp merchant bind-channel ` +
    '[ChannelNotBound]',
  WrongChannel: (_, id) =>
    `the order is for channel ${spell(id)}: this cannot be done with it [WrongChannel]`,
  ConsentMismatch: (_, what) => `the ${what} is not the order's [ConsentMismatch]`,
  AuthorizationExpired: (end) =>
    `the consent was good until ${timeOf(Number(end))} [AuthorizationExpired]`,
  NotAttested: (id, token, threshold) =>
    `an order of ${money(threshold as bigint, token as Address)} or more is attested first, by ` +
    `the members of payer and merchant: mpbp policy attest ${id} [NotAttested]`,
  FeesAboveLimit: (_, fees, limit) => {
    const [take, may] = [fees, limit].map((one) => formatTokenAmount(one as bigint));
    return `fees would take ${take}, and at most ${may} are signed for [FeesAboveLimit]`;
  },
};

const ORDER_STATES = new Map(
  Object.entries(STATE).map(([name, number]) => [number as bigint, name.toUpperCase()]),
);

function orderState(state: unknown): string {
  return ORDER_STATES.get(state as bigint) ?? `${state}`;
}

function spell(id: unknown): string {
  const hash = parseHash(String(id));
  return printable(hash === null ? String(id) : textOf(hash), 64);
}

const UNITS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** 90s, 15m, 2h, 30d. */
export function secondsArgument(text: string, what: string): bigint {
  const parts = /^([1-9]\d{0,5})([smhd])$/.exec(text);
  if (parts === null) throw new UserError(EXIT.usage, `${what} should be like 90s, 15m, 2h or 30d`);
  const [, number = '', unit = 's'] = parts;
  return BigInt(Number(number) * UNITS[unit as keyof typeof UNITS]);
}

/** A session whose refusals are about merchants and orders. */
export async function openSales(options: SessionOptions): Promise<Session> {
  return openSession(options, sentences);
}

export async function openSession(options: SessionOptions, own: Sentences): Promise<Session> {
  const session = await Session.open(options);
  session.sentences = own;
  return session;
}
