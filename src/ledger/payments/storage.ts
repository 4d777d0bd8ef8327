/**
 * A contract's storage as Solidity lays it out ("Layout of State Variables in Storage"): variables
 * in declared order from slot 0, small ones packed into one slot from its low end, mappings at
 * `keccak256(key ‖ slot)`, dynamic arrays from `keccak256(slot)`, short strings in their own slot.
 * So `eth_getStorageAt`, `eth_getProof` and any reader made for Solidity work on it.
 *
 *     const store = storage(ADDRESS, { count: uint(64), names: mapping(bytes32, string) });
 *     store.names(id).set(state, 'alpha');
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import {
  bytesToUint,
  concatBytes,
  type Hex,
  toBareHex,
  uintToBytes,
  utf8,
} from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { trimSlot } from '../state/overlay.ts';
import type { SlotKey, StateReader, StateWriter } from '../state/reader.ts';
import { addressWord, boolWord, bytesWord, uintWord, type WordType } from './abi.ts';

export type Item<T> = {
  get(state: StateReader): T;
  set(state: StateWriter, value: T): void;
};

export type Items<V> = {
  length(state: StateReader): number;
  at(index: number): V;
  /** The place after the last, which then counts. */
  push(state: StateWriter): V;
  /** Forgets the last; what it held has to be cleared before. */
  pop(state: StateWriter): void;
};

/** Where a value is: an account's slot, and the byte in it from the low end. */
type Place = {
  readonly account: Address;
  readonly slot: bigint;
  readonly byte: number;
  /** Of the slot, where it is known already. */
  readonly key?: SlotKey;
};

/** A type of variable: how much room it takes, and what one sees of it at a place. */
export type Kind<V> = {
  /** Less than 32 shares a slot with its neighbours; 32 begins a slot of its own. */
  readonly bytes: number;
  readonly slots: bigint;
  readonly at: (place: Place) => V;
};

/** A kind that fits one word, and so can be a mapping's key. */
export type WordKind<T> = Kind<Item<T>> & { readonly word: WordType };

type Fields = Readonly<Record<string, Kind<unknown>>>;
type Views<F extends Fields> = { readonly [K in keyof F]: F[K] extends Kind<infer V> ? V : never };
type ItemOf<K> = K extends Kind<infer V> ? (V extends Item<infer T> ? T : never) : never;
/** A struct's fields, each alone or, those that are single values, all together. */
type StructView<F extends Fields> = Views<F> & Item<{ readonly [K in keyof F]: ItemOf<F[K]> }>;

/** The variables of a contract. */
export function storage<F extends Fields>(account: Address, fields: F): Views<F> {
  return storages(fields)(account);
}

/** Of a contract that there are many of. */
export function storages<F extends Fields>(fields: F): (account: Address) => Views<F> {
  const views = viewsOf(fields);
  return (account) => views({ account, slot: 0n, byte: 0 });
}

export const uint = (bits: number): WordKind<bigint> => single(uintWord(bits));
export const bool: WordKind<boolean> = single(boolWord);
export const address: WordKind<Address> = single(addressWord);
export const bytes32: WordKind<Hash> = single(bytesWord(32));
export const fixedBytes = (length: number): WordKind<Hex> => single(bytesWord(length));

export const bytes: Kind<Item<Uint8Array>> = { bytes: 32, slots: 1n, at: byteString };

export const string: Kind<Item<string>> = {
  bytes: 32,
  slots: 1n,
  at: (place) => {
    const raw = byteString(place);
    return {
      get: (state) => decoder.decode(raw.get(state)),
      set: (state, value) => raw.set(state, utf8(value)),
    };
  },
};

/** What was written comes back, also where it begins with a byte order mark. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function struct<F extends Fields>(fields: F): Kind<StructView<F>> {
  const { slots } = layoutOf(fields);
  const views = viewsOf(fields);
  const names = Object.keys(fields);
  const itemOf = (parts: Views<F>, name: string) => parts[name] as Item<unknown>;
  return {
    bytes: 32,
    slots,
    at: (place) => {
      const parts = views(place);
      const whole: Item<Record<string, unknown>> = {
        get: (state) =>
          Object.fromEntries(names.map((name) => [name, itemOf(parts, name).get(state)])),
        set: (state, value) => {
          for (const name of names) itemOf(parts, name).set(state, value[name]);
        },
      };
      return Object.assign(parts, whole) as StructView<F>;
    },
  };
}

/**
 * A struct of single values that share one slot, read and written whole: a touch of a slot has its
 * price, and so has a touch of each part.
 */
