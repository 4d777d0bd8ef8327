/**
 * Calls that nobody honest makes. Whatever they say, they end well, reverted or out of gas: anything
 * else would stop every node at once. And nothing of a currency is made or lost by them.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AbiFunction, AbiParameter } from 'abitype';
import { encodeFunctionData } from 'viem';
import { addressRegistry } from '#src/ledger/payments/addressRegistry.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { type Message, type MessageResult, runMessage } from '#src/ledger/payments/dispatch.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { orders } from '#src/ledger/payments/orders/orderStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { type Books, enter, findImbalance } from '#src/ledger/payments/tokens/books.ts';
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import { bytes, memberId } from './rig.ts';
import {
  acquirer,
  ann,
  bank,
  bea,
  CARD,
  clerk,
  courier,
  feeTaker,
  none,
  rail,
  relay,
  ShopWorld,
  seal,
  shop,
  shopId,
  till,
  word,
} from './shopWorld.ts';

/** Each begins anew: a currency that is paused, or an officer without a role, ends most of it. */
const rounds = 100;
const callsPerRound = 400;
const wordMax = (1n << 256n) - 1n;

describe('a call of an odd value', () => {
  it('mints no more than a word holds', () => {
    const world = new ShopWorld();
    for (const amount of [wordMax, wordMax - 1_999_999n, 1n << 96n]) {
      world.fails('AmountTooLarge', bank, [
        world.euro,
        'mintWithMemo',
        [ann.address, amount, none],
      ]);
    }
  });

  it('asks for no fees above the amount', () => {
    const world = new ShopWorld();
    const fee = { receiver: feeTaker.address, bps: 0, fixedAmount: 5n, kind: none };
    world.setFees([fee], hashFees);
    for (const maxFeeBps of [10_001n, 65_535n]) {
      const { terms, signature } = world.order({ amount: 1n, maxFeeBps });
      world.fails('InvalidTerms', courier, [paymentOrders, 'createOrder', [terms, signature]]);
    }
    const all = world.create({ amount: 5n, maxFeeBps: 10_000n });
    world.do(ann, 'pay', all);
    assert.deepEqual(world.money(feeTaker), [5n, 0n]);
  });
});

/** All that has money of the currency, or may get some: the calls name nobody else. */
const people = [
  ...[bank, acquirer, rail, relay, shop, till, clerk],
  ...[ann, bea, feeTaker, courier, seal],
];

const OFFICERS = new Map([
  ['PaymentToken', [bank]],
  ['PolicyRegistry', [bank]],
  ['ChannelRegistry', [rail, rail, relay]],
]);

class Caller {
  readonly #random = new SeededRandom(6);
  readonly world: ShopWorld;
  readonly addresses: readonly Address[];
  readonly words: readonly Hash[];
  readonly subjects = [ann, bea, till, bank].map(({ address }) => subjectOf(address));
  readonly everybody: Set<Address>;

  constructor(world: ShopWorld, ids: readonly Hash[]) {
    this.world = world;
    const systems = contracts.map(({ address }) => address);
    const unmade = `${world.token.slice(0, -2)}00` as Address;
    const registered = world.ok(ann, [addressRegistry, 'registerVirtualMaster', [none]]);
    const virtual = [String(registered.logs[0]?.args.masterId), '0x01020304'].map(
      (masterId) => `${masterId}${'fd'.repeat(10)}${'07'.repeat(6)}` as Address,
    );
    const odd = [ZERO_ADDRESS, world.token, unmade, ...systems, ...virtual];
    this.addresses = [...people.map(({ address }) => address), ...odd];
    this.everybody = new Set(this.addresses);
    const made = [shopId, none, memberId(0), memberId(1), memberId(2)];
    const names = [CARD, word('BANK'), word('TOKEN'), word('hold')];
    this.words = [...ids, ...ids, ...ids, ...made, ...names];
  }

  /** A call that was spoilt may pay somebody new. */
  meet(logs: readonly Log[]): void {
    for (const topic of logs.flatMap(({ topics }) => topics.slice(1))) {
      const address = `0x${topic.slice(26)}` as Address;
      if (topic.startsWith(`0x${'00'.repeat(12)}`)) this.everybody.add(address);
    }
  }
  below(count: number): number {
    return this.#random.below(count);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] ?? assert.fail('a list of something');
  }
  uint(bits: number): bigint {
    const max = (1n << BigInt(bits)) - 1n;
    const edges = [8n, 16n, 48n, 64n, 96n].flatMap((k) => [(1n << k) - 1n, 1n << k]);
    const now = this.world.now;
    const small = [0n, 1n, 2n, 3n, 1_000n, 10_000n, 10_001n, 1_000_000n];
    const few = [...small, ...small, now - 1n, now, now + 100n, ...edges, max - 1n, max, max, max];
    return this.pick(few.filter((value) => value <= max));
  }
  /** Half of them by who may do more than others; one in twenty is spoilt somewhere. */
  call(targets: readonly NativeContract[]): { what: string; message: Message } {
    const to = this.pick(targets);
    const isFunction = (item: { type: string }): item is AbiFunction => item.type === 'function';
    const isView = this.below(10) === 0;
    const one = this.pick(
      to.abi.filter(isFunction).filter((item) => (item.stateMutability === 'view') === isView),
    );
    const args = one.inputs.map((input) => this.value(input));
    const data = bytes(encodeFunctionData({ abi: [one], functionName: one.name, args }));
    if (this.below(20) === 0) data[this.below(data.length)] = this.below(256);
    const officers = OFFICERS.get(to.name) ?? [till, till, clerk];
    const sender = this.pick(this.below(2) === 0 ? officers : people).address;
    const gas = BigInt(this.pick([20_000, 100_000, 10_000_000, 10_000_000]));
    const what = `${to.name}.${one.name}(${args.map(String).join()})`;
    return { what, message: { sender, to, value: 0n, data, gas } };
  }
  value({ type, ...rest }: AbiParameter): unknown {
    const list = /^(.*)\[\]$/.exec(type);
    if (list !== null) {
      const item = { ...rest, type: list[1] ?? '' } as AbiParameter;
      return Array.from({ length: this.pick([0, 1, 2, 9]) }, () => this.value(item));
    }
    if (type === 'tuple') {
      const { components } = rest as { components: readonly AbiParameter[] };
      return Object.fromEntries(components.map((part) => [part.name ?? '', this.value(part)]));
    }
    // What is refused for its token or its subject alone is refused before anything else.
    if (rest.name === 'token' && this.below(4) > 0) return this.world.token;
    if (rest.name === 'subject' && this.below(4) > 0) return this.pick(this.subjects);
    if (type === 'address') return this.pick(this.addresses);
    if (type === 'bool') return this.below(2) === 1;
    if (type === 'string')
      return this.pick(['', 'EUR', 'Euro', '\0', '\ufeffx', '\u{1f4b6}'.repeat(40)]);
    if (type === 'bytes') return `0x${'00'.repeat(this.pick([0, 1, 63, 64, 65, 66, 2_000]))}`;
    if (type === 'bytes32') return this.pick(this.words);
    const fixed = /^bytes(\d+)$/.exec(type);
    if (fixed !== null) return `0x${'45'.repeat(Number(fixed[1]))}`;
    const number = this.uint(Number(type.slice('uint'.length)));
    return Number(type.slice('uint'.length)) <= 48 ? Number(number) : number;
  }
}

