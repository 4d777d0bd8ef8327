/** Reading a genesis field by field; the first thing that is wrong stops it, with its path. */
import { type Json, JsonNumber, type JsonObject } from '#src/lib/strictJson.ts';
import {
  type Address,
  isReservedAddress,
  isVirtualAddress,
  parseAddress,
  ZERO_ADDRESS,
} from './address.ts';
import { nameCharsMax } from './limits.ts';
import { isName } from './memberId.ts';

export class Stop extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

export function fields(
  json: Json,
  path: string,
  required: readonly string[],
  optional: readonly string[] = [],
): JsonObject {
  if (!(json instanceof Map)) throw new Stop(path, 'should be an object');
  for (const key of (json as JsonObject).keys()) {
    if (!required.includes(key) && !optional.includes(key)) {
      throw new Stop(`${path}.${key.slice(0, 64)}`, 'is not a known key');
    }
  }
  for (const key of required) {
    if (!json.has(key)) throw new Stop(`${path}.${key}`, 'is missing');
  }
  return json;
}

export function need(item: JsonObject, key: string, path: string): Json {
  const value = item.get(key);
  if (value === undefined) throw new Stop(`${path}.${key}`, 'is missing');
  return value;
}

export function list(
  item: JsonObject,
  key: string,
  path: string,
  min: number,
  max: number,
): readonly Json[] {
  const value = need(item, key, path);
  if (!Array.isArray(value) || value.length < min || value.length > max) {
    throw new Stop(`${path}.${key}`, `should be a list of ${min} to ${max}`);
  }
  return value as readonly Json[];
}

export function text(item: JsonObject, key: string, path: string): string {
  const value = need(item, key, path);
  if (typeof value !== 'string') throw new Stop(`${path}.${key}`, 'should be a text');
  return value;
}

export function name(item: JsonObject, key: string, path: string): string {
  const value = text(item, key, path);
  if (!isName(value) || value.length > nameCharsMax) {
    throw new Stop(`${path}.${key}`, `should be 1 to ${nameCharsMax} letters, digits and spaces`);
  }
  return value;
}

export function address(item: JsonObject, key: string, path: string): Address {
  const parsed = parseAddress(text(item, key, path));
  if (!parsed.ok) throw new Stop(`${path}.${key}`, 'is not an address, or its checksum is wrong');
  if (isReservedAddress(parsed.value)) throw new Stop(`${path}.${key}`, 'is reserved');
  if (parsed.value === ZERO_ADDRESS) throw new Stop(`${path}.${key}`, 'is the zero address');
  if (isVirtualAddress(parsed.value)) throw new Stop(`${path}.${key}`, 'is virtual');
  return parsed.value;
}

/**
 * A JSON integer, or decimal or 0x text: 2^53 and more does not survive other tools as a number.
 */
export function integer(
  item: JsonObject,
  key: string,
  path: string,
  min: bigint,
  max: bigint,
): bigint {
  const value = need(item, key, path);
  const digits = value instanceof JsonNumber ? value.text : value;
  const shaped =
    typeof digits === 'string' &&
    digits.length <= 80 &&
    /^(0|[1-9]\d*|0x(0|[1-9a-fA-F][0-9a-fA-F]*))$/.test(digits);
  const number = shaped ? BigInt(digits) : -1n;
  if (number < min || number > max) {
    throw new Stop(`${path}.${key}`, `should be a whole number from ${min} to ${max}`);
  }
  return number;
}

export function unique<T>(
  items: readonly T[],
  of: (item: T) => string,
  path: string,
  key: string,
): void {
  const seen = new Set<string>();
  for (const [at, item] of items.entries()) {
    const value = of(item);
    if (seen.has(value)) throw new Stop(`${path}[${at}].${key}`, 'stands twice');
    seen.add(value);
  }
}
