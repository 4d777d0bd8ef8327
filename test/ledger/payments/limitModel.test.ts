/**
 * Limits against a model of them that shares no code with them: random payments, holds, orders and
 * changes of limits over years, each of which has to succeed or fail in both. The model keeps every
 * payment with its time and adds up anew what counts.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Abi, decodeFunctionResult, encodeFunctionData, type Hex, toHex as hexOf } from 'viem';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { type Books, enter, findImbalance } from '#src/ledger/payments/tokens/books.ts';
import { accountHolder, readLimit, subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { asHeight } from '#src/types/units.ts';
import type { Person } from '../samples.ts';
import { ann, bank, bea, feeTaker, none, ShopWorld, shop, till } from './shopWorld.ts';

const operations = 20_000;
const people = [ann, bea, till, feeTaker, shop];
const [OUT, IN] = [0, 1] as const;
const units = [0, 1, 2, 3, 4];

type Payment = { by: number; direction: number; amount: number; count: number; at: number };
/** `since`: how many payments there were before it. */
type Limit = { max: number; count: number; since: number };
type Hold = { from: number; to: number; amount: number; isOpen: boolean; counted: Payment };

/** The first second of what `Date` says that the period of this one is. */
function beginOf(unit: number, second: number): number {
  const date = new Date(second * 1_000);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const starts = [
    second * 1_000,
    Date.UTC(year, month, day),
    Date.UTC(year, month, day - ((date.getUTCDay() + 6) % 7)),
    Date.UTC(year, month),
    Date.UTC(year, 0),
  ];
  return (starts[unit] ?? assert.fail()) / 1_000;
}

class Model {
  readonly limits = new Map<string, Limit>();
  /** In the order in which they were made; one that is given back has less, or nothing. */
  readonly payments: Payment[] = [];
  readonly available = people.map(() => 0);
  readonly holds: Hold[] = [];

  used(who: number, direction: number, unit: number, now: number): [number, number] {
    const limit = this.limits.get(`${who} ${direction} ${unit}`);
    if (limit === undefined || unit === 0) return [0, 0];
    const begin = beginOf(unit, now);
    const counted = this.payments
      .slice(limit.since)
      .filter((one) => one.by === who && one.direction === direction && one.at >= begin);
    return [
      counted.reduce((sum, { amount }) => sum + amount, 0),
      counted.reduce((sum, { count }) => sum + count, 0),
    ];
  }
  mayCount(who: number, direction: number, amount: number, now: number): boolean {
    return units.every((unit) => {
      const limit = this.limits.get(`${who} ${direction} ${unit}`);
      if (limit === undefined || amount === 0) return true;
      const [used, count] = this.used(who, direction, unit, now);
      const isOver = limit.max > 0 && used + amount > limit.max;
      return !isOver && (limit.count === 0 || count < limit.count);
    });
  }
  count(by: number, direction: number, amount: number, at: number): Payment {
    const payment = { by, direction, amount, count: amount > 0 ? 1 : 0, at };
    this.payments.push(payment);
    return payment;
  }
  add(who: number, by: number): void {
    this.available[who] = (this.available[who] ?? 0) + by;
  }
  pay(from: number, to: number, amount: number, now: number): boolean {
    if (amount > (this.available[from] ?? 0)) return false;
    if (from === to) return true;
    if (!this.mayCount(from, OUT, amount, now) || !this.mayCount(to, IN, amount, now)) return false;
    this.count(from, OUT, amount, now);
    this.count(to, IN, amount, now);
    this.add(from, -amount);
    this.add(to, amount);
    return true;
  }
  hold(from: number, to: number, amount: number, now: number): boolean {
    const isThere = amount > 0 && amount <= (this.available[from] ?? 0);
    if (!isThere || !this.mayCount(from, OUT, amount, now)) return false;
    this.add(from, -amount);
    const counted = this.count(from, OUT, amount, now);
    this.holds.push({ from, to, amount, isOpen: true, counted });
    return true;
  }
  end(id: number, paid: number, now: number): boolean {
    const hold = this.holds[id];
    if (hold === undefined || !hold.isOpen || paid > hold.amount) return false;
    const { from, to, amount, counted } = hold;
    if (to !== from && !this.mayCount(to, IN, paid, now)) return false;
    hold.isOpen = false;
    this.add(to, paid);
    this.add(from, amount - paid);
    if (to !== from && paid > 0) this.count(to, IN, paid, now);
    counted.amount = paid;
    if (paid === 0) counted.count = 0;
    return true;
  }
  set(who: number, direction: number, unit: number, limit: Omit<Limit, 'since'>) {
    const key = `${who} ${direction} ${unit}`;
    const before = this.limits.get(key);
    if (limit.max === 0 && limit.count === 0) this.limits.delete(key);
    else this.limits.set(key, { since: this.payments.length, ...before, ...limit });
    return true;
  }
}

