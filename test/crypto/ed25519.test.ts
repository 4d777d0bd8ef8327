import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 as noble } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { ed25519PublicKey, ed25519Sign, ed25519Verify, generateSeed } from '#src/crypto/ed25519.ts';
import { bytes, readVectors, testWithVectors } from '../types/vectors.ts';

test('keys and signatures equal those of an independent implementation', () => {
  const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(seeds, fc.uint8Array({ maxLength: 200 }), (seed, message) => {
      const key = ed25519PublicKey(seed);
      const signature = ed25519Sign(seed, message);
      assert.deepEqual(key, noble.getPublicKey(seed));
      assert.deepEqual(signature, noble.sign(message, seed));
      assert.ok(ed25519Verify(key, message, signature));
    }),
    { numRuns: 30 },
  );
});

test('whatever is not a signature is false, not an exception', () => {
  const seed = generateSeed();
  const key = ed25519PublicKey(seed);
  const message = bytes('0102');
  const signature = ed25519Sign(seed, message);
  const flipped = signature.slice();
  flipped[5] = (flipped[5] ?? 0) ^ 1;
  const rows = [
    { when: 'another message', key, message: bytes('0103'), signature },
    { when: 'one bit flipped', key, message, signature: flipped },
    { when: 'a short signature', key, message, signature: signature.slice(1) },
    { when: 'a long signature', key, message, signature: new Uint8Array(65) },
    { when: 'a short key', key: key.slice(1), message, signature },
    { when: 'a key that is no point', key: bytes('ff'.repeat(32)), message, signature },
    { when: 'another key', key: ed25519PublicKey(generateSeed()), message, signature },
  ];
  for (const row of rows) {
    assert.equal(ed25519Verify(row.key, row.message, row.signature), false, row.when);
  }
});

test('a seed buffer that is filled anew signs with the new seed', () => {
  const seed = generateSeed();
  const before = ed25519PublicKey(seed);
  seed.set(generateSeed());
  assert.notDeepEqual(ed25519PublicKey(seed), before);
});

test('more keys than the cache holds are all verified rightly', () => {
  const message = bytes('aa');
  const seeds = Array.from({ length: 1100 }, (_, i) =>
    new Uint8Array(32).fill(i & 0xff, 0, 1 + (i >> 8)),
  );
  const signed = seeds.map((seed) => [ed25519PublicKey(seed), ed25519Sign(seed, message)] as const);
  for (const [key, signature] of signed) assert.ok(ed25519Verify(key, message, signature));
});

type Wycheproof = {
  testGroups: {
    publicKey: { pk: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
  }[];
};

testWithVectors('Wycheproof: Ed25519', 'wycheproof', () => {
  for (const group of readVectors<Wycheproof>('wycheproof/ed25519_test.json').testGroups) {
    for (const { tcId, comment, msg, sig, result } of group.tests) {
      const verdict = ed25519Verify(bytes(group.publicKey.pk), bytes(msg), bytes(sig));
      assert.equal(verdict, result === 'valid', `${tcId}: ${comment}`);
    }
  }
});
