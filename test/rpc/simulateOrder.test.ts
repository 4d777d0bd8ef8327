import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Abi, encodeFunctionData } from 'viem';
import { FEE_MANAGER, PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { bytesToUint, uintToBytes } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { asGas, asWei } from '#src/types/units.ts';
import type { Wanted } from '../ledger/payments/rig.ts';
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
  till,
  word,
} from '../ledger/payments/shopWorld.ts';
import { chainId, type Person, person } from '../ledger/samples.ts';
import { openWorld } from './harness.ts';

type Movement = {
  kind: string;
  token: string | null;
  currency: string | null;
  from: string;
  to: string | null;
  amount: string;
  feeKind: string | null;
  orderId: string | null;
};
type Error = { name: string; arguments: Record<string, unknown>; message: string; data: string };
type Foretold = {
  succeeded: boolean;
  error: Error | null;
  movements: Movement[];
  refusedItems: { item: string; to: string; amount: string; error: string }[];
  networkFee: {
    payer: string;
    isSponsored: boolean;
    token: string | null;
    currency: string | null;
    amount: string;
    amountMax: string;
  };
  gas: { used: string; limit: string };
  sendable: { token: string; currency: string; amount: string } | null;
  order: { state: string; captured: string } | null;
};

const rules = {
  ...{ chainId, baseFeePerGas: asWei(1n), paymentLaneBytesMax: 1_500_000 },
  ...{ paymentLaneGasLimit: asGas(1n << 30n), evmLaneGasLimit: asGas(1n << 30n) },
};
/** Has euros and no coin. */
const dave = person(40);
const RATE = 2n * 10n ** 16n;

/** A shop whose ledger a server stands before, at the time that it is. */
class Simulated extends ShopWorld {
  readonly rpc: Awaited<ReturnType<typeof openWorld>>;

  static async open(): Promise<Simulated> {
    return new Simulated(await openWorld());
  }

