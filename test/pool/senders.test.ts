import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Question, RecoveryThreads } from '#src/crypto/recoveryThreads.ts';
import { secp256k1Backend } from '#src/crypto/secp256k1.ts';
import { recoveriesPendingMax, Senders } from '#src/pool/senders.ts';
import { decodeEnvelope } from '#src/types/decodeTransaction.ts';
import type { Envelope } from '#src/types/transaction.ts';
import { chainId, payment, person } from '../ledger/samples.ts';

const people = [0, 1, 2, 3].map(person);

function envelopes(): Envelope[] {
  return people.map((from) => {
    const decoded = decodeEnvelope(payment(from, {}).raw, { chainId });
    assert.ok(decoded.ok);
    return decoded.value;
  });
}

/** A signature that the sender did not make. */
function nobodys(): Envelope {
  const [first] = envelopes();
  assert.ok(first !== undefined);
  return { ...first, r: first.r ^ 1n, s: 1n };
}

/** Counts batches, and answers when it is told to. */
class SlowThreads {
  readonly batches: number[] = [];
  #answer: (() => void)[] = [];
  recover(questions: readonly Question[]): Promise<null[]> {
    this.batches.push(questions.length);
    return new Promise((resolve) => this.#answer.push(() => resolve(questions.map(() => null))));
  }
  answer(): void {
    for (const each of this.#answer.splice(0)) each();
  }
  async close(): Promise<void> {}
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('who signed', () => {
  it('is the same on this thread and on others', async () => {
    const threads = new RecoveryThreads(1, secp256k1Backend());
    for (const senders of [new Senders(null), new Senders(threads)]) {
      for (const times of [1, 10]) {
        const many = Array.from({ length: times }, envelopes).flat();
        const found = await Promise.all(many.map((envelope) => senders.of(envelope)));
        const wanted = people.map(({ address }) => address);
        assert.deepEqual(found, Array.from({ length: times }, () => wanted).flat());
      }
      const [first] = people;
      assert.notEqual(await senders.of(nobodys()), first?.address);
      await senders.close();
    }
  });

  it('is asked in one batch for what came in one turn, and is busy beyond its limit', async () => {
    const threads = new SlowThreads();
    const senders = new Senders(threads as unknown as RecoveryThreads);
    const [first] = envelopes();
    assert.ok(first !== undefined);
    const asked = Array.from({ length: recoveriesPendingMax }, () => senders.of(first));
    assert.equal(senders.isBusy, true);
    await turn();
    assert.deepEqual(threads.batches, [recoveriesPendingMax]);
    threads.answer();
    await Promise.all(asked);
    assert.equal(senders.isBusy, false);
  });

  it('is found ahead where there are threads, and handed out once', async () => {
    const threads = new RecoveryThreads(1, secp256k1Backend());
    const sent = people.map((from) => payment(from, {}));
    const raws = sent.map(({ raw }) => raw);
    for (const [senders, wanted] of [
      [new Senders(null), []],
      [new Senders(threads), sent],
    ] as const) {
      await senders.findAhead([...raws, new Uint8Array([1, 2, 3])], chainId);
      const found = sent.map(({ hash }) => senders.takeFound(hash));
      assert.deepEqual(found, wanted.length === 0 ? sent.map(() => null) : wanted);
      assert.ok(sent.every(({ hash }) => senders.takeFound(hash) === null));
      await senders.close();
    }
  });
});
