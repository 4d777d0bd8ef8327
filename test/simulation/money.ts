/**
 * Money for the simulated networks: the real contracts of currencies and orders, run by each node
 * for itself. A payment that ends with `$` and a deed does that deed; what it may not do it fails
 * at, as in a block. The judge adds up what there is afterwards, by arithmetic of its own.
 */
import { type Abi, encodeFunctionData } from 'viem';
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { orders, STATE } from '#src/ledger/payments/orders/orderStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { HOLD } from '#src/ledger/payments/tokens/holds.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { tokenFactory } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight } from '#src/types/units.ts';
import { memberId, type Wanted } from '../ledger/payments/rig.ts';
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
import type { Person } from '../ledger/samples.ts';

/** Everybody who can have any. */
const people = [ann, bea, shop, courier, till, clerk, feeTaker, bank, acquirer];
const accounts: readonly Address[] = [...people.map(({ address }) => address), PAYMENT_ORDERS];
const payers = [ann, bea, courier];
/** Each of the even ones in one currency, of the odd ones in the other. */
const holdIds: readonly Hash[] = Array.from({ length: 8 }, (_, at) => word(`hold ${at}`));
const ordersSigned = 12;
const messageGas = 10_000_000n;

/** The shop of the tests of orders, with fees and two currencies, and what it asks for. */
class Market extends ShopWorld {
  readonly tokens: readonly Address[];
  readonly orders: readonly ReturnType<ShopWorld['order']>[];

  constructor() {
    super();
    const kind = word('acquiring');
    this.setFees([{ receiver: feeTaker.address, bps: 150, fixedAmount: 0n, kind }], hashFees);
    const args = ['Dollar', 'USD', 'USD', memberId(0), bank.address, none];
    const made = this.ledger.send(bank, [tokenFactory, 'createToken', args]);
    const dollar = String(made.logs[0]?.args.token).toLowerCase() as Address;
    this.tokens = [this.token, dollar];
    for (const token of this.tokens) {
      for (const { address } of payers) {
        this.ok(bank, [contractOf(token), 'mintWithMemo', [address, 1_000_000n, none]]);
      }
    }
    this.orders = Array.from({ length: ordersSigned }, (_, at) => {
      const payBy = this.now + BigInt(20 + 4 * at);
      const deadlines = { payBy, captureBy: payBy + 5n, refundBy: payBy + 100n };
      const captureMode = at % 4 === 0 ? 0n : 1n;
      return this.order({ ...deadlines, captureMode, token: this.tokens[at % 2] ?? this.token });
    });
  }
}

let opened: Market | null = null;
/** Made when the first deed is done: most schedules have none. */
function market(): Market {
  opened ??= new Market();
  return opened;
}

function contractOf(token: Address): NativeContract {
  const contract = paymentTokenAt(token);
  assert(contract !== null, 'a token has a contract');
  return contract;
}

// --- deeds ---------------------------------------------------------------------------------------

type Deed = readonly [from: Person, wanted: Wanted];

/** By name; the numbers choose who, what and how much. */
const deeds: Readonly<Record<string, (choice: Choice) => Deed>> = {
  transfer: ({ token, from, to, amount }) => [from, [token, 'transfer', [to.address, amount]]],
  hold: ({ token, from, to, amount, holdId }) => [
    from,
    [token, 'hold', [holdId, to.address, bank.address, amount, 25]],
  ],
  executeHold: ({ token, amount, holdId }) => [bank, [token, 'executeHold', [holdId, amount]]],
  releaseHold: ({ token, holdId }) => [bank, [token, 'releaseHold', [holdId]]],
  createOrder: ({ order: { terms, signature } }) => [
    courier,
    [paymentOrders, 'createOrder', [terms, signature]],
  ],
  pay: ({ from, order: { id } }) => [from, [paymentOrders, 'pay', [id]]],
  capture: ({ amount, order: { id } }) => [till, [paymentOrders, 'capture', [id, amount]]],
  voidOrder: ({ order: { id } }) => [till, [paymentOrders, 'voidOrder', [id]]],
  expire: ({ order: { id } }) => [courier, [paymentOrders, 'expire', [id]]],
  refund: ({ amount, order: { id } }) => [clerk, [paymentOrders, 'refund', [id, amount, none]]],
};
/** As often as they stand here. */
const kinds = [
  ...['transfer', 'transfer', 'hold', 'hold', 'executeHold', 'releaseHold', 'createOrder'],
  ...['createOrder', 'createOrder', 'pay', 'pay', 'pay', 'capture', 'capture', 'capture'],
  ...['voidOrder', 'expire', 'refund'],
];