export function packed<F extends Readonly<Record<string, WordKind<unknown>>>>(
  fields: F,
): Kind<Item<{ readonly [K in keyof F]: ItemOf<F[K]> }>> {
  const { places, slots } = layoutOf(fields);
  assert(slots === 1n, 'what is packed fits a slot');
  const parts = Object.entries(fields).map(([name, { word }]) => {
    const byte = places.get(name)?.byte ?? 0;
    return { name, word, from: 32 - byte - word.bytes, to: 32 - byte };
  });
  type Whole = { readonly [K in keyof F]: ItemOf<F[K]> };
  const zeros = parts.map(({ name, word }) => [name, word.fromBytes(new Uint8Array(word.bytes))]);
  const nothing = Object.freeze(Object.fromEntries(zeros)) as Whole;
  /** The same bytes are read over and over while a block is executed; nobody writes into them. */
  const known = new WeakMap<Uint8Array, Whole>();
  const read = (stored: Uint8Array): Whole => {
    const whole = new Uint8Array(32);
    whole.set(stored, 32 - stored.length);
    const value: Record<string, unknown> = {};
    for (const { name, word, from, to } of parts) {
      value[name] = word.fromBytes(whole.subarray(from, to));
    }
    return Object.freeze(value) as Whole;
  };
  const at = ({ account, slot, key }: Place): Item<Whole> => ({
    get: (state) => {
      const stored = state.slot(account, key ?? slotKey(slot));
      if (stored.length === 0) return nothing;
      let value = known.get(stored);
      if (value === undefined) {
        value = read(stored);
        known.set(stored, value);
      }
      return value;
    },
    set: (state, value) => {
      const whole = new Uint8Array(32);
      for (const { name, word, from } of parts) whole.set(word.toBytes(value[name]), from);
      state.setSlot(account, key ?? slotKey(slot), trimSlot(whole));
    },
  });
  return { bytes: 32, slots: 1n, at };
}

export function mapping<T, V>(key: WordKind<T>, kind: Kind<V>): Kind<(key: T) => V> {
  return {
    bytes: 32,
    slots: 1n,
    at: ({ account, slot }) => {
      const known = slotsKnown(slot);
      return (value) => {
        let place = known.get(value);
        if (place === undefined) {
          const preimage = concatBytes(key.word.toWord(value), uintToBytes(slot, 32));
          const hash = keccak256(preimage);
          place = { slot: bytesToUint(hash), byte: 0, key: toBareHex(hash) };
          if (known.size >= slotsKnownMax) known.clear();
          known.set(value, place);
        }
        return kind.at({ account, ...place });
      };
    },
  };
}

/** Where a small mapping's values are, for the slots of variables: the same keys come again. */
const slotsKnownMax = 2_048;
type Known = Map<unknown, Omit<Place, 'account'>>;
const slotsByBase = new Map<bigint, Known>();

const slotsBehind = new Map<bigint, bigint>();

/** Where what does not fit a slot goes on. */
function slotBehind(slot: bigint): bigint {
  let behind = slotsBehind.get(slot);
  if (behind === undefined) {
    behind = bytesToUint(keccak256(uintToBytes(slot, 32)));
    if (slotsBehind.size >= slotsKnownMax) slotsBehind.clear();
    slotsBehind.set(slot, behind);
  }
  return behind;
}

/** Nested mappings are not remembered: their slots are without end. */
function slotsKnown(base: bigint): Known {
  if (base > 255n) return new Map();
  let known = slotsByBase.get(base);
  if (known === undefined) {
    known = new Map();
    slotsByBase.set(base, known);
  }
  return known;
}

export function array<V>(kind: Kind<V>): Kind<Items<V>> {
  const perSlot = Math.floor(32 / kind.bytes);
  return {
    bytes: 32,
    slots: 1n,
    at: (place) => {
      const length = uint(256).at(place);
      const { account, slot } = place;
      const at = (index: number) => {
        const base = slotBehind(slot);
        const row = BigInt(Math.floor(index / perSlot)) * kind.slots;
        const byte = (index % perSlot) * kind.bytes;
        return kind.at({ account, slot: (base + row) & SLOT_MASK, byte });
      };
      const count = (state: StateReader) => Number(length.get(state));
      return {
        length: count,
        at,
        push: (state) => {
          const index = count(state);
          length.set(state, BigInt(index) + 1n);
          return at(index);
        },
        pop: (state) => {
          const index = count(state);
          assert(index > 0, 'only what is there is taken');
          length.set(state, BigInt(index) - 1n);
        },
      };
    },
  };
}

/** All of a list of single values, in order. */
export function valuesOf<T>(items: Items<Item<T>>, state: StateReader): T[] {
  return Array.from({ length: items.length(state) }, (_, index) => items.at(index).get(state));
}

/** Replaces a list of single values; places that fall away are cleared. */
export function setValues<T>(
  items: Items<Item<T>>,
  state: StateWriter,
  values: readonly T[],
  cleared: T,
): void {
  for (let length = items.length(state); length > values.length; length--) {
    items.at(length - 1).set(state, cleared);
    items.pop(state);
  }
  for (const [index, value] of values.entries()) {
    const place = index < items.length(state) ? items.at(index) : items.push(state);
    place.set(state, value);
  }
}