it(`${operations} random operations over years are those of the model`, () => {
  const world = new ShopWorld();
  const random = new SeededRandom(31_12);
  const state = new Overlay(world.ledger.state);
  const { euro, token } = world;
  const model = new Model();
  let now = Date.UTC(2027, 10, 1) / 1_000;
  const call = (by: Person, to: NativeContract, functionName: string, args: readonly unknown[]) => {
    const abi = to.abi as Abi;
    const data = fromHex(encodeFunctionData({ abi, functionName, args })) ?? assert.fail();
    const block = { height: asHeight(2n), timestampMs: now * 1_000 };
    const message = { sender: by.address, to, value: 0n, data, gas: 1n << 40n };
    const before = new Overlay(state);
    const tried = runMessage(before, block, message);
    if (tried.ended === 'well') {
      const books: Books = new Map();
      enter(books, tried.logs);
      assert.equal(findImbalance(books, state, before), null);
    }
    return runMessage(state, block, message);
  };
  const ask = (to: NativeContract, functionName: string, args: readonly unknown[]) => {
    const result = call(bank, to, functionName, args);
    assert.ok(result.ended === 'well');
    return decodeFunctionResult({ abi: to.abi as Abi, functionName, data: toHex(result.output) });
  };
  for (const [at, { address }] of people.entries()) {
    const had = Number(ask(euro, 'balanceOf', [address]));
    model.add(at, had + 1_000_000);
    call(bank, euro, 'mintWithMemo', [address, 1_000_000n, none]);
  }
  const who = () => random.below(people.length);
  const one = (at: number) => people[at] ?? assert.fail();
  const idOf = (at: number) => hexOf(at + 1, { size: 32 });
  const some = () => random.below(random.below(8) === 0 ? 5_000 : 300);

  /** Mostly a little, now and then to the edge of the next period, or over months. */
  const wait = () => {
    const next = beginOf(1 + random.below(4), now + 40 * 86_400);
    const edges = [now, now + 1, now + 3_600, now + 86_400, now + 20 * 86_400, next - 1, next];
    now = Math.max(now, edges[random.below(edges.length)] ?? now);
  };
  const step = (): [Person, NativeContract, string, readonly unknown[], () => boolean] => {
    const [from, to, amount] = [who(), who(), some()];
    const { address } = one(to);
    const kind = random.below(20);
    if (kind < 9) {
      const values = [address, BigInt(amount)];
      return [one(from), euro, 'transfer', values, () => model.pay(from, to, amount, now)];
    }
    if (kind < 12) {
      const id = idOf(model.holds.length);
      const values = [id, address, bank.address, BigInt(amount), 0n];
      return [one(from), euro, 'hold', values, () => model.hold(from, to, amount, now)];
    }
    const open = model.holds.findIndex(({ isOpen }) => isOpen && random.below(3) === 0);
    if (kind < 15 && open >= 0) {
      const values = [idOf(open)];
      return [bank, euro, 'releaseHold', values, () => model.end(open, 0, now)];
    }
    if (kind < 17 && open >= 0) {
      const paid = 1 + random.below((model.holds[open]?.amount ?? 0) + 3);
      const values = [idOf(open), BigInt(paid)];
      return [bank, euro, 'executeHold', values, () => model.end(open, paid, now)];
    }
    const [direction, unit] = [random.below(2), random.below(5)];
    const isNone = random.below(4) === 0;
    const max = isNone ? 0 : random.below(3) === 0 ? 0 : 200 + random.below(1_000 * (unit + 1));
    const count = isNone || unit === 0 ? 0 : random.below(4) === 0 ? 1 + random.below(20) : 0;
    const values = [subjectOf(address), token, direction, unit, BigInt(max), count];
    return [
      ...([bank, policyRegistry, 'setLimit', values] as const),
      () => {
        // What is held in the second in which a limit begins is not given back: see below.
        now++;
        return model.set(to, direction, unit, { max, count });
      },
    ];
  };
  const look = (at: number) => {
    for (const [index, { address }] of people.entries()) {
      assert.equal(Number(ask(euro, 'balanceOf', [address])), model.available[index], `${at}`);
      for (const direction of [OUT, IN]) {
        for (const unit of units) {
          const values = [subjectOf(address), token, direction, unit];
          const told = ask(policyRegistry, 'limitOf', values) as [bigint, number, bigint, number];
          const limit = model.limits.get(`${index} ${direction} ${unit}`);
          const [used, count] = model.used(index, direction, unit, now);
          const want = [limit?.max ?? 0, limit?.count ?? 0, used, count];
          assert.deepEqual(told.slice(0, 4).map(Number), want, `${at}: ${values.join()}`);
        }
      }
    }
  };
  const ended = new Map<string, number>();
  for (let at = 0; at < operations; at++) {
    if (random.below(6) === 0) wait();
    const [by, to, name, values, expected] = step();
    const result = call(by, to, name, values);
    const told = result.ended === 'reverted' ? result.reason : result.ended;
    assert.equal(result.ended === 'well', expected(), `${at}: ${name} ${values.join()}: ${told}`);
    const key = result.ended === 'reverted' ? `${name} ${told.split('(')[0]}` : `${name} well`;
    ended.set(key, (ended.get(key) ?? 0) + 1);
    if (at % 100 === 0) look(at);
  }
  look(operations);
  for (const name of ['transfer', 'hold', 'executeHold']) {
    const [well = 0, refused = 0] = ['well', 'LimitExceeded'].map((how) =>
      ended.get(`${name} ${how}`),
    );
    assert.ok(well > operations / 100 && refused > operations / 300, JSON.stringify([...ended]));
  }
  assert.ok(now > Date.UTC(2033, 0) / 1_000, 'past two leap days');
});

