/**
 * A token against a model of it that shares no code with it: random operations of a few accounts,
 * each of which has to succeed or fail in both, and every balance the same in both.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Abi, decodeFunctionResult, encodeFunctionData, toHex as hexOf } from 'viem';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { tokenFactory } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import { asHeight } from '#src/types/units.ts';
import { person } from '../samples.ts';
import { Ledger, memberId } from './rig.ts';

const operations = 200_000;
const lookEvery = 1_000;
const accounts = Array.from({ length: 6 }, (_, at) => person(at).address);
const [bank] = accounts as [Address];
const memo = hexOf('memo', { size: 32 });

type Hold = {
  from: number;
  to: number;
  notary: number;
  issuer: number;
  value: bigint;
  until: bigint;
  isOpen: boolean;
};

/** What the text of payments.md and the ERCs say, and nothing of how it is kept. */
class Model {
  readonly available = accounts.map(() => 0n);
  readonly held = accounts.map(() => 0n);
  readonly frozen = accounts.map(() => 0n);
  readonly allowed = accounts.map(() => accounts.map(() => 0n));
  readonly holds = new Map<number, Hold>();
  supply = 0n;
  cap = (1n << 96n) - 1n;
  isPaused = false;

  free(who: number): bigint {
    const free = (this.available[who] ?? 0n) - (this.frozen[who] ?? 0n);
    return free > 0n ? free : 0n;
  }
  add(list: bigint[], who: number, by: bigint): void {
    list[who] = (list[who] ?? 0n) + by;
  }
  pay(from: number, to: number, value: bigint): boolean {
    if (this.isPaused || value > this.free(from)) {
      // Nothing is as much as nothing, of whatever is frozen.
      if (this.isPaused || value > 0n) return false;
    }
    this.add(this.available, from, -value);
    this.add(this.available, to, value);
    return true;
  }
  take(by: number, from: number, value: bigint): boolean {
    const row = this.allowed[from] ?? [];
    if (value > (row[by] ?? 0n)) return false;
    row[by] = (row[by] ?? 0n) - value;
    return true;
  }
  hold(id: number, by: number, hold: Omit<Hold, 'issuer' | 'isOpen'>): boolean {
    const { from, value } = hold;
    if (this.holds.has(id) || value === 0n || this.isPaused) return false;
    if (value > this.free(from)) return false;
    if (by !== from && !this.take(by, from, value)) return false;
    this.add(this.available, from, -value);
    this.add(this.held, from, value);
    this.holds.set(id, { ...hold, issuer: by, isOpen: true });
    return true;
  }
  execute(id: number, by: number, value: bigint, now: bigint): boolean {
    const hold = this.holds.get(id);
    if (hold === undefined || !hold.isOpen || hold.notary !== by || this.isPaused) return false;
    if (hold.until !== 0n && now >= hold.until) return false;
    if (value === 0n || value > hold.value) return false;
    this.end(hold, value);
    return true;
  }
  release(id: number, by: number, now: bigint): boolean {
    const hold = this.holds.get(id);
    if (hold === undefined || !hold.isOpen) return false;
    const isOver = hold.until !== 0n && now >= hold.until;
    if (by !== hold.notary && by !== hold.to && !isOver) return false;
    this.end(hold, 0n);
    return true;
  }
  renew(id: number, by: number, seconds: bigint, now: bigint): boolean {
    const hold = this.holds.get(id);
    if (hold === undefined || !hold.isOpen) return false;
    if (by !== hold.from && by !== hold.issuer) return false;
    if (hold.until !== 0n && now >= hold.until) return false;
    hold.until = seconds === 0n ? 0n : now + seconds;
    return true;
  }
  end(hold: Hold, paid: bigint): void {
    hold.isOpen = false;
    this.add(this.held, hold.from, -hold.value);
    this.add(this.available, hold.from, hold.value - paid);
    this.add(this.available, hold.to, paid);
  }
}

