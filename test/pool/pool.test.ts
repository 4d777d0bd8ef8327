import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { intrinsicGas } from '#src/ledger/gas.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { defaultPoolLimits, Pool, type PoolLimits } from '#src/pool/pool.ts';
import { describePoolRefusal, type PoolRefusal } from '#src/pool/refusal.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import type { SignedTransaction, TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { payment, person } from '../ledger/samples.ts';

const people = [0, 1, 2, 3].map(person);
const [alice, bob, carol] = people as [(typeof people)[0], (typeof people)[0], (typeof people)[0]];
const gasLimitMax = asGas(1_000_000n);

/** A pool over accounts that a test moves by hand, with a clock that a test turns. */
class Scene {
  readonly accounts = new Map<Address, { nonce: bigint; balance: bigint }>();
  readonly pool: Pool;
  now = 1_000;
  /** Of everybody's fees, in wei. */
  cover = 0n;

  constructor(limits: Partial<PoolLimits> = {}, balance = 10n ** 18n) {
    for (const { address } of people) this.accounts.set(address, { nonce: 5n, balance });
    this.pool = new Pool({
      limits: { ...defaultPoolLimits, ...limits },
      rules: { baseFeePerGas: asWei(10n), gasLimitFor: () => gasLimitMax, intrinsicGas },
      account: (address) => this.accounts.get(address) ?? { nonce: 0n, balance: 0n },
      coverOf: () => ({ price: 10n, available: this.cover }),
      now: () => this.now,
    });
  }

  move(address: Address, nonce: bigint, balance = 10n ** 18n): SignedTransaction[] {
    this.accounts.set(address, { nonce, balance });
    return this.pool.settle([address]).map(({ transaction }) => transaction);
  }

  /** The code of the refusal, or what is admitted. */
  add(transaction: SignedTransaction): string {
    const verdict = this.pool.add(transaction, false);
    return verdict.ok ? 'ok' : verdict.refusal.code;
  }

  addAll(from: (typeof people)[0], nonces: readonly bigint[]): string[] {
    return nonces.map((nonce) => this.add(pay(from, nonce)));
  }

  get counts(): { size: number; executable: number; gapped: number } {
    const { size, executable, gapped } = this.pool;
    return { size, executable, gapped };
  }

  executable(): [Address, bigint][] {
    const nonceOf = (address: Address) => this.accounts.get(address)?.nonce ?? 0n;
    return [...this.pool.executableFrom(nonceOf)].map(({ sender, nonce }) => [sender, nonce]);
  }
}

function pay(
  from: (typeof people)[0],
  nonce: bigint,
  fields: Partial<TransactionFields> = {},
): SignedTransaction {
  return payment(from, { nonce, maxFeePerGas: asWei(20n), ...fields });
}

const reserved = `0x4d5042${'00'.repeat(16)}99` as Address;
const virtual = `0x01020304${'fd'.repeat(10)}050607080910` as Address;

