import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeAbiParameters, encodeAbiParameters, parseAbiParameters } from 'viem';
import {
  AbiError,
  type Param,
  ParamsCodec,
  selectorOf,
  typeText,
} from '#src/ledger/payments/abi.ts';
import { fromHex, type Hex, toHex, uintToBytes } from '#src/lib/bytes.ts';

/** A type, our value of it, and the same value as viem has it. */
type Case = { param: Param; own: unknown; viem: unknown };

const hexOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => toHex(bytes));

const anyWord: fc.Arbitrary<Case> = fc.oneof(
  fc.integer({ min: 1, max: 32 }).chain((size) =>
    fc.bigInt({ min: 0n, max: (1n << BigInt(8 * size)) - 1n }).map((own) => ({
      param: { type: `uint${8 * size}` },
      own,
      viem: size <= 6 ? Number(own) : own,
    })),
  ),
  fc
    .integer({ min: 1, max: 32 })
    .chain((size) =>
      hexOf(size).map((own) => ({ param: { type: `bytes${size}` }, own, viem: own })),
    ),
  hexOf(20).map((own) => ({ param: { type: 'address' }, own, viem: own })),
  fc.boolean().map((own) => ({ param: { type: 'bool' }, own, viem: own })),
);

const anyLeaf: fc.Arbitrary<Case> = fc.oneof(
  anyWord,
  fc.uint8Array({ maxLength: 100 }).map((own) => ({
    param: { type: 'bytes' },
    own,
    viem: toHex(own),
  })),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map((own) => ({
    param: { type: 'string' },
    own,
    viem: own,
  })),
);

const { any: anyCase } = fc.letrec<{ any: Case; list: Case; fixed: Case; tuple: Case }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    anyLeaf,
    tie('list'),
    tie('fixed'),
    tie('tuple'),
  ),
  list: fc.tuple(tie('any'), fc.nat(3)).map(([item, length]) => repeated(item, length, '[]')),
  fixed: fc
    .tuple(tie('any'), fc.integer({ min: 1, max: 3 }))
    .map(([item, length]) => repeated(item, length, `[${length}]`)),
  tuple: fc.array(tie('any'), { minLength: 1, maxLength: 4 }).map((parts) => ({
    param: {
      type: 'tuple',
      components: parts.map(({ param }, at) => ({ ...param, name: `f${at}` })),
    },
    own: Object.fromEntries(parts.map(({ own }, at) => [`f${at}`, own])),
    viem: Object.fromEntries(parts.map(({ viem }, at) => [`f${at}`, viem])),
  })),
}));

function repeated({ param, own, viem }: Case, length: number, suffix: string): Case {
  const fill = (value: unknown) => Array<unknown>(length).fill(value);
  return { param: { ...param, type: `${param.type}${suffix}` }, own: fill(own), viem: fill(viem) };
}

const anyCases = fc.array(anyCase, { minLength: 1, maxLength: 4 });
const viemParams = (params: readonly Param[]) =>
  params as readonly { type: string; name: string }[];
const paramsOf = (cases: readonly Case[]) => cases.map(({ param }) => param);

/** viem's addresses carry a checksum; ours are keys. */
function plain(value: unknown): unknown {
  if (typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value)) return value.toLowerCase();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

const asViem = (value: unknown, { type, components }: Param): unknown => {
  if (Array.isArray(value)) {
    const item = { type: type.slice(0, type.lastIndexOf('[')), components };
    return value.map((one) => asViem(one, item));
  }
  if (value instanceof Uint8Array) return toHex(value);
  const uint = /^uint(\d+)$/.exec(type);
  if (uint !== null && Number(uint[1]) <= 48) return Number(value);
  if (type !== 'tuple') return value;
  const fields = value as Record<string, unknown>;
  return Object.fromEntries(
    (components ?? []).map((part) => [part.name, asViem(fields[part.name ?? ''], part)]),
  );
};

