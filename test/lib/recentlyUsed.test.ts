import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentlyUsed } from '#src/lib/recentlyUsed.ts';

test('what is used stays, what is not goes, and the bound holds', () => {
  const known = new RecentlyUsed<number, string>(10);
  for (let i = 0; i < 1_000; i++) {
    known.set(i, `${i}`);
    assert.equal(known.get(0), '0', 'used all the time');
    assert.ok(known.size <= 10);
  }
  assert.equal(known.get(999), '999');
  assert.equal(known.get(500), undefined);
});

test('an entry counts what it weighs, a new value in the place of the old one', () => {
  const known = new RecentlyUsed<string, number>(100, (weight) => weight);
  for (let i = 0; i < 50; i++) known.set('same', 10);
  known.set('other', 30);
  assert.equal(known.get('same'), 10);
  known.set('heavy', 60);
  known.set('next', 60);
  assert.equal(known.get('same'), undefined);
  assert.equal(known.get('next'), 60);
});

test('a new value takes the place of an old one, null as well', () => {
  const known = new RecentlyUsed<string, number | null>(4);
  for (const value of [1, 2, null, 3]) {
    known.set('a', value);
    for (const other of ['b', 'c']) known.set(other, 0);
    assert.equal(known.get('a'), value);
  }
});
