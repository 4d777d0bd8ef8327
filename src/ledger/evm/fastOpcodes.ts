/**
 * Opcodes whose implementation in the library costs far more time than their gas says: copies that
 * make an array of their length for each run, words that pass through text. The gas is the library's.
 */
import { bytesToUint } from '#src/lib/bytes.ts';

/** What the library hands to an opcode, as far as these look at it. */
export type Running = {
  readonly stack: { popN(count: number): bigint[]; pop(): bigint; push(value: bigint): void };
  readonly memory: { _store: Uint8Array; extend(offset: number, size: number): void };
  readonly interpreter: {
    getCallData(): Uint8Array;
    getCode(): Uint8Array;
    getReturnData(): Uint8Array;
  };
  readonly env: {
    readonly address: Addressed;
    readonly caller: Addressed;
    readonly origin: Addressed;
  };
  readonly stateManager: {
    codeOfWord(address: bigint): Uint8Array;
    storeWord(address: Addressed, key: bigint, value: bigint): void;
  };
  readonly code: Uint8Array;
  /** Of the constants by their position, those that were read. */
  readonly cachedPushes: (bigint | undefined)[];
  readonly opCode: number;
  /** Behind the opcode. */
  programCounter: number;
};

type Addressed = { readonly bytes: Uint8Array };

const PUSH1 = 0x60;

export const fastOpcodes: ReadonlyMap<number, (running: Running) => void> = new Map([
  [0x30, (running) => running.stack.push(numberOf(running.env.address))],
  [0x32, (running) => running.stack.push(numberOf(running.env.origin))],
  [0x33, (running) => running.stack.push(numberOf(running.env.caller))],
  [0x37, (running) => copy(running, running.interpreter.getCallData())],
  [0x39, (running) => copy(running, running.interpreter.getCode())],
  [0x3c, (running) => copy(running, running.stateManager.codeOfWord(running.stack.pop()))],
  [0x3e, (running) => copy(running, running.interpreter.getReturnData())],
  [0x51, loadWord],
  [0x52, storeWord],
  [0x55, storeSlot],
  ...Array.from({ length: 32 }, (_, index) => [PUSH1 + index, pushConstant] as const),
]);

function pushConstant(running: Running): void {
  const { cachedPushes, programCounter: from } = running;
  const length = running.opCode - PUSH1 + 1;
  let value = cachedPushes[from];
  if (value === undefined) {
    value = bytesToUint(running.code.subarray(from, from + length));
    // What lies beyond the end of the code is zero.
    const missing = from + length - running.code.length;
    if (missing > 0) value <<= BigInt(8 * missing);
    cachedPushes[from] = value;
  }
  running.programCounter = from + length;
  running.stack.push(value);
}

/** To memory; what lies beyond the end of the source is zero. */
function copy({ stack, memory }: Running, source: Uint8Array): void {
  const [toWord = 0n, from = 0n, lengthWord = 0n] = stack.popN(3);
  if (lengthWord === 0n) return;
  // The gas for so much memory was paid, so that these are small.
  const [to, length] = [Number(toWord), Number(lengthWord)];
  memory.extend(to, length);
  const start = from > BigInt(source.length) ? source.length : Number(from);
  const part = source.subarray(start, start + length);
  memory._store.set(part, to);
  memory._store.fill(0, to + part.length, to + length);
}

function loadWord({ stack, memory }: Running): void {
  const at = Number(stack.pop());
  memory.extend(at, 32);
  const { buffer, byteOffset } = memory._store;
  const view = new DataView(buffer, byteOffset + at, 32);
  const high = (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
  const low = (view.getBigUint64(16) << 64n) | view.getBigUint64(24);
  stack.push((high << 128n) | low);
}

function storeWord({ stack, memory }: Running): void {
  const [to = 0n, value = 0n] = stack.popN(2);
  const at = Number(to);
  memory.extend(at, 32);
  const { buffer, byteOffset } = memory._store;
  const view = new DataView(buffer, byteOffset + at, 32);
  // Each takes the lowest 64 bits of what it is given.
  view.setBigUint64(24, value);
  view.setBigUint64(16, value >> 64n);
  view.setBigUint64(8, value >> 128n);
  view.setBigUint64(0, value >> 192n);
}

function storeSlot({ stack, stateManager, env }: Running): void {
  const [key = 0n, value = 0n] = stack.popN(2);
  stateManager.storeWord(env.address, key, value);
}

const numbers = new WeakMap<Addressed, bigint>();

function numberOf(address: Addressed): bigint {
  let number = numbers.get(address);
  if (number === undefined) {
    number = bytesToUint(address.bytes);
    numbers.set(address, number);
  }
  return number;
}
