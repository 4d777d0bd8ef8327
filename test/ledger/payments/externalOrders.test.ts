/** Orders that a rail outside settles, up to where the rail takes them: nothing moves, ever. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { channelRegistry } from '#src/ledger/payments/orders/channelRegistry.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { hashFees, merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { consortiumRegistry, memberId } from './rig.ts';
import {
  acquirer,
  ann,
  bank,
  bea,
  CARD,
  type Consent,
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

const STATE = {
  ...{ requested: 1, routed: 2, authorized: 3 },
  ...{ cancelled: 7, rejected: 8, expired: 9 },
};
const BANK = word('BANK');
const registered = (world: ShopWorld, change: object) => {
  const channel = {
    ...{ channelId: BANK, memberId: memberId(2), kind: word('bank'), resultKey: seal.address },
    ...{ connection: bank.address, ackSla: 30, resultSla: 120, status: 0, ...change },
  };
  world.ok(rail, [channelRegistry, 'registerChannel', [channel]]);
};
const setStatus = (world: ShopWorld, status: number) =>
  world.ok(rail, [channelRegistry, 'setStatus', [CARD, status, none]]);
const opened = (merchant: object = {}) => {
  const world = new ShopWorld(merchant);
  world.openCard();
  return world;
};
/** Nobody has paid anybody. */
const nothingMoved = (world: ShopWorld) => {
  const [payer, other] = [world.money(ann), world.money(bea)];
  assert.deepEqual(
    [payer, other],
    [
      [1_000_000n, 0n],
      [1_000_000n, 0n],
    ],
  );
  assert.deepEqual(world.money(shop), [0n, 0n]);
};

describe('routing to a rail', () => {
  it('is the acquirer’s, to the channel that was signed for, and keeps the terms', () => {
    const world = opened();
    const id = world.create({ channelId: CARD });
    assert.equal(world.stateOf(id), STATE.requested, 'not routed by itself');
    for (const from of [till, rail, relay, bank]) {
      world.refused('NotAuthorized', from, 'routeOrder', id, CARD, none);
    }
    world.refused('WrongChannel', acquirer, 'routeOrder', id, TOKEN_CHANNEL, none);
    const { logs } = world.do(acquirer, 'routeOrder', id, CARD, word('rules of May'));
    assert.deepEqual(
      logs.map(({ name, args }) => [name, args.orderId, args.merchantId, args.channelId]),
      [['OrderRouted', id, shopId, CARD]],
    );
    assert.equal(logs[0]?.args.screeningHash, word('rules of May'));
    const { terms, accessMemberId } = world.get(id);
    assert.equal(accessMemberId, memberId(1));
    assert.equal(world.ledger.view(paymentOrders, 'hashOrder', [terms]), id);
    assert.equal(world.ledger.view(paymentOrders, 'channelOf', [id]), CARD);
    world.refused('WrongState', acquirer, 'routeOrder', id, CARD, none);
  });

  it('is the acquirer’s choice where the merchant names none', () => {
    const world = opened({ autoRoute: false });
    const id = world.create({ channelId: none });
    assert.equal(world.ledger.view(paymentOrders, 'channelOf', [id]), none);
    world.do(acquirer, 'routeOrder', id, CARD, none);
    const { terms } = world.get(id) as { terms: { channelId: Hash } };
    assert.equal(terms.channelId, none);
    assert.equal(world.ledger.view(paymentOrders, 'hashOrder', [terms]), id);
    assert.equal(world.ledger.view(paymentOrders, 'channelOf', [id]), CARD);
  });

  it('by itself is for the ledger’s own tokens only', () => {
    const world = opened();
    assert.equal(world.stateOf(world.create({ channelId: none })), STATE.routed);
    assert.equal(world.stateOf(world.create({ channelId: CARD })), STATE.requested);
  });

  it('needs a channel that works, and that knows the merchant', () => {
    const world = opened({ autoRoute: false });
    const id = world.create({ channelId: none });
    const route = (error: string, to: Hash) =>
      world.refused(error, acquirer, 'routeOrder', id, to, none);
    route('UnknownChannel', BANK);
    route('UnknownChannel', none);
    registered(world, {});
    route('ChannelNotBound', BANK);
    setStatus(world, 2);
    route('ChannelNotActive', CARD);
    setStatus(world, 1);
    const roles = (mask: bigint) => {
      const wanted = [consortiumRegistry, 'setRoles', [memberId(2), mask]] as const;
      assert.ok(world.ledger.decide(wanted).ok);
    };
    roles(1n);
    route('ChannelNotActive', CARD);
    roles(17n);
    setStatus(world, 3);
    route('ChannelNotActive', CARD);
    const late = world.order({ channelId: CARD });
    world.refused('ChannelNotActive', courier, 'createOrder', late.terms, late.signature);
    world.do(acquirer, 'routeOrder', id, TOKEN_CHANNEL, none);
  });

  it('ends with the time to pay', () => {
    const world = opened();
    const id = world.create({ channelId: CARD });
    world.wait(120);
    world.refused('TooLate', acquirer, 'routeOrder', id, CARD, none);
    world.do(bea, 'expire', id);
    assert.equal(world.stateOf(id), STATE.expired);
  });
});

