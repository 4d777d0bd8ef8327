import { toHex } from '#src/lib/bytes.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import type { Backend, SubmitRefusal } from '../backend.ts';
import type { Method, Methods } from '../dispatch.ts';
import { invalidParam, RPC, RpcError } from '../errors.ts';
import { quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import { isAbsent, readCount, readText } from '../params.ts';
import type { ReceiptWait, ReceiptWaits } from '../receiptWaits.ts';
import { receiptOf } from './transactions.ts';

/** How a payment gets in. The raw bytes are judged once, by `submit`. */
export function sendMethods(backend: Backend, waits: ReceiptWaits, limits: RpcLimits): Methods {
  const send = ([data]: readonly unknown[]) => submit(backend, readRaw(data, 0, limits));
  const sendSync: Method['run'] = ([data, timeout], _, caller) => {
    const raw = readRaw(data, 0, limits);
    const timeoutMs = readTimeout(timeout, 1, limits);
    const hash = keccakHash(raw);
    return submitAndWait(backend, raw, hash, waits.open(hash, timeoutMs, caller), timeoutMs);
  };
  return [
    ['eth_sendRawTransaction', { paramsMax: 1, units: 5, run: send, overlaps: true }],
    ['eth_sendRawTransactionSync', { paramsMax: 2, units: 5, run: sendSync, overlaps: true }],
  ];
}

async function submit(backend: Backend, raw: Uint8Array): Promise<Hash> {
  const verdict = await backend.submit(raw);
  if (!verdict.ok) throw rejected(verdict.refusal);
  return verdict.value;
}

async function submitAndWait(
  backend: Backend,
  raw: Uint8Array,
  hash: Hash,
  wait: ReceiptWait,
  timeoutMs: number,
): Promise<unknown> {
  try {
    const verdict = await backend.submit(raw);
    if (!verdict.ok) {
      // Sent before: then its receipt is the answer, now or when it comes.
      const mined = receiptOf(backend, hash);
      if (mined !== null) return mined;
      if (verdict.refusal.code !== 'ALREADY_KNOWN') throw rejected(verdict.refusal);
    }
    const receipt = await wait.receipt;
    if (receipt !== null) return receipt;
    // A payment that was known may have become final before the wait began.
    const late = receiptOf(backend, hash);
    if (late !== null) return late;
    const message = `the transaction was added to the pool but is not final after ${timeoutMs} ms`;
    throw new RpcError(RPC.syncTimeout, message, hash);
  } finally {
    wait.cancel();
  }
}

/** Length and alphabet only: an over-long transaction is the decoder's to refuse, by its words. */
function readRaw(value: unknown, index: number, { bodyBytesMax }: RpcLimits): Uint8Array {
  const text = readText(value, index);
  if (!text.startsWith('0x')) throw invalidParam(index, 'hex string without 0x prefix');
  if (text.length % 2 !== 0) throw invalidParam(index, 'hex string of odd length');
  if (text.length === 2) throw invalidParam(index, 'empty data');
  if (text.length > bodyBytesMax) throw invalidParam(index, 'data over the limit of a body');
  // Decoding stops at the first other character, which shows in the length: no second pass.
  const bytes = Buffer.from(text.slice(2), 'hex');
  if (bytes.length !== text.length / 2 - 1) throw invalidParam(index, 'invalid hex string');
  return bytes;
}

/** Milliseconds, as a number or a QUANTITY; at most the node's own limit. */
function readTimeout(value: unknown, index: number, { syncTimeoutMs }: RpcLimits): number {
  if (isAbsent(value)) return syncTimeoutMs;
  const timeout = readCount(value, index);
  if (timeout === 0) throw invalidParam(index, 'a timeout is at least 1 ms');
  return Math.min(timeout, syncTimeoutMs);
}

function rejected(refusal: SubmitRefusal): RpcError {
  const { message, ...data } = refusal;
  const fields = Object.entries(data).map(([key, value]) => [key, plain(value)]);
  return new RpcError(RPC.rejected, message, Object.fromEntries(fields));
}

/** JSON knows neither bigints nor bytes. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value < 0n ? value.toString() : quantity(value);
  return value instanceof Uint8Array ? toHex(value) : value;
}