export function randomDeed(random: SeededRandom): string {
  const amount = random.chance(0.05) ? 2_000_000 : 1 + random.below(300);
  const [at, from, to] = [ordersSigned, payers.length, people.length].map((n) => random.below(n));
  return [random.pick(kinds), at, from, to, amount].join(' ');
}

type Choice = {
  readonly token: NativeContract;
  readonly holdId: Hash;
  readonly order: ReturnType<ShopWorld['order']>;
  readonly from: Person;
  readonly to: Person;
  readonly amount: number;
};

function choiceOf([at = 0, from = 0, to = 0, amount = 0]: readonly number[]): Choice {
  const { tokens, orders: asked } = market();
  return {
    token: contractOf(tokens[at % tokens.length] ?? fail()),
    holdId: holdIds[at % holdIds.length] ?? fail(),
    order: asked[at] ?? fail(),
    ...{ from: payers[from] ?? fail(), to: people[to] ?? fail(), amount },
  };
}

function fail(): never {
  throw new Error('a deed is about what there is');
}

type Message = { readonly sender: Address; readonly to: NativeContract; readonly data: Uint8Array };
const messages = new Map<string, Message>();

function messageOf(text: string): Message {
  const known = messages.get(text);
  if (known !== undefined) return known;
  const [kind = '', ...numbers] = text.split(' ');
  const deed = deeds[kind] ?? fail();
  const [{ address: sender }, [to, functionName, args]] = deed(choiceOf(numbers.map(Number)));
  const data = fromHex(encodeFunctionData({ abi: to.abi as Abi, functionName, args }));
  assert(data !== null, 'a call is hexadecimal');
  const message = { sender, to, data };
  messages.set(text, message);
  return message;
}

// --- what a block does ---------------------------------------------------------------------------

/** Null: nobody has done anything yet. */
export type Money = StateReader | null;

/** The money after a block, and what came of each deed in it, for the block's root. */
export function applyDeeds(
  before: Money,
  height: bigint,
  payments: readonly string[],
): { money: Money; results: string } {
  const wanted = payments.flatMap((payment) => payment.split('$').slice(1));
  if (wanted.length === 0) return { money: before, results: '' };
  const { ledger } = market();
  const money = new Overlay(before ?? ledger.state);
  // A second a block, so that orders come to their deadlines.
  const block = { height: asHeight(height), timestampMs: ledger.timeMs + 1_000 * Number(height) };
  const results = wanted.map((text) => {
    const message = { ...messageOf(text), value: 0n, gas: messageGas };
    const result = runMessage(money, block, message);
    if (result.ended !== 'well') return result.ended;
    return result.logs.map(({ topics, data }) => `${topics.join()}${toHex(data)}`).join(';');
  });
  return { money, results: results.join('|') };
}

// --- what the judge adds up ----------------------------------------------------------------------

/** In words, the first sum that is not right; null where all are (design/ledger.md, 1 and 2). */
export function findLoss(money: Money): string | null {
  if (money === null) return null;
  for (const token of market().tokens) {
    const sums = sumsOf(money, token);
    const { total, held } = tokenAt(token).supplies.get(money);
    const escrowed = orders.escrowed(token).get(money);
    const inOrders = sum(market().orders.map(({ id }) => openIn(money, token, id)));
    const inHolds = sum(holdIds.map((id) => openHold(money, token, id)));
    const pairs: [string, bigint, bigint][] = [
      ['available and held, and the supply', sums.available + sums.held, total],
      ['held by accounts, and in all', sums.held, held],
      ['open orders, and escrowedTotal', inOrders, escrowed],
      ['open holds, and held', inOrders + inHolds, held],
    ];
    for (const [what, found, want] of pairs) {
      if (found !== want) return `${token}: ${what}: ${found} and ${want}`;
    }
  }
  return null;
}

function sumsOf(money: StateReader, token: Address) {
  const balances = accounts.map((account) => tokenAt(token).balances(account).get(money));
  return {
    available: sum(balances.map(({ available }) => available)),
    held: sum(balances.map(({ held }) => held)),
  };
}

function openIn(money: StateReader, token: Address, id: Hash): bigint {
  const record = orders.orders(id);
  const isOpen = record.head.get(money).state === STATE.authorized;
  if (!isOpen || record.money.get(money).token !== token) return 0n;
  return record.settlement.get(money).authorized - record.paid.get(money).captured;
}

function openHold(money: StateReader, token: Address, id: Hash): bigint {
  const record = tokenAt(token).holds(id);
  return record.head.get(money).status === HOLD.ordered ? record.aim.get(money).value : 0n;
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