describe('an order on a rail', () => {
  it('is asked for with the fees of that rail', () => {
    const world = opened();
    const fee = { receiver: feeTaker.address, bps: 400, fixedAmount: 0n, kind: none };
    world.setFees([fee], hashFees, CARD);
    const low = world.order({ channelId: CARD, maxFeeBps: 399n });
    world.refused('FeesAboveLimit', courier, 'createOrder', low.terms, low.signature);
    world.create({ maxFeeBps: 399n });
    world.create({ channelId: CARD, maxFeeBps: 400n });
  });

  it('refuses everything that would move tokens, in each of its states', () => {
    const world = opened();
    const id = world.createOnCard({ captureMode: 1n });
    world.refused('WrongChannel', ann, 'pay', id);
    const authorization = world.authorization(ann, id, 1_000n);
    world.refused('WrongChannel', courier, 'payWithAuthorization', ...authorization);
    for (const name of ['voidOrder', 'reclaim']) world.refused('WrongState', ann, name, id);
    world.do(courier, 'recordConsent', ...world.consent(ann, id));
    world.refused('WrongState', ann, 'pay', id);
    for (const late of [false, true]) {
      if (late) world.wait(250);
      world.refused('WrongChannel', till, 'capture', id, 1_000n);
      world.refused('WrongChannel', till, 'voidOrder', id);
      world.refused('WrongChannel', acquirer, 'voidOrder', id);
      world.refused('WrongChannel', ann, 'reclaim', id);
      world.refused('WrongState', clerk, 'refund', id, 1n, none);
      world.refused('NothingParked', courier, 'claimParkedFee', id, ann.address);
    }
    nothingMoved(world);
  });

  it('is rejected by its acquirer before somebody consents', () => {
    const world = opened();
    const [a, b] = [world.createOnCard(), world.createOnCard()];
    world.do(acquirer, 'rejectOrder', a, 7, none);
    world.do(courier, 'recordConsent', ...world.consent(ann, b));
    world.refused('WrongState', acquirer, 'rejectOrder', b, 7, none);
    assert.equal(world.stateOf(a), STATE.rejected);
    world.refused('WrongState', courier, 'recordConsent', ...world.consent(ann, a));
  });
});

