/** Which logs a caller wants, and where they are. */
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import { bloomOf, type Log, type Receipt } from '#src/types/receipt.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { Backend } from './backend.ts';
import { invalidParam, limitExceeded, RPC, RpcError } from './errors.ts';
import { formatLog, isEmptyBloom } from './formats.ts';
import type { RpcLimits } from './limits.ts';
import {
  isAbsent,
  type JsonObject,
  readAddress,
  readBlock,
  readBlockNumber,
  readHash,
  readList,
  readObject,
} from './params.ts';
import { heightOf } from './resolve.ts';
import { longSearches, turnMs } from './turns.ts';

export type LogFilter = {
  /** Null: of any address. */
  readonly addresses: ReadonlySet<Address> | null;
  /** By position; null: anything there. */
  readonly topics: readonly (ReadonlySet<Hash> | null)[];
  /** Bits that a block's bloom has where one of the addresses logged. */
  readonly addressBits: readonly (readonly Bit[])[];
};

/** Both ends belong to it. */
export type Range = { readonly from: Height; readonly to: Height };

export function readLogFilter(value: unknown, index: number, limits: RpcLimits): LogFilter {
  const { address, topics } = isAbsent(value) ? EMPTY : readObject(value, index);
  const addresses = readChoices(address, index, limits.logAddressesMax, readAddress);
  const positions = isAbsent(topics) ? [] : readList(topics, index, TOPICS_MAX);
  return {
    addresses,
    topics: positions.map((topic) =>
      readChoices(topic, index, limits.logTopicChoicesMax, readHash),
    ),
    addressBits: [...(addresses ?? [])].map((one) =>
      bitsOf(bloomOf([{ address: one, topics: [], data: new Uint8Array(0) }])),
    ),
  };
}

/** Reversed and future ranges are mistakes of the caller's, long ones more than we give. */
export function readRange(backend: Backend, value: unknown, index: number): Range {
  const { fromBlock, toBlock, blockHash } = readObject(value, index);
  if (!isAbsent(blockHash)) {
    if (!isAbsent(fromBlock) || !isAbsent(toBlock)) {
      throw invalidParam(index, 'a block hash and a range exclude each other');
    }
    const height = backend.heightOf(readHash(blockHash, index));
    if (height === null) throw new RpcError(RPC.notFound, 'unknown block');
    return { from: height, to: height };
  }
  const end = (given: unknown): Height => {
    const ref = isAbsent(given) ? readBlock(given, index) : readBlockNumber(given, index);
    const height = heightOf(backend, ref);
    if (height === null) throw invalidParam(index, 'block range extends beyond current head block');
    return height;
  };
  const range = { from: end(fromBlock), to: end(toBlock) };
  if (range.from > range.to) throw invalidParam(index, 'invalid block range: from is after to');
  return range;
}

/** Lets the loop turn between blocks; gives up at the limits of blocks, results and time. */
export async function searchLogs(
  backend: Backend,
  filter: LogFilter,
  { from, to }: Range,
  limits: RpcLimits,
): Promise<unknown[]> {
  const blocks = to - from + 1n;
  if (blocks > BigInt(limits.logBlocksMax)) {
    throw limitExceeded(`block range of ${blocks} is over the limit of ${limits.logBlocksMax}`);
  }
  const found: unknown[] = [];
  const endMs = performance.now() + limits.logSearchMs;
  let turnEndMs = 0;
  for (let at = from as bigint; at <= to; at++) {
    if (performance.now() > turnEndMs) {
      await longSearches.next();
      turnEndMs = performance.now() + turnMs;
      if (turnEndMs > endMs) throw limitExceeded('the search takes too long: ask for less');
    }
    const height = asHeight(at);
    const header = backend.headerAt(height);
    if (header === null || !mayHave(header.logsBloom, filter)) continue;
    const block = backend.blockAt(height);
    const receipts = backend.receiptsAt(height);
    if (block === null || receipts === null) continue;
    found.push(...logsIn(block, receipts, filter));
    if (found.length > limits.logResultsMax) {
      throw limitExceeded(`query returned more than ${limits.logResultsMax} results`);
    }
  }
  return found;
}

export function logsIn(block: Block, receipts: readonly Receipt[], filter: LogFilter): unknown[] {
  const found: unknown[] = [];
  let logIndex = 0;
  for (const [index, receipt] of receipts.entries()) {
    for (const log of receipt.logs) {
      if (matches(log, filter)) found.push(formatLog(log, { block, index }, logIndex));
      logIndex++;
    }
  }
  return found;
}

export function mayHave(bloom: Uint8Array, { addressBits }: LogFilter): boolean {
  if (isEmptyBloom(bloom)) return false;
  if (addressBits.length === 0) return true;
  return addressBits.some((bits) => bits.every(([at, mask]) => ((bloom[at] ?? 0) & mask) !== 0));
}

const EMPTY: JsonObject = {};
const TOPICS_MAX = 4;

type Bit = readonly [at: number, mask: number];

function bitsOf(bloom: Uint8Array): Bit[] {
  return [...bloom.entries()].filter(([, mask]) => mask !== 0);
}

function matches({ address, topics }: Log, filter: LogFilter): boolean {
  if (filter.addresses !== null && !filter.addresses.has(address)) return false;
  return filter.topics.every((choices, position) => {
    const topic = topics[position];
    return topic !== undefined && (choices === null || choices.has(topic));
  });
}

/** One, several, or null for any; an empty list is any, too, as in geth. */
function readChoices<T>(
  value: unknown,
  index: number,
  max: number,
  read: (value: unknown, index: number) => T,
): ReadonlySet<T> | null {
  if (isAbsent(value)) return null;
  if (!Array.isArray(value)) return new Set([read(value, index)]);
  const choices = readList(value, index, max).map((choice) => read(choice, index));
  return choices.length === 0 ? null : new Set(choices);
}
