import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecoveryThreads } from '#src/crypto/recoveryThreads.ts';
import {
  CURVE_ORDER,
  chooseSecp256k1,
  HALF_CURVE_ORDER,
  publicKey,
  recover,
  secp256k1Backend,
  sign,
} from '#src/crypto/secp256k1.ts';
import {
  loadNativeBackend,
  loadWasmBackend,
  nobleBackend,
  type Secp256k1Backend,
} from '#src/crypto/secp256k1Backends.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { bytesToUint, concatBytes, toHex, uintToBytes } from '#src/lib/bytes.ts';
import { bytes, readVectors, testWithVectors } from '../types/vectors.ts';

/** Held against the reference, each where this machine has it; one of them everywhere. */
const candidates = [loadNativeBackend(), await loadWasmBackend()].filter(
  (backend): backend is Secp256k1Backend => backend !== null,
);

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

test('a faster library is there on this machine', () => {
  assert.ok(candidates.length > 0);
});

for (const backend of candidates) {
  test(`${backend.name}: signs and finds the same keys as the reference`, () => {
    fc.assert(
      fc.property(scalar, bytes32, (secret, digest) => {
        const key = uintToBytes(secret, 32);
        const signed = backend.sign(digest, key);
        assert.deepEqual(signed, nobleBackend.sign(digest, key));
        assert.deepEqual(backend.publicKey(key), nobleBackend.publicKey(key));
        for (const parity of [0, 1]) {
          assert.deepEqual(
            backend.recover(digest, signed.signature, parity),
            nobleBackend.recover(digest, signed.signature, parity),
          );
        }
      }),
      { numRuns: 50 },
    );
  });

  test(`${backend.name}: answers as the reference to signatures that nobody made`, () => {
    const part = fc.oneof({ weight: 3, arbitrary: scalar }, { weight: 1, arbitrary: edge });
    fc.assert(
      fc.property(bytes32, part, part, fc.nat(1), (digest, r, s, parity) => {
        const signature = concatBytes(uintToBytes(r, 32), uintToBytes(s, 32));
        const found = backend.recover(digest, signature, parity);
        assert.deepEqual(found, nobleBackend.recover(digest, signature, parity));
        if (r === 0n || s === 0n || r >= CURVE_ORDER || s >= CURVE_ORDER) assert.equal(found, null);
      }),
      { numRuns: 200 },
    );
  });

  testWithVectors(`${backend.name}: as the reference on Wycheproof`, 'wycheproof', () => {
    const file = 'wycheproof/ecdsa_secp256k1_sha256_p1363_test.json';
    for (const { tests } of readVectors<Wycheproof>(file).testGroups) {
      for (const { tcId, comment, msg, sig } of tests) {
        const signature = bytes(sig);
        if (signature.length !== 64) continue;
        for (const parity of [0, 1]) {
          assert.deepEqual(
            backend.recover(sha256(bytes(msg)), signature, parity),
            nobleBackend.recover(sha256(bytes(msg)), signature, parity),
            `${tcId}: ${comment}`,
          );
        }
      }
    }
  });
}

test('the process takes the library that is named, and the fastest where none is', async () => {
  for (const name of ['noble', 'wasm'] as const) {
    assert.equal(await chooseSecp256k1(name), name);
    assert.equal(secp256k1Backend(), name);
  }
  assert.equal(await chooseSecp256k1('auto'), candidates[0]?.name);
});

test('threads recover what this one does, in the order in which they were asked', async () => {
  const threads = new RecoveryThreads(2, secp256k1Backend());
  const questions = Array.from({ length: 300 }, (_, at) => {
    const digest = sha256(Uint8Array.of(at & 0xff, at >> 8));
    const { signature, yParity } = sign(digest, uintToBytes(BigInt(at + 1), 32));
    // Every tenth is one that nobody made.
    if (at % 10 === 0) signature.fill(0xff);
    return { digest, signature, yParity };
  });
  const answers = await Promise.all(
    [0, 100, 200].map((from) => threads.recover(questions.slice(from, from + 100))),
  );
  assert.deepEqual(
    answers.flat(),
    questions.map(({ digest, signature, yParity }) => recover(digest, signature, yParity)),
  );
  assert.deepEqual(await threads.recover([]), []);
  await threads.close();
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
