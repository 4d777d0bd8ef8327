import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesToUint, toBareHex, uintToBytes } from '#src/lib/bytes.ts';

test('integers and bytes: as their hexadecimal says, at every width', () => {
  const width = fc.integer({ min: 0, max: 40 });
  const sized = width.chain((bytes) =>
    fc.tuple(fc.constant(bytes), fc.bigInt({ min: 0n, max: (1n << BigInt(8 * bytes)) - 1n })),
  );
  fc.assert(
    fc.property(sized, ([bytes, value]) => {
      const written = uintToBytes(value, bytes);
      assert.equal(toBareHex(written), bytes === 0 ? '' : padded(value, bytes));
      assert.equal(bytesToUint(written), value);
      // A view into something larger reads its own bytes only.
      const around = new Uint8Array([0xff, ...written, 0xff]);
      assert.equal(bytesToUint(around.subarray(1, 1 + bytes)), value);
    }),
    { numRuns: 2_000 },
  );
});

test('what does not fit is our own bug', () => {
  for (const [value, width] of [
    [256n, 1],
    [1n, 0],
    [-1n, 8],
    [1n << 256n, 32],
  ] as const) {
    assert.throws(() => uintToBytes(value, width), RangeError);
  }
});

function padded(value: bigint, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, '0');
}