/** In the order of the checks: each row is wrong in this way and in all the later ones. */
const refusals: {
  when: string;
  fields: Partial<TransactionFields>;
  refusal: PoolRefusal;
  text: RegExp;
}[] = [
  {
    when: '88: its fee cap is below the floor',
    fields: { maxFeePerGas: asWei(9n), to: null, gasLimit: asGas(1n), nonce: 4n },
    refusal: { code: 'FEE_CAP_TOO_LOW', maxFeePerGas: 9n, baseFeePerGas: asWei(10n) },
    text: /^max fee per gas less than block base fee: maxFeePerGas: 9, baseFee: 10$/,
  },
  {
    when: '89: it makes a contract with more init code than EIP-3860 allows',
    fields: { to: null, data: new Uint8Array(49_153), gasLimit: asGas(2_000_000n), nonce: 4n },
    refusal: { code: 'INIT_CODE_TOO_LONG', bytes: 49_153, max: 49_152 },
    text: /^max initcode size exceeded: code size 49153, limit 49152$/,
  },
  {
    when: '89: it pays a reserved address',
    fields: { to: reserved, gasLimit: asGas(2_000_000n), nonce: 4n },
    refusal: { code: 'ADDRESS_RESERVED', address: reserved },
    text: /^0x4D5042.*0099 takes no coin/i,
  },
  {
    when: '89: it pays coin to a virtual address',
    fields: { to: virtual, gasLimit: asGas(2_000_000n), nonce: 4n },
    refusal: { code: 'ADDRESS_RESERVED', address: virtual },
    text: /^0x01020304fd.* takes no coin/i,
  },
  {
    when: '87: its gas limit is over the block’s',
    fields: { gasLimit: asGas(1_000_001n), nonce: 4n },
    refusal: { code: 'EXCEEDS_BLOCK_GAS_LIMIT', gas: 1_000_001n, limit: gasLimitMax },
    text: /^exceeds block gas limit/,
  },
  {
    when: '87: its gas limit is below its own cost',
    fields: { gasLimit: asGas(20_999n), nonce: 4n },
    refusal: { code: 'INTRINSIC_GAS_TOO_LOW', gas: 20_999n, need: 21_000n },
    text: /^intrinsic gas too low: gas 20999, minimum needed 21000$/,
  },
  {
    when: '84: its nonce was used',
    fields: { nonce: 4n, value: asWei(10n ** 30n) },
    refusal: { code: 'NONCE_TOO_LOW', address: alice.address, want: 5n, got: 4n },
    text: new RegExp(`^nonce too low: address ${formatAddress(alice.address)}, tx: 4 state: 5$`),
  },
  {
    when: '84: its nonce is more than 64 past the next one',
    fields: { nonce: 5n + 65n, value: asWei(10n ** 30n) },
    refusal: { code: 'NONCE_TOO_HIGH', address: alice.address, want: 5n, got: 70n },
    text: /^nonce too high: .*tx: 70 state: 5$/,
  },
  {
    when: '86: its sender has one wei too little',
    fields: { nonce: 5n, value: asWei(10n ** 18n - 419_999n) },
    refusal: {
      ...{ code: 'INSUFFICIENT_FUNDS', address: alice.address },
      ...{ have: 10n ** 18n, need: 10n ** 18n + 1n },
    },
    text: /^insufficient funds for gas \* price \+ value: address 0x\w+ have \d+ want \d+$/,
  },
];

