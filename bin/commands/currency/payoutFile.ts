/**
 * A list of payments as a spreadsheet writes it: `address,amount,memo`, one a line, with or without
 * a line of titles. Every line is looked at before anything is sent.
 */
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, isReservedAddress, parseAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { printable } from '../../output.ts';
import { memoWord, tokenMemoBytesMax } from './memo.ts';
import { type AmountOptions, readAmount } from './tokens.ts';

export type Line = {
  /** In the file, from 1. */
  readonly line: number;
  readonly text: string;
  readonly to: Address;
  readonly amount: bigint;
  readonly memo: Hash;
};

export type PayoutFile = { readonly title: string | null; readonly lines: readonly Line[] };

/** Named in the message; of more their number. */
const mistakesShown = 20;

/** Refuses the whole file where a line is wrong, and says which and why. */
export function parsePayouts(text: string, options: AmountOptions): PayoutFile {
  const rows = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const lines: Line[] = [];
  const mistakes: string[] = [];
  let title: string | null = null;
  for (const [at, row] of rows.entries()) {
    if (row.trim() === '') continue;
    const isFirst = lines.length === 0 && mistakes.length === 0 && title === null;
    if (isFirst && isTitle(row)) {
      title = row;
      continue;
    }
    const read = readLine(row, options);
    if (typeof read === 'string') mistakes.push(`line ${at + 1}: ${read}`);
    else lines.push({ line: at + 1, text: row, ...read });
  }
  if (mistakes.length > 0) throw new UserError(EXIT.badData, spellMistakes(mistakes));
  if (lines.length === 0) throw new UserError(EXIT.badData, 'the file names no payment [CSV]');
  return { title, lines };
}

function isTitle(row: string): boolean {
  return /^"?address"?\s*,/i.test(row.trim());
}

function spellMistakes(mistakes: readonly string[]): string {
  const shown = mistakes.slice(0, mistakesShown);
  const rest = mistakes.length - shown.length;
  const more = rest > 0 ? [`and ${rest} more`] : [];
  return ['nothing was sent; the file has mistakes [CSV]', ...shown, ...more].join('\n  ');
}

/** What it pays, or what is wrong with it. */
function readLine(row: string, options: AmountOptions): Omit<Line, 'line' | 'text'> | string {
  const fields = fieldsOf(row);
  if (fields === null) return 'a quotation mark is not closed, or text stands behind it';
  const [addressText = '', amountText, memoText = '', ...more] = fields;
  if (more.length > 0) return `${fields.length} fields, where address,amount,memo are three`;
  const address = parseAddress(addressText);
  if (!address.ok) {
    const isTypo = address.refusal.code === 'ADDRESS_CHECKSUM';
    const why = isTypo ? 'its checksum is wrong; a letter may be mistyped' : 'no address';
    return `"${printable(addressText, 60)}": ${why}`;
  }
  const to = address.value;
  if (to === ZERO_ADDRESS || isReservedAddress(to)) return `${to} can hold no money`;
  if (amountText === undefined) return 'the amount is missing';
  const amount = readAmount(amountText, options);
  if (amount === null) {
    const want = options.baseUnits ? 'a whole number of millionths' : 'at most 6 decimals';
    return `"${printable(amountText, 60)}" is not an amount (digits, a point, ${want})`;
  }
  if (amount === 0n) return 'an amount of nothing';
  const memo = memoWord(memoText);
  if (memo === null) return `a memo has one line of at most ${tokenMemoBytesMax} bytes`;
  return { to, amount, memo };
}

/** RFC 4180, of one line: commas, and quotation marks around what has one. */
function fieldsOf(row: string): string[] | null {
  const fields: string[] = [];
  let rest = row;
  for (;;) {
    const quoted = /^\s*"((?:[^"]|"")*)"\s*(,|$)/.exec(rest);
    const plain = /^([^",]*)(,|$)/.exec(rest);
    const found = quoted ?? plain;
    if (found === null) return null;
    const [whole, field = '', end] = found;
    fields.push(quoted === null ? field.trim() : field.replaceAll('""', '"'));
    if (end !== ',') return fields;
    rest = rest.slice(whole.length);
  }
}
