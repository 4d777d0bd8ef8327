import { keccak256 } from '#src/crypto/keccak.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { type Hash, hashFromBytes, hashToBytes } from './hash.ts';

/**
 * A member's id as contracts have it: the text itself, padded with zeros, where its UTF-8 fits 32
 * bytes, and its keccak where it is longer.
 */
export function memberIdOf(text: string): Hash {
  const bytes = utf8(text);
  if (bytes.length > 32) return hashFromBytes(keccak256(bytes));
  const padded = new Uint8Array(32);
  padded.set(bytes);
  return hashFromBytes(padded);
}

/**
 * The text that gives exactly this id, where it is plain ASCII; else the id in hexadecimal. The hash
 * of a validator set covers it: nothing here may depend on the Unicode tables of the runtime.
 */
export function memberText(id: Hash): string {
  const bytes = hashToBytes(id);
  const length = bytes.indexOf(0);
  const text = String.fromCharCode(...(length < 0 ? bytes : bytes.subarray(0, length)));
  return /^[A-Za-z0-9][A-Za-z0-9 ._&'()-]*$/.test(text) && memberIdOf(text) === id ? text : id;
}

/** Letters, digits and a few signs: a name never breaks a line, a log or a terminal. */
export function isName(text: string): boolean {
  return /^[\p{L}\p{N}][\p{L}\p{N} ._&'()-]*$/u.test(text);
}
