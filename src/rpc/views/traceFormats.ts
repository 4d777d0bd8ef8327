/** Calls as geth's call tracer tells them, and as Otterscan wants them. */
import type { CallFrame } from '#src/ledger/calls.ts';
import { precompilePrices } from '#src/ledger/evm/precompilePrices.ts';
import type { Transfer } from '#src/ledger/payments/dispatch.ts';
import { toHex } from '#src/lib/bytes.ts';
import { type Address, isReservedAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { quantity } from '../formats.ts';
import { failureWords, reasonIn } from './viewErrors.ts';

/** geth's words for what the machine calls otherwise. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['revert', 'execution reverted'],
  ['code size to deposit exceeds maximum code size', 'max code size exceeded'],
  ['create collision', 'contract address collision'],
  ['initcode exceeds max initcode size', 'max initcode size exceeded'],
  ['insufficient balance', 'insufficient balance for transfer'],
  ['invalid bytecode deployed', 'invalid code: must not begin with 0xef'],
  ['stack overflow', 'stack limit reached 1024 (1023)'],
  ['static state change', 'write protection'],
  ['value out of range', 'return data out of bounds'],
]);
const REVERTED = 'execution reverted';

function wordOf(error: string): string {
  return WORDS.get(error) ?? failureWords(error);
}

export type FrameStyle = {
  readonly withLog: boolean;
  /** Of the next log that stands, in its block. */
  logIndex: number;
};

/** One frame with all below it; the names and their order are geth's. */
export function formatFrame(frame: CallFrame, style: FrameStyle, isLost = false): object {
  const { type, from, gas, gasUsed, input, output, value } = frame;
  const error = frame.error === null ? null : wordOf(frame.error);
  const isCreation = type === 'CREATE' || type === 'CREATE2';
  const to = isCreation ? (error === null ? frame.created : null) : frame.to;
  const shown = (error === null || error === REVERTED) && output.length > 0;
  const reason = error === REVERTED ? reasonIn(output) : null;
  const { calls, logs } = formatInside(frame, style, isLost || error !== null);
  return {
    ...{ from, gas: quantity(gas), gasUsed: quantity(gasUsed) },
    ...(to !== null && { to }),
    input: toHex(input),
    ...(shown && { output: toHex(output) }),
    ...(error !== null && { error }),
    ...(reason !== null && { revertReason: reason }),
    ...(calls.length > 0 && { calls }),
    ...(logs.length > 0 && { logs }),
    ...(value !== null && { value: quantity(value) }),
    type,
  };
}

/** In the order in which it happened, as that is how logs are numbered; of what failed none stands. */
function formatInside(frame: CallFrame, style: FrameStyle, isLost: boolean) {
  const calls: object[] = [];
  const logs: object[] = [];
  const standing = style.withLog && !isLost ? frame.logs : [];
  let next = 0;
  for (let at = 0; at <= frame.calls.length; at++) {
    for (let log = standing[next]; log?.position === at; log = standing[++next]) {
      const { address, topics, data } = log;
      const place = { index: quantity(style.logIndex++), position: quantity(at) };
      logs.push({ address, topics, data: toHex(data), ...place });
    }
    const call = frame.calls[at];
    if (call !== undefined) calls.push(formatFrame(call, style, isLost));
  }
  return { calls, logs };
}

/** Otterscan's list, without precompiles; a delegated or a static call moves no coin of its own. */
export function formatEntries(frame: CallFrame, depth = 0): object[] {
  const { type, from, input, output, calls } = frame;
  if (frame.to !== null && precompilePrices.has(frame.to)) return [];
  const value = type === 'DELEGATECALL' ? null : frame.value;
  const entry = {
    ...{ type, depth, from, to: frame.to ?? frame.created ?? ZERO_ADDRESS },
    ...{ value: value === null ? null : quantity(value) },
    ...{ input: toHex(input), output: toHex(output) },
  };
  return [entry, ...calls.flatMap((call) => formatEntries(call, depth + 1))];
}

const TRANSFER = 0;
const OPERATIONS: { readonly [K in CallFrame['type']]?: number } = {
  ...{ CALL: TRANSFER, SELFDESTRUCT: 1, CREATE: 2, CREATE2: 3 },
};

/**
 * Coin that contracts moved and contracts that they made, in Otterscan's numbers, of what stands.
 * `transfers`: those of the transaction, for what native contracts paid out by themselves.
 */
export function formatOperations(frame: CallFrame, transfers: readonly Transfer[]): object[] {
  const paid = transfers.filter(({ from }) => isReservedAddress(from));
  return [
    ...operationsIn(frame),
    ...paid.map(({ from, to, amount }) => operation(TRANSFER, from, to, amount)),
  ];
}

function operationsIn({ error, calls }: CallFrame): object[] {
  if (error !== null) return [];
  return calls.flatMap((call) => {
    const kind = call.error === null ? OPERATIONS[call.type] : undefined;
    const amount = call.value ?? 0n;
    const below = operationsIn(call);
    if (kind === undefined || (kind === TRANSFER && amount === 0n)) return below;
    return [operation(kind, call.from, call.to ?? call.created ?? ZERO_ADDRESS, amount), ...below];
  });
}

function operation(type: number, from: Address, to: Address, value: bigint): object {
  return { type, from, to, value: quantity(value) };
}

/** Who made a contract in this frame or below, where that stands; null where nobody did. */
export function findCreator(frame: CallFrame, created: Address | undefined): Address | null {
  if (frame.error !== null) return null;
  if (frame.created !== null && frame.created === created) return frame.from;
  for (const call of frame.calls) {
    const creator = findCreator(call, created);
    if (creator !== null) return creator;
  }
  return null;
}
