/**
 * Solidity's ABI (contract ABI specification, "Formal Specification of the Encoding"), strict: no
 * read outside the data, no dirty high bits, booleans of 0 or 1, texts of sound UTF-8. Offsets need
 * not be canonical, but nothing may be read twice: honest encodings use every byte at most once,
 * and so a decoded value is never larger than the data that it came from.
 *
 * Values: `uintN` is a bigint, `bytesN` hexadecimal text (a map key, a topic), `bytes` bytes, a
 * tuple an object by the names of its parts.
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import {
  bytesToUint,
  concatBytes,
  type Hex,
  hexBytes,
  toHex,
  uintToBytes,
  utf8,
} from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';

/** What of a parsed ABI's parameter is needed here. */
export type Param = {
  readonly type: string;
  readonly name?: string | undefined;
  readonly components?: readonly Param[] | undefined;
};

/** The TypeScript value of a parameter, from its type as the ABI text has it. */
export type ValueOf<P extends Param> = OfType<P['type'], P>;

type OfType<T extends string, P extends Param> = T extends `${infer Item}[${string}]`
  ? readonly OfType<Item, P>[]
  : T extends 'address'
    ? Address
    : T extends 'bool'
      ? boolean
      : T extends 'string'
        ? string
        : T extends 'bytes'
          ? Uint8Array
          : T extends 'bytes32'
            ? Hash
            : T extends `bytes${number}`
              ? Hex
              : T extends `uint${string}`
                ? bigint
                : T extends 'tuple'
                  ? TupleOf<P['components']>
                  : never;

type TupleOf<C> = C extends readonly Param[]
  ? { readonly [K in C[number] as NameOf<K>]: ValueOf<K> }
  : never;

type NameOf<P> = P extends { readonly name: infer N extends string } ? N : never;

/** The values of a list of parameters, in order. */
export type ValuesOf<L extends readonly Param[]> = {
  readonly [K in keyof L]: L[K] extends Param ? ValueOf<L[K]> : never;
};

export type Codec = {
  /** Bytes that a value takes in the head of what holds it: 32 for an offset. */
  readonly head: number;
  readonly isDynamic: boolean;
  /** Of a value that is one word. */
  readonly word?: WordType;
  readonly encode: (value: unknown) => Uint8Array;
  /** Reads at a position; throws `AbiError` and nothing else. */
  readonly decode: (data: Source, at: number) => unknown;
};