// --- slots ---------------------------------------------------------------------------------------

const SLOT_MASK = (1n << 256n) - 1n;

export function readSlot(state: StateReader, account: Address, slot: bigint): Uint8Array {
  const stored = state.slot(account, slotKey(slot));
  const word = new Uint8Array(32);
  word.set(stored, 32 - stored.length);
  return word;
}

function writeSlot(state: StateWriter, account: Address, slot: bigint, word: Uint8Array): void {
  state.setSlot(account, slotKey(slot), trimSlot(word));
}

function slotKey(slot: bigint): string {
  return slot.toString(16).padStart(64, '0');
}

function single<T>(word: WordType): WordKind<T> {
  const { bytes: width } = word;
  return {
    word,
    bytes: width,
    slots: 1n,
    at: ({ account, slot, byte, key }) => {
      const from = 32 - byte - width;
      return {
        get: (state) => {
          // Without leading zeros: of the part there may be less than its width, or nothing.
          const stored = state.slot(account, key ?? slotKey(slot));
          const end = stored.length - byte;
          const begin = end > width ? end - width : 0;
          const value = new Uint8Array(width);
          for (let at = begin; at < end; at++) value[width - end + at] = stored[at] ?? 0;
          return word.fromBytes(value) as T;
        },
        set: (state, value) => {
          const whole = readSlot(state, account, slot);
          whole.set(word.toBytes(value), from);
          writeSlot(state, account, slot, whole);
        },
      };
    },
  };
}

/** Up to 31 bytes stand in the slot with twice their length; more stand from its keccak on. */
function byteString({ account, slot }: Place): Item<Uint8Array> {
  const lengthOf = (word: Uint8Array) => {
    const last = word[31] ?? 0;
    return last % 2 === 0 ? last / 2 : (Number(bytesToUint(word.subarray(26))) - 1) / 2;
  };
  const rows = (length: number) => (length < 32 ? 0 : Math.ceil(length / 32));
  return {
    get: (state) => {
      const word = readSlot(state, account, slot);
      const length = lengthOf(word);
      if (length < 32) return word.slice(0, length);
      const whole = new Uint8Array(rows(length) * 32);
      const from = slotBehind(slot);
      for (let row = 0; row < rows(length); row++) {
        const part = state.slot(account, slotKey((from + BigInt(row)) & SLOT_MASK));
        whole.set(part, 32 * row + 32 - part.length);
      }
      return whole.subarray(0, length);
    },
    set: (state, value) => {
      const before = rows(lengthOf(readSlot(state, account, slot)));
      const after = rows(value.length);
      const head = new Uint8Array(32);
      if (after === 0) {
        head.set(value);
        head[31] = 2 * value.length;
      } else head.set(uintToBytes(2n * BigInt(value.length) + 1n, 32));
      writeSlot(state, account, slot, head);
      const from = before + after > 0 ? slotBehind(slot) : 0n;
      for (let row = 0; row < Math.max(before, after); row++) {
        const part = new Uint8Array(32);
        part.set(value.subarray(32 * row, row < after ? 32 * row + 32 : 0));
        writeSlot(state, account, (from + BigInt(row)) & SLOT_MASK, part);
      }
    },
  };
}

type Layout = { readonly places: ReadonlyMap<string, Omit<Place, 'account'>>; slots: bigint };

/** In order; a value that does not fit what is left of a slot begins the next one. */
function layoutOf(fields: Fields): Layout {
  const places = new Map<string, Omit<Place, 'account'>>();
  let slot = 0n;
  let byte = 0;
  for (const [name, kind] of Object.entries(fields)) {
    if (byte > 0 && byte + kind.bytes > 32) {
      slot++;
      byte = 0;
    }
    places.set(name, { slot, byte });
    byte += kind.bytes;
    if (byte < 32) continue;
    slot += kind.slots;
    byte = 0;
  }
  return { places, slots: byte > 0 ? slot + 1n : slot };
}

/** What one sees of fields at a place: laid out once, and each looked up only when it is used. */
function viewsOf<F extends Fields>(fields: F): (place: Place) => Views<F> {
  const { places } = layoutOf(fields);
  const prototype = {};
  for (const [name, kind] of Object.entries(fields)) {
    const offset = places.get(name);
    assert(offset !== undefined, 'every field has its place');
    Object.defineProperty(prototype, name, {
      get(this: { readonly place: Place }) {
        const { account, slot } = this.place;
        const { byte } = offset;
        if (offset.slot === 0n) return kind.at({ ...this.place, byte });
        return kind.at({ account, slot: (slot + offset.slot) & SLOT_MASK, byte });
      },
    });
  }
  return (place) => Object.assign(Object.create(prototype), { place }) as Views<F>;
}
