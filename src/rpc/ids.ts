import { randomBytes } from 'node:crypto';

/** 128 random bits as a QUANTITY: nobody guesses another's subscription. */
export function randomId(): string {
  const text = randomBytes(16).toString('hex');
  return `0x${text.startsWith('0') ? `1${text.slice(1)}` : text}`;
}
