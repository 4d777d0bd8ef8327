import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CURVE_ORDER,
  cryptoBackend,
  HALF_CURVE_ORDER,
  loadNativeBackend,
  nobleBackend,
  publicKey,
  recover,
  sign,
} from '#src/crypto/secp256k1.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { bytesToUint, concatBytes, toHex, uintToBytes } from '#src/lib/bytes.ts';
import { bytes, readVectors, testWithVectors } from '../types/vectors.ts';

const native = loadNativeBackend();
const withNative = { skip: native === null ? 'no native secp256k1 on this machine' : false };

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const scalar = fc.oneof(
  fc.bigInt({ min: 1n, max: CURVE_ORDER - 1n }),
  fc.constantFrom(1n, 2n, HALF_CURVE_ORDER, HALF_CURVE_ORDER + 1n, CURVE_ORDER - 1n),
);
const edge = fc.constantFrom(0n, CURVE_ORDER, CURVE_ORDER + 1n, (1n << 256n) - 1n);

test('a signature recovers to the key that made it, with low s', () => {
  fc.assert(
    fc.property(scalar, bytes32, (secret, digest) => {
      const key = uintToBytes(secret, 32);
      const { signature, yParity } = sign(digest, key);
      assert.deepEqual(recover(digest, signature, yParity), publicKey(key));
      assert.ok(bytesToUint(signature.subarray(32)) <= HALF_CURVE_ORDER);
    }),
    { numRuns: 50 },
  );
});

test('both backends sign alike and find the same keys', withNative, () => {
  assert.ok(native !== null);
  assert.equal(cryptoBackend(), 'native');
  fc.assert(
    fc.property(scalar, bytes32, (secret, digest) => {
      const key = uintToBytes(secret, 32);
      const ours = native.sign(digest, key);
      assert.deepEqual(ours, nobleBackend.sign(digest, key));
      assert.deepEqual(native.publicKey(key), nobleBackend.publicKey(key));
      for (const parity of [0, 1]) {
        assert.deepEqual(
          native.recover(digest, ours.signature, parity),
          nobleBackend.recover(digest, ours.signature, parity),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('both backends answer alike to signatures that nobody made', withNative, () => {
  assert.ok(native !== null);
  const part = fc.oneof({ weight: 3, arbitrary: scalar }, { weight: 1, arbitrary: edge });
  fc.assert(
    fc.property(bytes32, part, part, fc.nat(1), (digest, r, s, parity) => {
      const signature = concatBytes(uintToBytes(r, 32), uintToBytes(s, 32));
      const found = native.recover(digest, signature, parity);
      assert.deepEqual(found, nobleBackend.recover(digest, signature, parity));
      if (r === 0n || s === 0n || r >= CURVE_ORDER || s >= CURVE_ORDER) assert.equal(found, null);
    }),
    { numRuns: 200 },
  );
});

const digest = sha256(new Uint8Array([1]));
const good = sign(digest, uintToBytes(7n, 32));
const withPart = (at: number, value: bigint) => {
  const signature = good.signature.slice();
  signature.set(uintToBytes(value, 32), at);
  return signature;
};

const hopeless: { when: string; digest?: Uint8Array; signature?: Uint8Array; parity?: number }[] = [
  { when: 'r is 0', signature: withPart(0, 0n) },
  { when: 's is 0', signature: withPart(32, 0n) },
  { when: 'r is the order', signature: withPart(0, CURVE_ORDER) },
  { when: 's is the order', signature: withPart(32, CURVE_ORDER) },
  { when: 'r is 2^256 - 1', signature: withPart(0, (1n << 256n) - 1n) },
  { when: 'the parity is 2', parity: 2 },
  { when: 'the parity is -1', parity: -1 },
  { when: 'the parity is no integer', parity: 0.5 },
  { when: 'the signature is a byte short', signature: good.signature.slice(1) },
  { when: 'the signature is empty', signature: new Uint8Array() },
  { when: 'the digest is a byte short', digest: digest.slice(1) },
];

test('no key is recovered', () => {
  for (const row of hopeless) {
    const found = recover(
      row.digest ?? digest,
      row.signature ?? good.signature,
      row.parity ?? good.yParity,
    );
    assert.equal(found, null, row.when);
  }
});

type Wycheproof = {
  testGroups: {
    publicKey: { uncompressed: string };
    tests: { tcId: number; comment: string; msg: string; sig: string; result: string }[];
  }[];
};

/** How far the field's prime lies above the group's order. */
const fieldAboveOrder = 2n ** 256n - 2n ** 32n - 977n - CURVE_ORDER;

testWithVectors('Wycheproof: only valid signatures lead to the key', 'wycheproof', () => {
  const file = 'wycheproof/ecdsa_secp256k1_sha256_p1363_test.json';
  for (const group of readVectors<Wycheproof>(file).testGroups) {
    for (const { tcId, comment, msg, sig, result } of group.tests) {
      const found = [0, 1].map((parity) => recover(sha256(bytes(msg)), bytes(sig), parity));
      const texts = found.map((key) => (key === null ? '' : `04${toHex(key).slice(2)}`));
      // r can stand for r + n too: parities 2 and 3, which Ethereum does not have.
      if (result === 'valid' && bytesToUint(bytes(sig).subarray(0, 32)) < fieldAboveOrder) continue;
      assert.equal(
        texts.includes(group.publicKey.uncompressed),
        result === 'valid',
        `${tcId}: ${comment}`,
      );
    }
  }
});