describe('admission', () => {
  for (const { when, fields, refusal, text } of refusals) {
    it(`refuses a payment when ${when}`, () => {
      const scene = new Scene();
      const verdict = scene.pool.add(pay(alice, fields.nonce ?? 5n, fields), true);
      assert.ok(!verdict.ok);
      assert.deepEqual(verdict.refusal, refusal);
      assert.match(describePoolRefusal(verdict.refusal), text);
      assert.deepEqual(scene.counts, { size: 0, executable: 0, gapped: 0 });
    });
  }

  it('84: takes a nonce just 64 past the next one, and counts from what waits', () => {
    const scene = new Scene();
    assert.deepEqual(scene.addAll(alice, [5n + 64n, 5n, 6n + 64n, 71n]), [
      ...['ok', 'ok', 'ok', 'NONCE_TOO_HIGH'],
    ]);
  });

  it('85: knows what it has; what a block had is too low', () => {
    const scene = new Scene();
    const first = pay(alice, 5n);
    assert.equal(scene.add(first), 'ok');
    assert.equal(scene.add(first), 'ALREADY_KNOWN');
    assert.equal(scene.pool.get(first.hash), first);
    scene.move(alice.address, 6n);
    assert.equal(scene.add(first), 'NONCE_TOO_LOW');
    assert.equal(scene.pool.get(first.hash), null);
  });

  it('86: counts all that waits against the balance, a replaced one no more', () => {
    const each = 21_000n * 20n + 100n;
    const scene = new Scene({}, 3n * each);
    const fields = { value: asWei(100n) };
    for (const nonce of [5n, 6n, 9n]) assert.equal(scene.add(pay(alice, nonce, fields)), 'ok');
    assert.equal(scene.add(pay(alice, 7n, fields)), 'INSUFFICIENT_FUNDS');
    const dearer = { maxFeePerGas: asWei(22n) };
    assert.equal(scene.add(pay(alice, 6n, dearer)), 'INSUFFICIENT_FUNDS', '+10 % is over it');
    assert.equal(scene.add(pay(bob, 5n, fields)), 'ok', 'others are not concerned');
  });

  it('counts fees that are paid without coin against what pays them, all of them together', () => {
    const scene = new Scene({}, 0n);
    const fee = 21_000n * 10n;
    assert.equal(scene.add(pay(alice, 5n)), 'INSUFFICIENT_FUNDS');
    scene.cover = 2n * fee;
    // The base fee is what counts: the price may be twice as high.
    assert.deepEqual(scene.addAll(alice, [5n, 6n]), ['ok', 'ok']);
    assert.equal(scene.add(pay(alice, 7n)), 'INSUFFICIENT_FUNDS');
    const dearer = { maxFeePerGas: asWei(40n), maxPriorityFeePerGas: asWei(0n) };
    assert.equal(scene.add(pay(alice, 6n, dearer)), 'ok', 'in place of the other');
    assert.equal(scene.add(pay(bob, 5n, { value: asWei(1n) })), 'INSUFFICIENT_FUNDS');
    assert.deepEqual(scene.move(alice.address, 6n, 0n).length, 2);
    assert.deepEqual(scene.addAll(alice, [7n]), ['ok']);
    assert.equal(scene.add(pay(alice, 8n)), 'INSUFFICIENT_FUNDS');
  });

  it('lets go of what was refused in a block and cannot be paid for at the head either', () => {
    const scene = new Scene({}, 0n);
    scene.cover = 10n ** 9n;
    const both = [pay(alice, 5n), pay(bob, 5n)];
    for (const one of both) assert.equal(scene.add(one), 'ok');
    scene.pool.reconsider([...both, pay(carol, 5n)]);
    assert.equal(scene.pool.size, 2, 'the next block may have room for it');
    scene.cover = 0n;
    scene.accounts.set(bob.address, { nonce: 5n, balance: 10n ** 18n });
    scene.pool.reconsider(both);
    assert.deepEqual(scene.executable(), [[bob.address, 5n]], 'by now it has coin');
    assert.deepEqual(scene.move(bob.address, 5n, 0n), both);
    assert.equal(scene.pool.size, 0);
  });

  it('keeps nothing that waits behind what it let go of', () => {
    const scene = new Scene({}, 0n);
    scene.cover = 10n ** 9n;
    scene.addAll(alice, [5n, 6n, 7n, 9n]);
    scene.cover = 0n;
    scene.pool.reconsider([pay(alice, 5n)]);
    assert.deepEqual(scene.counts, { size: 0, executable: 0, gapped: 0 });
    assert.equal(scene.move(alice.address, 5n, 0n).length, 4);
    // By now it has coin for the first.
    scene.cover = 10n ** 9n;
    scene.addAll(alice, [5n, 6n]);
    scene.cover = 0n;
    scene.accounts.set(alice.address, { nonce: 5n, balance: 21_000n * 20n });
    scene.pool.reconsider([pay(alice, 5n)]);
    assert.deepEqual(scene.executable(), [[alice.address, 5n]]);
  });

  it('finds by itself, a few with every block, what nobody pays for any more', () => {
    const scene = new Scene({}, 0n);
    scene.cover = 10n ** 12n;
    const crowd = Array.from({ length: 10 }, (_, at) => person(100 + at));
    const some = Array.from({ length: 60 }, (_, nonce) => BigInt(nonce));
    for (const one of crowd) scene.addAll(one, some);
    assert.equal(scene.pool.size, 600);
    scene.move(carol.address, 5n);
    assert.equal(scene.pool.size, 600, 'all is paid for');
    scene.cover = 0n;
    const sizes = Array.from({ length: 22 }, () => {
      scene.move(carol.address, 5n);
      return scene.pool.size;
    });
    assert.equal(sizes.at(-1), 0);
    assert.ok((sizes[0] ?? 0) > 0, 'not all at once');
    assert.deepEqual(scene.addAll(alice, [5n]), ['INSUFFICIENT_FUNDS']);
    scene.accounts.set(alice.address, { nonce: 5n, balance: 10n ** 18n });
    assert.deepEqual(scene.addAll(alice, [5n, 6n]), ['ok', 'ok']);
    scene.accounts.set(alice.address, { nonce: 5n, balance: 21_000n * 20n });
    for (let block = 0; block < 2; block++) scene.move(carol.address, 5n);
    assert.deepEqual(scene.executable(), [[alice.address, 5n]]);
  });

  it('89: takes payments to oneself, to the zero address and of nothing', () => {
    const scene = new Scene();
    assert.equal(scene.add(pay(alice, 5n, { to: alice.address })), 'ok');
    assert.equal(scene.add(pay(alice, 6n, { to: `0x${'00'.repeat(20)}` as Address })), 'ok');
    assert.equal(scene.add(pay(alice, 7n, { value: asWei(0n) })), 'ok');
  });
});

