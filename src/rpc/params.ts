/**
 * Strict readers of parameters: each takes the value and its position, which its refusal names.
 * Lengths are checked before anything is converted, because `BigInt` of a long text is slow.
 */
import { fromHex } from '#src/lib/bytes.ts';
import { type Address, parseAddress } from '#src/types/address.ts';
import { type Hash, parseHash } from '#src/types/hash.ts';
import { transactionBytesMax } from '#src/types/limits.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import { invalidParam } from './errors.ts';

export type Params = readonly unknown[];

/** A member by name, own or not: JSON has no prototypes that matter under the names we read. */
export type JsonObject = Readonly<Record<string, unknown>>;

export type BlockRef =
  | { readonly at: 'latest' | 'pending' }
  | { readonly at: 'height'; readonly height: Height }
  | { readonly at: 'hash'; readonly hash: Hash };

const QUANTITY = /^0x(0|[1-9a-fA-F][0-9a-fA-F]*)$/;
const LATEST: BlockRef = { at: 'latest' };
const PENDING: BlockRef = { at: 'pending' };

/** Leaves out means the default: a missing trailing parameter and `null` are the same. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** QUANTITY of at most `bits`: `0x`, no leading zeros. */
export function readQuantity(value: unknown, index: number, bits = 256): bigint {
  const text = readText(value, index);
  if (text.length > 2 + bits / 4) throw invalidParam(index, `a quantity over ${bits} bits`);
  if (!text.startsWith('0x')) throw invalidParam(index, 'hex string without 0x prefix');
  if (!QUANTITY.test(text)) {
    const zeros = /^0x0[0-9a-fA-F]/.test(text);
    throw invalidParam(index, zeros ? 'hex number with leading zero digits' : 'invalid hex number');
  }
  return BigInt(text);
}

/** A count that clients send both as a QUANTITY and as a JSON number. */
export function readCount(value: unknown, index: number): number {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) throw invalidParam(index, 'not a count');
    return value;
  }
  const count = readQuantity(value, index, 64);
  return count > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(count);
}

export function readData(value: unknown, index: number, bytesMax = transactionBytesMax) {
  const text = readText(value, index);
  if (text.length > 2 + 2 * bytesMax) throw invalidParam(index, `more than ${bytesMax} bytes`);
  const bytes = fromHex(text);
  if (bytes !== null) return bytes;
  if (!text.startsWith('0x')) throw invalidParam(index, 'hex string without 0x prefix');
  const odd = text.length % 2 !== 0;
  throw invalidParam(index, odd ? 'hex string of odd length' : 'invalid hex string');
}

export function readHash(value: unknown, index: number): Hash {
  const hash = parseHash(readText(value, index));
  if (hash === null) throw invalidParam(index, 'not a hash: 0x and 64 hex digits');
  return hash;
}

export function readAddress(value: unknown, index: number): Address {
  const address = parseAddress(readText(value, index));
  if (address.ok) return address.value;
  const checksum = address.refusal.code === 'ADDRESS_CHECKSUM';
  const reason = checksum ? 'the checksum does not fit (EIP-55)' : '0x and 40 hex digits';
  throw invalidParam(index, `not an address: ${reason}`);
}

export function readBoolean(value: unknown, index: number): boolean {
  if (typeof value !== 'boolean') throw invalidParam(index, 'not a boolean');
  return value;
}

export function readObject(value: unknown, index: number): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw missingOr(value, index, 'not an object');
  }
  return value as JsonObject;
}

export function readList(value: unknown, index: number, max: number): readonly unknown[] {
  if (!Array.isArray(value)) throw missingOr(value, index, 'not a list');
  if (value.length > max) throw invalidParam(index, `a list of more than ${max}`);
  return value;
}

/** A tag, a number, a bare hash or an EIP-1898 object; absent is `latest`. */
export function readBlock(value: unknown, index: number): BlockRef {
  if (isAbsent(value)) return LATEST;
  if (typeof value === 'object') return readBlockObject(readObject(value, index), index);
  const text = readText(value, index);
  switch (text) {
    case 'latest':
    case 'safe':
    case 'finalized':
      return LATEST;
    case 'pending':
      return PENDING;
    case 'earliest':
      return { at: 'height', height: asHeight(0n) };
  }
  if (text.length === 66) return { at: 'hash', hash: readHash(text, index) };
  return { at: 'height', height: asHeight(readQuantity(text, index, 64)) };
}

/** As {@link readBlock}, where a hash has its own method. */
export function readBlockNumber(value: unknown, index: number): BlockRef {
  if (isAbsent(value)) throw missingOr(value, index, 'not a block number');
  const block = readBlock(value, index);
  if (typeof value !== 'string' || block.at === 'hash') {
    throw invalidParam(index, 'not a block number or tag');
  }
  return block;
}

export function readText(value: unknown, index: number): string {
  if (typeof value !== 'string') throw missingOr(value, index, 'not a string');
  return value;
}

/** EIP-1898. */
function readBlockObject(object: JsonObject, index: number): BlockRef {
  const { blockNumber, blockHash, requireCanonical } = object;
  const both = !isAbsent(blockNumber) && !isAbsent(blockHash);
  if (both) throw invalidParam(index, 'both a block number and a block hash');
  if (!isAbsent(requireCanonical)) readBoolean(requireCanonical, index);
  if (!isAbsent(blockHash)) return { at: 'hash', hash: readHash(blockHash, index) };
  if (isAbsent(blockNumber)) throw invalidParam(index, 'neither a block number nor a block hash');
  return readBlockNumber(blockNumber, index);
}

function missingOr(value: unknown, index: number, reason: string): Error {
  if (value !== undefined) return invalidParam(index, reason);
  return invalidParam(index, 'missing value for required argument');
}
