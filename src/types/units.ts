import type { Brand } from '#src/lib/brand.ts';
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';

/** Minor units of the native coin, 10^-18 MPB. Below 2^256. */
export type Wei = Brand<bigint, 'Wei'>;
/** Units of execution. Below 2^64. */
export type Gas = Brand<bigint, 'Gas'>;
/** Position of a block in the whole chain; genesis is 0. Below 2^64. */
export type Height = Brand<bigint, 'Height'>;
/** A span of heights under one validator set, from 0. A safe integer. */
export type Epoch = Brand<number, 'Epoch'>;
/** An attempt at a block within an epoch; 0 is the epoch's base. A safe integer. */
export type View = Brand<number, 'View'>;
/** Voting weight, at least 1; also the weight of a whole set. Below 2^63. */
export type Stake = Brand<bigint, 'Stake'>;

// Each `as` function is the only mint of its unit; an impossible value is our own bug.

export function asWei(value: bigint): Wei {
  assert(value >= 0n && value < 1n << 256n, 'an amount of wei is between 0 and 2^256');
  return value as Wei;
}

export function asGas(value: bigint): Gas {
  assert(value >= 0n && value < 1n << 64n, 'gas is between 0 and 2^64');
  return value as Gas;
}

export function asHeight(value: bigint): Height {
  assert(value >= 0n && value < 1n << 64n, 'a height is between 0 and 2^64');
  return value as Height;
}

export function asEpoch(value: number): Epoch {
  assert(Number.isSafeInteger(value) && value >= 0, 'an epoch is a safe integer from 0');
  return value as Epoch;
}

export function asView(value: number): View {
  assert(Number.isSafeInteger(value) && value >= 0, 'a view is a safe integer from 0');
  return value as View;
}

export function asStake(value: bigint): Stake {
  assert(value >= 1n && value < 1n << 63n, 'a stake is between 1 and 2^63');
  return value as Stake;
}

const COIN_DECIMALS = 18;
/** 78 digits of 2^256, a point, 18 decimals: longer text cannot be an amount. */
const amountTextCharsMax = 97;

export type AmountRefusal = { code: 'AMOUNT_TEXT' } | { code: 'AMOUNT_RANGE' };

/**
 * MPB as people write it, to wei: ASCII digits with at most 18 decimals after a point. No sign, no
 * exponent, no separators, no leading zeros, no hex.
 */
export function parseAmount(text: string): Verdict<Wei, AmountRefusal> {
  if (text.length > amountTextCharsMax) return refuse({ code: 'AMOUNT_TEXT' });
  const match = /^(0|[1-9][0-9]*)(?:\.([0-9]{1,18}))?$/.exec(text);
  if (match === null) return refuse({ code: 'AMOUNT_TEXT' });
  const value = BigInt(`${match[1]}${(match[2] ?? '').padEnd(COIN_DECIMALS, '0')}`);
  if (value >= 1n << 256n) return refuse({ code: 'AMOUNT_RANGE' });
  return accept(asWei(value));
}

/** The shortest text that `parseAmount` reads back to the same amount. */
export function formatAmount(amount: Wei): string {
  const digits = amount.toString().padStart(COIN_DECIMALS + 1, '0');
  const whole = digits.slice(0, -COIN_DECIMALS);
  const decimals = digits.slice(-COIN_DECIMALS).replace(/0+$/, '');
  return decimals === '' ? whole : `${whole}.${decimals}`;
}
