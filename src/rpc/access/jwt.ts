/**
 * JSON Web Tokens (RFC 7519) as the execution clients take them: HS256 and nothing else, issued
 * within the last minute. Which algorithm and which key is ours to say, never the token's.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';

export const secretBytesMin = 32;
const tokenCharsMax = 2_048;
const subjectCharsMax = 64;
/** Clocks differ, and a token is for one request, not for a week. */
const issuedWithinSeconds = 60;

export type TokenRefusal = {
  readonly code: 'JWT_FORM' | 'JWT_ALGORITHM' | 'JWT_SIGNATURE' | 'JWT_TIME';
};

/** Its subject, empty where it has none. `seconds`: of the wall clock. */
export function checkToken(
  token: string,
  secret: Uint8Array,
  seconds: number,
): Verdict<string, TokenRefusal> {
  const parts = token.split('.');
  const [head, body, signature] = parts;
  const isWhole = head !== undefined && body !== undefined && signature !== undefined;
  if (!isWhole || parts.length !== 3 || token.length > tokenCharsMax) {
    return refuse({ code: 'JWT_FORM' });
  }
  const header = readPart(head);
  if (header === null) return refuse({ code: 'JWT_FORM' });
  const { alg, typ = 'JWT', ...rest } = header;
  if (alg !== 'HS256' || typ !== 'JWT' || Object.keys(rest).length > 0) {
    return refuse({ code: 'JWT_ALGORITHM' });
  }
  const want = createHmac('sha256', secret).update(`${head}.${body}`).digest();
  const have = Buffer.from(signature, 'base64url');
  // Of one signature there is one text.
  const isSigned = have.length === want.length && timingSafeEqual(have, want);
  if (!isSigned || have.toString('base64url') !== signature) {
    return refuse({ code: 'JWT_SIGNATURE' });
  }
  const claims = readPart(body);
  if (claims === null) return refuse({ code: 'JWT_FORM' });
  const { iat, exp, nbf, sub = '' } = claims;
  if (!isNear(iat, seconds) || !isAfter(exp, seconds) || !isBefore(nbf, seconds)) {
    return refuse({ code: 'JWT_TIME' });
  }
  const isName = typeof sub === 'string' && sub.length <= subjectCharsMax;
  return isName ? accept(sub) : refuse({ code: 'JWT_FORM' });
}

function readPart(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function isNear(time: unknown, seconds: number): boolean {
  return typeof time === 'number' && Math.abs(time - seconds) <= issuedWithinSeconds;
}

function isAfter(time: unknown, seconds: number): boolean {
  return time === undefined || (typeof time === 'number' && time > seconds);
}

function isBefore(time: unknown, seconds: number): boolean {
  return time === undefined || (typeof time === 'number' && time <= seconds);
}