describe('replacement', () => {
  const rows = [
    { when: 'the same price', cap: 100n, tip: 10n, want: 'REPLACEMENT_UNDERPRICED' },
    { when: '9 % more', cap: 109n, tip: 11n, want: 'REPLACEMENT_UNDERPRICED' },
    { when: '10 % more', cap: 110n, tip: 11n, want: 'ok' },
    { when: '10 % more and the old tip', cap: 110n, tip: 10n, want: 'REPLACEMENT_UNDERPRICED' },
    { when: 'the old cap and 10 % more tip', cap: 100n, tip: 11n, want: 'REPLACEMENT_UNDERPRICED' },
    { when: 'twice as much', cap: 200n, tip: 20n, want: 'ok' },
  ];
  for (const { when, cap, tip, want } of rows) {
    it(`84: at ${when}: ${want}`, () => {
      const scene = new Scene();
      const fees = (c: bigint, t: bigint) => ({
        maxFeePerGas: asWei(c),
        maxPriorityFeePerGas: asWei(t),
      });
      const old = pay(alice, 5n, fees(100n, 10n));
      assert.equal(scene.add(old), 'ok');
      const other = pay(alice, 5n, { ...fees(cap, tip), value: asWei(1n) });
      assert.equal(scene.add(other), want);
      const [waiting] = [...scene.pool.executableFrom(() => 5n)];
      assert.equal(waiting, want === 'ok' ? other : old);
      assert.equal(scene.pool.size, 1);
    });
  }

  it('rounds the price that it asks for up', () => {
    const scene = new Scene();
    assert.equal(scene.add(pay(alice, 5n, { maxFeePerGas: asWei(11n) })), 'ok');
    const verdict = scene.pool.add(pay(alice, 5n, { maxFeePerGas: asWei(12n) }), false);
    assert.ok(!verdict.ok);
    assert.deepEqual(verdict.refusal, { code: 'REPLACEMENT_UNDERPRICED', need: 13n, got: 12n });
    const text = 'replacement transaction underpriced';
    assert.equal(describePoolRefusal(verdict.refusal), text);
  });

  it('works where a sender or the pool is full, and says what it pushed out', () => {
    const scene = new Scene({ senderTransactionsMax: 2, poolTransactionsMax: 2 });
    const old = pay(alice, 5n);
    assert.deepEqual([scene.add(old), scene.add(pay(alice, 6n))], ['ok', 'ok']);
    assert.equal(scene.add(pay(alice, 5n, { maxFeePerGas: asWei(22n) })), 'ok');
    assert.deepEqual(scene.move(bob.address, 5n), [old], 'so that nobody keeps it any longer');
    assert.deepEqual(scene.move(bob.address, 5n), []);
  });
});

