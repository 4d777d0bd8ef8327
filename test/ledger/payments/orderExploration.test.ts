/**
 * Every state that an order can come to (payments.md 1.8), by walking the real contract: each actor
 * tries everything in each state, in each of four phases of time, with partial captures and refunds.
 * Of the external mode there is what comes before the rail takes an order: nothing is held, and no
 * money moves.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Abi, decodeFunctionResult, encodeFunctionData } from 'viem';
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight } from '#src/types/units.ts';
import {
  acquirer,
  ann,
  bea,
  CARD,
  clerk,
  courier,
  feeTaker,
  none,
  ShopWorld,
  shop,
  till,
  word,
} from './shopWorld.ts';

const amount = 3n;
const FINAL = new Set([5, 7, 8, 9]);
/** Seconds from the beginning: before each deadline, and after all of them. */
const phases = [10n, 150n, 250n, 350n];
const units = [1n, 2n, 3n];
const OPEN = 3;

/** The capture mode of what is settled in tokens; or a rail settles it. */
type Mode = 0 | 1 | 'external';
type Order = {
  id: Hash;
  terms: object;
  signature: string;
  mode: Mode;
  consent: readonly unknown[];
};
type Action = readonly [label: string, by: Address, name: string, args: readonly unknown[]];
type Shown = {
  state: number;
  captured: bigint;
  refunded: bigint;
  authorized: bigint;
  terms: { amount: bigint };
};

class Walk {
  readonly world: ShopWorld;
  readonly state: Overlay;
  readonly orders: readonly Order[];
  readonly began: bigint;
  readonly seen = new Set<string>();
  readonly kinds = new Set<string>();
  edges = 0;
  finals = 0;

  constructor(modes: readonly Mode[], { autoRoute = false, bps = 0 } = {}) {
    this.world = new ShopWorld({ autoRoute });
    this.world.openCard();
    if (bps > 0) {
      const fee = { receiver: feeTaker.address, bps, fixedAmount: 0n, kind: word('fee') };
      this.world.setFees([fee], hashFees);
    }
    this.began = this.world.now;
    this.orders = modes.map((mode) => {
      const kind = mode === 'external' ? { channelId: CARD } : { captureMode: BigInt(mode) };
      const order = this.world.order({ amount, maxFeeBps: 10_000n, ...kind });
      return { ...order, mode, consent: this.world.consent(ann, order.id, { amount }) };
    });
    this.state = new Overlay(this.world.ledger.state);
  }

  call(to: NativeContract, sender: Address, name: string, args: readonly unknown[], phase: number) {
    const abi = to.abi as Abi;
    const data = fromHex(encodeFunctionData({ abi, functionName: name, args })) ?? assert.fail();
    const seconds = Number(this.began + (phases[phase] ?? 0n));
    const block = { height: asHeight(9n), timestampMs: seconds * 1_000 };
    return runMessage(this.state, block, { sender, to, value: 0n, data, gas: 1n << 40n });
  }
  ask<T>(to: NativeContract, name: string, args: readonly unknown[]): T {
    const result = this.call(to, bea.address, name, args, 0);
    assert.ok(result.ended === 'well');
    const abi = to.abi as Abi;
    return decodeFunctionResult({ abi, functionName: name, data: toHex(result.output) }) as T;
  }

  actions({ id, terms, signature, consent }: Order): Action[] {
    return [
      ['create', courier.address, 'createOrder', [terms, signature]],
      ['route', acquirer.address, 'routeOrder', [id, TOKEN_CHANNEL, none]],
      ['route', acquirer.address, 'routeOrder', [id, CARD, none]],
      ['consent', courier.address, 'recordConsent', consent],
      ['reject', acquirer.address, 'rejectOrder', [id, 1, none]],
      ['cancel', till.address, 'cancel', [id]],
      ['withdraw', ann.address, 'cancel', [id]],
      ['pay', ann.address, 'pay', [id]],
      ['void', till.address, 'voidOrder', [id]],
      ['reclaim', ann.address, 'reclaim', [id]],
      ['expire', bea.address, 'expire', [id]],
      ...units.map((unit) => [`capture ${unit}`, till.address, 'capture', [id, unit]] as const),
      ...units.map(
        (unit) => [`refund ${unit}`, clerk.address, 'refund', [id, unit, none]] as const,
      ),
    ];
  }

  shown({ id }: Order): Shown | null {
    const [state] = this.ask<[number, boolean]>(paymentOrders, 'stateOf', [id]);
    return state === 0 ? null : this.ask<Shown>(paymentOrders, 'getOrder', [id]);
  }
  money(account: Address): { available: bigint; held: bigint } {
    const available = this.ask<bigint>(this.world.euro, 'balanceOf', [account]);
    return { available, held: this.ask<bigint>(this.world.euro, 'balanceOnHold', [account]) };
  }