  private constructor(rpc: Simulated['rpc']) {
    super();
    this.rpc = rpc;
    this.ledger.timeMs = Date.now();
    Object.assign(rpc.backend, { rules, stateAt: () => this.#past() });
  }

  #past() {
    const { state } = this.ledger;
    return {
      account: (address: Address) => state.account(address),
      slot: (address: Address, key: Uint8Array) =>
        uintToBytes(bytesToUint(state.slot(address, Buffer.from(key).toString('hex'))), 32),
      code: () => new Uint8Array(0),
    };
  }

  /** Fees go to an account that the shop's own check does not know. */
  override check(): void {}

  async foretell(from: Person, wanted: Wanted, more: object = {}): Promise<Foretold> {
    const answer = await this.rpc.ask('mpbp_simulateOrder', { ...callOf(from, wanted), ...more });
    return answer as Foretold;
  }

  /** What was foretold is what then happens: the end, the gas, and every account's money. */
  async holds(from: Person, wanted: Wanted): Promise<Foretold> {
    const foretold = await this.foretell(from, wanted);
    const everybody = [bank, acquirer, shop, till, clerk, ann, bea, feeTaker, courier, dave]
      .map(({ address }) => address)
      .concat(PAYMENT_ORDERS, FEE_MANAGER);
    const before = everybody.map((address) => this.money({ address }));
    const gasLimit = BigInt(foretold.gas.limit);
    const sent = this.ledger.send(from, wanted, { gasLimit });
    assert.equal(foretold.succeeded, sent.ok, `${wanted[1]}: ${sent.reason}`);
    assert.equal(BigInt(foretold.gas.used), sent.gasUsed, wanted[1]);
    for (const [at, address] of everybody.entries()) {
      const [available, held] = this.money({ address });
      const [availableBefore = 0n, heldBefore = 0n] = before[at] ?? [];
      const changes = changesOf(foretold.movements, formatAddress(address));
      assert.equal(available + held - availableBefore - heldBefore, changes.money, address);
      if (changes.isHeldTold) assert.equal(held - heldBefore, changes.held, address);
    }
    return foretold;
  }
}

function callOf(from: Person, [contract, functionName, args]: Wanted) {
  const data = encodeFunctionData({ abi: contract.abi as Abi, functionName, args });
  return { from: from.address, to: contract.address, data };
}

function changesOf(movements: readonly Movement[], account: string) {
  let [money, held] = [0n, 0n];
  for (const { kind, token, from, to, amount } of movements) {
    if (token === null) continue;
    const value = BigInt(amount);
    if (kind === 'hold' || kind === 'release') {
      if (from === account) held += kind === 'hold' ? value : -value;
      continue;
    }
    if (from === account) money -= value;
    if (to === account) money += value;
  }
  // What is captured of a hold is a payment.
  return { money, held, isHeldTold: movements.every(({ kind }) => kind !== 'payment') };
}

const kinds = ({ movements }: Foretold) =>
  movements
    .map(({ kind, amount }) => `${kind} ${BigInt(amount)}`)
    .filter((one) => !one.startsWith('network'));

describe('mpbp_simulateOrder', () => {
  it('tells payment, fee of the schedule and fee of the network, each as it comes', async () => {
    const world = await Simulated.open();
    const fee = { receiver: feeTaker.address, bps: 200, fixedAmount: 3n, kind: word('acquiring') };
    world.setFees([fee], hashFees);
    const { id, terms, signature } = world.order();
    const made = await world.holds(courier, [paymentOrders, 'createOrder', [terms, signature]]);
    assert.equal(made.order?.state, 'ROUTED');
    const paid = await world.holds(ann, [paymentOrders, 'pay', [id]]);
    assert.deepEqual(kinds(paid), ['payment 977', 'fee 23']);
    assert.equal(paid.movements[1]?.feeKind, word('acquiring'));
    assert.deepEqual(
      paid.movements.slice(0, 2).map(({ orderId }) => orderId),
      [id, id],
    );
    const last = paid.movements.at(-1) ?? assert.fail();
    assert.deepEqual([last.kind, last.token, last.to], ['networkFee', null, null]);
    assert.equal(last.amount, paid.networkFee.amount);
    assert.equal(paid.networkFee.payer, formatAddress(ann.address));
    assert.deepEqual([paid.order?.state, BigInt(paid.order?.captured ?? 0)], ['SETTLED', 1_000n]);
    assert.deepEqual(paid.sendable, {
      ...{ token: formatAddress(world.token), currency: 'EUR', amount: '0xf4240' },
    });
    const back = await world.holds(till, [paymentOrders, 'refund', [id, 40n, none]]);
    assert.equal(back.error?.name, 'NotAuthorized');
    const refunded = await world.holds(clerk, [paymentOrders, 'refund', [id, 40n, none]]);
    assert.deepEqual(kinds(refunded), ['refund 40']);
  });

  it('tells what is held, captured and let go', async () => {
    const world = await Simulated.open();
    const [one, other] = [world.create({ captureMode: 1n }), world.create({ captureMode: 1n })];
    for (const id of [one, other]) {
      const held = await world.holds(ann, [paymentOrders, 'pay', [id]]);
      assert.deepEqual(kinds(held), ['hold 1000']);
      assert.equal(held.order?.state, 'AUTHORIZED');
    }
    assert.deepEqual(kinds(await world.holds(till, [paymentOrders, 'capture', [one, 600n]])), [
      'payment 600',
    ]);
    const rest = await world.holds(till, [paymentOrders, 'voidOrder', [one]]);
    assert.deepEqual(kinds(rest), ['release 400']);
    assert.equal(rest.order?.state, 'SETTLED');
    const ended = await world.holds(till, [paymentOrders, 'voidOrder', [other]]);
    assert.deepEqual([kinds(ended), ended.order?.state], [['release 1000'], 'CANCELLED']);
    const args = [word('promise'), bea.address, courier.address, 70n, 60n];
    assert.deepEqual(kinds(await world.holds(ann, [world.euro, 'hold', args])), ['hold 70']);
    const part = [word('promise'), 50n];
    assert.deepEqual(kinds(await world.holds(courier, [world.euro, 'executeHold', part])), [
      'payment 50',
      'release 20',
    ]);
  });

  it('names a refusal and its arguments, and says what an order is now', async () => {
    const world = await Simulated.open();
    const id = world.create();
    world.do(ann, 'pay', id);
    const again = await world.holds(bea, [paymentOrders, 'pay', [id]]);
    assert.deepEqual(again.error?.arguments, { orderId: id, state: 'SETTLED' });
    assert.equal(again.error?.name, 'WrongState');
    assert.match(again.error?.message ?? '', /^WrongState\(0x/);
    assert.deepEqual(kinds(again), []);
    assert.equal(again.order?.state, 'SETTLED');
    const unknown = await world.holds(bea, [paymentOrders, 'pay', [word('nothing')]]);
    assert.deepEqual([unknown.error?.name, unknown.order], ['UnknownOrder', null]);
    const late = await world.holds(bea, [paymentOrders, 'expire', [world.create()]]);
    assert.equal(late.error?.name, 'TooEarly');
    const much = await world.holds(ann, [world.euro, 'transfer', [bea.address, 2_000_000n]]);
    assert.deepEqual(much.error?.arguments, {
      ...{ sender: formatAddress(ann.address), balance: '0xf3e58', needed: '0x1e8480' },
    });
    const nonsense = await world.rpc.ask('mpbp_simulateOrder', {
      ...{ from: ann.address, to: PAYMENT_ORDERS, data: '0x12345678' },
    });
    assert.equal((nonsense as Foretold).error?.name, 'UnknownFunction');
  });

  it('goes by the clock, as the next block will, however old the last one is', async () => {
    const world = await Simulated.open();
    world.ledger.timeMs -= 3_600_000;
    const id = world.create();
    assert.equal((await world.foretell(ann, [paymentOrders, 'pay', [id]])).error?.name, 'TooLate');
    world.ledger.timeMs = Date.now();
    world.refused('TooLate', ann, 'pay', id);
  });

  it('says how much goes where the fee is taken of the same money', async () => {
    const world = await Simulated.open();
    const set = world.ledger.decide([feeManager, 'setFeeRate', [world.token, RATE]]);
    assert.ok(set.ok, set.reason);
    world.ok(bank, [world.euro, 'mintWithMemo', [dave.address, 1_000_000n, none]]);
    const all = await world.foretell(dave, [world.euro, 'transfer', [bea.address, 1_000_000n]]);
    assert.equal(all.error?.name, 'ERC20InsufficientBalance');
    const most = BigInt(all.sendable?.amount ?? 0);
    assert.equal(most + BigInt(all.networkFee.amountMax), 1_000_000n);
    const { limit: gas } = all.gas;
    const above = [world.euro, 'transfer', [bea.address, most + 1n]] as const;
    assert.equal((await world.foretell(dave, above, { gas })).succeeded, false);
    const exact = [world.euro, 'transfer', [bea.address, most]] as const;
    const sent = await world.foretell(dave, exact, { gas });
    assert.deepEqual(kinds(sent), [`payment ${most}`]);
    await world.holds(dave, exact);
    const fee = sent.movements.at(-1) ?? assert.fail();
    assert.deepEqual(
      [fee.kind, fee.currency, fee.from, fee.to],
      ['networkFee', 'EUR', formatAddress(dave.address), formatAddress(FEE_MANAGER)],
    );
    assert.equal(sent.networkFee.amount, fee.amount);
  });

  it('says who pays the fee, where a sponsor does', async () => {
    const world = await Simulated.open();
    const set = world.ledger.decide([feeManager, 'setFeeRate', [world.token, RATE]]);
    assert.ok(set.ok, set.reason);
    world.ok(bank, [world.euro, 'mintWithMemo', [dave.address, 1_000_000n, none]]);
    const terms = [dave.address, world.token, 500_000n, (1n << 40n) - 1n, []];
    world.ok(bea, [feeManager, 'setSponsorship', terms]);
    const id = world.create();
    const paid = await world.holds(dave, [paymentOrders, 'pay', [id]]);
    const { payer, isSponsored, token, currency } = paid.networkFee;
    assert.deepEqual(
      [payer, isSponsored, token, currency],
      [formatAddress(bea.address), true, formatAddress(world.token), 'EUR'],
    );
    assert.equal(paid.movements.at(-1)?.from, formatAddress(bea.address));
    assert.equal(BigInt(paid.sendable?.amount ?? 0), 1_000_000n, 'all of it');
  });

  it('names what no block takes, and takes no call that is none', async () => {
    const world = await Simulated.open();
    const pay: Wanted = [world.euro, 'transfer', [bea.address, 1n]];
    const poor = await world.foretell(dave, pay);
    assert.equal(poor.error?.name, 'INSUFFICIENT_FUNDS');
    assert.deepEqual([poor.movements, poor.gas.used, poor.sendable], [[], '0x0', null]);
    const reasons = { gas: ['0x1', 'INTRINSIC_GAS_TOO_LOW'], value: ['0x1', 'NotPayable'] };
    for (const [field, [value, name]] of Object.entries(reasons)) {
      const { error } = await world.foretell(ann, pay, { [field]: value });
      assert.equal(error?.name, name);
    }
    const far = { gas: '0xffffffffffffffff', maxFeePerGas: `0x${'f'.repeat(64)}` };
    assert.equal((await world.foretell(ann, pay, far)).error?.name, 'EXCEEDS_BLOCK_GAS_LIMIT');
    const short = await world.foretell(ann, pay, { gas: '0x5b00' });
    assert.equal(short.error?.name, 'OUT_OF_GAS');
    const ofContract = await world.foretell({ ...ann, address: PAYMENT_ORDERS }, pay);
    assert.equal(ofContract.error?.name, 'SENDER_NOT_EOA');
    const data = '0x';
    for (const call of [
      { to: PAYMENT_ORDERS, data },
      { from: ann.address, data },
      { from: ann.address, to: bea.address, data },
      { from: ann.address, to: FEE_MANAGER, data },
      { from: ann.address, to: world.token, data, gas: '0x1ffffffffffffffff' },
    ]) {
      const { error } = await world.rpc.call('mpbp_simulateOrder', call);
      assert.equal(error?.code, -32602, JSON.stringify(call));
    }
  });

  it('tells of a payout who is paid and who is not', async () => {
    const world = await Simulated.open();
    const items = [
      { to: bea.address, amount: 5n, memo: none },
      { to: PAYMENT_ORDERS, amount: 6n, memo: none },
      { to: shop.address, amount: 7n, memo: none },
    ];
    const args = [world.token, items, word('wages'), false];
    const foretold = await world.holds(ann, [payouts, 'payoutBatch', args]);
    assert.deepEqual(kinds(foretold), ['payment 5', 'payment 7']);
    assert.deepEqual(foretold.refusedItems, [
      {
        item: '0x1',
        to: formatAddress(PAYMENT_ORDERS),
        amount: '0x6',
        error: 'ERC20InvalidReceiver',
      },
    ]);
    const atomic = [world.token, items, word('all'), true];
    const refused = await world.holds(ann, [payouts, 'payoutBatch', atomic]);
    assert.deepEqual(refused.error?.arguments, {
      ...{ item: '0x1', errorCode: '0x3' },
      reason: {
        name: 'ERC20InvalidReceiver',
        arguments: { receiver: formatAddress(PAYMENT_ORDERS) },
      },
    });
  });

  it('answers whatever anybody asks of every function', async () => {
    const world = await Simulated.open();
    world.create({ captureMode: 1n });
    const random = new SeededRandom(11);
    const words = ['00', 'ff', ...[ann.address, PAYMENT_ORDERS, world.token].map(bare)];
    const senders = [ann.address, PAYMENT_ORDERS, FEE_MANAGER, world.token];
    for (const contract of [paymentOrders, payouts, world.euro]) {
      for (const selector of contract.functions.keys()) {
        for (let tries = 0; tries < 6; tries++) {
          const args = Array.from({ length: random.below(16) }, () => wordOf(random, words));
          const call = {
            ...{ from: random.pick(senders), to: contract.address },
            data: `${selector}${args.join('')}`,
            ...(random.chance(0.3) && { gas: `0x${random.uint32().toString(16)}` }),
            ...(random.chance(0.3) && { value: `0x${(random.uint32() % 9) + 1}` }),
          };
          const { error, result } = await world.rpc.call('mpbp_simulateOrder', call);
          assert.equal(error, undefined, JSON.stringify([call, error]));
          assert.equal((result as Foretold).succeeded, (result as Foretold).error === null);
        }
      }
    }
  });
});

function bare(address: string): string {
  return address.slice(2);
}

/** What calls are made of: small numbers, addresses, the largest number. */
function wordOf(random: SeededRandom, words: readonly string[]): string {
  if (random.chance(0.4)) return random.below(300).toString(16).padStart(64, '0');
  const word = random.pick(words);
  return word === 'ff' ? 'ff'.repeat(32) : word.padStart(64, '0');
}
