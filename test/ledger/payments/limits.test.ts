/** Limits of PolicyRegistry in every way by which money moves, and who may set them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Abi, encodeFunctionData } from 'viem';
import { callGas } from '#src/ledger/gas.ts';
import { ADDRESS_REGISTRY, PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { hashFees, merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { blank, type Person } from '../samples.ts';
import { bytes, memberId, type Wanted } from './rig.ts';
import {
  acquirer,
  ann,
  bank,
  bea,
  clerk,
  courier,
  feeTaker,
  none,
  ShopWorld,
  shop,
  shopId,
  till,
  word,
} from './shopWorld.ts';

const OUT = 0;
const IN = 1;
const [PAYMENT, DAY, WEEK, MONTH, YEAR] = [0, 1, 2, 3, 4] as const;
const day = 86_400;

class Limited extends ShopWorld {
  limit(
    subject: Hash | Person,
    direction: number,
    unit: number,
    [maxAmount, maxCount = 0]: readonly [bigint, number?],
  ): Wanted {
    const id = typeof subject === 'string' ? subject : subjectOf(subject.address);
    const args = [id, this.token, direction, unit, maxAmount, maxCount];
    return [policyRegistry, 'setLimit', args];
  }
  /** By whoever may. */
  set(...limit: Parameters<Limited['limit']>): void {
    const by = limit[0] === shopId ? acquirer : bank;
    const sent = this.ok(by, this.limit(...limit));
    assert.deepEqual(
      sent.logs.map(({ name }) => name),
      ['LimitSet'],
    );
  }
  /** Amount and number of what is used. */
  used(subject: Hash | Person, direction: number, unit: number): [bigint, number] {
    const [, , amount, count] = this.limitOf(subject, direction, unit);
    return [amount, count];
  }
  limitOf(subject: Hash | Person, direction: number, unit: number) {
    const id = typeof subject === 'string' ? subject : subjectOf(subject.address);
    const found = this.ledger.view(policyRegistry, 'limitOf', [id, this.token, direction, unit]);
    return found as [bigint, number, bigint, number, number];
  }
  transfer(from: Person, to: Person, amount: bigint) {
    return this.ok(from, this.transferring(to, amount));
  }
  transferring({ address }: { address: Address }, amount: bigint): Wanted {
    return [this.euro, 'transfer', [address, amount]];
  }
  hold(id: string, to: Person, amount: bigint, seconds = 0n): Wanted {
    return [this.euro, 'hold', [word(id), to.address, bea.address, amount, seconds]];
  }
  authorized(by: Person, to: Address, value: bigint, nonce: Hash): Wanted {
    const validBefore = this.now + 1_000n;
    const message = { from: by.address, to, value, validAfter: 0n, validBefore, nonce };
    const fields = [
      ...([
        ['address', 'from'],
        ['address', 'to'],
        ['uint256', 'value'],
      ] as const),
      ...([
        ['uint256', 'validAfter'],
        ['uint256', 'validBefore'],
        ['bytes32', 'nonce'],
      ] as const),
    ] as const;
    const domain = { name: 'Euro', verifyingContract: this.token };
    const type = 'TransferWithAuthorization';
    const { signature } = this.sign(by, domain, type, fields, message);
    return [
      { ...this.euro, abi: this.euro.abi.filter((item) => !isInParts(item)) },
      'transferWithAuthorization',
      [...Object.values(message), signature],
    ];
  }
}

/** Where money is held for others than orders, too. */
class Holding extends Limited {
  override check(): void {
    this.checkSums();
  }
}

/** The form of a function that takes a signature as v, r and s. */
function isInParts(item: unknown): boolean {
  return ((item as { inputs?: readonly unknown[] }).inputs ?? []).length === 9;
}

