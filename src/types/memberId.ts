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

/** The text that gives exactly this id, where people can read it; else the id in hexadecimal. */
export function memberText(id: Hash): string {
  const bytes = hashToBytes(id);
  const length = bytes.indexOf(0);
  try {
    const text = decoder.decode(length < 0 ? bytes : bytes.subarray(0, length));
    return isName(text) && memberIdOf(text) === id ? text : id;
  } catch {
    return id;
  }
}

/** Letters, digits and a few signs: a name never breaks a line, a log or a terminal. */
export function isName(text: string): boolean {
  return /^[\p{L}\p{N}][\p{L}\p{N} ._&'()-]*$/u.test(text);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
