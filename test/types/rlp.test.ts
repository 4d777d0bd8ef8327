import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RLP } from '@ethereumjs/rlp';
import fc from 'fast-check';
import { decodeRlp, encodeRlp, type RlpItem, rlpDepthMax, uintToRlp } from '#src/types/rlp.ts';
import { bytes, listVectors, readVectors, testWithVectors } from './vectors.ts';

const bytesMax = 1 << 20;

const { item } = fc.letrec<{ item: RlpItem }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 300 })),
    fc.array(tie('item'), { maxLength: 6 }),
  ),
}));

/** The library takes a mutable list, and gives subclasses of arrays. */
const plain = (value: unknown): RlpItem =>
  Array.isArray(value) ? value.map(plain) : new Uint8Array(value as Uint8Array);

test('encodes as the common library does, and decodes back', () => {
  fc.assert(
    fc.property(item, (value) => {
      const encoded = encodeRlp(value);
      assert.deepEqual(encoded, RLP.encode(value as Uint8Array));
      const decoded = decodeRlp(encoded, bytesMax);
      assert.ok(decoded.ok);
      assert.deepEqual(plain(decoded.value), plain(value));
    }),
  );
});

test('what decodes is canonical: it encodes to the same bytes', () => {
  const mutated = fc
    .tuple(item, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
    .map(([value, flips]) => {
      const encoded = encodeRlp(value);
      for (const [at, byte] of flips) encoded[at % encoded.length] = byte;
      return encoded;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 64 })), (input) => {
      const decoded = decodeRlp(input, bytesMax);
      if (decoded.ok) assert.deepEqual(encodeRlp(decoded.value), input);
    }),
    { numRuns: 2000 },
  );
});

test('integers are minimal', () => {
  for (const value of [0n, 1n, 127n, 128n, 256n, 2n ** 32n, 2n ** 40n + 3n, 2n ** 256n - 1n]) {
    const hex = value === 0n ? '' : value.toString(16);
    const want = bytes(hex.length % 2 === 0 ? hex : `0${hex}`);
    assert.deepEqual(uintToRlp(value), want, `${value}`);
    if (value <= Number.MAX_SAFE_INTEGER) assert.deepEqual(uintToRlp(Number(value)), want);
  }
});

const nest = (depth: number): Uint8Array => {
  let value: RlpItem = [];
  for (let i = 1; i < depth; i++) value = [value];
  return encodeRlp(value);
};
const bomb = new Uint8Array(30_000).fill(0xc1);

const refused: { when: string; input: Uint8Array; reason: RegExp }[] = [
  { when: 'the input is empty', input: bytes(''), reason: /unexpected end/ },
  { when: 'a byte follows', input: bytes('8000'), reason: /more than one value/ },
  { when: 'a small byte has a head', input: bytes('8105'), reason: /non-canonical single/ },
  { when: 'a long form holds 55 bytes', input: bytes(`b837${'11'.repeat(55)}`), reason: /size/ },
  { when: 'a length has a leading zero', input: bytes('b90038'), reason: /non-canonical size/ },
  { when: 'a list ends within an item', input: bytes('c28311'), reason: /larger than its/ },
  { when: 'a length has 2^64 - 1', input: bytes('bfffffffffffffffff'), reason: /larger/ },
  { when: 'lists nest 17 deep', input: nest(rlpDepthMax + 1), reason: /nested too deep/ },
  { when: 'lists nest 30,000 deep', input: bomb, reason: /nested too deep|larger/ },
  { when: 'the input is over its limit', input: new Uint8Array(bytesMax + 1), reason: /too large/ },
];

test('refused with a reason', () => {
  for (const { when, input, reason } of refused) {
    const verdict = decodeRlp(input, bytesMax);
    assert.ok(!verdict.ok, when);
    assert.match(verdict.refusal.reason, reason, when);
  }
  assert.ok(decodeRlp(nest(rlpDepthMax), bytesMax).ok, 'lists nest 16 deep');
});

type Vectors = Record<string, { in: unknown; out: string }>;

function fromVector(value: unknown): RlpItem {
  if (Array.isArray(value)) return value.map(fromVector);
  if (typeof value === 'number') return uintToRlp(BigInt(value));
  assert.ok(typeof value === 'string');
  if (value.startsWith('#')) return uintToRlp(BigInt(value.slice(1)));
  return new Uint8Array(Buffer.from(value, 'latin1'));
}

testWithVectors('RLPTests of ethereum/tests', 'RLPTests', () => {
  for (const path of listVectors('RLPTests')) {
    for (const [name, vector] of Object.entries(readVectors<Vectors>(path))) {
      const verdict = decodeRlp(bytes(vector.out), bytesMax);
      assert.equal(verdict.ok, vector.in !== 'INVALID', name);
      if (vector.in === 'INVALID' || vector.in === 'VALID') continue;
      assert.deepEqual(encodeRlp(fromVector(vector.in)), bytes(vector.out), name);
    }
  }
});
