import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { encodeAbiParameters, keccak256 } from 'viem';
import {
  address,
  array,
  bool,
  bytes,
  bytes32,
  fixedBytes,
  mapping,
  packed,
  setValues,
  storage,
  string,
  struct,
  uint,
  valuesOf,
} from '#src/ledger/payments/storage.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { toBareHex } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';

const ACCOUNT = `0x${'c0'.repeat(20)}` as Address;
const owner = `0x${'ab'.repeat(20)}` as Address;
const id = `0x${'1d'.repeat(32)}` as Hash;

const pair = struct({
  small: uint(16),
  owner: address,
  flag: bool,
  tag: fixedBytes(4),
  big: uint(256),
});
/*
 * contract C {
 *   uint64 a; bool b; address c; // slot 0, from the low end; c fits: 8 + 1 + 20 = 29
 *   uint32 d;                    // 29 + 4 > 32: slot 1
 *   uint256 e;                   // 2
 *   mapping(bytes32 => Pair) f;  // 3
 *   uint64[] g;                  // 4
 *   Pair[] h;                    // 5
 *   string i; bytes j;           // 6, 7
 *   mapping(address => mapping(uint64 => uint8)) k; // 8
 *   Pair l;                      // 9 and 10
 *   uint8 m;                     // 11
 * }
 */
const store = storage(ACCOUNT, {
  a: uint(64),
  b: bool,
  c: address,
  d: uint(32),
  e: uint(256),
  f: mapping(bytes32, pair),
  g: array(uint(64)),
  h: array(pair),
  i: string,
  j: bytes,
  k: mapping(address, mapping(uint(64), uint(8))),
  l: pair,
  m: uint(8),
});

const fresh = () => new Overlay(emptyState);

function slot(state: Overlay, place: bigint): string {
  const key = place.toString(16).padStart(64, '0');
  return toBareHex(state.slot(ACCOUNT, key)).padStart(64, '0');
}

const hash = (types: readonly string[], values: readonly unknown[]): bigint =>
  BigInt(
    keccak256(
      encodeAbiParameters(
        types.map((type) => ({ type })),
        values as never,
      ),
    ),
  );

const one = { small: 0x1234n, owner, flag: true, tag: '0xdeadbeef' as const, big: 7n };
// From the high end: 5 unused bytes, tag, flag, owner, small.
const oneFirst = `${'00'.repeat(5)}deadbeef01${'ab'.repeat(20)}1234`;
const oneSecond = '7'.padStart(64, '0');

describe("a contract's storage lies as Solidity lays it", () => {
  it('packs small values from the low end, in order', () => {
    const state = fresh();
    store.a.set(state, 5n);
    store.b.set(state, true);
    store.c.set(state, owner);
    store.d.set(state, 9n);
    store.e.set(state, 1n << 255n);
    store.m.set(state, 255n);
    assert.equal(slot(state, 0n), `${'00'.repeat(3)}${'ab'.repeat(20)}01${'5'.padStart(16, '0')}`);
    assert.equal(slot(state, 1n), '9'.padStart(64, '0'));
    assert.equal(slot(state, 2n), `8${'0'.repeat(63)}`);
    assert.equal(slot(state, 11n), 'ff'.padStart(64, '0'));
    store.b.set(state, false);
    assert.deepEqual(
      [store.a.get(state), store.b.get(state), store.c.get(state)],
      [5n, false, owner],
    );
  });

  it('puts what a mapping holds at the keccak of key and slot', () => {
    const state = fresh();
    store.f(id).set(state, one);
    const at = hash(['bytes32', 'uint256'], [id, 3n]);
    assert.equal(slot(state, at), oneFirst);
    assert.equal(slot(state, at + 1n), oneSecond);
    assert.deepEqual(store.f(id).get(state), one);
    store.k(owner)(3n).set(state, 200n);
    const outer = hash(['address', 'uint256'], [owner, 8n]);
    assert.equal(slot(state, hash(['uint64', 'uint256'], [3n, outer])), 'c8'.padStart(64, '0'));
  });

  it('tells a packed word as whoever asks lays it out, and as it is now', () => {
    const two = storage(ACCOUNT, { word: packed({ low: uint(8), high: uint(8) }) }).word;
    const one = storage(ACCOUNT, { word: packed({ both: uint(16) }) }).word;
    const state = new Overlay(emptyState);
    for (const [low, high] of [
      [1n, 2n],
      [1n, 3n],
      [0n, 0n],
    ] as const) {
      two.set(state, { low, high });
      for (let again = 0; again < 2; again++) {
        assert.deepEqual(two.get(state), { low, high });
        assert.deepEqual(one.get(state), { both: high * 256n + low });
      }
    }
  });

  it('gives back the text that was written, also behind a byte order mark', () => {
    const state = fresh();
    for (const text of ['', '\ufeffa', `\ufeff${'é'.repeat(40)}`]) {
      store.i.set(state, text);
      assert.equal(store.i.get(state), text);
    }
  });

  it('puts what an array holds behind the keccak of its slot, small values four to a slot', () => {
    const state = fresh();
    setValues(store.g, state, [1n, 2n, 3n, 4n, 5n], 0n);
    const at = hash(['uint256'], [4n]);
    assert.equal(slot(state, 4n), '5'.padStart(64, '0'));
    const four = [4, 3, 2, 1].map((value) => `${value}`.padStart(16, '0')).join('');
    assert.equal(slot(state, at), four);
    assert.equal(slot(state, at + 1n), '5'.padStart(64, '0'));
    setValues(store.g, state, [9n], 0n);
    assert.deepEqual(valuesOf(store.g, state), [9n]);
    assert.equal(slot(state, at), '9'.padStart(64, '0'));
    assert.equal(slot(state, at + 1n), '0'.repeat(64));
    store.h.push(state);
    store.h.push(state).set(state, one);
    const second = hash(['uint256'], [5n]) + 2n;
    assert.deepEqual([slot(state, second), slot(state, second + 1n)], [oneFirst, oneSecond]);
    store.l.set(state, one);
    assert.deepEqual([slot(state, 9n), slot(state, 10n)], [oneFirst, oneSecond]);
  });

  it('keeps 31 bytes in the slot and more behind its keccak, and clears what falls away', () => {
    const state = fresh();
    const long = 'x'.repeat(33);
    store.i.set(state, 'y'.repeat(31));
    assert.equal(slot(state, 6n), `${'79'.repeat(31)}3e`);
    store.i.set(state, long);
    assert.equal(slot(state, 6n), '43'.padStart(64, '0'));
    const at = hash(['uint256'], [6n]);
    assert.equal(slot(state, at), '78'.repeat(32));
    assert.equal(slot(state, at + 1n), `78${'00'.repeat(31)}`);
    assert.equal(store.i.get(state), long);
    store.i.set(state, '');
    for (const place of [6n, at, at + 1n]) assert.equal(slot(state, place), '0'.repeat(64));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (value) => {
        store.j.set(state, value);
        assert.deepEqual(store.j.get(state), value);
      }),
    );
  });
});