describe('the ABI codec', () => {
  it('writes what viem writes, and reads what viem has written', () => {
    fc.assert(
      fc.property(anyCases, (cases) => {
        const params = paramsOf(cases);
        const codec = new ParamsCodec(params);
        const values = cases.map(({ viem }) => viem);
        const theirs = encodeAbiParameters(viemParams(params), values as never);
        const own = cases.map((one) => one.own);
        assert.equal(toHex(codec.encode(own)), theirs);
        assert.deepEqual(codec.decode(fromHex(theirs) ?? assert.fail()), own);
        assert.deepEqual(
          plain(decodeAbiParameters(viemParams(params), toHex(codec.encode(own)))),
          plain(values),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it('answers hostile data with a refusal or with what viem reads, and with nothing else', () => {
    const anyChange = fc.record({ at: fc.nat(), bit: fc.nat(7), cut: fc.nat(40) });
    fc.assert(
      fc.property(anyCases, fc.array(anyChange, { maxLength: 3 }), (cases, changes) => {
        const params = paramsOf(cases);
        const codec = new ParamsCodec(params);
        let bytes = codec.encode(cases.map(({ own }) => own)).slice();
        for (const { at, bit, cut } of changes) {
          const place = at % Math.max(1, bytes.length);
          bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
          bytes = bytes.slice(0, bytes.length - Math.min(cut % 3 === 0 ? cut : 0, bytes.length));
        }
        const read = attempt(codec, bytes);
        if (read === null || bytes.length === 0) return;
        let theirs: unknown;
        try {
          theirs = decodeAbiParameters(viemParams(params), toHex(bytes));
        } catch {
          return;
        }
        const own = read.map((value, at) => asViem(value, params[at] ?? { type: '' }));
        assert.deepEqual(plain(own), plain(theirs));
      }),
      { numRuns: 2_000 },
    );
  });

  it('never throws anything but a refusal at random bytes', () => {
    fc.assert(
      fc.property(anyCases, fc.uint8Array({ maxLength: 600 }), (cases, bytes) => {
        attempt(new ParamsCodec(paramsOf(cases)), bytes);
      }),
      { numRuns: 1_000 },
    );
  });

  const word = (value: bigint) => uintToBytes(value, 32);
  const words = (...values: bigint[]) => values.flatMap((value) => [...word(value)]);
  const refused: { when: string; types: string; bytes: number[] }[] = [
    { when: 'nothing', types: 'uint256', bytes: [] },
    { when: 'a word of 31 bytes', types: 'uint256', bytes: [...new Uint8Array(31)] },
    { when: 'a uint64 of 2^64', types: 'uint64', bytes: words(1n << 64n) },
    { when: 'an address with a high bit', types: 'address', bytes: words(1n << 160n) },
    { when: 'a boolean of 2', types: 'bool', bytes: words(2n) },
    { when: 'a bytes4 with a fifth byte', types: 'bytes4', bytes: words(1n << 216n) },
    { when: 'an offset behind the end', types: 'bytes', bytes: words(64n) },
    { when: 'an offset of 2^255', types: 'bytes', bytes: words(1n << 255n) },
    { when: 'a length of 2^64', types: 'bytes', bytes: words(32n, 1n << 64n) },
    { when: 'bytes longer than the data', types: 'bytes', bytes: words(32n, 33n, 0n) },
    { when: 'padding that is not zero', types: 'bytes', bytes: words(32n, 1n, 1n) },
    { when: 'bytes without their padding', types: 'bytes', bytes: [...words(32n, 1n), 7] },
    { when: 'a text that is not UTF-8', types: 'string', bytes: words(32n, 1n, 0xffn << 248n) },
    {
      when: 'a list longer than the data',
      types: 'uint256[]',
      bytes: words(32n, 3n, 1n, 2n),
    },
    {
      when: 'one part that two offsets name',
      types: 'bytes[]',
      bytes: words(32n, 2n, 64n, 64n, 32n, 5n),
    },
  ];
  for (const { when, types, bytes } of refused) {
    it(`refuses ${when}`, () => {
      const codec = new ParamsCodec(parseAbiParameters(types as 'uint256'));
      assert.throws(() => codec.decode(Uint8Array.from(bytes)), AbiError, when);
    });
  }

  it('spends no more on lists in lists than the data is long', () => {
    const codec = new ParamsCodec(parseAbiParameters('uint256[][][][][]'));
    // Each of 500 lists is the same 500 lists, three times over: 125 million from 64 KiB.
    const level = [500n, ...Array<bigint>(500).fill(500n * 32n)];
    const bomb = Uint8Array.from(words(32n, ...level, ...level, ...level, ...level, 0n));
    assert.throws(() => codec.decode(bomb), AbiError);
  });

  it('makes the selectors that everybody knows', () => {
    const rows: [string, Hex][] = [
      ['transfer(address,uint256)', '0xa9059cbb'],
      ['getValidators()', '0xb7ab4db5'],
    ];
    for (const [signature, selector] of rows) assert.equal(selectorOf(signature), selector);
    const components = [{ type: 'uint8' }, { type: 'tuple[2]', components: [{ type: 'bool' }] }];
    assert.equal(typeText({ type: 'tuple[]', components }), '(uint8,(bool)[2])[]');
  });
});

function attempt(codec: ParamsCodec, bytes: Uint8Array): readonly unknown[] | null {
  try {
    return codec.decode(bytes);
  } catch (error) {
    assert.ok(error instanceof AbiError, `a refusal and not ${error}`);
    return null;
  }
}