describe('who sets a limit', () => {
  const fresh = `0x${'00'.repeat(12)}${'5a'.repeat(20)}` as Hash;
  const reserved = subjectOf(PAYMENT_ORDERS);
  const virtual =
    `0x${'00'.repeat(12)}${'11'.repeat(4)}${'fd'.repeat(10)}${'22'.repeat(6)}` as Hash;
  const rows: [when: string, by: Person, subject: Hash, error: string | null][] = [
    ["the token's officer, of an account", bank, fresh, null],
    ['the account itself', ann, subjectOf(ann.address), 'NotAuthorized'],
    ['whoever passes by, of an account', bea, subjectOf(ann.address), 'NotAuthorized'],
    ['an acquirer, of an account', acquirer, subjectOf(ann.address), 'NotAuthorized'],
    ['the acquirer, of its merchant', acquirer, shopId, null],
    ["the token's officer, of a merchant", bank, shopId, 'NotAuthorized'],
    ['the merchant itself', shop, shopId, 'NotAuthorized'],
    ['a member, of itself', acquirer, memberId(1), 'NotAuthorized'],
    ['anybody, of whoever is not there', bank, word('nobody'), 'UnknownSubject'],
    ['the officer, of nobody', bank, subjectOf(ZERO_ADDRESS), 'InvalidAccount'],
    ['the officer, of a contract of the system', bank, reserved, 'InvalidAccount'],
    ['the officer, of a virtual address', bank, virtual, 'InvalidAccount'],
  ];
  for (const [when, by, subject, error] of rows) {
    it(`${error === null ? 'is' : 'is not'} ${when}`, () => {
      const world = new Limited();
      const limit = world.limit(subject, OUT, DAY, [100n, 3]);
      if (error === null) world.ok(by, limit);
      else world.fails(error, by, limit);
    });
  }

  it('is all members together, of one of them', () => {
    const world = new Limited();
    assert.ok(world.ledger.decide(world.limit(memberId(1), IN, DAY, [500n])).ok);
    const id = world.create({ amount: 501n });
    world.refused('LimitExceeded', ann, 'pay', id);
    const sent = world.ledger.decide(world.limit(subjectOf(ann.address), OUT, DAY, [5n]));
    assert.equal(sent.error?.name, 'CallFailed', 'and of nobody else');
  });

  it('is not a merchant that calls itself like somebody else', () => {
    for (const merchantId of [subjectOf(ann.address), memberId(2)]) {
      const world = new Limited();
      const own = { merchantId, legalEntityHash: word('x'), settlementAccount: till.address };
      const { terms, signature } = world.registration(own, till);
      world.ok(acquirer, [merchantRegistry, 'registerMerchant', [terms, signature]]);
      world.fails('NotAuthorized', acquirer, world.limit(merchantId, OUT, DAY, [1n]));
    }
  });

  it('is refused what is no limit', () => {
    const world = new Limited();
    const args = [subjectOf(ann.address), world.token, OUT, DAY, 1n, 0] as const;
    const call = (...given: readonly unknown[]): Wanted => [policyRegistry, 'setLimit', given];
    world.fails('UnknownToken', bank, call(args[0], ADDRESS_REGISTRY, ...args.slice(2)));
    const unmade = `${world.token.slice(0, -2)}00`;
    world.fails('UnknownToken', bank, call(args[0], unmade, ...args.slice(2)));
    world.fails('InvalidLimit', bank, call(args[0], world.token, 2, DAY, 1n, 0));
    world.fails('InvalidLimit', bank, call(args[0], world.token, OUT, 5, 1n, 0));
    world.fails('InvalidLimit', bank, call(args[0], world.token, OUT, 255, 1n, 0));
    world.fails('InvalidLimit', bank, call(args[0], world.token, OUT, PAYMENT, 1n, 1));
    for (const tooMuch of [1n << 96n, (1n << 256n) - 1n]) {
      world.fails('AmountTooLarge', bank, call(args[0], world.token, OUT, DAY, tooMuch, 0));
    }
  });
});