describe('a payer’s consent', () => {
  it('is recorded whoever brings it, once, and moves nothing', () => {
    const world = opened();
    const id = world.createOnCard();
    const signed = world.consent(ann, id);
    const { logs } = world.do(courier, 'recordConsent', ...signed);
    assert.deepEqual(
      logs.map(({ name, args }) => [name, args.amount, args.heldOnChain]),
      [['OrderAuthorized', 1_000n, false]],
    );
    assert.equal(String(logs[0]?.args.payer).toLowerCase(), ann.address);
    const { state, payer, authorized, captured, refunded } = world.get(id);
    assert.deepEqual(
      [state, String(payer).toLowerCase(), authorized, captured, refunded],
      [STATE.authorized, ann.address, 1_000n, 0n, 0n],
    );
    nothingMoved(world);
    world.refused('WrongState', courier, 'recordConsent', ...signed);
    world.refused('WrongState', courier, 'recordConsent', ...world.consent(bea, id));
  });

  const rows: [what: string, error: string, change: (world: ShopWorld) => Partial<Consent>][] = [
    ['an order that is none', 'UnknownOrder', () => ({ orderId: word('none') })],
    ['another token', 'ConsentMismatch', () => ({ token: ann.address })],
    ['less', 'ConsentMismatch', () => ({ amount: 999n })],
    ['more than a word of money holds', 'ConsentMismatch', () => ({ amount: (1n << 256n) - 1n })],
    ['another channel', 'ConsentMismatch', () => ({ channelId: BANK })],
    ['tokens', 'ConsentMismatch', () => ({ channelId: TOKEN_CHANNEL })],
    ['somebody else', 'InvalidSignature', () => ({ payer: bea.address })],
    ['nobody', 'InvalidSignature', () => ({ payer: ZERO_ADDRESS })],
    ['a time that is over', 'AuthorizationExpired', ({ now }) => ({ validBefore: now })],
  ];
  for (const [what, error, change] of rows) {
    it(`is refused that names ${what}`, () => {
      const world = opened();
      const id = world.createOnCard();
      world.refused(error, courier, 'recordConsent', ...world.consent(ann, id, change(world)));
      assert.equal(world.stateOf(id), STATE.routed);
    });
  }

  it('is for one order: what was signed for one says nothing about another', () => {
    const world = opened();
    const [first, second] = [world.createOnCard(), world.createOnCard()];
    const [terms, signature] = world.consent(ann, first);
    const other = { ...terms, orderId: second };
    world.refused('InvalidSignature', courier, 'recordConsent', other, signature);
    for (const bad of [
      '0x',
      `0x${'00'.repeat(65)}`,
      `0x${'ff'.repeat(65)}`,
      signature.slice(0, -2),
    ]) {
      world.refused('InvalidSignature', courier, 'recordConsent', terms, bad);
    }
  });

  it('is a payer’s whom the merchant asks and lets pay', () => {
    const world = opened();
    const id = world.createOnCard({ payer: bea.address });
    world.refused('PayerNotAllowed', courier, 'recordConsent', ...world.consent(ann, id));
    world.do(courier, 'recordConsent', ...world.consent(bea, id));
    const picky = new ShopWorld();
    const list = [bank.address, 0, [bea.address]];
    picky.ok(bank, [policyRegistry, 'createPolicyWithAccounts', list]);
    const club = { merchantId: word('club'), legalEntityHash: word('Club'), payerPolicyId: 2n };
    const { terms, signature } = picky.registration(club);
    picky.ok(acquirer, [merchantRegistry, 'registerMerchant', [terms, signature]]);
    picky.openCard();
    const binding = [word('club'), CARD, word('club 1'), word('account 1')];
    picky.ok(acquirer, [merchantRegistry, 'bindChannel', binding]);
    const order = picky.order({ merchantId: word('club'), channelId: CARD }, shop);
    picky.do(courier, 'createOrder', order.terms, order.signature);
    picky.do(acquirer, 'routeOrder', order.id, CARD, none);
    picky.refused('PayerNotAllowed', courier, 'recordConsent', ...picky.consent(ann, order.id));
    picky.do(courier, 'recordConsent', ...picky.consent(bea, order.id));
  });

  it('is for an order on a rail, and none that is not routed', () => {
    const world = opened();
    const onChain = world.create();
    const tokens = { channelId: TOKEN_CHANNEL };
    world.refused('WrongChannel', courier, 'recordConsent', ...world.consent(ann, onChain, tokens));
    const open = world.create({ channelId: CARD });
    world.refused('WrongState', courier, 'recordConsent', ...world.consent(ann, open));
  });

  it('comes before the time to pay is over, which stands still while the token does', () => {
    const world = opened();
    const [id, late] = [world.createOnCard(), world.createOnCard()];
    world.ok(bank, [world.euro, 'pause', []]);
    world.wait(1_000);
    world.refused('EnforcedPause', courier, 'recordConsent', ...world.consent(ann, id));
    world.refused('TooEarly', bea, 'expire', id);
    world.ok(bank, [world.euro, 'unpause', []]);
    world.do(courier, 'recordConsent', ...world.consent(ann, id));
    world.wait(120);
    world.refused('TooLate', courier, 'recordConsent', ...world.consent(ann, late));
  });
});

describe('an order that somebody consented to', () => {
  const consented = () => {
    const world = opened();
    const id = world.createOnCard();
    world.do(courier, 'recordConsent', ...world.consent(ann, id));
    return { world, id };
  };

  it('is withdrawn by the payer or by the merchant, while no rail has taken it', () => {
    for (const by of [ann, till, shop]) {
      const { world, id } = consented();
      for (const other of [bea, clerk, acquirer, rail, relay]) {
        world.refused('NotAuthorized', other, 'cancel', id);
      }
      const { logs } = world.do(by, 'cancel', id);
      assert.deepEqual(
        logs.map(({ name, args }) => [name, String(args.by).toLowerCase(), args.released]),
        [['OrderCancelled', by.address, 0n]],
      );
      assert.equal(world.stateOf(id), STATE.cancelled);
      world.refused('WrongState', by, 'cancel', id);
      nothingMoved(world);
    }
  });

  it('is not the payer’s to cancel before it consents', () => {
    const world = opened();
    const id = world.createOnCard({ payer: ann.address });
    world.refused('NotAuthorized', ann, 'cancel', id);
    world.do(till, 'cancel', id);
  });

  it('expires by anybody once the time to capture is over', () => {
    const { world, id } = consented();
    world.wait(150);
    world.refused('TooEarly', bea, 'expire', id);
    world.wait(100);
    const { logs } = world.do(bea, 'expire', id);
    assert.deepEqual(
      logs.map(({ name, args }) => [name, args.released]),
      [['OrderExpired', 0n]],
    );
    assert.equal(world.stateOf(id), STATE.expired);
    for (const name of ['expire', 'cancel']) world.refused('WrongState', ann, name, id);
    nothingMoved(world);
  });

  it('ends also where its channel and its merchant are closed', () => {
    const { world, id } = consented();
    setStatus(world, 3);
    world.ok(acquirer, [merchantRegistry, 'setStatus', [shopId, 3, none]]);
    world.do(ann, 'cancel', id);
    assert.equal(world.stateOf(id), STATE.cancelled);
  });
});
