import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Books, enter, findImbalance } from '#src/ledger/payments/tokens/books.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { ann, bank, bea, none, ShopWorld, till } from './shopWorld.ts';

it('books by the logs notice money that was made, lost or taken', () => {
  const world = new ShopWorld();
  const { ledger } = world;
  const before: StateReader = ledger.state;
  const id = world.create({ captureMode: 1n });
  const sent = [
    world.do(ann, 'pay', id),
    world.do(till, 'capture', id, 400n),
    world.ok(bank, [world.euro, 'mintWithMemo', [bea.address, 7n, none]]),
    world.ok(bea, [world.euro, 'transfer', [bea.address, 3n]]),
  ];
  const books: Books = new Map();
  for (const { outcome } of sent) enter(books, outcome.receipts[0]?.logs ?? []);
  assert.equal(findImbalance(books, before, ledger.state), null);
  const { balances, supplies } = tokenAt(world.token);
  const rows: [what: string, change: (state: Overlay) => void][] = [
    ['more than it got', (state) => gain(state, 1n)],
    ['less than it got', (state) => gain(state, -1n)],
    [
      'held money that nobody put there',
      (state) => {
        const own = balances(ann.address).get(state);
        balances(ann.address).set(state, { ...own, held: own.held + 1n });
      },
    ],
    [
      'a supply of which nobody has more',
      (state) => {
        const sums = supplies.get(state);
        supplies.set(state, { ...sums, total: sums.total + 1n });
      },
    ],
  ];
  for (const [what, change] of rows) {
    const after = new Overlay(ledger.state);
    change(after);
    assert.match(findImbalance(books, before, after) ?? '', /the logs change/, what);
  }
  function gain(state: Overlay, by: bigint): void {
    const own = balances(bea.address).get(state);
    balances(bea.address).set(state, { ...own, available: own.available + by });
  }
});
