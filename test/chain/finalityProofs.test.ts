import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ed25519 as noble } from '@noble/curves/ed25519.js';
import { encodeFunctionData } from 'viem';
import { Verifier } from '#consensus/engine/verifier.ts';
import { provenFinal } from '#src/chain/final.ts';
import { makeFinalityProof } from '#src/chain/finalityProofs.ts';
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from '#src/crypto/ed25519.ts';
import { VALIDATOR_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { validatorRegistry } from '#src/ledger/payments/validatorRegistry.ts';
import { bytesEqual, concatBytes, fromHex, toHex } from '#src/lib/bytes.ts';
import type { Block } from '#src/types/block.ts';
import { type Certificate, verifyCertificate } from '#src/types/certificate.ts';
import { decodeValidators, type Electorate } from '#src/types/electorate.ts';
import {
  type FinalityProof,
  finalityProofToJson,
  parseFinalityProof,
  verifyFinalityProof,
} from '#src/types/finalityProof.ts';
import { keccakHash } from '#src/types/hash.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asEpoch, asGas, asHeight, asView } from '#src/types/units.ts';
import { encodeStatement, type Statement, VoteKind } from '#src/types/vote.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { DamageError } from '#storage/shelf.ts';
import { checkShelf } from '../../bin/dbCheck.ts';
import { people, TinyChain, TinyNetwork } from './network.ts';

const network = new TinyNetwork([5, 4, 3, 2, 1, 1]);
const root = mkdtempSync(join(tmpdir(), 'mpbp-epochs-'));
let shelf: LevelShelf;
let tiny: TinyChain;
after(async () => {
  await shelf.close();
  rmSync(root, { recursive: true, force: true });
});

function sign(statement: Statement, electorate: Electorate, at: number): Uint8Array {
  const key = electorate.set.validators[at]?.consensusKey ?? assert.fail('a validator');
  const seed = network.seeds.find((one) => bytesEqual(ed25519PublicKey(one), key));
  const message = encodeStatement(statement, electorate.networkId);
  return ed25519Sign(seed ?? assert.fail('its seed'), message);
}

function certify(block: Block, electorate: Electorate): Certificate {
  const { epoch, view, parentView } = block.header.consensus;
  const kind = VoteKind.Finalize;
  const statement: Statement = { kind, epoch, view, parentView, blockHash: block.hash };
  const signers = [...electorate.set.validators.keys()];
  const signatures = signers.map((at) => sign(statement, electorate, at));
  return { statement, setSize: signers.length, signers, signatures };
}

/** Blocks of which only the last has its own certificate. */
async function append(...bodies: SignedTransaction[][]): Promise<void> {
  const { electorate } = tiny.chain;
  const blocks: Block[] = [];
  for (const transactions of bodies) {
    const parent = blocks.at(-1) ?? tiny.chain.head;
    // Views begin again after the last block of an epoch.
    const over = parent.header.consensus.epochEnd;
    const fields = over ? { view: asView(1), parentView: asView(0) } : {};
    blocks.push(tiny.build(transactions, { parent, fields }));
  }
  const last = blocks.at(-1) ?? assert.fail('a block');
  const final = provenFinal(blocks, certify(last, electorate), electorate);
  await tiny.chain.commit(final.ok ? final.value : assert.fail(final.refusal.code), 0);
}

/** Makes a validator contradict itself, which ends the epoch as soon as it may end. */
function accuse(at: number): SignedTransaction {
  const { electorate } = tiny.chain;
  const { epoch } = electorate;
  const votes = [1, 2].map((byte) => {
    const blockHash = keccakHash(Uint8Array.of(byte));
    const kind = VoteKind.Finalize;
    const statement = { kind, epoch, view: asView(90), parentView: asView(8), blockHash };
    const signature = sign(statement, electorate, at);
    return toHex(concatBytes(encodeStatement(statement, electorate.networkId), signature));
  });
  const key = electorate.set.validators[at]?.consensusKey ?? new Uint8Array();
  const genesis = network.params.electorate.set.validators;
  const index = genesis.findIndex(({ consensusKey }) => bytesEqual(consensusKey, key));
  const functionName = 'submitEvidence';
  const args = [BigInt(index), ...votes];
  const data = encodeFunctionData({ abi: validatorRegistry.abi, functionName, args });
  const fields = { data: fromHex(data) ?? new Uint8Array(), gasLimit: asGas(2_000_000n) };
  return tiny.pay(people[0] ?? assert.fail(), VALIDATOR_REGISTRY, 0n, fields);
}

describe('a proof of finality', () => {
  before(async () => {
    shelf = await LevelShelf.create(join(root, 'chain'));
    tiny = await TinyChain.create(network, shelf);
    for (const validator of [5, 4]) {
      await append([accuse(validator)]);
      const { epoch } = tiny.chain.electorate;
      while (tiny.chain.electorate.epoch === epoch) await append([]);
    }
    await append([], [], []);
    assert.equal(tiny.chain.electorate.epoch, 2);
    assert.equal(tiny.chain.electorate.set.validators.length, 4);
  });

  it('is what `mpbp db check` asks of a database, with the validators of each epoch', async () => {
    const check = () => checkShelf(shelf, network.params, () => {});
    assert.equal((await check()).height, tiny.chain.head.header.height);
    const key = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
    const value = shelf.get('epochs', key) ?? assert.fail('the second epoch');
    const { validators } = tiny.store.epoch(asEpoch(2)) ?? assert.fail('the third epoch');
    const other = concatBytes(value.slice(0, 8), validators);
    await shelf.write([{ table: 'epochs', key, value: other }]);
    await assert.rejects(check(), (error: unknown) => {
      return error instanceof DamageError && /has other validators/.test(error.message);
    });
    await shelf.write([{ table: 'epochs', key, value }]);
  });

  it('verifies for every block, from genesis and from every later set', () => {
    const top = tiny.chain.head.header.height;
    for (let height = 1n; height <= top; height++) {
      for (const trusted of [0, 1, 2]) {
        const from = tiny.chain.electorates.of(asEpoch(trusted)) ?? assert.fail('a set');
        const proof = makeFinalityProof(tiny.chain, asHeight(height), asEpoch(trusted));
        const { epoch } = tiny.chain.headerAt(asHeight(height))?.consensus ?? assert.fail();
        assert.equal(proof === null, trusted > epoch, `${height} from ${trusted}`);
        if (proof === null) continue;
        const parsed = parseFinalityProof(JSON.parse(JSON.stringify(finalityProofToJson(proof))));
        assert.ok(parsed.ok);
        const verdict = verifyFinalityProof(parsed.value, from);
        assert.ok(verdict.ok, verdict.ok ? '' : verdict.refusal.code);
        assert.equal(verdict.value.header.height, height);
        assert.equal(verdict.value.electorate.epoch, epoch);
      }
    }
    assert.equal(makeFinalityProof(tiny.chain, asHeight(0n), asEpoch(0)), null);
    assert.equal(makeFinalityProof(tiny.chain, asHeight(top + 1n), asEpoch(0)), null);
  });

  it('names what is wrong with one that was tampered with', () => {
    const top = tiny.chain.head.header.height;
    const make = (height: bigint) =>
      makeFinalityProof(tiny.chain, asHeight(height), asEpoch(0)) ?? assert.fail('a proof');
    const proof = make(top - 2n);
    const other = make(3n);
    const [first, second] = proof.transitions;
    assert.ok(first !== undefined && second !== undefined);
    const rows: { when: string; changed: FinalityProof; code: string }[] = [
      { when: 'no header', changed: { ...proof, headers: [] }, code: 'PROOF_EMPTY' },
      {
        when: 'a transition left out',
        changed: { ...proof, transitions: [second] },
        code: 'PROOF_EPOCH',
      },
      {
        when: 'a transition twice',
        changed: { ...proof, transitions: [first, first, second] },
        code: 'PROOF_EPOCH',
      },
      {
        when: 'another set after a transition',
        changed: {
          ...proof,
          transitions: [{ ...first, nextSet: second.nextSet }, second],
        },
        code: 'PROOF_NEXT_SET',
      },
      {
        when: 'a header in the middle of an epoch as its end',
        changed: {
          ...proof,
          transitions: [
            { ...first, header: other.headers[0] as never, certificate: other.certificate },
            second,
          ],
        },
        code: 'PROOF_NOT_THE_END',
      },
      {
        when: 'the certificate of another block',
        changed: { ...proof, certificate: other.certificate },
        code: 'PROOF_CERTIFICATE_BLOCK',
      },
      {
        when: 'a header left out between',
        changed: { ...proof, headers: [0, 2].map((at) => proof.headers[at] as never) },
        code: 'PROOF_LINK',
      },
      {
        when: 'a certificate of the old set for the new one',
        changed: {
          ...proof,
          certificate: { ...proof.certificate, setSize: 6 },
        },
        code: 'PROOF_CERTIFICATE',
      },
      {
        when: 'a header of another network',
        changed: {
          ...proof,
          headers: proof.headers.map((header) => ({
            ...header,
            consensus: { ...header.consensus, networkId: keccakHash(Uint8Array.of(9)) },
          })),
        },
        code: 'PROOF_NETWORK',
      },
    ];
    const trusted = network.params.electorate;
    for (const { when, changed, code } of rows) {
      const verdict = verifyFinalityProof(changed, trusted);
      assert.equal(verdict.ok ? 'ok' : verdict.refusal.code, code, when);
    }
  });

  it('refuses sets that are none, rather than to trust their sender with an assertion', () => {
    const one = (byte: number, peerId: string, stake = 1) => [
      new Uint8Array(32).fill(byte),
      Buffer.from(peerId),
      Uint8Array.of(stake),
      Buffer.from('m'),
      new Uint8Array(20),
      new Uint8Array(20),
    ];
    const rows = [
      [one(1, 'same'), one(2, 'same')],
      [one(2, 'a'), one(1, 'b')],
      [one(1, 'a', 0)],
      [],
    ];
    for (const row of rows) assert.equal(decodeValidators(encodeRlp(row)).ok, false);
    assert.ok(decodeValidators(encodeRlp([one(1, 'a'), one(2, 'b')])).ok);
  });

  it('in JSON is refused by path where it is not one', () => {
    const good = finalityProofToJson(
      makeFinalityProof(tiny.chain, asHeight(1n), asEpoch(0)) ?? assert.fail('a proof'),
    );
    const rows = [
      { json: null, path: 'transitions' },
      { json: { ...good, headers: 'x' }, path: 'headers' },
      { json: { ...good, headers: ['0x00'] }, path: 'headers[0]' },
      { json: { ...good, transitions: [{}] }, path: 'transitions[0]' },
      { json: { ...good, certificate: '0xzz' }, path: 'certificate' },
    ];
    for (const { json, path } of rows) {
      const parsed = parseFinalityProof(json);
      assert.deepEqual(parsed.ok ? null : parsed.refusal, { code: 'PROOF_FORMAT', path });
    }
  });
});

describe('signatures that libraries disagree about', () => {
  const L = 2n ** 252n + 27742317777372353535851937790883648493n;
  // A point of order 8 (RFC 8032's curve; listed in "Taming the many EdDSAs", 2020).
  const torsion = noble.Point.fromHex(
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  );
  const little = (value: bigint) => {
    const bytes = new Uint8Array(32);
    for (let i = 0; i < 32; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    return bytes;
  };
  const number = (bytes: Uint8Array) => {
    let value = 0n;
    for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) + BigInt(bytes[i] ?? 0);
    return value;
  };

  /** As `noble.sign` would, with a point of small order added to R. */
  function signWithTorsion(seed: Uint8Array, message: Uint8Array): Uint8Array {
    const { scalar, pointBytes } = noble.utils.getExtendedPublicKey(seed);
    for (let r = 5n; ; r++) {
      const R = noble.Point.BASE.multiply(r).add(torsion).toBytes();
      const k = number(sha512(concatBytes(R, pointBytes, message))) % L;
      const signature = concatBytes(R, little((r + k * scalar) % L));
      // What the laxer of them accepts: the cofactored equation.
      if (noble.verify(signature, message, pointBytes, { zip215: true })) return signature;
    }
  }
  const sha512 = (bytes: Uint8Array) => new Uint8Array(hash('sha512', bytes, 'buffer'));

  it('are judged the same by every path: refused', () => {
    const { electorate } = network.params;
    const { set, networkId, epoch } = electorate;
    const blockHash = keccakHash(Uint8Array.of(1));
    const kind = VoteKind.Finalize;
    const statement = { kind, epoch, view: asView(3), parentView: asView(2), blockHash };
    const message = encodeStatement(statement, networkId);
    const signers = [...set.validators.keys()];
    const good = signers.map((at) => sign(statement, electorate, at));
    const key = set.validators[0]?.consensusKey ?? assert.fail('a key');
    const seed = network.seeds.find((one) => bytesEqual(ed25519PublicKey(one), key));
    const first = good[0] ?? assert.fail('a signature');
    const S = number(first.subarray(32));
    const identity = little(1n);
    const odd: { when: string; signature: Uint8Array; lax: boolean }[] = [
      { when: 'torsion in R', signature: signWithTorsion(seed ?? first, message), lax: true },
      { when: 'S + L', signature: concatBytes(first.subarray(0, 32), little(S + L)), lax: false },
      {
        when: 'R of small order',
        signature: concatBytes(identity, first.subarray(32)),
        lax: false,
      },
      {
        when: 'R not canonical',
        signature: concatBytes(little((1n << 255n) - 18n), first.subarray(32)),
        lax: false,
      },
    ];
    for (const { when, signature, lax } of odd) {
      const nobleLax = noble.verify(signature, message, key, { zip215: true });
      assert.equal(nobleLax, lax, `${when}: what another library says`);
      assert.equal(ed25519Verify(key, message, signature), false, when);
      const signatures = [signature, ...good.slice(1)];
      const certificate = { statement, setSize: signers.length, signers, signatures };
      const verdict = verifyCertificate(certificate, set, epoch, networkId);
      assert.equal(verdict.ok, false, `${when}: certificate`);
      const verifier = new Verifier(set, epoch, networkId);
      assert.equal(verifier.vote({ statement, signer: 0, signature }), false, `${when}: vote`);
      const code = verifier.judge({ t: 'certificate', certificate });
      assert.equal(code, 'CERTIFICATE_SIGNATURE', `${when}: gate`);
      const proof = makeFinalityProof(tiny.chain, asHeight(1n), asEpoch(0)) ?? assert.fail();
      const { certificate: real } = proof;
      const block = proof.headers.at(-1) ?? assert.fail('a header');
      // The same defect in a real certificate, where an auditor meets it.
      const realMessage = encodeStatement(real.statement, networkId);
      const [own = first] = real.signatures;
      const bad =
        when === 'torsion in R'
          ? signWithTorsion(seed ?? first, realMessage)
          : concatBytes(signature.subarray(0, 32), own.subarray(32));
      const forged = { ...real, signatures: [bad, ...real.signatures.slice(1)] };
      const audited = verifyFinalityProof({ ...proof, certificate: forged }, electorate);
      assert.equal(audited.ok ? '' : audited.refusal.code, 'PROOF_CERTIFICATE', when);
      const stored = tiny.chain.blockAt(block.height) ?? assert.fail('the block');
      assert.equal(provenFinal([stored], forged, electorate).ok, false, `${when}: commit`);
    }
  });

  it('keys of small or mixed order, or spelled in another way, are no validator keys', async () => {
    const { isSoundEd25519Key } = await import('#src/crypto/ed25519.ts');
    const sound = network.params.electorate.set.validators[0]?.consensusKey ?? new Uint8Array(32);
    assert.ok(isSoundEd25519Key(sound));
    const mixed = noble.Point.fromBytes(sound).add(torsion).toBytes();
    const rows = [
      { when: 'the identity', key: little(1n) },
      { when: 'order 8', key: torsion.toBytes() },
      { when: 'mixed order', key: mixed },
      { when: 'y not below p', key: little((1n << 255n) - 18n) },
      { when: 'no point', key: new Uint8Array(32).fill(0xff) },
    ];
    for (const { when, key } of rows) assert.equal(isSoundEd25519Key(key), false, when);
  });
});
