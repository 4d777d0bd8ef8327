import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSchedule } from '#consensus/core/schedule.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import type { Epoch, Stake, View } from '#src/types/units.ts';
import { hasOneHonest, isQuorum, makeValidatorSet } from '#src/types/validatorSet.ts';

const network = new Uint8Array(32).fill(7);

function setOf(stakes: readonly bigint[]) {
  return makeValidatorSet(
    stakes.map((stake, index) => ({
      // Sorted by key: the positions are those of the stakes.
      consensusKey: Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? index : 1)),
      peerId: `peer-${index}`,
      stake: stake as Stake,
      memberId: `member-${index}`,
      operator: `0x${'00'.repeat(20)}` as Address,
      feeRecipient: `0x${'00'.repeat(20)}` as Address,
    })),
  );
}

test('validators lead in proportion to their stake, at every length of the table', () => {
  const random = new SeededRandom(1);
  const vectors = [
    [1n, 1n, 1n, 1n],
    [40n, 30n, 20n, 10n],
    [1n << 60n, 1n, 1n],
  ];
  for (let i = 0; i < 60; i++) {
    const n = 1 + random.below(30);
    vectors.push(Array.from({ length: n }, () => BigInt(1 + random.below(10 ** (1 + (i % 8))))));
  }
  for (const stakes of vectors) {
    const { slots } = makeSchedule(setOf(stakes), 0 as Epoch, network);
    const wanted = stakes.map((_, index) => slots.filter((leader) => leader === index).length);
    const counts = stakes.map(() => 0);
    for (const [at, leader] of slots.entries()) {
      counts[leader] = (counts[leader] ?? 0) + 1;
      for (const [index, count] of counts.entries()) {
        const fair = ((at + 1) * (wanted[index] ?? 0)) / slots.length;
        assert.ok(Math.abs(count - fair) < 1 + 1e-9, `${stakes}: ${index} after ${at + 1}`);
      }
    }
    const total = stakes.reduce((a, b) => a + b, 0n);
    for (const [index, stake] of stakes.entries()) {
      const exact = (Number(stake) / Number(total)) * slots.length;
      const got = wanted[index] ?? 0;
      assert.ok(got >= 1, 'everybody leads');
      // The slot that the smallest get comes from the largest.
      assert.ok(Math.abs(got - exact) <= stakes.length, `${stakes}: ${got} of ${exact}`);
    }
  }
});

test('equal stakes get exactly equal turns, and the table repeats', () => {
  for (const n of [1, 2, 3, 4, 5, 7, 10, 21, 100]) {
    const { slots, leaderOf } = makeSchedule(setOf(Array(n).fill(5n)), 0 as Epoch, network);
    for (let index = 0; index < n; index++) {
      assert.equal(slots.filter((leader) => leader === index).length, slots.length / n);
    }
    assert.equal(leaderOf(1 as View), leaderOf((1 + slots.length) as View));
  }
});

test('a quorum is strictly more than two thirds of the stake, for any number of validators', () => {
  const rows: readonly [n: number, quorum: number][] = [
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
    [5, 4],
    [6, 5],
    [7, 5],
    [10, 7],
    [21, 15],
    [100, 67],
  ];
  for (const [n, quorum] of rows) {
    const set = setOf(Array(n).fill(1n));
    assert.equal(isQuorum(BigInt(quorum), set), true, `${quorum} of ${n}`);
    assert.equal(isQuorum(BigInt(quorum - 1), set), false, `${quorum - 1} of ${n}`);
  }
  const heavy = setOf([(1n << 61n) + 1n, 1n << 61n, 1n << 61n]);
  assert.equal(isQuorum(1n << 62n, heavy), false, 'two thirds of a stake no number can hold');
  assert.equal(isQuorum((1n << 62n) + 1n, heavy), true);
  assert.equal(hasOneHonest(1n << 61n, heavy), false);
  assert.equal(hasOneHonest((1n << 61n) + 1n, heavy), true);
});
