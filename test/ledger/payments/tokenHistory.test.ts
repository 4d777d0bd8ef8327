import assert from 'node:assert/strict';
import { it } from 'node:test';
import { chainOf } from '#src/chain/genesisChain.ts';
import {
  changeOf,
  decodeHistoryEntry,
  encodeHistoryEntry,
  genesisEntry,
  historyOf,
} from '#src/history/history.ts';
import { paymentsIn, type TokenMovement, tokenMovementsIn } from '#src/history/tokenMovements.ts';
import { addressRegistry } from '#src/ledger/payments/addressRegistry.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { parseGenesis } from '#src/types/genesis.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { TinyNetwork } from '../../chain/network.ts';
import { type Person, payment } from '../samples.ts';
import { blockOf, dave, FeeWorld, LATER } from './feeWorld.ts';
import { coinbase, type Sent } from './rig.ts';
import {
  ann,
  bank,
  bea,
  clerk,
  courier,
  feeTaker,
  none,
  ShopWorld,
  shop,
  word,
} from './shopWorld.ts';

const movementsOf = ({ outcome }: Sent) => tokenMovementsIn(outcome.receipts[0]?.logs ?? []);
const told = ({ from, to, amount, memo, orderId }: TokenMovement) => [
  ...[from, to, amount, Buffer.from(memo).toString(), orderId],
];

it('an order is one payment to its payer, and what each got to those who got it', () => {
  const world = new ShopWorld();
  const fee = { receiver: feeTaker.address, bps: 100, fixedAmount: 0n, kind: word('fee') };
  world.setFees([fee], hashFees);
  const id = world.create();
  const paid = movementsOf(world.do(ann, 'pay', id));
  assert.deepEqual(paid.map(told), [
    [ann.address, shop.address, 990n, '', id],
    [ann.address, feeTaker.address, 10n, '', id],
  ]);
  assert.deepEqual(paymentsIn(paid).map(told), [[ann.address, shop.address, 1_000n, '', id]]);
  const refunded = movementsOf(world.do(clerk, 'refund', id, 5n, none));
  assert.deepEqual(refunded.map(told), [[shop.address, ann.address, 5n, '', id]]);
  const held = world.create({ captureMode: 1n });
  assert.deepEqual(movementsOf(world.do(ann, 'pay', held)), [], 'a hold moves nothing');
});

it('a payment to a virtual address is one to its master, and says which it was', () => {
  const world = new ShopWorld();
  const made = world.ok(bea, [addressRegistry, 'registerVirtualMaster', [none]]);
  const [one, two] = ['000000000001', '000000000002'].map(
    (tag) => `${made.logs[0]?.args.masterId}${'fd'.repeat(10)}${tag}` as Address,
  );
  const pays = (address = one) =>
    [world.euro, 'transferWithMemo', [address, 7n, word('x')]] as const;
  const [paid = assert.fail('a movement'), ...more] = movementsOf(world.ok(ann, [...pays()]));
  assert.deepEqual([...told(paid), paid.via], [ann.address, bea.address, 7n, 'x', null, one]);
  assert.deepEqual(more, []);
  const item = (to = one) => ({ to, amount: 5n, memo: none });
  const batch = (items: object[], ref: string) => {
    const args = [world.token, items, word(ref), true];
    return paymentsIn(movementsOf(world.ok(ann, [payouts, 'payoutBatch', args])));
  };
  assert.deepEqual(
    batch([item(), item()], 'same').map(({ to, via }) => [to, via]),
    [[bea.address, one]],
  );
  assert.deepEqual(
    batch([item(), item(two)], 'both').map(({ to, via }) => [to, via]),
    [[ZERO_ADDRESS, null]],
  );
  const { account, height, index } = genesisEntry(bea.address, asWei(7n), 1, world.token);
  for (const via of [one ?? null, null]) {
    const entry = { ...genesisEntry(bea.address, asWei(7n), 1, world.token), via };
    const read = decodeHistoryEntry(encodeHistoryEntry(entry), { account, height, index });
    assert.deepEqual(read, entry);
  }
});

it('what a contract moves beside an order is not of the order', () => {
  const world = new ShopWorld();
  const logsOf = ({ outcome }: Sent) => outcome.receipts[0]?.logs ?? [];
  const aside = logsOf(world.ok(ann, [world.euro, 'transfer', [courier.address, 7n]]));
  const [requested, other] = [world.order(), world.create()];
  const args = [requested.terms, requested.signature];
  const asked = logsOf(world.ok(courier, [paymentOrders, 'createOrder', args]));
  const paid = logsOf(world.do(ann, 'pay', other));
  // As in one transaction of a contract's: it pays somebody, asks, pays again and then for an order.
  const orderIds = tokenMovementsIn([...aside, ...asked, ...aside, ...paid, ...aside]).map(
    ({ orderId }) => orderId,
  );
  assert.deepEqual(orderIds, [null, null, other, null]);
});

it('a payment says what it is for: a memo, a reference', () => {
  const world = new ShopWorld();
  const send = (name: string, ...args: unknown[]) =>
    movementsOf(world.ok(ann, [world.euro, name, args])).map(told);
  const plain = [ann.address, bea.address, 7n];
  const memo = word('invoice 7');
  assert.deepEqual(send('transferWithMemo', bea.address, 7n, memo), [
    [...plain, 'invoice 7', null],
  ]);
  assert.deepEqual(send('transfer', bea.address, 7n, '0x414243'), [[...plain, 'ABC', null]]);
  assert.deepEqual(send('transfer', bea.address, 7n), [[...plain, '', null]]);
  const minted = movementsOf(world.ok(bank, [world.euro, 'mintWithMemo', [bea.address, 1n, memo]]));
  assert.deepEqual(minted.map(told), [[ZERO_ADDRESS, bea.address, 1n, 'invoice 7', null]]);
});