describe('a limit of an account', () => {
  it('holds for whatever it pays, in every way', () => {
    const world = new Limited();
    const { euro, token } = world;
    world.ok(ann, [euro, 'approve', [bea.address, 1_000n]]);
    world.set(ann, OUT, DAY, [100n]);
    world.transfer(ann, bea, 90n);
    const memo = word('memo');
    const item = { to: bea.address, amount: 11n, memo };
    const charge = world.create({ amount: 11n });
    const later = world.create({ amount: 11n, captureMode: 1n });
    const ways: [by: Person, wanted: Wanted][] = [
      [ann, world.transferring(bea, 11n)],
      [ann, [euro, 'transferWithMemo', [bea.address, 11n, memo]]],
      [bea, [euro, 'transferFrom', [ann.address, bea.address, 11n]]],
      [bea, [euro, 'transferFromWithMemo', [ann.address, bea.address, 11n, memo]]],
      [ann, [euro, 'transfer', [bea.address, 11n, '0x01']]],
      [bea, [euro, 'transferFrom', [ann.address, bea.address, 11n, '0x01']]],
      [courier, world.authorized(ann, bea.address, 11n, word('signed'))],
      [ann, world.hold('hold', bea, 11n)],
      [bea, [euro, 'holdFrom', [word('from'), ann.address, bea.address, bea.address, 11n, 0n]]],
      [ann, [paymentOrders, 'pay', [charge]]],
      [ann, [paymentOrders, 'pay', [later]]],
      [courier, [paymentOrders, 'payWithAuthorization', world.authorization(ann, charge, 11n)]],
    ];
    for (const [by, wanted] of ways) {
      const { error } = world.fails('LimitExceeded', by, wanted);
      const told = [subjectOf(ann.address), token, OUT, DAY, 100n, 10n, 0, 0];
      const [subject, of, ...rest] = error?.args ?? [];
      assert.deepEqual([subject, String(of).toLowerCase(), ...rest], told, wanted[1]);
    }
    const batch: Wanted = [payouts, 'payoutBatch', [token, [item], word('all'), true]];
    assert.equal(world.fails('ItemFailed', ann, batch).error?.args[1], 9);
    const each: Wanted = [payouts, 'payoutBatch', [token, [item, item], word('each'), false]];
    const codes = world.ok(ann, each).logs.map(({ args }) => args.errorCode);
    assert.deepEqual(codes.slice(0, 2), [9, 9]);
    const can = (amount: bigint) =>
      world.ledger.view(euro, 'canTransfer', [ann.address, bea.address, amount]);
    assert.deepEqual([can(10n), can(11n)], [true, false]);
    assert.deepEqual(world.used(ann, OUT, DAY), [90n, 1], 'what was refused was not counted');
    world.transfer(ann, bea, 10n);
    world.transfer(ann, ann, 500n);
    world.transfer(ann, bea, 0n);
    assert.deepEqual(world.used(ann, OUT, DAY), [100n, 2], 'nothing, and to oneself');
  });

  it('holds for whatever it gets, and a payout pays the others', () => {
    const world = new Limited();
    world.set(bea, IN, MONTH, [100n, 2]);
    world.transfer(ann, bea, 60n);
    world.fails('LimitExceeded', ann, world.transferring(bea, 41n));
    const items = [bea, till, bea, bea].map(({ address }, at) => {
      return { to: address, amount: BigInt(39 + at), memo: none };
    });
    const sent = world.ok(ann, [payouts, 'payoutBatch', [world.token, items, none, false]]);
    const codes = sent.logs
      .filter(({ name }) => name === 'BatchItem')
      .map(({ args }) => args.errorCode);
    assert.deepEqual(codes, [0, 0, 9, 9]);
    assert.deepEqual(world.used(bea, IN, MONTH), [99n, 2]);
    const error = world.fails('LimitExceeded', ann, world.transferring(bea, 1n)).error;
    assert.deepEqual(error?.args.slice(4), [100n, 1n, 2, 0], 'two payments are enough');
    assert.equal(
      world.ledger.view(world.euro, 'canTransfer', [ann.address, bea.address, 1n]),
      false,
    );
  });

  it('is of each payment, of the day, the week, the month and the year at once', () => {
    const world = new Limited();
    world.set(ann, OUT, PAYMENT, [50n]);
    for (const [unit, amount] of [
      [DAY, 60n],
      [WEEK, 100n],
      [MONTH, 130n],
      [YEAR, 170n],
    ] as const) {
      world.set(ann, OUT, unit, [amount]);
    }
    const refusedBy = (amount: bigint) => {
      return world.fails('LimitExceeded', ann, world.transferring(bea, amount)).error?.args[3];
    };
    // Monday, 21 September 2026.
    assert.equal(refusedBy(51n), PAYMENT);
    world.transfer(ann, bea, 50n);
    assert.equal(refusedBy(11n), DAY);
    world.wait(day);
    assert.equal(refusedBy(51n), PAYMENT);
    world.transfer(ann, bea, 40n);
    world.wait(day);
    assert.equal(refusedBy(11n), WEEK);
    world.wait(5 * day);
    world.transfer(ann, bea, 40n);
    assert.equal(refusedBy(1n), MONTH);
    world.wait(3 * day);
    assert.equal(refusedBy(41n), YEAR);
    world.transfer(ann, bea, 40n);
    world.wait(92 * day);
    world.transfer(ann, bea, 50n);
    assert.deepEqual(world.used(ann, OUT, YEAR), [50n, 1]);
    assert.deepEqual(world.limitOf(ann, OUT, PAYMENT), [50n, 0, 0n, 0, 0]);
    const ends = [DAY, WEEK, MONTH, YEAR].map((unit) => world.limitOf(ann, OUT, unit)[4]);
    const want = ['2027-01-02', '2027-01-04', '2027-02-01', '2028-01-01'];
    assert.deepEqual(
      ends,
      want.map((text) => Date.parse(`${text}T00:00:00Z`) / 1_000),
    );
  });

  it('does not count what its owner has no part in: issuing, force, and refunds', () => {
    const world = new Limited();
    const { euro } = world;
    world.set(ann, OUT, PAYMENT, [1_000n]);
    world.set(ann, IN, DAY, [1n]);
    world.set(bea, IN, DAY, [1n]);
    world.set(shop, OUT, DAY, [1n]);
    const [id, other] = [world.create({ amount: 1_000n }), world.create({ amount: 10n })];
    world.do(ann, 'pay', id);
    world.do(bea, 'pay', other);
    world.do(clerk, 'refund', id, 1_000n, none);
    world.ok(bank, [euro, 'mintWithMemo', [bea.address, 500n, none]]);
    world.ok(bank, [euro, 'forcedTransfer', [ann.address, bea.address, 5_000n]]);
    assert.deepEqual(world.used(bea, IN, DAY), [0n, 0]);
    assert.deepEqual(world.used(shop, OUT, DAY), [0n, 0]);
    world.fails('LimitExceeded', shop, world.transferring(ann, 2n));
  });

  it('is changed, lowered below what is used, and taken away', () => {
    const world = new Limited();
    world.set(ann, OUT, DAY, [100n]);
    world.transfer(ann, bea, 80n);
    world.set(ann, OUT, DAY, [50n]);
    const error = world.fails('LimitExceeded', ann, world.transferring(bea, 1n)).error;
    assert.deepEqual(error?.args.slice(4, 6), [50n, 0n]);
    world.set(ann, OUT, DAY, [90n]);
    world.transfer(ann, bea, 10n);
    world.set(ann, OUT, DAY, [0n, 0]);
    world.transfer(ann, bea, 1_000n);
    assert.deepEqual(world.limitOf(ann, OUT, DAY), [0n, 0, 0n, 0, 0]);
    world.set(ann, OUT, DAY, [0n, 2]);
    world.transfer(ann, bea, 1_000n);
    assert.deepEqual(world.used(ann, OUT, DAY), [1_000n, 1], 'it begins anew');
  });

  it('leaves room for 500 items in a transaction, or for 180 to payees with limits', () => {
    for (const [count, isOfPayees] of [
      [500, false],
      [180, true],
    ] as const) {
      const world = new Limited();
      const items = Array.from({ length: count }, (_, at) => {
        const to = `0x${(0xabcdn * (BigInt(at) + (1n << 140n))).toString(16).padStart(40, '0')}`;
        return { to: to as Address, amount: 1n, memo: word(`no ${at}`) };
      });
      const state = new Overlay(world.ledger.state);
      const run = (by: Person, [contract, functionName, args]: Wanted) => {
        const abi = contract.abi as Abi;
        const data = bytes(encodeFunctionData({ abi, functionName, args }));
        const message = { sender: by.address, to: contract, value: 0n, data, gas: 1n << 24n };
        const result = runMessage(state, world.ledger.facts, message);
        assert.equal(result.ended, 'well', functionName);
        return callGas({ ...blank, data }, result.gasUsed);
      };
      const limited = isOfPayees ? items.map(({ to }) => subjectOf(to)) : [subjectOf(ann.address)];
      for (const subject of limited) {
        for (const unit of [DAY, WEEK, MONTH, YEAR]) {
          run(bank, world.limit(subject, isOfPayees ? IN : OUT, unit, [1_000n, 1_000]));
        }
      }
      const gas = run(ann, [payouts, 'payoutBatch', [world.token, items, none, true]]);
      assert.ok(gas < 1n << 24n, `${count}: ${gas}`);
    }
  });

  it('costs nobody anything who has none', () => {
    const world = new Limited();
    world.transfer(ann, bea, 1n);
    const before = world.transfer(ann, bea, 1n).gasUsed;
    world.set(till, OUT, DAY, [1n]);
    world.set(shopId, IN, DAY, [1n]);
    assert.equal(world.transfer(ann, bea, 1n).gasUsed, before);
    world.set(ann, OUT, DAY, [100n]);
    assert.ok(world.transfer(ann, bea, 1n).gasUsed > before);
  });
});

