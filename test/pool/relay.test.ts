import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { intrinsicGas } from '#src/ledger/gas.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { defaultPoolLimits, Pool } from '#src/pool/pool.ts';
import { decodeRelay, Relay, relayBytesMax, relayTransactionsMax } from '#src/pool/relay.ts';
import { Submissions } from '#src/pool/submissions.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { payment, person } from '../ledger/samples.ts';

const alice = person(0);

/** A relay whose messages are kept, and a clock that a test turns. */
class Scene {
  now = 10_000;
  readonly sent: { to: string; message: Uint8Array }[] = [];
  readonly pool = new Pool({
    limits: { ...defaultPoolLimits, senderTransactionsMax: 1e6, poolTransactionsMax: 1e6 },
    rules: { baseFeePerGas: asWei(1n), gasLimitFor: () => asGas(1n << 24n), intrinsicGas },
    account: () => ({ nonce: 0n, balance: 1n << 200n }),
    coverOf: () => null,
    now: () => this.now,
  });
  readonly relay = new Relay(
    {
      broadcast: (message) => this.sent.push({ to: 'everybody', message }),
      send: (to, message) => this.sent.push({ to, message }),
    },
    this.pool,
    () => this.now,
  );

  add(count: number, dataBytes = 0): SignedTransaction[] {
    return Array.from({ length: count }, () => {
      const nonce = this.pool.nextNonce(alice.address);
      const data = new Uint8Array(dataBytes).fill(1);
      const transaction = payment(alice, { nonce, data, gasLimit: asGas(1n << 23n) });
      assert.ok(this.pool.add(transaction, true).ok);
      return transaction;
    });
  }

  /** Who got what since the last look, by hash. */
  taken(): { to: string; hashes: string[] }[] {
    return this.sent.splice(0).map(({ to, message }) => {
      assert.ok(message.length <= 2 * relayBytesMax);
      const decoded = decodeRelay(message);
      assert.ok(decoded.ok);
      return { to, hashes: decoded.value.map(({ hash }) => hash) };
    });
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const hashes = (transactions: readonly SignedTransaction[]) => transactions.map(({ hash }) => hash);

describe('relay', () => {
  it('tells everybody in one message what came in one turn', async () => {
    const scene = new Scene();
    const batch = scene.add(3);
    for (const transaction of batch) scene.relay.announce(transaction);
    assert.deepEqual(scene.sent, []);
    await turn();
    assert.deepEqual(scene.taken(), [{ to: 'everybody', hashes: hashes(batch) }]);
    await turn();
    assert.deepEqual(scene.taken(), []);
  });

  it('splits what is too large or too many for one message', async () => {
    for (const { count, dataBytes } of [
      { count: 30, dataBytes: 50_000 },
      { count: 2 * relayTransactionsMax + 1, dataBytes: 0 },
    ]) {
      const scene = new Scene();
      const batch = scene.add(count, dataBytes);
      for (const transaction of batch) scene.relay.announce(transaction);
      await turn();
      const messages = scene.taken();
      assert.ok(messages.length >= 3, `${count} payments`);
      assert.ok(messages.every((message) => message.hashes.length <= relayTransactionsMax));
      assert.deepEqual(
        messages.flatMap((message) => message.hashes),
        hashes(batch),
      );
    }
  });

  it('sends again, to those who propose next, what still waits after half a second', async () => {
    const scene = new Scene();
    const [first] = scene.add(1);
    assert.ok(first !== undefined);
    scene.relay.announce(first);
    await turn();
    scene.taken();
    scene.now += 499;
    scene.relay.push(['p', 'q']);
    assert.deepEqual(scene.taken(), []);
    scene.now += 1;
    scene.relay.push(['p', 'q']);
    const both = ['p', 'q'].map((to) => ({ to, hashes: [first.hash] }));
    assert.deepEqual(scene.taken(), both);
    scene.relay.push(['p', 'q']);
    assert.deepEqual(scene.taken(), [], 'not at once again');
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 16_000]) {
      scene.now += waitMs - 1;
      scene.relay.push(['q']);
      assert.deepEqual(scene.taken(), [], 'waits twice as long as before');
      scene.now += 1;
      scene.relay.push(['q']);
      assert.deepEqual(scene.taken(), [{ to: 'q', hashes: [first.hash] }]);
    }
  });

  it('sends again no more than a message has room for, the longest waiting first', async () => {
    const scene = new Scene();
    const batch = scene.add(30, 50_000);
    for (const transaction of batch) scene.relay.announce(transaction);
    await turn();
    scene.taken();
    const again: string[] = [];
    const push = () => {
      scene.relay.push(['p']);
      again.push(...scene.taken().flatMap((message) => message.hashes));
      return again.length;
    };
    for (const sent of [10, 20, 30]) {
      scene.now += 499;
      assert.equal(push(), sent - 10, 'only now and then');
      scene.now += 1;
      assert.equal(push(), sent);
    }
    assert.deepEqual(again, hashes(batch));
  });

  it('treats what it heard as sent, what it found on disk as not', () => {
    const scene = new Scene();
    const [first, second] = scene.add(2);
    assert.ok(first !== undefined && second !== undefined);
    scene.relay.resume(first.hash);
    scene.relay.resume(second.hash);
    scene.relay.heard(first.hash);
    scene.relay.push(['p']);
    assert.deepEqual(scene.taken(), [{ to: 'p', hashes: [second.hash] }]);
    scene.now += 1_499;
    scene.relay.push(['p']);
    assert.deepEqual(scene.taken(), [{ to: 'p', hashes: [second.hash] }]);
    scene.now += 501;
    scene.relay.push(['p']);
    assert.deepEqual(scene.taken(), [{ to: 'p', hashes: [first.hash] }], 'it may be gone there');
    scene.now += 16_000;
    scene.relay.forget(first.hash);
    scene.relay.push(['p']);
    assert.deepEqual(scene.taken(), [{ to: 'p', hashes: [second.hash] }]);
  });

  it('sends a newcomer what waits, within the limit, and the rest later', () => {
    const scene = new Scene();
    const all = scene.add(relayTransactionsMax + 5);
    for (const { hash } of all) scene.relay.resume(hash);
    scene.relay.greet('new');
    const greeted = scene.taken().flatMap((message) => message.hashes);
    assert.deepEqual(greeted, hashes(all.slice(0, relayTransactionsMax)));
    scene.relay.push(['new']);
    scene.taken();
    scene.now += 500;
    scene.relay.push(['new']);
    const rest = scene.taken().flatMap((message) => message.hashes);
    assert.deepEqual(rest, hashes(all.slice(relayTransactionsMax)));
  });

  const malformed: { when: string; message: Uint8Array; code: string }[] = [
    { when: 'nothing', message: new Uint8Array(0), code: 'RELAY_MALFORMED' },
    { when: 'text', message: utf8('hello'), code: 'RELAY_MALFORMED' },
    { when: 'one string', message: encodeRlp(utf8('hello')), code: 'RELAY_MALFORMED' },
    { when: 'lists in the list', message: encodeRlp([[utf8('a')]]), code: 'RELAY_MALFORMED' },
    {
      when: 'something after the list',
      message: Uint8Array.from([...encodeRlp([utf8('a')]), 0]),
      code: 'RELAY_MALFORMED',
    },
    { when: 'a list cut off', message: Uint8Array.of(0xf9, 0xff), code: 'RELAY_MALFORMED' },
    {
      when: 'more than a megabyte',
      message: encodeRlp([new Uint8Array(2 * relayBytesMax)]),
      code: 'RELAY_MALFORMED',
    },
    {
      when: 'too many payments',
      message: encodeRlp(new Array(2 * relayTransactionsMax + 1).fill(utf8('a'))),
      code: 'RELAY_TOO_MANY',
    },
  ];
  for (const { when, message, code } of malformed) {
    it(`52: a message of ${when} is refused`, () => {
      const decoded = decodeRelay(message);
      assert.ok(!decoded.ok);
      assert.equal(decoded.refusal.code, code);
    });
  }

  it('52: random bytes are refused or read, never thrown at', () => {
    for (let seed = 1; seed <= 3_000; seed++) {
      const random = new SeededRandom(seed);
      const message = random.bytes(random.below(40));
      if (random.chance(0.5)) message[0] = 0xc0 + (message.length - 1);
      assert.equal(typeof decodeRelay(message).ok, 'boolean');
    }
  });
});