describe('limits', () => {
  it('86: a sender has so many and no more', () => {
    const scene = new Scene({ senderTransactionsMax: 3 });
    assert.deepEqual(scene.addAll(alice, [5n, 6n, 9n, 8n]), ['ok', 'ok', 'ok', 'SENDER_LIMIT']);
    assert.equal(scene.add(pay(bob, 5n)), 'ok');
  });

  it('what closes a gap may come beyond it, or what waits behind would wait for ever', () => {
    const scene = new Scene({ senderTransactionsMax: 3 });
    assert.deepEqual(scene.addAll(alice, [6n, 7n, 9n]), ['ok', 'ok', 'ok']);
    assert.deepEqual(scene.addAll(alice, [10n, 5n, 8n]), ['SENDER_LIMIT', 'ok', 'ok']);
    assert.deepEqual(scene.counts, { size: 5, executable: 5, gapped: 0 });
    assert.equal(scene.add(pay(alice, 10n)), 'SENDER_LIMIT');
  });

  it('a full pool takes no more, and says so', () => {
    const scene = new Scene({ poolTransactionsMax: 3 });
    assert.deepEqual(scene.addAll(alice, [5n, 6n, 7n, 8n]), ['ok', 'ok', 'ok', 'POOL_FULL']);
    const verdict = scene.pool.add(pay(bob, 5n), true);
    assert.ok(!verdict.ok && verdict.refusal.code === 'POOL_FULL' && verdict.refusal.limit === 3);
    assert.match(describePoolRefusal(verdict.refusal), /pool is full: 3 .* try again soon/);
    scene.move(alice.address, 6n);
    assert.equal(scene.add(pay(bob, 5n)), 'ok', 'and goes on once there is room');
  });

  it('those behind a gap have their own narrow place and never push anybody out', () => {
    const scene = new Scene({ gappedTransactionsMax: 2, poolTransactionsMax: 4 });
    assert.deepEqual(scene.addAll(alice, [7n, 8n, 9n]), ['ok', 'ok', 'POOL_FULL']);
    assert.deepEqual(scene.addAll(bob, [7n]), ['POOL_FULL']);
    assert.deepEqual(scene.addAll(bob, [5n, 6n, 7n]), ['ok', 'ok', 'ok']);
    assert.deepEqual(scene.counts, { size: 5, executable: 3, gapped: 2 });
    assert.deepEqual(scene.addAll(carol, [5n, 6n]), ['ok', 'POOL_FULL']);
    assert.deepEqual(scene.executable().length, 4);
  });

  it('what filled a gap makes room for other gaps', () => {
    const scene = new Scene({ gappedTransactionsMax: 2 });
    assert.deepEqual(scene.addAll(alice, [7n, 6n, 5n]), ['ok', 'ok', 'ok']);
    assert.deepEqual(scene.counts, { size: 3, executable: 3, gapped: 0 });
    assert.deepEqual(scene.addAll(alice, [9n, 10n, 11n]), ['ok', 'ok', 'POOL_FULL']);
  });
});

