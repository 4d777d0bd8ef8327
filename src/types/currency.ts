/** What a token may be called: texts that a wallet, a log and a terminal can show. */
import type { Address } from './address.ts';

export const tokenNameCharsMax = 64;
/** 2^96 base units are 7.9 * 10^22 of a currency: an amount shares a slot with an account. */
export const tokenAmountBits = 96;
export const tokenAmountMax = (1n << BigInt(tokenAmountBits)) - 1n;

/** Of what a unit of gas costs in a currency (FeeManager). */
export const feeRateBits = 128;
export const feeRateMax = (1n << BigInt(feeRateBits)) - 1n;

/** Letters of an ISO 4217 code; which codes there are changes every year. */
export function isCurrency(text: string): boolean {
  return /^[A-Z]{3}$/.test(text);
}

export function isTokenName(text: string): boolean {
  return text.length <= tokenNameCharsMax && /^[\x20-\x7e]+$/.test(text);
}

export function isTokenSymbol(text: string): boolean {
  return /^[A-Za-z0-9.-]{1,16}$/.test(text);
}

/** Units of every currency are millionths (payments.md 2.1, rule 6). */
const tokenDecimals = 6;

/**
 * Money as people write it, to base units: ASCII digits with at most 6 decimals after a point, no
 * sign, no exponent, no separators. Null where it is none, or more than there can be.
 */
export function parseTokenAmount(text: string): bigint | null {
  const match = /^(0|[1-9][0-9]{0,23})(?:\.([0-9]{1,6}))?$/.exec(text);
  if (match === null) return null;
  const value = BigInt(`${match[1]}${(match[2] ?? '').padEnd(tokenDecimals, '0')}`);
  return value <= tokenAmountMax ? value : null;
}

/** Without trailing zeros behind two decimals: 12.50, 0.000001. */
export function formatTokenAmount(amount: bigint): string {
  const digits = amount.toString().padStart(tokenDecimals + 1, '0');
  const [whole, part] = [digits.slice(0, -tokenDecimals), digits.slice(-tokenDecimals)];
  return `${whole}.${part.replace(/0{1,4}$/, '')}`;
}

/** Behind the prefix of all tokens its address has the three letters. */
export function currencyOf(token: Address): string {
  return Buffer.from(token.slice(26, 32), 'hex').toString('latin1');
}
