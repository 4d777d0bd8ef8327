/** What a token may be called: texts that a wallet, a log and a terminal can show. */

export const tokenNameCharsMax = 64;
/** 2^96 base units are 7.9 * 10^22 of a currency: an amount shares a slot with an account. */
export const tokenAmountBits = 96;
export const tokenAmountMax = (1n << BigInt(tokenAmountBits)) - 1n;

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