it(`${operations} random operations of a token are those of its model`, {
  timeout: 600_000,
}, () => {
  const random = new SeededRandom(20_261_121);
  const ledger = new Ledger({ member: { roles: 5 } });
  const args = ['Euro', 'EUR', 'EUR', memberId(0), bank, memo];
  const made = ledger.send(person(0), [tokenFactory, 'createToken', args]);
  const address = String(made.logs[0]?.args.token).toLowerCase() as Address;
  const token = paymentTokenAt(address) ?? assert.fail('a token');
  const abi = token.abi as Abi;
  const state = new Overlay(ledger.state);
  let seconds = BigInt(Math.floor(ledger.facts.timestampMs / 1_000));
  const call = (by: number, functionName: string, values: readonly unknown[]) => {
    const data = fromHex(encodeFunctionData({ abi, functionName, args: values })) ?? assert.fail();
    const block = { height: asHeight(2n), timestampMs: Number(seconds) * 1_000 };
    const sender = accounts[by] ?? assert.fail();
    return runMessage(state, block, { sender, to: token, value: 0n, data, gas: 1n << 40n });
  };
  const ask = (functionName: string, ...values: unknown[]) => {
    const result = call(0, functionName, values);
    assert.ok(result.ended === 'well');
    return decodeFunctionResult({ abi, functionName, data: toHex(result.output) });
  };
  const model = new Model();
  const who = () => random.below(accounts.length);
  const some = () => BigInt(random.below(random.below(4) === 0 ? 400 : 40));
  const idOf = (number: number) => hexOf(number + 1, { size: 32 });
  let nextHold = 0;
  const oldHold = () => Math.max(0, nextHold - 1 - random.below(12));

  /** What to call, and what the model says of it. */
  const choose = (): [by: number, name: string, values: unknown[], expected: () => boolean] => {
    const [by, from, to, value] = [who(), who(), who(), some()];
    const [a, b] = [accounts[from], accounts[to]];
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
        return [by, 'transfer', [b, value], () => model.pay(by, to, value)];
      case 3:
        return [by, 'transferWithMemo', [b, value, memo], () => model.pay(by, to, value)];
      case 4:
      case 5:
        return [
          by,
          'transferFrom',
          [a, b, value],
          () => {
            const allowed = model.allowed[from]?.[by] ?? 0n;
            if (!model.take(by, from, value)) return false;
            if (model.pay(from, to, value)) return true;
            (model.allowed[from] ?? [])[by] = allowed;
            return false;
          },
        ];
      case 6:
        return [
          by,
          'approve',
          [b, value],
          () => {
            (model.allowed[by] ?? [])[to] = value;
            return true;
          },
        ];
      case 7:
        return [
          0,
          'mintWithMemo',
          [b, value, memo],
          () => {
            if (model.isPaused || model.supply + value > model.cap) return false;
            model.supply += value;
            model.add(model.available, to, value);
            return true;
          },
        ];
      case 8:
        return [
          0,
          'burnWithMemo',
          [value, memo],
          () => {
            if (model.isPaused || (value > model.free(0) && value > 0n)) return false;
            model.supply -= value;
            model.add(model.available, 0, -value);
            return true;
          },
        ];
      case 9:
      case 10: {
        const isOwn = random.below(2) === 0;
        const id = random.below(10) === 0 ? oldHold() : nextHold++;
        const [notary, span] = [who(), BigInt(random.below(3) * 500)];
        const owner = isOwn ? by : from;
        const until = span === 0n ? 0n : seconds + span;
        const hold = { from: owner, to, notary, value, until };
        const rest = [b, accounts[notary], value, span];
        const values = isOwn ? [idOf(id), ...rest] : [idOf(id), accounts[owner], ...rest];
        return [by, isOwn ? 'hold' : 'holdFrom', values, () => model.hold(id, by, hold)];
      }
      case 11: {
        const id = oldHold();
        const notary = model.holds.get(id)?.notary ?? by;
        const values = [idOf(id), value];
        return [notary, 'executeHold', values, () => model.execute(id, notary, value, seconds)];
      }
      case 12: {
        const id = oldHold();
        return [by, 'releaseHold', [idOf(id)], () => model.release(id, by, seconds)];
      }
      case 13: {
        const id = oldHold();
        const span = BigInt(random.below(3) * 300);
        return [by, 'renewHold', [idOf(id), span], () => model.renew(id, by, span, seconds)];
      }
      case 14:
        return [
          0,
          'setFrozenTokens',
          [b, value],
          () => {
            model.frozen[to] = value;
            return true;
          },
        ];
      default: {
        if (random.below(20) === 0) {
          const pauses = !model.isPaused;
          return [
            0,
            pauses ? 'pause' : 'unpause',
            [],
            () => {
              model.isPaused = pauses;
              return true;
            },
          ];
        }
        return [
          0,
          'forcedTransfer',
          [a, b, value],
          () => {
            const [owned = 0n, frozen = 0n] = [model.available[from], model.frozen[from]];
            if (from === to || value > owned) return false;
            const free = owned > frozen ? owned - frozen : 0n;
            if (value > free) model.frozen[from] = frozen - (value - free);
            model.add(model.available, from, -value);
            model.add(model.available, to, value);
            return true;
          },
        ];
      }
    }
  };

  const look = (at: number) => {
    for (const [index, account] of accounts.entries()) {
      assert.equal(ask('balanceOf', account), model.available[index], `${at}: ${account}`);
      assert.equal(ask('balanceOnHold', account), model.held[index], `${at}: held of ${account}`);
      assert.equal(ask('getFrozenTokens', account), model.frozen[index], `${at}: frozen`);
    }
    const sum = (list: readonly bigint[]) => list.reduce((total, one) => total + one, 0n);
    assert.equal(ask('totalSupply'), model.supply);
    assert.equal(ask('totalSupplyOnHold'), sum(model.held));
    assert.equal(sum(model.available) + sum(model.held), model.supply, 'the model itself is sound');
  };

  const ended = { well: 0, refused: 0 };
  for (let at = 0; at < operations; at++) {
    if (random.below(50) === 0) seconds += BigInt(random.below(4) * 100);
    const [by, name, values, expected] = choose();
    const result = call(by, name, values);
    const want = expected();
    const told = result.ended === 'reverted' ? result.reason : result.ended;
    assert.equal(result.ended === 'well', want, `${at}: ${by} ${name} ${values.join()}: ${told}`);
    if (want) ended.well++;
    else ended.refused++;
    if (at % lookEvery === 0) look(at);
  }
  look(operations);
  assert.ok(ended.well > operations / 4 && ended.refused > operations / 10, JSON.stringify(ended));
});
