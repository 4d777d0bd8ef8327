import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Certificate, decodeCertificate, encodeCertificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, View } from '#src/types/units.ts';
import { encodeStatement, STATEMENT_BYTES, VoteKind, ZERO_HASH } from '#src/types/vote.ts';

const blockHash = `0x${'ab'.repeat(32)}` as Hash;

const anyCertificate: fc.Arbitrary<Certificate> = fc
  .tuple(
    fc.integer({ min: 1, max: 128 }),
    fc.constantFrom(VoteKind.Notarize, VoteKind.Nullify, VoteKind.Finalize),
    fc.maxSafeNat(),
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    fc.infiniteStream(fc.boolean()),
  )
  .map(([setSize, kind, epoch, view, chosen]) => {
    const signers = Array.from({ length: setSize }, (_, index) => index).filter(
      () => chosen.next().value === true,
    );
    const nullifies = kind === VoteKind.Nullify;
    return {
      setSize,
      signers,
      signatures: signers.map((index) => new Uint8Array(64).fill(index)),
      statement: {
        kind,
        epoch: epoch as Epoch,
        view: view as View,
        parentView: (nullifies ? 0 : Math.floor(view / 2)) as View,
        blockHash: nullifies ? ZERO_HASH : blockHash,
      },
    };
  });

test('a certificate goes to bytes and back, and has one encoding', () => {
  fc.assert(
    fc.property(anyCertificate, (certificate) => {
      const bytes = encodeCertificate(certificate);
      assert.deepEqual(decodeCertificate(bytes), { ok: true, value: certificate });
    }),
  );
});

test('60: a bitmap or length that does not fit the set is refused, never indexed by', () => {
  fc.assert(
    fc.property(anyCertificate, fc.nat(), fc.nat(255), (certificate, at, byte) => {
      const bytes = encodeCertificate(certificate);
      assert.equal(decodeCertificate(bytes.subarray(0, bytes.length - 1)).ok, false);
      assert.equal(decodeCertificate(Uint8Array.of(...bytes, 0)).ok, false);
      const changed = Uint8Array.from(bytes);
      changed[at % bytes.length] = byte;
      const decoded = decodeCertificate(changed);
      // Whatever is accepted is canonical.
      if (decoded.ok) assert.deepEqual(encodeCertificate(decoded.value), changed);
    }),
  );
});

test('a statement is 105 bytes, and any change of meaning changes them', () => {
  const statement = {
    kind: VoteKind.Notarize,
    epoch: 1 as Epoch,
    view: 7 as View,
    parentView: 5 as View,
    blockHash,
  };
  const network = new Uint8Array(32).fill(1);
  const spell = (change: object, id = network) =>
    Buffer.from(encodeStatement({ ...statement, ...change }, id)).toString('hex');
  const seen = new Set([
    spell({}),
    spell({ kind: VoteKind.Finalize }),
    spell({ epoch: 2 }),
    spell({ view: 8 }),
    spell({ parentView: 6 }),
    spell({ blockHash: ZERO_HASH }),
    spell({}, new Uint8Array(32).fill(2)),
  ]);
  assert.equal(seen.size, 7);
  assert.equal(spell({}).length, 2 * STATEMENT_BYTES);
  assert.equal(Buffer.from(spell({}).slice(0, 32), 'hex').toString(), 'MPBP-CONSENSUS-1');
});