describe('what is on hold', () => {
  it('counts when it is held, not when it is paid, and what comes back is given back', () => {
    const world = new Holding();
    const { euro } = world;
    world.set(ann, OUT, DAY, [100n, 5]);
    world.ok(ann, world.hold('one', till, 60n));
    assert.deepEqual(world.used(ann, OUT, DAY), [60n, 1]);
    world.fails('LimitExceeded', ann, world.transferring(bea, 41n));
    world.ok(bea, [euro, 'executeHold', [word('one'), 25n]]);
    assert.deepEqual(world.used(ann, OUT, DAY), [25n, 1], 'a part of it was a payment');
    world.ok(ann, world.hold('two', till, 75n));
    assert.deepEqual(world.used(ann, OUT, DAY), [100n, 2]);
    world.ok(till, [euro, 'releaseHold', [word('two')]]);
    assert.deepEqual(world.used(ann, OUT, DAY), [25n, 1], 'it was none');
  });

  it('is given back to no other period, nor to a limit that did not count it', () => {
    const world = new Holding();
    const { euro } = world;
    world.ok(ann, world.hold('before', till, 70n));
    world.set(ann, OUT, DAY, [100n]);
    world.set(ann, OUT, MONTH, [1_000n]);
    world.transfer(ann, bea, 30n);
    world.ok(bea, [euro, 'releaseHold', [word('before')]]);
    assert.deepEqual(world.used(ann, OUT, DAY), [30n, 1]);
    world.ok(ann, world.hold('yesterday', till, 70n));
    world.wait(day);
    world.transfer(ann, bea, 90n);
    world.ok(bea, [euro, 'releaseHold', [word('yesterday')]]);
    assert.deepEqual(world.used(ann, OUT, DAY), [90n, 1]);
    assert.deepEqual(world.used(ann, OUT, MONTH), [120n, 2], 'the month goes on');
    world.ok(ann, world.hold('again', till, 5n));
    world.set(ann, OUT, DAY, [0n]);
    world.set(ann, OUT, DAY, [100n]);
    world.ok(bea, [euro, 'releaseHold', [word('again')]]);
    assert.deepEqual(world.used(ann, OUT, DAY), [0n, 0]);
  });

  it('counts as received when it arrives: who is promised money is not blocked by it', () => {
    const world = new Holding();
    const { euro } = world;
    world.set(till, IN, DAY, [100n]);
    world.ok(ann, world.hold('bait', till, 900n));
    world.transfer(ann, till, 80n);
    world.fails('LimitExceeded', bea, [euro, 'executeHold', [word('bait'), 21n]]);
    world.ok(bea, [euro, 'executeHold', [word('bait'), 20n]]);
    assert.deepEqual(world.used(till, IN, DAY), [100n, 2]);
  });
});