it('a batch is one payment to its payer, and each item with its memo to who got it', () => {
  const world = new ShopWorld();
  const items = [
    { to: bea.address, amount: 3n, memo: word('May') },
    { to: courier.address, amount: 4n, memo: word('June') },
  ];
  const args = [world.token, items, word('pay day'), true];
  const paid = movementsOf(world.ok(ann, [payouts, 'payoutBatch', args]));
  assert.deepEqual(paid.map(told), [
    [ann.address, bea.address, 3n, 'May', null],
    [ann.address, courier.address, 4n, 'June', null],
  ]);
  assert.deepEqual(paymentsIn(paid).map(told), [[ann.address, ZERO_ADDRESS, 7n, '', null]]);
});

it('what a payer pays to itself is apart from what it pays to others', () => {
  const world = new ShopWorld();
  const items = [ann, bea, courier, ann].map(({ address }, at) => {
    return { to: address, amount: BigInt(1 + at), memo: none };
  });
  const args = [world.token, items, word('pay day'), true];
  const batch = movementsOf(world.ok(ann, [payouts, 'payoutBatch', args]));
  assert.deepEqual(paymentsIn(batch).map(told), [
    [ann.address, ann.address, 5n, '', null],
    [ann.address, ZERO_ADDRESS, 5n, '', null],
  ]);
  const fee = { receiver: feeTaker.address, bps: 100, fixedAmount: 0n, kind: word('fee') };
  world.setFees([fee], hashFees);
  world.ok(ann, [world.euro, 'transfer', [shop.address, 1_000n]]);
  const id = world.create();
  assert.deepEqual(paymentsIn(movementsOf(world.do(shop, 'pay', id))).map(told), [
    [shop.address, shop.address, 990n, '', id],
    [shop.address, feeTaker.address, 10n, '', id],
  ]);
});

it('a fee that a sponsor pays in coin hides no payment', () => {
  const world = new FeeWorld();
  const terms = [dave.address, ZERO_ADDRESS, 10n ** 9n, LATER, []];
  world.ok(bea, [feeManager, 'setSponsorship', terms]);
  const paid = world.transaction(dave, [world.euro, 'transfer', [ann.address, 7n]], 200_000n);
  const { receipts, gasUsed } = world.ledger.block([paid]);
  const lines = historyOf(blockOf(world.context, [paid]), receipts);
  const of = (one: Address, currency: Address | null) =>
    lines.filter(({ account, token }) => account === one && token === currency).map(changeOf);
  assert.deepEqual(of(dave.address, world.token), [-7n]);
  assert.deepEqual(of(ann.address, world.token), [7n]);
  assert.deepEqual(of(bea.address, null), [-gasUsed]);
});

it('nobody writes into the history of others with payments of nothing', () => {
  const world = new FeeWorld({ rate: 0n });
  const { euro, context } = world;
  const linesOf = (...transactions: SignedTransaction[]) => {
    const { receipts, movements } = world.ledger.block(transactions);
    return historyOf(blockOf(context, transactions), receipts, movements).map(
      ({ account, kind, token }) => [account, kind, token],
    );
  };
  const call = (from: Person, name: string, ...args: unknown[]) =>
    world.transaction(from, [euro, name, args], 200_000n);
  const fees = [coinbase, 'fees', null];
  const calls = (from: Person) => [
    [from.address, 'sent', null],
    [world.token, 'received', null],
  ];
  const lure = call(courier, 'transferFrom', ann.address, bea.address, 0n);
  assert.deepEqual(linesOf(lure), [...calls(courier), fees]);
  const toHer = call(courier, 'transferWithMemo', ann.address, 0n, word('call 555'));
  const own = [courier.address, 'sent', world.token];
  assert.deepEqual(linesOf(toHer), [...calls(courier), own, fees]);
  const to = ann.address;
  const nonce = world.ledger.state.account(courier.address)?.nonce ?? 0n;
  const plain = payment(courier, { nonce, to, value: asWei(0n), gasLimit: asGas(21_000n) });
  assert.deepEqual(linesOf(plain), [[courier.address, 'sent', null], fees]);
});

it('what a genesis gives of a currency is where the history of an account begins', () => {
  const { genesisText } = new TinyNetwork();
  const draft = JSON.parse(genesisText) as { members: object[] };
  Object.assign(draft.members[0] ?? {}, { roles: 5 });
  const euro = { currency: 'EUR', name: 'Euro', symbol: 'EUR', issuer: 'm0', admin: bank.address };
  const currencies = [{ ...euro, alloc: { [ann.address]: '7' } }];
  const genesis = parseGenesis(JSON.stringify({ ...draft, currencies }));
  assert.ok(genesis.ok, genesis.ok ? '' : genesis.refusal.message);
  const { history } = chainOf(genesis.value).genesis;
  const [entry] = history.filter(({ token }) => token !== null);
  assert.deepEqual([entry?.account, entry?.kind, entry?.amount], [ann.address, 'genesis', 7n]);
  assert.equal(entry?.token, genesisTokenAddress('EUR', 'm0'));
});