it('whatever is called, a message ends well, reverted or out of gas', () => {
  const world = new ShopWorld({ autoRoute: false });
  const ids = [1n, 7n, 1_000n, 500_000n].flatMap((amount) =>
    [0n, 1n].map((captureMode) => world.create({ amount, captureMode })),
  );
  for (const id of ids) world.do(acquirer, 'routeOrder', id, word('TOKEN'), none);
  for (const id of ids.slice(2, 6)) world.do(bea, 'pay', id);
  // And some that a rail settles: some of them were consented to.
  world.openCard();
  const onRail = [1n, 2n, 3n, 4n].map((amount) => world.createOnCard({ amount }));
  for (const [at, id] of onRail.slice(1).entries()) {
    world.do(courier, 'recordConsent', ...world.consent(bea, id, { amount: BigInt(at) + 2n }));
  }
  ids.push(...onRail);
  const caller = new Caller(world, ids);
  const often = [world.euro, world.euro, ...Array(5).fill(paymentOrders), policyRegistry];
  const targets = [...often, ...contracts];
  const ended = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const state = new Overlay(world.ledger.state);
    let { timeMs: timestampMs } = world.ledger;
    for (let n = 0; n < callsPerRound; n++) {
      if (caller.below(50) === 0) timestampMs += 1_000 * caller.pick([1, 10, 100]);
      const { height } = world.ledger.facts;
      const { what, message } = caller.call(targets);
      const after = new Overlay(state);
      const tried = endOf(() => runMessage(after, { height, timestampMs }, message), what);
      const books: Books = new Map();
      if (tried.ended === 'well') enter(books, tried.logs);
      assert.equal(findImbalance(books, state, after), null, what);
      const result = runMessage(state, { height, timestampMs }, message);
      ended.add(`${what.split('(')[0]} ${result.ended}`);
      if (result.ended !== 'well') continue;
      caller.meet(result.logs);
      check(state, world.token, caller, ids, what);
    }
  }
  // What is refused at the door proves little: money has to have moved in many ways.
  const moving = ['pay', 'capture', 'refund', 'voidOrder', 'expire', 'cancel'];
  for (const name of moving) assert.ok(ended.has(`PaymentOrders.${name} well`), name);
  for (const name of ['transfer', 'transferFrom', 'mintWithMemo', 'burnWithMemo']) {
    assert.ok(ended.has(`PaymentToken.${name} well`), name);
  }
  assert.ok(ended.has('Payouts.payoutBatch well'), 'a batch');
  const onChannels = ['setConnection', 'setStatus', 'heartbeat'];
  const wellOn = onChannels.filter((name) => ended.has(`ChannelRegistry.${name} well`));
  assert.ok(wellOn.length > 0, 'a channel');
  assert.ok(ended.has('PolicyRegistry.setLimit well'), 'a limit');
});

function endOf(run: () => MessageResult, what: string): MessageResult {
  try {
    return run();
  } catch (error) {
    throw new Error(`${what} threw`, { cause: error });
  }
}

/** Sums over all accounts that the calls know, from the storage itself. */
function check(
  state: Overlay,
  account: Address,
  { everybody }: Caller,
  ids: readonly Hash[],
  what: string,
): void {
  const { balances, supplies, orderHolds } = tokenAt(account);
  const { total, held } = supplies.get(state);
  const all = [...everybody].map((address) => balances(address).get(state));
  const sums = all.reduce(
    (sum, one) => ({ available: sum.available + one.available, held: sum.held + one.held }),
    { available: 0n, held: 0n },
  );
  assert.equal(sums.available + sums.held, total, what);
  assert.equal(sums.held, held, what);
  let open = 0n;
  for (const id of ids) {
    if (orderHolds(id).head.get(state).status !== 1n) continue;
    const { settlement, paid } = orders.orders(id);
    open += settlement.get(state).authorized - paid.get(state).captured;
  }
  assert.equal(orders.escrowed(account).get(state), open, what);
}
