/**
 * What the interpreter does not tell by itself: by which opcode a call is made, calls that fail
 * before they begin, logs, and contracts that give themselves up. While nobody watches each of these
 * is one look at a field.
 */
import { EMPTY_BYTES, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { CallBegin, CallEnd, CallObserver, CallType } from '../calls.ts';
import { interpreterPrototype } from './jumpTables.ts';
import { logFromLibrary } from './world.ts';

/** The machine, as the interpreter knows it. */
export type Watched = {
  readonly observer: CallObserver | null;
  /** Of the call that begins next. */
  callType: CallType;
  /** Runs it so that what an observer throws ends the message, whatever the code makes of it. */
  tell(work: () => void): void;
};

type Bytes = { readonly bytes: Uint8Array };
type Interpreter = {
  readonly _evm: Watched;
  readonly _runState: { readonly opCode: number };
  readonly _env: {
    readonly address: Bytes;
    readonly depth: number;
    readonly contract: { readonly balance: bigint };
  };
};

type LibraryCall = LibraryMessage & { readonly delegatecall: boolean };
type LibraryMessage = {
  readonly caller: Bytes;
  readonly to?: Bytes;
  readonly codeAddress: Bytes;
  readonly value: bigint;
  readonly gasLimit: bigint;
  readonly data: Uint8Array;
};
type LibraryResult = {
  readonly execResult: {
    readonly executionGasUsed: bigint;
    readonly returnValue: Uint8Array;
    readonly exceptionError?: { readonly error: string };
  };
  readonly createdAddress?: Bytes;
};

const depthMax = 1_024;
const TYPES: ReadonlyMap<number, CallType> = new Map([
  [0xf0, 'CREATE'],
  [0xf1, 'CALL'],
  [0xf2, 'CALLCODE'],
  [0xf4, 'DELEGATECALL'],
  [0xf5, 'CREATE2'],
  [0xfa, 'STATICCALL'],
]);

type Original = (this: Interpreter, ...given: never[]) => unknown;

export async function installObserving(): Promise<void> {
  const prototype = (await interpreterPrototype()) as Record<string, Original | undefined>;
  const before = (name: string, look: (on: Interpreter, ...given: never[]) => void) => {
    const original = prototype[name];
    assert(original !== undefined, `the library's interpreter has ${name}`);
    prototype[name] = function observed(...given: never[]) {
      if (this._evm.observer !== null) look(this, ...given);
      return original.apply(this, given);
    };
  };
  before('_baseCall', lookAtCall);
  before('create', lookAtCreation);
  before('_selfDestruct', lookAtEnd);
  before('log', lookAtLog);
}

/** A message from its beginning to its end, of a machine that has an observer. */
export async function observed<R extends LibraryResult>(
  machine: Watched,
  message: LibraryMessage,
  run: () => Promise<R>,
): Promise<R> {
  const { observer, callType: type } = machine;
  const { caller, to, value, gasLimit: gas, data: input } = message;
  const from = addressIn(type === 'DELEGATECALL' && to !== undefined ? to : caller);
  const call: CallBegin = {
    ...{ type, from, gas, input, value: type === 'STATICCALL' ? null : value },
    to: to === undefined ? null : addressIn(message.codeAddress),
  };
  machine.tell(() => observer?.enter(call));
  try {
    const result = await run();
    const { execResult, createdAddress } = result;
    const { executionGasUsed: gasUsed, returnValue: output, exceptionError } = execResult;
    const error = exceptionError?.error ?? null;
    const created = createdAddress === undefined ? null : addressIn(createdAddress);
    machine.tell(() => observer?.exit({ gasUsed, output, error, created }));
    return result;
  } catch (thrown) {
    // Of the caller's frame the library makes what it will; this one is over.
    const { error = 'internal error' } = thrown as { readonly error?: string };
    observer?.exit({ gasUsed: gas, output: EMPTY_BYTES, error, created: null });
    throw thrown;
  }
}

function lookAtCall(on: Interpreter, call: LibraryCall): void {
  const type = noteType(on);
  const value = type === 'STATICCALL' ? null : call.value;
  const error = whyNot(on, call.delegatecall ? 0n : call.value);
  if (error === null) return;
  const { gasLimit: gas, data: input } = call;
  tellAtOnce(
    on,
    { type, from: self(on), to: addressIn(call.codeAddress), value, gas, input },
    error,
  );
}

function lookAtCreation(on: Interpreter, gas: bigint, value: bigint, input: Uint8Array): void {
  const type = noteType(on);
  const error = whyNot(on, value);
  if (error !== null) tellAtOnce(on, { type, from: self(on), to: null, value, gas, input }, error);
}

function lookAtEnd(on: Interpreter, heir: Bytes): void {
  const { balance: value } = on._env.contract;
  const end = { from: self(on), to: addressIn(heir), value, gas: 0n, input: EMPTY_BYTES };
  tellAtOnce(on, { type: 'SELFDESTRUCT', ...end }, null);
}

function lookAtLog(on: Interpreter, data: Uint8Array, _: number, topics: Uint8Array[]): void {
  const log = logFromLibrary([on._env.address.bytes, topics, data]);
  on._evm.tell(() => on._evm.observer?.log(log));
}

/** The library looks at the same before it begins a call. */
function whyNot({ _env: { depth, contract } }: Interpreter, value: bigint): string | null {
  if (depth >= depthMax) return 'max call depth exceeded';
  return contract.balance < value ? 'insufficient balance for transfer' : null;
}

function tellAtOnce({ _evm }: Interpreter, call: CallBegin, error: string | null): void {
  const end: CallEnd = { gasUsed: 0n, output: EMPTY_BYTES, error, created: null };
  _evm.tell(() => {
    _evm.observer?.enter(call);
    _evm.observer?.exit(end);
  });
}

function noteType({ _evm, _runState }: Interpreter): CallType {
  const type = TYPES.get(_runState.opCode);
  assert(type !== undefined, 'a call is made by an opcode that makes calls');
  _evm.callType = type;
  return type;
}

function self({ _env }: Interpreter): Address {
  return addressIn(_env.address);
}

function addressIn({ bytes }: Bytes): Address {
  return toHex(bytes) as string as Address;
}