it('what is held in the second in which a limit begins is not given back', () => {
  const world = new ShopWorld();
  const state = new Overlay(world.ledger.state);
  const { euro, token } = world;
  const call = (
    { address: sender }: Person,
    to: NativeContract,
    ...[name, args]: [string, unknown[]]
  ) => {
    const abi = to.abi as Abi;
    const data = fromHex(encodeFunctionData({ abi, functionName: name, args })) ?? assert.fail();
    const message = { sender, to, value: 0n, data, gas: 1n << 40n };
    const result = runMessage(state, world.ledger.facts, message);
    assert.equal(result.ended, 'well', name);
  };
  const subject = subjectOf(ann.address);
  const hold = (id: Hex, value: bigint): [string, unknown[]] => [
    'hold',
    [id, bea.address, bank.address, value, 0n],
  ];
  const [before, after] = [hexOf('before', { size: 32 }), hexOf('after', { size: 32 })];
  call(ann, euro, ...hold(before, 30n));
  call(bank, policyRegistry, 'setLimit', [subject, token, OUT, 1, 100n, 0]);
  call(ann, euro, ...hold(after, 70n));
  for (const id of [before, after]) call(bea, euro, 'releaseHold', [id]);
  const { limits } = tokenAt(token).balances(ann.address).get(state);
  const holder = accountHolder(token, ann.address, limits);
  const [, , used] = readLimit({ state, now: world.now }, holder, 0n, 1n);
  assert.equal(used, 70n, 'nobody spends more by it');
});
