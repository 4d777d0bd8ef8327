import { isUtf8 } from 'node:buffer';
import { invalidParam, RPC, RpcError } from './errors.ts';
import type { RpcLimits } from './limits.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * A body within the limits of depth and of members per object, which are counted on the bytes
 * first: `JSON.parse` has neither limit, and an object with very many keys is slow to build.
 */
export function parseJson(body: Buffer, limits: RpcLimits): unknown {
  if (!isUtf8(body)) throw new RpcError(RPC.parse, 'parse error: not UTF-8');
  checkShape(body, limits);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new RpcError(RPC.parse, 'parse error: not JSON');
  }
}

/** Counts brackets and colons outside strings; whether they match is `JSON.parse`'s question. */
function checkShape(body: Buffer, { jsonDepthMax, objectKeysMax }: RpcLimits): void {
  const keys = new Uint32Array(jsonDepthMax + 1);
  let depth = 0;
  for (let at = 0; at < body.length; at++) {
    switch (body[at]) {
      case QUOTE:
        at = endOfString(body, at + 1);
        break;
      case OPEN_LIST:
      case OPEN_OBJECT:
        if (++depth > jsonDepthMax) {
          const message = `invalid request: nested deeper than ${jsonDepthMax}`;
          throw new RpcError(RPC.invalidRequest, message);
        }
        keys[depth] = 0;
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        if (depth > 0) depth--;
        break;
      case COLON: {
        const count = (keys[depth] ?? 0) + 1;
        if (count > objectKeysMax) {
          throw invalidParam(0, `an object with more than ${objectKeysMax} keys`);
        }
        keys[depth] = count;
      }
    }
  }
}

/** The position of the closing quote. */
function endOfString(body: Buffer, start: number): number {
  let end = body.indexOf(QUOTE, start);
  while (end !== -1) {
    let backslashes = 0;
    while (end - 1 - backslashes >= start && body[end - 1 - backslashes] === BACKSLASH) {
      backslashes++;
    }
    if (backslashes % 2 === 0) return end;
    end = body.indexOf(QUOTE, end + 1);
  }
  return body.length;
}
