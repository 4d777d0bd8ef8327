/**
 * What a native contract is: an address, an ABI as text, and one function of TypeScript for each
 * function of the ABI. Each contract stands in a file of its own and is made by `defineContract`, or
 * by `defineTemplate` where there are many of it; `fail` and `log` are its errors and events, typed
 * by the same text. A function that shares its name with another one is named with its types.
 *
 * A function checks in order and throws `fail(…)` at the first thing that is wrong; whatever it has
 * done is then taken back. It costs a constant, and `spend` adds what each item costs. It never
 * calls users' code, reads no clock and waits for nothing.
 */
import type {
  Abi,
  AbiFunction,
  ExtractAbiError,
  ExtractAbiErrorNames,
  ExtractAbiEvent,
  ExtractAbiEventNames,
} from 'abitype';
import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, fromHex, type Hex, toHex, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import type { Height } from '#src/types/units.ts';
import type { StateReader, StateWriter } from '../state/reader.ts';
import {
  codecOf,
  type Param,
  ParamsCodec,
  selectorOf,
  type ValueOf,
  type ValuesOf,
  type WordType,
} from './abi.ts';

/** What a contract may know of the block that it runs in. */
export type BlockFacts = { readonly height: Height; readonly timestampMs: number };

/** What a view sees. */
export type View = {
  readonly state: StateReader;
  readonly sender: Address;
  /** The contract's own address. */
  readonly self: Address;
  readonly block: BlockFacts;
  /** Unix seconds of the block. */
  readonly now: bigint;
  /** Gas beyond the function's constant. */
  spend(gas: bigint): void;
};

export type Call = Omit<View, 'state'> & {
  readonly state: StateWriter;
  /** Of the native coin, with the contract already. */
  readonly value: bigint;
  emit(log: Log): void;
  /** Moves the contract's own coin. */
  pay(to: Address, amount: bigint): void;
  /** From now on there is a contract at this address, to every tool. */
  found(address: Address): void;
  /** Another native contract, with this one as the sender. */
  invoke(to: Address, data: Uint8Array): void;
  /** Whether this is a function that governance may call. */
  isGoverned(to: Address, data: Uint8Array): boolean;
};

/** A function that took everything back; its data is an error of the ABI. */
export class Revert extends Error {
  /** Of the ABI. */
  readonly error: string;
  readonly data: Uint8Array;
  constructor(error: string, reason: string, data: Uint8Array) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(reason);
    Error.stackTraceLimit = stackTraceLimit;
    this.error = error;
    this.data = data;
  }
}

/** Every contract has these; they belong into its ABI. */
export const commonErrors = [
  'error UnknownFunction(bytes4 selector)',
  'error NotPayable(bytes4 selector)',
  'error BadCallData(bytes4 selector)',
  'error StaticCall(bytes4 selector)',
  'error DelegatedCall(bytes4 selector)',
] as const;

/** An item of an ABI that is longer than a line of code; the type is the whole text. */
export function long<const P extends readonly string[]>(...parts: P): Joined<P> {
  return parts.join(' ') as Joined<P>;
}

type Joined<P extends readonly string[]> = P extends readonly [
  infer First extends string,
  ...infer Rest extends readonly string[],
]
  ? Rest extends readonly []
    ? First
    : `${First} ${Joined<Rest>}`
  : '';

/** One function of a contract, with its types erased. */
export type NativeFunction = {
  readonly name: string;
  readonly gas: bigint;
  readonly isPayable: boolean;
  /** Writes nothing, and may be called where nothing may be written. */
  readonly isView: boolean;
  readonly isGoverned: boolean;
  readonly inputs: ParamsCodec;
  /** Of what `run` gives: nothing, one value, or a list of several. */
  readonly outputs: ParamsCodec;
  readonly outputCount: number;
  readonly run: (call: Call, ...values: readonly unknown[]) => unknown;
};

export type NativeContract = {
  readonly name: string;
  readonly address: Address;
  readonly abi: Abi;
  readonly functions: ReadonlyMap<Hex, NativeFunction>;
};

type FunctionOf<F extends AbiFunction> = {
  /** Beyond the transaction's own cost; per item see `View.spend`. */
  readonly gas: bigint;
  readonly isGoverned?: true;
  readonly run: (
    call: F['stateMutability'] extends 'view' | 'pure' ? View : Call,
    ...values: ValuesOf<F['inputs']>
  ) => ResultOf<F['outputs']>;
};

type FunctionsOf<A extends Abi> = Extract<A[number], { type: 'function' }>;
/** Its name, and with its types where another one has the same name. */
type KeyOf<A extends Abi, F extends FunctionsOf<A>> =
  IsOne<Extract<FunctionsOf<A>, { name: F['name'] }>> extends true ? F['name'] : SignatureOf<F>;
type IsOne<T, U = T> = T extends unknown ? ([U] extends [T] ? true : false) : never;
type SignatureOf<F extends AbiFunction> = `${F['name']}(${TypesOf<F['inputs']>})`;
type TypesOf<L extends readonly Param[]> = L extends readonly [
  infer First extends Param,
  ...infer Rest extends readonly Param[],
]
  ? Rest extends readonly []
    ? First['type']
    : `${First['type']},${TypesOf<Rest>}`
  : '';

type KeysOf<A extends Abi> =
  FunctionsOf<A> extends infer F extends FunctionsOf<A>
    ? F extends unknown
      ? KeyOf<A, F>
      : never
    : never;
type ByKey<A extends Abi, K extends string> =
  FunctionsOf<A> extends infer F
    ? F extends FunctionsOf<A>
      ? KeyOf<A, F> extends K
        ? F
        : never
      : never
    : never;
