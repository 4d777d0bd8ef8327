import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { hashFees, merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import type { Hash } from '#src/types/hash.ts';
import { person } from '../samples.ts';
import {
  acquirer,
  ann,
  bank,
  bea,
  clerk,
  courier,
  feeTaker,
  none,
  RIGHTS,
  ShopWorld,
  shop,
  shopId,
  till,
  word,
} from './shopWorld.ts';

const STATE = {
  ...{ requested: 1, routed: 2, authorized: 3, settled: 5 },
  ...{ cancelled: 7, rejected: 8, expired: 9 },
};

describe('MerchantRegistry', () => {
  const rows: [when: string, error: string, change: object, by?: typeof ann][] = [
    ['the same merchant', 'MerchantExists', {}],
    [
      'another merchant of the same legal entity (R1)',
      'LegalEntityTaken',
      { merchantId: word('other') },
    ],
    ['no id', 'InvalidMerchant', { merchantId: none }],
    ['no legal entity', 'InvalidMerchant', { legalEntityHash: none }],
    ['a name that turns text around', 'InvalidDisplayName', { displayName: 'a\u202eb' }],
    ['a name with an Arabic mark', 'InvalidDisplayName', { displayName: 'a\u061cb' }],
    ['a name with hidden letters', 'InvalidDisplayName', { displayName: 'a\u{e0062}' }],
    ['a name of spaces', 'InvalidDisplayName', { displayName: '\u3000 ' }],
    ['a name of 65 bytes', 'InvalidDisplayName', { displayName: `${'a'.repeat(63)}é` }],
    ['no name', 'InvalidDisplayName', { displayName: '' }],
    ['a policy that is none', 'UnknownPolicy', { payerPolicyId: 99n }],
    ['an account of its acquirer (R3)', 'InvalidAccount', { settlementAccount: acquirer.address }],
    ['an account of the system', 'InvalidAccount', { settlementAccount: PAYMENT_ORDERS }],
    ["somebody else's account", 'InvalidSignature', { settlementAccount: ann.address }],
    ['somebody else’s word', 'InvalidSignature', {}, ann],
  ];
  for (const [when, error, change, by = shop] of rows) {
    it(`refuses ${when}`, () => {
      const world = new ShopWorld();
      const isNew = error !== 'MerchantExists' && error !== 'LegalEntityTaken';
      const fresh = isNew ? { merchantId: word('new'), legalEntityHash: word('New Ltd') } : {};
      const { terms, signature } = world.registration({ ...fresh, ...change }, by);
      world.fails(error, acquirer, [merchantRegistry, 'registerMerchant', [terms, signature]]);
    });
  }

  it('is for acquirers, each for itself', () => {
    const world = new ShopWorld();
    const fresh = { merchantId: word('new'), legalEntityHash: word('New Ltd') };
    const { terms, signature } = world.registration(fresh);
    for (const from of [shop, bank]) {
      world.fails('NotAuthorized', from, [
        merchantRegistry,
        'registerMerchant',
        [terms, signature],
      ]);
    }
    world.fails('NotAuthorized', bank, [merchantRegistry, 'setStatus', [shopId, 2, none]]);
    world.fails('NotAuthorized', till, [
      ...([merchantRegistry, 'setOrderKey', [shopId, till.address, RIGHTS.admin, true]] as const),
    ]);
  });

  it('changes a settlement account slowly, by three who agree (R5)', () => {
    const world = new ShopWorld();
    const open = world.create({ refundBy: world.now + 200_000n });
    const fields = [
      ['bytes32', 'merchantId'],
      ['address', 'account'],
      ['uint256', 'nonce'],
    ] as const;
    const domain = { name: 'MPBP MerchantRegistry', verifyingContract: merchantRegistry.address };
    const message = { merchantId: shopId, account: ann.address, nonce: 0n };
    const { signature } = world.sign(shop, domain, 'SettlementAccount', fields, message);
    const propose = [merchantRegistry, 'proposeSettlementAccount'] as const;
    const confirm = [merchantRegistry, 'confirmSettlementAccount', [shopId]] as const;
    world.fails('NothingProposed', acquirer, confirm);
    const args = [shopId, ann.address, signature];
    world.fails('NotAuthorized', shop, [...propose, args]);
    const forged = world.sign(till, domain, 'SettlementAccount', fields, message).signature;
    world.fails('InvalidSignature', ann, [...propose, [shopId, ann.address, forged]]);
    world.ok(ann, [...propose, args]);
    world.fails('InvalidSignature', ann, [...propose, args]);
    world.fails('NotYetEffective', acquirer, confirm);
    world.do(bea, 'pay', open);
    world.wait(86_400);
    world.fails('NotAuthorized', shop, confirm);
    world.ok(acquirer, confirm);
    assert.equal(world.money(shop)[0], 1_000n, 'what was open kept its own');
    const next = world.create();
    world.do(bea, 'pay', next);
    assert.equal(world.money(ann)[0], 1_001_000n);
    world.do(clerk, 'refund', open, 400n, none);
    assert.deepEqual(
      [world.money(shop)[0], world.money(ann)[0], world.money(bea)[0]],
      [1_000n, 1_000_600n, 998_400n],
      'a refund is paid by the account that is the merchant’s now, and the old one is left alone',
    );
  });

  it('is closed for good: what is open goes on, and nothing new begins', () => {
    const world = new ShopWorld();
    const open = world.create();
    world.ok(acquirer, [merchantRegistry, 'setStatus', [shopId, 3, none]]);
    world.fails('MerchantClosed', acquirer, [merchantRegistry, 'setStatus', [shopId, 1, none]]);
    const late = world.order();
    world.refused('MerchantNotActive', courier, 'createOrder', late.terms, late.signature);
    world.do(ann, 'pay', open);
  });
});

describe('an order', () => {
  it('charge: the payer pays the merchant in one step, and gets refunds up to it', () => {
    const world = new ShopWorld();
    const { id, terms, signature } = world.order();
    assert.equal(world.ledger.view(paymentOrders, 'hashOrder', [terms]), id);
    const created = world.do(courier, 'createOrder', terms, signature);
    assert.deepEqual(
      created.logs.map(({ name }) => name),
      ['OrderRequested', 'OrderRouted'],
    );
    assert.equal(world.ledger.view(paymentOrders, 'orderIdOf', [shopId, terms.orderRef]), id);
    world.refused('OrderExists', courier, 'createOrder', terms, signature);
    const paid = world.do(ann, 'pay', id);
    assert.deepEqual(
      paid.logs.map(({ name }) => name),
      ['OrderAuthorized', 'Transfer', 'OrderCaptured', 'OrderSettled'],
      'one movement, one Transfer',
    );
    assert.deepEqual([world.money(ann)[0], world.money(shop)[0]], [999_000n, 1_000n]);
    assert.equal(world.stateOf(id), STATE.settled);
    world.refused('WrongState', bea, 'pay', id);
    world.refused('NotAuthorized', till, 'refund', id, 1n, none);
    world.do(clerk, 'refund', id, 400n, word('r1'));
    world.refused('AmountAboveRest', clerk, 'refund', id, 601n, none);
    world.refused('AmountAboveRest', clerk, 'refund', id, 0n, none);
    const last = world.do(clerk, 'refund', id, 600n, word('r2'));
    assert.equal(
      last.logs.find(({ name }) => name === 'OrderRefunded')?.args.totalRefunded,
      1_000n,
    );
    assert.deepEqual([world.money(ann)[0], world.money(shop)[0]], [1_000_000n, 0n]);
    const { captured, refunded, payer } = world.get(id);
    assert.deepEqual([captured, refunded], [1_000n, 1_000n]);
    assert.equal(String(payer).toLowerCase(), ann.address);
  });

  it('authorise: money is held in the payer’s account, and captured in parts', () => {
    const world = new ShopWorld();
    const id = world.create({ captureMode: 1n });
    const paid = world.do(ann, 'pay', id);
    assert.deepEqual(
      paid.logs.map(({ name }) => name),
      ['OrderAuthorized', 'HoldCreated'],
    );
    assert.deepEqual(world.money(ann), [999_000n, 1_000n]);
    world.refused('NotAuthorized', clerk, 'capture', id, 1n);
    world.refused('AmountAboveRest', till, 'capture', id, 1_001n);
    world.refused('AmountAboveRest', till, 'capture', id, 0n);
    world.refused('WrongState', till, 'cancel', id);
    world.refused('WrongState', clerk, 'refund', id, 1n, none);
    world.do(till, 'capture', id, 300n);
    assert.deepEqual([world.money(ann), world.money(shop)[0]], [[999_000n, 700n], 300n]);
    assert.equal(world.stateOf(id), STATE.authorized);
    const end = world.do(till, 'capture', id, 700n);
    assert.equal(end.logs.at(-1)?.name, 'OrderSettled');
    assert.deepEqual([world.money(ann), world.money(shop)[0]], [[999_000n, 0n], 1_000n]);
    assert.equal(world.stateOf(id), STATE.settled);
  });

  it('what is voided, reclaimed or expires goes back; what was captured stays', () => {
    for (const captured of [0n, 250n]) {
      for (const by of ['void', 'acquirer', 'reclaim', 'expire'] as const) {
        const world = new ShopWorld();
        const id = world.create({ captureMode: 1n });
        world.do(ann, 'pay', id);
        if (captured > 0n) world.do(till, 'capture', id, captured);
        world.refused('TooEarly', ann, 'reclaim', id);
        world.refused('NotAuthorized', bea, 'voidOrder', id);
        if (by === 'void') world.do(till, 'voidOrder', id);
        if (by === 'acquirer') world.do(acquirer, 'voidOrder', id);
        if (by === 'reclaim' || by === 'expire') {
          world.wait(250);
          world.refused('TooLate', till, 'capture', id, 1n);
          world.refused('NotAuthorized', bea, 'reclaim', id);
          if (by === 'reclaim') world.do(ann, 'reclaim', id);
          else world.do(bea, 'expire', id);
        }
        const isLate = by === 'reclaim' || by === 'expire';
        const none = isLate ? STATE.expired : STATE.cancelled;
        assert.equal(world.stateOf(id), captured > 0n ? STATE.settled : none, `${captured} ${by}`);
        assert.deepEqual(world.money(ann), [1_000_000n - captured, 0n]);
        assert.equal(world.money(shop)[0], captured);
      }
    }
  });

  it('before it is paid it is routed, rejected, cancelled, or expires', () => {
    const world = new ShopWorld({ autoRoute: false });
    const [a, b, c, d] = [0, 1, 2, 3].map(() => world.create()) as [Hash, Hash, Hash, Hash];
    world.refused('WrongState', ann, 'pay', a);
    world.refused('NotAuthorized', bank, 'routeOrder', a, TOKEN_CHANNEL, none);
    world.refused('UnknownChannel', acquirer, 'routeOrder', a, word('CARD'), none);
    world.do(acquirer, 'routeOrder', a, TOKEN_CHANNEL, word('rules of May'));
    world.do(acquirer, 'rejectOrder', b, 7, none);
    world.refused('NotAuthorized', ann, 'cancel', c);
    world.do(till, 'cancel', c);
    world.refused('TooEarly', bea, 'expire', d);
    world.wait(120);
    world.refused('TooLate', ann, 'pay', a);
    world.refused('TooLate', acquirer, 'routeOrder', d, TOKEN_CHANNEL, none);
    world.do(bea, 'expire', d);
    world.do(bea, 'expire', a);
    assert.deepEqual(
      [a, b, c, d].map((id) => world.stateOf(id)),
      [STATE.expired, STATE.rejected, STATE.cancelled, STATE.expired],
    );
  });

  it('tells its terms as they were signed, and beside them where it was routed', () => {
    const world = new ShopWorld({ autoRoute: false });
    const channelOf = (id: Hash) => world.ledger.view(paymentOrders, 'channelOf', [id]);
    for (const channelId of [none, TOKEN_CHANNEL]) {
      const id = world.create({ channelId });
      for (const routed of [none, TOKEN_CHANNEL]) {
        const { terms } = world.get(id) as { terms: { channelId: Hash } };
        assert.equal(terms.channelId, channelId);
        assert.equal(world.ledger.view(paymentOrders, 'hashOrder', [terms]), id);
        assert.equal(channelOf(id), routed);
        if (routed === none) world.do(acquirer, 'routeOrder', id, TOKEN_CHANNEL, none);
      }
    }
    assert.equal(channelOf(word('no order')), none);
  });

  it('is paid by a signature that somebody else submits, and never pays another (mppx#904)', () => {
    const world = new ShopWorld();
    const [first, second] = [world.create(), world.create()];
    const signed = world.authorization(ann, first, 1_000n);
    const [, ...rest] = signed;
    world.refused('InvalidSignature', courier, 'payWithAuthorization', second, ...rest);
    world.refused(
      ...(['InvalidSignature', courier, 'payWithAuthorization'] as const),
      ...world.authorization(ann, first, 999n),
    );
    const [id, , ...times] = signed;
    world.refused('InvalidSignature', courier, 'payWithAuthorization', id, bea.address, ...times);
    world.do(courier, 'payWithAuthorization', ...signed);
    assert.deepEqual([world.money(ann)[0], world.money(shop)[0]], [999_000n, 1_000n]);
    world.refused('WrongState', courier, 'payWithAuthorization', ...signed);
    const [, , , validBefore, signature] = signed;
    const direct = [ann.address, PAYMENT_ORDERS, 1_000n, 0n, validBefore, second, signature];
    world.fails('CallerNotReceiver', courier, [world.euro, 'receiveWithAuthorization', direct]);
  });

  it('asks for what its merchant asks for: this payer, these customers', () => {
    const world = new ShopWorld();
    const id = world.create({ payer: ann.address });
    world.refused('PayerNotAllowed', bea, 'pay', id);
    world.do(ann, 'pay', id);
    const list = [bank.address, 0, [bea.address]];
    world.ok(bank, [policyRegistry, 'createPolicyWithAccounts', list]);
    const picky = new ShopWorld();
    picky.ok(bank, [policyRegistry, 'createPolicyWithAccounts', list]);
    const own = { merchantId: word('club'), legalEntityHash: word('Club'), payerPolicyId: 2n };
    const { terms, signature } = picky.registration(own);
    picky.ok(acquirer, [merchantRegistry, 'registerMerchant', [terms, signature]]);
    const order = picky.order({ merchantId: word('club') }, shop);
    picky.do(courier, 'createOrder', order.terms, order.signature);
    picky.refused('PayerNotAllowed', ann, 'pay', order.id);
    picky.do(bea, 'pay', order.id);
  });

  const rows: [when: string, error: string, change: object, by?: typeof ann][] = [
    ['nothing', 'InvalidTerms', { amount: 0n }],
    ['more than there can be', 'InvalidTerms', { amount: 1n << 96n }],
    ['a mode that is none', 'InvalidTerms', { captureMode: 2n }],
    ['a deadline that is over', 'InvalidTerms', { payBy: 1n }],
    ['deadlines in another order', 'InvalidTerms', { captureBy: 1n }],
    ['a deadline that 48 bits can just hold', 'InvalidTerms', { refundBy: (1n << 48n) - 1n }],
    ['a token that is none', 'UnknownToken', { token: ann.address }],
    ['a channel that is none', 'UnknownChannel', { channelId: word('CARD') }],
    ['a merchant that is none', 'MerchantNotActive', { merchantId: word('nobody') }],
    ['a key that may not order', 'InvalidSignature', {}, clerk],
    ['a stranger’s key', 'InvalidSignature', {}, person(11)],
  ];
  for (const [when, error, change, by = till] of rows) {
    it(`is refused with ${when}`, () => {
      const world = new ShopWorld();
      const { terms, signature } = world.order(change, by);
      world.refused(error, courier, 'createOrder', terms, signature);
    });
  }

  it('has a reference of its own: the same one again is refused', () => {
    const world = new ShopWorld();
    world.create({ orderRef: word('7') });
    const again = world.order({ orderRef: word('7') });
    world.refused('OrderRefTaken', courier, 'createOrder', again.terms, again.signature);
  });
});

describe('fees of an order', () => {
  const share = { receiver: feeTaker.address, bps: 150, fixedAmount: 5n, kind: word('acquiring') };

  it('are split off in the same step, and the sum is exactly what was paid', () => {
    const world = new ShopWorld();
    world.setFees([share], hashFees);
    const id = world.create({ amount: 1_003n });
    const paid = world.do(ann, 'pay', id);
    // 1.5 % of 1,003 is 15.045: rounded for the merchant, and 5 once.
    const captured = paid.logs.find(({ name }) => name === 'OrderCaptured')?.args;
    assert.deepEqual([captured?.gross, captured?.net, captured?.fees], [1_003n, 983n, 20n]);
    assert.deepEqual([world.money(shop)[0], world.money(feeTaker)[0]], [983n, 20n]);
    const moved = paid.logs
      .filter(({ name }) => name === 'Transfer')
      .map(({ args }) => args.amount);
    assert.deepEqual(moved, [983n, 20n]);
  });

  it('stay those of the day on which the order was made, and below what was signed', () => {
    const world = new ShopWorld();
    world.setFees([share], hashFees);
    const open = world.create({ captureMode: 1n });
    world.setFees([{ ...share, bps: 400, fixedAmount: 0n }], hashFees);
    const low = world.order({ maxFeeBps: 399n });
    world.refused('FeesAboveLimit', courier, 'createOrder', low.terms, low.signature);
    world.do(ann, 'pay', open);
    world.refused('FeesAboveLimit', till, 'capture', open, 6n);
    world.do(till, 'capture', open, 500n);
    assert.equal(world.money(feeTaker)[0], 12n, '1.5 % and 5');
    world.do(till, 'capture', open, 500n);
    assert.equal(world.money(feeTaker)[0], 19n, 'what is fixed is taken once');
  });

  it('wait under the order where their receiver is on a list, and hold up nobody', () => {
    const world = new ShopWorld();
    world.setFees([share], hashFees);
    world.ok(bank, [
      policyRegistry,
      'createPolicyWithAccounts',
      [bank.address, 1, [feeTaker.address]],
    ]);
    world.ok(bank, [world.euro, 'changeTransferPolicyId', [2n]]);
    const id = world.create();
    const paid = world.do(ann, 'pay', id);
    assert.ok(paid.logs.some(({ name }) => name === 'FeeParked'));
    assert.deepEqual([world.money(shop)[0], world.money(feeTaker)[0]], [980n, 0n]);
    assert.equal(world.money({ address: PAYMENT_ORDERS })[0], 20n);
    world.refused('ERC7943CannotReceive', courier, 'claimParkedFee', id, feeTaker.address);
    world.ok(bank, [policyRegistry, 'modifyPolicyBlacklist', [2n, feeTaker.address, false]]);
    world.refused('NothingParked', courier, 'claimParkedFee', id, bea.address);
    world.do(courier, 'claimParkedFee', id, feeTaker.address);
    world.refused('NothingParked', courier, 'claimParkedFee', id, feeTaker.address);
    assert.deepEqual(
      [world.money(feeTaker)[0], world.money({ address: PAYMENT_ORDERS })[0]],
      [20n, 0n],
    );
  });

  it('may go to whoever brought the merchant in; other money never does (R3)', () => {
    const world = new ShopWorld();
    world.setFees([{ ...share, receiver: acquirer.address }], hashFees);
    const id = world.create();
    world.do(ann, 'pay', id);
    assert.equal(world.money(acquirer)[0], 20n);
    world.fails('ConduitNotCredited', ann, [
      world.euro,
      'transferWithMemo',
      [acquirer.address, 1n, none],
    ]);
    world.fails('ConduitNotCredited', bank, [
      world.euro,
      'mintWithMemo',
      [acquirer.address, 1n, none],
    ]);
  });
});

describe('when a token stands still', () => {
  it('so do the clocks of its orders', () => {
    const world = new ShopWorld();
    const [open, held] = [world.create(), world.create({ captureMode: 1n })];
    world.do(ann, 'pay', held);
    world.ok(bank, [world.euro, 'pause', []]);
    world.wait(1_000);
    world.refused('EnforcedPause', ann, 'pay', open);
    world.refused('EnforcedPause', till, 'capture', held, 1n);
    world.refused('TooEarly', bea, 'expire', open);
    world.refused('TooEarly', ann, 'reclaim', held);
    world.ok(bank, [world.euro, 'unpause', []]);
    world.do(ann, 'pay', open);
    world.do(till, 'capture', held, 1_000n);
    assert.equal(world.money(shop)[0], 2_000n);
  });

  it('a payer who is listed later pays what was held; what is frozen is not held', () => {
    const world = new ShopWorld();
    const id = world.create({ captureMode: 1n });
    world.do(ann, 'pay', id);
    world.ok(bank, [policyRegistry, 'createPolicyWithAccounts', [bank.address, 1, [ann.address]]]);
    world.ok(bank, [world.euro, 'changeTransferPolicyId', [2n]]);
    world.do(till, 'capture', id, 400n);
    world.do(till, 'voidOrder', id);
    assert.deepEqual(world.money(ann), [999_600n, 0n]);
    const next = world.create({ captureMode: 1n });
    world.refused('ERC7943CannotSend', ann, 'pay', next);
    world.ok(bank, [world.euro, 'setFrozenTokens', [bea.address, 999_001n]]);
    world.refused('ERC7943InsufficientUnfrozenBalance', bea, 'pay', next);
  });

  it('nobody makes a hold in the name of the orders', () => {
    const world = new ShopWorld();
    const id = world.create({ captureMode: 1n });
    const hold = (notary: string) =>
      [world.euro, 'hold', [id, shop.address, notary, 5n, 0n]] as const;
    world.fails('InvalidHold', bea, hold(PAYMENT_ORDERS));
    const before = world.ledger.send(bea, hold(bea.address));
    assert.ok(before.ok, 'its id is theirs, too');
    assert.ok(world.ledger.send(ann, [paymentOrders, 'pay', [id]]).ok);
    const data = world.ledger.view(world.euro, 'retrieveHoldData', [id]) as unknown[];
    assert.deepEqual([data[3], String(data[2]).toLowerCase()], [1_000n, PAYMENT_ORDERS]);
  });
});
