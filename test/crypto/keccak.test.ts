import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keccak_256 } from '@noble/hashes/sha3.js';
import fc from 'fast-check';
import { keccak256 } from '#src/crypto/keccak.ts';
import { toHex, utf8 } from '#src/lib/bytes.ts';

test('keccak-256 is that of the pure implementation, for any length around its block', () => {
  for (let length = 0; length < 600; length++) {
    const bytes = new Uint8Array(length).fill(length & 0xff);
    assert.deepEqual(keccak256(bytes), keccak_256(bytes), `${length} bytes`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
      assert.deepEqual(keccak256(bytes), keccak_256(bytes));
    }),
  );
});

test('keccak-256 gives an array that later calls leave alone', () => {
  const first = keccak256(utf8(''));
  keccak256(utf8('something else'));
  const empty = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470';
  assert.equal(toHex(first), empty);
});