type FunctionTable<A extends Abi> = {
  readonly [K in KeysOf<A>]: FunctionOf<ByKey<A, K>>;
};

type ResultOf<L extends readonly Param[]> = L extends readonly []
  ? // biome-ignore lint/suspicious/noConfusingVoidType: what a function without a result gives
    void
  : L extends readonly [infer P extends Param]
    ? ValueOf<P>
    : ValuesOf<L>;

export function defineContract<const A extends Abi>(contract: {
  readonly name: string;
  readonly address: Address;
  readonly abi: A;
  readonly functions: FunctionTable<A>;
}): NativeContract {
  const { address, ...template } = contract;
  return defineTemplate(template)(address);
}

/** A contract that there are many of: at each address with a storage of its own. */
export function defineTemplate<const A extends Abi>(template: {
  readonly name: string;
  readonly abi: A;
  readonly functions: FunctionTable<A>;
}): (address: Address) => NativeContract {
  const { name, abi } = template;
  const given = template.functions as Readonly<Record<string, Untyped | undefined>>;
  const functions = new Map<Hex, NativeFunction>();
  for (const item of abi) {
    if (item.type !== 'function') continue;
    const { inputs, outputs, stateMutability } = item;
    const codec = new ParamsCodec(inputs);
    const signature = `${item.name}${codec.signature}`;
    const own = given[item.name] ?? given[signature];
    assert(own !== undefined, `${name}.${signature} is written`);
    const selector = selectorOf(signature);
    assert(!functions.has(selector), `${name}: selectors differ`);
    functions.set(selector, {
      name: item.name,
      gas: own.gas,
      isPayable: stateMutability === 'payable',
      isView: stateMutability === 'view' || stateMutability === 'pure',
      isGoverned: own.isGoverned === true,
      inputs: codec,
      outputs: new ParamsCodec(outputs),
      outputCount: outputs.length,
      run: own.run,
    });
  }
  return (address) => ({ name, address, abi, functions });
}

type Untyped = Pick<NativeFunction, 'gas' | 'run'> & { readonly isGoverned?: true };

/** Makes a contract's errors: `throw fail('NotAuthorized', caller)`. */
export function errorsOf<const A extends Abi>(
  abi: A,
): <N extends ExtractAbiErrorNames<A>>(
  name: N,
  ...values: ValuesOf<ExtractAbiError<A, N>['inputs']>
) => Revert {
  const known = new Map<string, { selector: Hex; codec: ParamsCodec }>();
  for (const item of abi) {
    if (item.type !== 'error') continue;
    const codec = new ParamsCodec(item.inputs);
    known.set(item.name, { selector: selectorOf(`${item.name}${codec.signature}`), codec });
  }
  return (name, ...values) => {
    const error = known.get(name);
    assert(error !== undefined, `error ${name} is in the ABI`);
    const all = values as readonly unknown[];
    const reason = `${name}(${all.map(spell).join(', ')})`;
    return new Revert(name, reason, concatBytes(bytesOf(error.selector), error.codec.encode(all)));
  };
}

/** Makes a contract's events: indexed parameters are topics, the others are data. */
export function eventsOf<const A extends Abi>(
  address: Address,
  abi: A,
): <N extends ExtractAbiEventNames<A>>(
  name: N,
  ...values: ValuesOf<ExtractAbiEvent<A, N>['inputs']>
) => Log {
  const make = templateEventsOf(abi);
  return (name, ...values) => make(address, name, ...values);
}

export function templateEventsOf<const A extends Abi>(
  abi: A,
): <N extends ExtractAbiEventNames<A>>(
  address: Address,
  name: N,
  ...values: ValuesOf<ExtractAbiEvent<A, N>['inputs']>
) => Log {
  const known = new Map<string, EventCodec>();
  for (const item of abi) if (item.type === 'event') known.set(item.name, eventCodec(item));
  return (address, name, ...values) => {
    const event = known.get(name);
    assert(event !== undefined, `event ${name} is in the ABI`);
    const { topic, words, data } = event;
    const all = values as readonly unknown[];
    const topics = [topic];
    const plain: unknown[] = [];
    for (const [index, word] of words.entries()) {
      if (word !== null) topics.push(`0x${word.toDigits(all[index])}` as Hash);
      else plain.push(all[index]);
    }
    return { address, topics, data: data.encode(plain) };
  };
}

type EventParam = Param & { readonly indexed?: boolean | undefined };
type EventCodec = {
  readonly topic: Hash;
  /** Of each parameter that is a topic; null for data. */
  readonly words: readonly (WordType | null)[];
  readonly data: ParamsCodec;
};

function eventCodec(event: { name: string; inputs: readonly EventParam[] }): EventCodec {
  const { signature } = new ParamsCodec(event.inputs);
  const words = event.inputs.map((param) => {
    if (param.indexed !== true) return null;
    const { word } = codecOf(param);
    assert(word !== undefined, 'a topic is one word');
    return word;
  });
  return {
    topic: keccakHash(utf8(`${event.name}${signature}`)),
    words,
    data: new ParamsCodec(event.inputs.filter(({ indexed }) => indexed !== true)),
  };
}

/** How a mapping's key is made of bytes of any length. */
export function hashKey(bytes: Uint8Array): Hash {
  return hashFromBytes(keccak256(bytes));
}

const textCharsShown = 80;

function spell(value: unknown): string {
  const text = value instanceof Uint8Array ? toHex(value) : String(value);
  return text.length > textCharsShown ? `${text.slice(0, textCharsShown)}...` : text;
}

function bytesOf(hex: Hex): Uint8Array {
  return fromHex(hex) ?? new Uint8Array(0);
}
