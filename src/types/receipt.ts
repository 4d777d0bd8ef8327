import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, type Hex, hexBytes } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, addressToBytes } from './address.ts';
import { type Hash, hashFromBytes, hashToBytes } from './hash.ts';
import { BLOOM_BYTES } from './header.ts';
import { receiptBytesMax } from './limits.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  type RlpItem,
  type RlpRefusal,
  rlpBytes,
  rlpToUint,
  uintToRlp,
} from './rlp.ts';
import type { TransactionType } from './transaction.ts';
import type { Gas } from './units.ts';

export type Log = {
  readonly address: Address;
  readonly topics: readonly Hash[];
  readonly data: Uint8Array;
};

/** What consensus commits to (yellow paper 4.3.1, EIP-658, EIP-2718); the rest is derived. */
export type Receipt = {
  readonly type: TransactionType;
  readonly succeeded: boolean;
  readonly cumulativeGasUsed: Gas;
  readonly logsBloom: Uint8Array;
  readonly logs: readonly Log[];
};

const EMPTY_BLOOM = new Uint8Array(BLOOM_BYTES);

/** The receipt with the bloom of its logs. */
export function makeReceipt(fields: Omit<Receipt, 'logsBloom'>): Receipt {
  return { ...fields, logsBloom: bloomOf(fields.logs) };
}

export function encodeReceipt(receipt: Receipt): Uint8Array {
  const list = encodeRlp([
    uintToRlp(receipt.succeeded ? 1 : 0),
    uintToRlp(receipt.cumulativeGasUsed),
    receipt.logsBloom,
    receipt.logs.map((log) => [
      addressToBytes(log.address),
      log.topics.map((topic) => hashToBytes(topic)),
      log.data,
    ]),
  ]);
  return receipt.type === 0 ? list : concatBytes(Uint8Array.of(receipt.type), list);
}

export function decodeReceipt(bytes: Uint8Array): Verdict<Receipt, RlpRefusal> {
  const first = bytes[0] ?? 0;
  const type: TransactionType = first === 1 || first === 2 || first === 4 ? first : 0;
  const list = decodeRlp(type === 0 ? bytes : bytes.subarray(1), receiptBytesMax);
  if (!list.ok) return list;
  if (!isRlpList(list.value) || list.value.length !== 4) return bad('bad receipt');
  const [status, gas, bloom, logItems] = list.value;
  const succeeded = rlpToUint(status, 1);
  const cumulativeGasUsed = rlpToUint(gas, 8);
  const logsBloom = rlpBytes(bloom, BLOOM_BYTES);
  if (succeeded === null || succeeded > 1n) return bad('bad status');
  if (cumulativeGasUsed === null) return bad('bad cumulative gas');
  if (logsBloom === null || !isRlpList(logItems)) return bad('bad logs');
  const logs: Log[] = [];
  for (const item of logItems) {
    const log = readLog(item);
    if (log === null) return bad('bad log');
    logs.push(log);
  }
  const gasUsed = cumulativeGasUsed as Gas;
  return accept({
    ...{ type, succeeded: succeeded === 1n, cumulativeGasUsed: gasUsed, logsBloom, logs },
  });
}

/** Three bits of 2,048 for each address and topic (yellow paper, 4.3.1). */
export function bloomOf(logs: readonly Log[]): Uint8Array {
  if (logs.length === 0) return EMPTY_BLOOM;
  const bloom = new Uint8Array(BLOOM_BYTES);
  for (const log of logs) {
    addToBloom(bloom, log.address);
    for (const topic of log.topics) addToBloom(bloom, topic);
  }
  return bloom;
}

export function joinBlooms(blooms: Iterable<Uint8Array>): Uint8Array {
  const joined = new Uint8Array(BLOOM_BYTES);
  for (const bloom of blooms) {
    if (bloom === EMPTY_BLOOM) continue;
    for (let i = 0; i < BLOOM_BYTES; i++) joined[i] = (joined[i] ?? 0) | (bloom[i] ?? 0);
  }
  return joined;
}

/** The same events of the same accounts come again: their bits are found once. */
const bitsKnown = new Map<Hex, readonly number[]>();
const bitsKnownMax = 4_096;

function addToBloom(bloom: Uint8Array, entry: Address | Hash): void {
  let bits = bitsKnown.get(entry);
  if (bits === undefined) {
    bits = bitsOf(entry);
    if (bitsKnown.size >= bitsKnownMax) bitsKnown.clear();
    bitsKnown.set(entry, bits);
  }
  for (const bit of bits) {
    const byte = BLOOM_BYTES - 1 - (bit >> 3);
    bloom[byte] = (bloom[byte] ?? 0) | (1 << (bit & 7));
  }
}

function bitsOf(entry: Hex): readonly number[] {
  const hash = keccak256(hexBytes(entry));
  return [0, 2, 4].map((at) => (((hash[at] ?? 0) << 8) | (hash[at + 1] ?? 0)) & 2047);
}

function readLog(item: RlpItem): Log | null {
  if (!isRlpList(item) || item.length !== 3) return null;
  const address = rlpBytes(item[0], 20);
  const [, topicItems, data] = item;
  if (address === null || !isRlpList(topicItems) || topicItems.length > 4) return null;
  if (!(data instanceof Uint8Array)) return null;
  const topics: Hash[] = [];
  for (const topic of topicItems) {
    const bytes = rlpBytes(topic, 32);
    if (bytes === null) return null;
    topics.push(hashFromBytes(bytes));
  }
  return { address: addressFromBytes(address), topics, data };
}

function bad(reason: string): { ok: false; refusal: RlpRefusal } {
  return refuse({ code: 'RLP', reason });
}