/** Data that is not an encoding of the wanted types. Caught where a call begins. */
export class AbiError extends Error {
  readonly code = 'ABI';
  constructor(reason: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(reason);
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Parameters as a function's arguments, its results or a log's data: a tuple without names. */
export class ParamsCodec {
  /** `(uint64,bytes)`: what a selector is made of. */
  readonly signature: string;
  readonly #codec: Codec;

  constructor(params: readonly Param[]) {
    this.signature = `(${params.map(typeText).join(',')})`;
    this.#codec = sequence(params.map(codecOf));
  }

  encode(values: readonly unknown[]): Uint8Array {
    return this.#codec.encode(values);
  }

  /** Throws `AbiError`. */
  decode(bytes: Uint8Array): readonly unknown[] {
    return this.#codec.decode(new Source(bytes), 0) as readonly unknown[];
  }
}

/** The type as it stands in a signature: tuples by their parts. */
export function typeText({ type, components }: Param): string {
  if (!type.startsWith('tuple')) return type;
  return `(${(components ?? []).map(typeText).join(',')})${type.slice('tuple'.length)}`;
}

export function selectorOf(signature: string): Hex {
  return toHex(keccak256(utf8(signature)).subarray(0, 4));
}

// --- the codec of a type -------------------------------------------------------------------------

export function codecOf(param: Param): Codec {
  const { type } = param;
  const list = /^(.*)\[(\d*)\]$/.exec(type);
  if (list !== null) {
    const [, itemType = '', length = ''] = list;
    const item = codecOf({ ...param, type: itemType });
    if (length === '') return listOf(item);
    assert(Number(length) > 0, `an array of ${length} has no codec`);
    return sequence(Array<Codec>(Number(length)).fill(item));
  }
  if (type === 'tuple') return tuple(param.components ?? []);
  const uint = /^uint(\d+)$/.exec(type);
  if (uint !== null) return word(uintWord(Number(uint[1])));
  const fixed = /^bytes(\d+)$/.exec(type);
  if (fixed !== null) return word(bytesWord(Number(fixed[1])));
  if (type === 'address') return word(addressWord);
  if (type === 'bool') return word(boolWord);
  if (type === 'bytes')
    return byteString(
      (value) => value as Uint8Array,
      (bytes) => bytes.slice(),
    );
  assert(type === 'string', `no codec for ${type}`);
  return byteString((value) => utf8(value as string), text);
}

/** A value of up to 32 bytes: a word of the ABI, and a part of a storage slot. */
export type WordType = {
  /** Of the value alone. */
  readonly bytes: number;
  readonly toBytes: (value: unknown) => Uint8Array;
  /** From bytes that are sound. */
  readonly fromBytes: (bytes: Uint8Array) => unknown;
  /** 32 bytes. */
  readonly toWord: (value: unknown) => Uint8Array;
  /** Throws `AbiError`. */
  readonly fromWord: (word: Uint8Array) => unknown;
  /** The word in 64 digits. */
  readonly toDigits: (value: unknown) => string;
};

export function uintWord(bits: number): WordType {
  assert(bits > 0 && bits <= 256 && bits % 8 === 0, `uint${bits}`);
  const bytes = bits / 8;
  return {
    bytes,
    toBytes: (value) => uintToBytes(value as bigint, bytes),
    fromBytes: bytesToUint,
    toWord: (value) => {
      const number = value as bigint;
      assert(number >= 0n && number >> BigInt(bits) === 0n, `a value fits uint${bits}`);
      return uintToBytes(number, 32);
    },
    fromWord: (word) => {
      needZeros(word, 0, 32 - bytes);
      return bytesToUint(word);
    },
    toDigits: (value) => (value as bigint).toString(16).padStart(64, '0'),
  };
}

export const addressWord: WordType = {
  bytes: 20,
  toBytes: (value) => addressToBytes(value as Address),
  fromBytes: addressFromBytes,
  toWord: (value) => concatBytes(new Uint8Array(12), addressToBytes(value as Address)),
  fromWord: (word) => {
    needZeros(word, 0, 12);
    return addressFromBytes(word.subarray(12));
  },
  toDigits: (value) => `${ADDRESS_PADDING}${(value as Address).slice(2)}`,
};
const ADDRESS_PADDING = '00'.repeat(12);

export const boolWord: WordType = {
  bytes: 1,
  toBytes: (value) => Uint8Array.of(value === true ? 1 : 0),
  fromBytes: (bytes) => bytes[0] === 1,
  toWord: (value) => uintToBytes(value === true ? 1n : 0n, 32),
  fromWord: (word) => {
    needZeros(word, 0, 31);
    const bit = word[31] ?? 0;
    if (bit > 1) throw new AbiError('a boolean is 0 or 1');
    return bit === 1;
  },
  toDigits: (value) => (value === true ? '1' : '0').padStart(64, '0'),
};

/** Left-aligned in a word, unlike numbers. */
export function bytesWord(bytes: number): WordType {
  assert(bytes > 0 && bytes <= 32, `bytes${bytes}`);
  const toBytes = (value: unknown) => {
    const given = value as Hex;
    assert(given.length === 2 + 2 * bytes, `a value fits bytes${bytes}`);
    return hexBytes(given);
  };
  return {
    bytes,
    toBytes,
    fromBytes: toHex,
    toWord: (value) => concatBytes(toBytes(value), new Uint8Array(32 - bytes)),
    fromWord: (word) => {
      needZeros(word, bytes, 32);
      return toHex(word.subarray(0, bytes));
    },
    toDigits: (value) => (value as string).slice(2).padEnd(64, '0'),
  };
}

function word(type: WordType): Codec {
  return {
    head: 32,
    isDynamic: false,
    word: type,
    encode: type.toWord,
    decode: (data, at) => type.fromWord(data.take(at, 32)),
  };
}

function byteString(
  toBytes: (value: unknown) => Uint8Array,
  fromBytes: (bytes: Uint8Array) => unknown,
): Codec {
  return {
    head: 32,
    isDynamic: true,
    encode: (value) => {
      const bytes = toBytes(value);
      const padding = new Uint8Array((32 - (bytes.length % 32)) % 32);
      return concatBytes(uintToBytes(BigInt(bytes.length), 32), bytes, padding);
    },
    decode: (data, at) => {
      const length = data.length(at);
      const bytes = data.take(at + 32, Math.ceil(length / 32) * 32);
      needZeros(bytes, length, bytes.length);
      return fromBytes(bytes.subarray(0, length));
    },
  };
}

/** Parts one after another: heads first, then what the offsets among them point to. */
function sequence(items: readonly Codec[]): Codec {
  const heads = items.reduce((sum, { isDynamic, head }) => sum + (isDynamic ? 32 : head), 0);
  const isDynamic = items.some((item) => item.isDynamic);
  return {
    head: isDynamic ? 32 : heads,
    isDynamic,
    encode: (value) => {
      const values = value as readonly unknown[];
      assert(values.length === items.length, `${items.length} values`);
      if (!isDynamic) return inOrder(items, values, heads);
      const front: Uint8Array[] = [];
      const back: Uint8Array[] = [];
      let tail = heads;
      for (const [index, item] of items.entries()) {
        const encoded = item.encode(values[index]);
        if (!item.isDynamic) {
          front.push(encoded);
          continue;
        }
        front.push(uintToBytes(BigInt(tail), 32));
        back.push(encoded);
        tail += encoded.length;
      }
      return concatBytes(...front, ...back);
    },
    decode: (data, base) => {
      let at = base;
      return items.map((item) => {
        const here = at;
        at += item.isDynamic ? 32 : item.head;
        return item.decode(data, item.isDynamic ? base + data.offset(here) : here);
      });
    },
  };
}

/** Parts of a fixed length: no offsets among them. */
function inOrder(items: readonly Codec[], values: readonly unknown[], length: number): Uint8Array {
  const encoded = new Uint8Array(length);
  let at = 0;
  for (const [index, item] of items.entries()) {
    encoded.set(item.encode(values[index]), at);
    at += item.head;
  }
  return encoded;
}

function listOf(item: Codec): Codec {
  const step = item.isDynamic ? 32 : item.head;
  return {
    head: 32,
    isDynamic: true,
    encode: (value) => {
      const values = value as readonly unknown[];
      const body = sequence(Array<Codec>(values.length).fill(item)).encode(values);
      return concatBytes(uintToBytes(BigInt(values.length), 32), body);
    },
    decode: (data, at) => {
      const length = data.length(at);
      // Before anything is made of it: a length alone costs the sender nothing.
      data.needs(at + 32, length * step);
      return sequence(Array<Codec>(length).fill(item)).decode(data, at + 32);
    },
  };
}

function tuple(components: readonly Param[]): Codec {
  const names = components.map(({ name }) => name ?? '');
  assert(names.length > 0 && !names.includes(''), 'a tuple has parts with names');
  const parts = sequence(components.map(codecOf));
  return {
    ...parts,
    encode: (value) => {
      const fields = value as Readonly<Record<string, unknown>>;
      return parts.encode(names.map((name) => fields[name]));
    },
    decode: (data, at) => {
      const values = parts.decode(data, at) as readonly unknown[];
      return Object.fromEntries(names.map((name, index) => [name, values[index]]));
    },
  };
}

// --- reading -------------------------------------------------------------------------------------

/** Bytes that are read at most once over: `left` falls with every read. */
export class Source {
  readonly #bytes: Uint8Array;
  #left: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#left = bytes.length;
  }

  needs(at: number, length: number): void {
    if (at + length > this.#bytes.length) throw new AbiError('the data is too short');
  }

  take(at: number, length: number): Uint8Array {
    this.needs(at, length);
    this.#left -= length;
    if (this.#left < 0) throw new AbiError('a part of the data is used twice');
    return this.#bytes.subarray(at, at + length);
  }

  offset(at: number): number {
    return this.#small(at);
  }

  length(at: number): number {
    return this.#small(at);
  }

  /** Whatever is longer than the data points outside it. */
  #small(at: number): number {
    const value = bytesToUint(this.take(at, 32));
    if (value > BigInt(this.#bytes.length)) throw new AbiError('an offset outside the data');
    return Number(value);
  }
}

function needZeros(bytes: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    if (bytes[i] !== 0) throw new AbiError('bits outside the value are set');
  }
}

/** A byte order mark is a character like any other here: the text has to survive the round trip. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new AbiError('a text is not UTF-8');
  }
}