describe('submissions', () => {
  class FakeLog {
    readonly appended: Uint8Array[] = [];
    pruned = 0;
    syncs = 0;
    append(payload: Uint8Array): number {
      return 10 + this.appended.push(payload);
    }
    async sync(): Promise<void> {
      this.syncs++;
    }
    prune(seq: number): void {
      this.pruned = seq;
    }
    async close(): Promise<void> {}
  }
  const [a, b, c] = [0n, 1n, 2n].map((nonce) => payment(alice, { nonce })) as [
    ...[SignedTransaction, SignedTransaction, SignedTransaction],
  ];

  it('are on disk before the client hears, and are kept until a block has them', async () => {
    const log = new FakeLog();
    const submissions = new Submissions(log);
    submissions.resume(c.hash, 7);
    await submissions.keep(a);
    await submissions.keep(b);
    assert.deepEqual(log.appended, [a.raw, b.raw]);
    assert.equal(log.syncs, 2);
    submissions.prune(10);
    assert.equal(log.pruned, 7, 'the one from before the restart is still open');
    submissions.settle(c.hash);
    submissions.prune(10);
    assert.equal(log.pruned, 11);
    submissions.settle(b.hash);
    submissions.prune(10);
    assert.equal(log.pruned, 11, 'the older one is still open');
    submissions.settle(a.hash);
    submissions.prune(10);
    assert.equal(log.pruned, 13, 'nothing is open: everything that was ever written can go');
  });

  it('one that is submitted again counts from its new place', async () => {
    const log = new FakeLog();
    const submissions = new Submissions(log);
    for (const transaction of [a, b, a]) await submissions.keep(transaction);
    submissions.prune(0);
    assert.equal(log.pruned, 12);
  });
});