describe('waiting', () => {
  it('a wallet is told the nonce after what is executable', () => {
    const scene = new Scene();
    assert.equal(scene.pool.nextNonce(alice.address), 5n);
    scene.addAll(alice, [5n, 6n, 8n]);
    assert.equal(scene.pool.nextNonce(alice.address), 7n);
    scene.addAll(alice, [7n]);
    assert.equal(scene.pool.nextNonce(alice.address), 9n);
    assert.equal(scene.pool.nextNonce(`0x${'99'.repeat(20)}` as Address), 0n);
  });

  it('gives each sender’s payments from a nonce on, without gaps, senders by arrival', () => {
    const scene = new Scene();
    scene.addAll(bob, [6n, 5n]);
    scene.addAll(alice, [5n, 7n]);
    scene.addAll(carol, [6n]);
    assert.deepEqual(scene.executable(), [
      ...[[bob.address, 5n] as const, [bob.address, 6n] as const, [alice.address, 5n] as const],
    ]);
    const after = [...scene.pool.executableFrom((who) => (who === bob.address ? 6n : 7n))];
    assert.deepEqual(
      after.map(({ nonce }) => nonce),
      [6n, 7n],
      'on a proposal, other nonces are next',
    );
    assert.ok(scene.pool.hasExecutable(() => 7n));
    assert.ok(!scene.pool.hasExecutable(() => 8n));
  });

  it('85: after a block what it had is gone, and also what it made impossible', () => {
    const scene = new Scene();
    const [a, b, c] = [5n, 6n, 8n].map((nonce) => pay(alice, nonce)) as [
      ...[SignedTransaction, SignedTransaction, SignedTransaction],
    ];
    for (const item of [a, b, c]) scene.add(item);
    assert.deepEqual(scene.move(alice.address, 6n), [a]);
    assert.deepEqual(scene.counts, { size: 2, executable: 1, gapped: 1 });
    assert.deepEqual(scene.move(alice.address, 8n), [b], 'another payment had nonce 7');
    assert.deepEqual(scene.counts, { size: 1, executable: 1, gapped: 0 });
    assert.deepEqual(scene.move(alice.address, 20n), [c]);
    assert.deepEqual(scene.counts, { size: 0, executable: 0, gapped: 0 });
    assert.deepEqual(scene.pool.settle([alice.address]), []);
  });

  it('86: a balance that shrank drops the last ones first', () => {
    const scene = new Scene();
    const all = [5n, 6n, 7n, 9n].map((nonce) => pay(alice, nonce));
    for (const item of all) scene.add(item);
    const cost = 21_000n * 20n;
    assert.deepEqual(scene.move(alice.address, 5n, 2n * cost), [all[3], all[2]]);
    assert.deepEqual(scene.executable().length, 2);
    assert.deepEqual(scene.move(alice.address, 6n, 0n), [all[0], all[1]]);
    assert.equal(scene.pool.size, 0);
  });

  it('drops what has waited too long, and with it what came after it in nonces is gapped', () => {
    const scene = new Scene({ lifetimeMs: 100 });
    const old = pay(alice, 5n);
    scene.add(old);
    scene.now += 60;
    scene.addAll(alice, [6n]);
    scene.addAll(bob, [5n]);
    scene.now += 39;
    assert.deepEqual(scene.pool.expire(), []);
    scene.now += 1;
    assert.deepEqual(
      scene.pool.expire().map(({ transaction }) => transaction),
      [old],
    );
    assert.deepEqual(scene.counts, { size: 2, executable: 1, gapped: 1 });
    assert.equal(scene.pool.nextNonce(alice.address), 5n);
    scene.now += 1_000;
    assert.equal(scene.pool.expire().length, 2);
    assert.deepEqual(scene.counts, { size: 0, executable: 0, gapped: 0 });
  });
});