  go(phase = 0): void {
    const all = this.orders.map((order) => this.shown(order));
    const key = JSON.stringify([
      phase,
      ...all.map((one) => one && [one.state, `${one.captured}`, `${one.refunded}`]),
    ]);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.check(all);
    if (all.every((one) => one !== null && FINAL.has(one.state))) this.finals++;
    else this.endsBySilence(all);
    for (const [index, order] of this.orders.entries()) {
      const before = all[index]?.state ?? 0;
      for (const [label, by, name, args] of this.actions(order)) {
        this.step(
          () => this.call(paymentOrders, by, name, args, phase).ended === 'well',
          () => {
            this.edges++;
            const after = this.shown(order)?.state ?? 0;
            if (after !== before) this.kinds.add(`${before} ${label.split(' ')[0]} ${after}`);
            this.go(phase);
          },
        );
      }
    }
    if (phase + 1 < phases.length) this.go(phase + 1);
  }

  /** Does it, looks, and takes it back. */
  step(act: () => boolean, look: () => void): void {
    const mark = this.state.checkpoint();
    if (act()) look();
    this.state.revertTo(mark);
  }

  check(all: readonly (Shown | null)[]): void {
    const [payer, merchant, fees] = [ann, shop, feeTaker].map(({ address }) =>
      this.money(address),
    ) as [
      { available: bigint; held: bigint },
      { available: bigint; held: bigint },
      { available: bigint; held: bigint },
    ];
    let held = 0n;
    let paid = 0n;
    for (const [index, one] of all.entries()) {
      if (one === null) continue;
      const { state, captured, refunded, authorized } = one;
      assert.ok(refunded <= captured && captured <= authorized && authorized <= amount);
      const isExternal = this.orders[index]?.mode === 'external';
      if (isExternal) assert.equal(captured, 0n);
      else if (state === OPEN) held += authorized - captured;
      paid += captured - refunded;
      if (FINAL.has(state) && state !== 5) assert.equal(captured, 0n);
    }
    assert.equal(payer.held, held, 'what open orders hold, in the payer’s own account');
    assert.equal(merchant.held + fees.held, 0n);
    assert.equal(payer.available + payer.held, 1_000_000n - paid);
    assert.equal(merchant.available + fees.available, 100n + paid, 'to the last unit');
    assert.equal(this.money(PAYMENT_ORDERS).available, 0n, 'nothing rests in between');
    const escrowed = this.ask<bigint>(paymentOrders, 'escrowedTotal', [this.world.token]);
    assert.equal(escrowed, held);
  }

  /** Merchant and acquirer silent: time and anybody bring every order to an end. */
  endsBySilence(all: readonly (Shown | null)[]): void {
    const last = phases.length - 1;
    const mark = this.state.checkpoint();
    for (const [index, order] of this.orders.entries()) {
      const { state } = all[index] ?? { state: 0 };
      if (state === 0 || FINAL.has(state)) continue;
      const { ended } = this.call(paymentOrders, bea.address, 'expire', [order.id], last);
      assert.equal(ended, 'well', `from ${state}`);
      assert.ok(FINAL.has(this.shown(order)?.state ?? 0));
    }
    this.state.revertTo(mark);
  }
}

const beforeTheRail = [
  '0 create 1',
  '1 cancel 7',
  '1 expire 9',
  '1 reject 8',
  '1 route 2',
  '2 cancel 7',
  '2 consent 3',
  '2 expire 9',
  '2 reject 8',
  '3 cancel 7',
  '3 expire 9',
  '3 withdraw 7',
];
const rows: [
  when: string,
  modes: readonly Mode[],
  options: object,
  states: number,
  edges: number,
][] = [
  ['charge', [0], {}, 39, 43],
  ['charge, routed at once', [0], { autoRoute: true }, 35, 31],
  ['authorise and capture', [1], {}, 71, 91],
  ['authorise and capture, with a third in fees', [1], { bps: 3_334 }, 71, 91],
  ['a rail, until it takes the order', ['external'], {}, 27, 35],
  ['one that is captured and one on a rail', [1, 'external'], {}, 480, 1_232],
  [
    'one of each, routed at once, with a third in fees',
    [0, 1],
    { autoRoute: true, bps: 3_334 },
    587,
    1_205,
  ],
];
for (const [when, modes, options, states, edges] of rows) {
  it(`${when}: no state is stuck, and money is where it belongs in each`, () => {
    const walk = new Walk(modes, options);
    // What the merchant gives back it has to have: fees are not refunded by those who took them.
    walk.world.ok(bea, [walk.world.euro, 'transferWithMemo', [shop.address, 100n, none]]);
    const fresh = new Overlay(walk.world.ledger.state);
    Object.assign(walk, { state: fresh });
    walk.go();
    const { seen, kinds, finals } = walk;
    process.stdout.write(
      `# ${when}: ${seen.size} states, ${walk.edges} edges, ${kinds.size} kinds of change\n`,
    );
    assert.deepEqual([seen.size, walk.edges], [states, edges]);
    assert.ok(finals > 0);
    if (modes.join() === 'external') assert.deepEqual([...kinds].sort(), beforeTheRail);
  });
}