describe('limits of orders', () => {
  it('are of the merchant, in and out, and count what is held', () => {
    const world = new Limited();
    world.set(shopId, IN, DAY, [1_000n, 3]);
    world.set(shopId, OUT, DAY, [150n]);
    const held = world.create({ amount: 600n, captureMode: 1n });
    const paid = world.create({ amount: 400n });
    const more = world.create({ amount: 1n });
    world.do(ann, 'pay', held);
    world.do(ann, 'pay', paid);
    const error = world.refused('LimitExceeded', bea, 'pay', more).error;
    assert.deepEqual(error?.args[0], shopId);
    assert.deepEqual(error?.args.slice(2), [IN, DAY, 1_000n, 0n, 3, 1]);
    world.do(till, 'capture', held, 250n);
    assert.deepEqual(world.used(shopId, IN, DAY), [1_000n, 2], 'a capture counts no more');
    world.do(till, 'voidOrder', held);
    assert.deepEqual(world.used(shopId, IN, DAY), [650n, 2]);
    world.do(clerk, 'refund', paid, 100n, word('1'));
    world.refused('LimitExceeded', clerk, 'refund', paid, 51n, word('2'));
    world.do(clerk, 'refund', paid, 50n, word('2'));
    world.do(bea, 'pay', more);
    world.refused('LimitExceeded', bea, 'pay', world.create({ amount: 1n }));
  });

  it('give back what expires, in the period it was held in', () => {
    const world = new Limited();
    world.set(shopId, IN, DAY, [1_000n, 9]);
    world.set(ann, OUT, DAY, [1_000n, 9]);
    const id = world.create({ amount: 600n, captureMode: 1n });
    world.do(ann, 'pay', id);
    world.wait(300);
    world.do(courier, 'expire', id);
    assert.deepEqual(world.used(shopId, IN, DAY), [0n, 0]);
    assert.deepEqual(world.used(ann, OUT, DAY), [0n, 0]);
  });

  it('of the settlement account hold up a capture, and nothing is lost', () => {
    const world = new Limited();
    const id = world.create({ amount: 600n, captureMode: 1n });
    world.do(ann, 'pay', id);
    world.set(shop, IN, DAY, [500n]);
    world.refused('LimitExceeded', till, 'capture', id, 501n);
    world.do(till, 'capture', id, 500n);
    world.do(till, 'voidOrder', id);
    assert.deepEqual(world.money(ann), [999_500n, 0n]);
  });

  it("of a fee's receiver hold up nobody: the fee waits", () => {
    for (const captureMode of [0n, 1n]) {
      const world = new Limited();
      const fee = { receiver: feeTaker.address, bps: 100, fixedAmount: 0n, kind: none };
      world.setFees([fee], hashFees);
      world.set(feeTaker, IN, DAY, [5n]);
      const [one, two] = [1, 2].map(() => world.create({ amount: 500n, captureMode }));
      for (const id of [one, two] as Hash[]) {
        world.do(ann, 'pay', id);
        if (captureMode === 1n) world.do(till, 'capture', id, 500n);
      }
      assert.deepEqual(world.money(feeTaker), [5n, 0n]);
      assert.deepEqual(world.money(shop), [990n, 0n]);
      world.refused('LimitExceeded', courier, 'claimParkedFee', two, feeTaker.address);
      world.wait(day);
      world.do(courier, 'claimParkedFee', two, feeTaker.address);
      assert.deepEqual(world.money(feeTaker), [10n, 0n]);
    }
  });

  it('count an order of its payer once, fees and all', () => {
    const world = new Limited();
    const fee = { receiver: feeTaker.address, bps: 100, fixedAmount: 0n, kind: none };
    world.setFees([fee], hashFees);
    world.set(ann, OUT, DAY, [0n, 1]);
    world.do(ann, 'pay', world.create({ amount: 500n }));
    assert.deepEqual(world.used(ann, OUT, DAY), [500n, 1]);
    world.refused('LimitExceeded', ann, 'pay', world.create({ amount: 1n }));
  });
});