describe('against a model', () => {
  const limits = {
    ...{ poolTransactionsMax: 9, gappedTransactionsMax: 3, senderTransactionsMax: 4 },
    ...{ nonceGapMax: 4, lifetimeMs: 50 },
  };
  type Item = { transaction: SignedTransaction; at: number };

  /** A list, looked through from the beginning each time. */
  class Model {
    readonly scene: Scene;
    items: Item[] = [];
    constructor(scene: Scene) {
      this.scene = scene;
    }

    of(address: Address): Item[] {
      return this.items.filter(({ transaction }) => transaction.sender === address);
    }
    next(address: Address): bigint {
      const nonces = new Set(this.of(address).map(({ transaction }) => transaction.nonce));
      let next = this.scene.accounts.get(address)?.nonce ?? 0n;
      while (nonces.has(next)) next++;
      return next;
    }
    isGapped({ transaction: { sender, nonce } }: Item): boolean {
      return nonce > this.next(sender);
    }
    gapped(): number {
      return this.items.filter((item) => this.isGapped(item)).length;
    }
    cost(address: Address): bigint {
      return this.of(address).reduce(
        (sum, { transaction: t }) => sum + t.gasLimit * t.maxFeePerGas + t.value,
        0n,
      );
    }

    add(transaction: SignedTransaction): string {
      const { sender, nonce, hash, gasLimit, maxFeePerGas, value } = transaction;
      const account = this.scene.accounts.get(sender) ?? { nonce: 0n, balance: 0n };
      if (this.items.some((item) => item.transaction.hash === hash)) return 'ALREADY_KNOWN';
      if (nonce < account.nonce) return 'NONCE_TOO_LOW';
      if (nonce > this.next(sender) + 4n) return 'NONCE_TOO_HIGH';
      const old = this.of(sender).find((item) => item.transaction.nonce === nonce);
      const oldPrice = old?.transaction.maxFeePerGas ?? 0n;
      if (maxFeePerGas * 10n < oldPrice * 11n) return 'REPLACEMENT_UNDERPRICED';
      const freed = old === undefined ? 0n : gasLimit * oldPrice + old.transaction.value;
      const need = this.cost(sender) - freed + gasLimit * maxFeePerGas + value;
      if (need > account.balance) return 'INSUFFICIENT_FUNDS';
      if (old !== undefined) {
        this.items = this.items.filter((item) => item !== old);
      } else {
        const closes = nonce === this.next(sender) && this.of(sender).some((i) => this.isGapped(i));
        if (!closes && this.of(sender).length >= 4) return 'SENDER_LIMIT';
        const executable = this.items.length - this.gapped();
        if (nonce === this.next(sender) ? executable >= 9 : this.gapped() >= 3) return 'POOL_FULL';
      }
      this.items.push({ transaction, at: this.scene.now });
      return 'ok';
    }

    settle(address: Address): void {
      const { nonce, balance } = this.scene.accounts.get(address) ?? assert.fail();
      const drop = (gone: Item | undefined) => {
        this.items = this.items.filter((item) => item !== gone);
      };
      for (const item of this.of(address)) if (item.transaction.nonce < nonce) drop(item);
      while (this.cost(address) > balance) {
        const byNonce = this.of(address).sort((a, b) =>
          a.transaction.nonce < b.transaction.nonce ? -1 : 1,
        );
        drop(byNonce.at(-1));
      }
    }
  }

  it('admits, orders, settles and expires as a list would', () => {
    const seen = new Map<string, number>();
    for (let seed = 1; seed <= 150; seed++) {
      const random = new SeededRandom(seed);
      const scene = new Scene(limits, seed % 2 === 0 ? 4_000_000n : 10n ** 12n);
      const model = new Model(scene);
      for (let step = 0; step < 60; step++) {
        const message = `seed ${seed}, step ${step}`;
        const from = random.pick(people);
        scene.now += random.below(3);
        const dice = random.float();
        if (dice < 0.85) {
          const nonce =
            (scene.accounts.get(from.address)?.nonce ?? 0n) + BigInt(random.below(7) - 1);
          const fields = {
            maxFeePerGas: asWei(BigInt(20 + random.below(8))),
            value: asWei(BigInt(random.below(3)) * 400_000n),
          };
          const transaction = pay(from, nonce < 0n ? 0n : nonce, fields);
          const verdict = scene.add(transaction);
          assert.equal(verdict, model.add(transaction), message);
          seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
        } else if (dice < 0.95) {
          const account = scene.accounts.get(from.address) ?? assert.fail();
          const balance = BigInt(random.below(random.pick([5_000_000, 1e9])));
          scene.accounts.set(from.address, {
            nonce: account.nonce + BigInt(random.below(3)),
            balance,
          });
          scene.pool.settle([from.address]);
          model.settle(from.address);
        } else {
          scene.pool.expire();
          model.items = model.items.filter(({ at }) => at > scene.now - 50);
        }
        const gapped = model.gapped();
        const size = model.items.length;
        assert.deepEqual(scene.counts, { size, gapped, executable: size - gapped }, message);
        for (const { address } of people) {
          assert.equal(scene.pool.nextNonce(address), model.next(address), message);
        }
        const want = model.items.filter((item) => !model.isGapped(item));
        assert.deepEqual(
          new Set(scene.executable().map((place) => place.join())),
          new Set(want.map(({ transaction: t }) => `${t.sender},${t.nonce}`)),
          message,
        );
      }
    }
    for (const code of ['ok', 'NONCE_TOO_LOW', 'NONCE_TOO_HIGH', 'REPLACEMENT_UNDERPRICED']) {
      assert.ok((seen.get(code) ?? 0) > 20, `${code} came up`);
    }
    for (const code of ['INSUFFICIENT_FUNDS', 'SENDER_LIMIT', 'POOL_FULL']) {
      assert.ok((seen.get(code) ?? 0) > 5, `${code} came up ${seen.get(code)}`);
    }
  });
});
