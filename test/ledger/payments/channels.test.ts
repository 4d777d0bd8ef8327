import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CHANNEL_REGISTRY, PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { channelRegistry, slaSecondsMax } from '#src/ledger/payments/orders/channelRegistry.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { type Person, person } from '../samples.ts';
import { consortiumRegistry, memberId } from './rig.ts';
import {
  acquirer,
  ann,
  bank,
  bea,
  CARD,
  none,
  rail,
  relay,
  ShopWorld,
  seal,
  shop,
  shopId,
  word,
} from './shopWorld.ts';

const STATUS = { active: 1, suspended: 2, closed: 3 };

const channel = (change: object = {}) => ({
  ...{ channelId: CARD, memberId: memberId(2), kind: word('card'), resultKey: seal.address },
  ...{ connection: relay.address, ackSla: 30, resultSla: 120, status: 0, ...change },
});
const call = (name: string, ...args: unknown[]) => [channelRegistry, name, args] as const;
const opened = () => {
  const world = new ShopWorld();
  world.openCard();
  return world;
};
const shown = (world: ShopWorld, id = CARD) =>
  world.ledger.view(channelRegistry, 'getChannel', [id]) as Record<string, unknown>;
const possession = (world: ShopWorld, by: Person, key: Person, nonce: bigint, id = CARD) => {
  const fields = [
    ['bytes32', 'channelId'],
    ['address', 'key'],
    ['uint256', 'nonce'],
  ] as const;
  const domain = { name: 'MPBP ChannelRegistry', verifyingContract: CHANNEL_REGISTRY };
  const message = { channelId: id, key: key.address, nonce };
  return world.sign(by, domain, 'ResultKey', fields, message).signature;
};

describe('a channel', () => {
  it('is registered by its member, and active at once', () => {
    const world = new ShopWorld();
    const { logs } = world.ok(rail, call('registerChannel', channel({ status: 3 })));
    assert.deepEqual(
      logs.map(({ name, args }) => [name, args.channelId, args.memberId, args.kind]),
      [['ChannelRegistered', CARD, memberId(2), word('card')]],
    );
    const { status, resultKey, connection, ackSla, resultSla, ...ids } = shown(world);
    assert.deepEqual([status, ackSla, resultSla], [STATUS.active, 30, 120]);
    assert.deepEqual(
      [resultKey, connection].map((one) => String(one).toLowerCase()),
      [seal.address, relay.address],
    );
    assert.deepEqual(ids, { channelId: CARD, memberId: memberId(2), kind: word('card') });
  });

  const rows: [when: string, error: string, change: object][] = [
    ['no id', 'InvalidChannel', { channelId: none }],
    ['the id of the ledger’s own tokens', 'InvalidChannel', { channelId: TOKEN_CHANNEL }],
    ['no kind', 'InvalidChannel', { kind: none }],
    ['no time to acknowledge', 'InvalidChannel', { ackSla: 0 }],
    ['no time for a result', 'InvalidChannel', { resultSla: 0 }],
    ['a month and more to acknowledge', 'InvalidChannel', { ackSla: Number(slaSecondsMax) + 1 }],
    ['all the time that 32 bits hold', 'InvalidChannel', { resultSla: 2 ** 32 - 1 }],
    ['no result key', 'InvalidAccount', { resultKey: ZERO_ADDRESS }],
    ['a contract of the system as result key', 'InvalidAccount', { resultKey: PAYMENT_ORDERS }],
    ['one key for both', 'InvalidAccount', { resultKey: relay.address }],
    ['no connection', 'InvalidAccount', { connection: ZERO_ADDRESS }],
    ['a contract of the system as connection', 'InvalidAccount', { connection: PAYMENT_ORDERS }],
    ['nobody’s account as connection', 'InvalidAccount', { connection: ann.address }],
    ['another member’s name', 'NotAuthorized', { memberId: memberId(1) }],
    ['a member that is none', 'NotAuthorized', { memberId: word('nobody') }],
  ];
  for (const [when, error, change] of rows) {
    it(`is refused with ${when}`, () => {
      const world = new ShopWorld();
      world.fails(error, rail, call('registerChannel', channel(change)));
    });
  }

  it('takes as long as a channel may', () => {
    const world = new ShopWorld();
    const most = { ackSla: Number(slaSecondsMax), resultSla: Number(slaSecondsMax) };
    world.ok(rail, call('registerChannel', channel(most)));
  });

  it('has an id and a connection of its own', () => {
    const world = opened();
    const [other, free] = [{ channelId: word('BANK') }, { connection: bank.address }];
    world.fails('ChannelExists', rail, call('registerChannel', channel(free)));
    world.fails('ConnectionTaken', rail, call('registerChannel', channel(other)));
    world.ok(rail, call('registerChannel', channel({ ...other, ...free })));
  });

  it('is run by its member alone, as long as that has the role', () => {
    const world = opened();
    const proof = possession(world, ann, ann, 0n);
    const calls = [
      call('setStatus', CARD, STATUS.suspended, none),
      call('setConnection', CARD, acquirer.address),
      call('rotateResultKey', CARD, ann.address, proof),
    ];
    for (const wanted of calls) {
      for (const from of [ann, bank, relay, seal]) world.fails('NotAuthorized', from, wanted);
    }
    for (const [name, ...rest] of [
      ['setStatus', 2, none],
      ['setConnection', bank.address],
      ['rotateResultKey', ann.address, proof],
      ['heartbeat', 1n, 0],
    ] as const) {
      world.fails('UnknownChannel', rail, call(name, word('no'), ...rest));
    }
    const lost = [consortiumRegistry, 'setRoles', [memberId(2), 1n]] as const;
    assert.ok(world.ledger.decide(lost).ok);
    for (const wanted of calls) world.fails('NotAuthorized', rail, wanted);
    const late = channel({ channelId: word('BANK'), connection: bank.address });
    world.fails('NotAuthorized', rail, call('registerChannel', late));
  });

  it('may be run by an operator that its member names', () => {
    const world = opened();
    const operator = person(9);
    const name = (roles: bigint) =>
      [consortiumRegistry, 'setOperator', [memberId(2), operator.address, roles, true]] as const;
    world.ok(rail, name(8n));
    world.fails('NotAuthorized', operator, call('setStatus', CARD, STATUS.suspended, none));
    world.ok(rail, name(16n));
    world.ok(operator, call('setStatus', CARD, STATUS.suspended, none));
  });

  it('is suspended and active again, and closed for good', () => {
    const world = opened();
    const set = (status: number) => call('setStatus', CARD, status, word('why'));
    for (const status of [0, 4, 255]) world.fails('InvalidStatus', rail, set(status));
    const { logs } = world.ok(rail, set(STATUS.suspended));
    assert.deepEqual(
      logs.map(({ name, args }) => [name, args.channelId, args.status, args.reasonHash]),
      [['ChannelStatusChanged', CARD, STATUS.suspended, word('why')]],
    );
    world.ok(rail, set(STATUS.active));
    world.ok(rail, set(STATUS.closed));
    world.fails('ChannelClosed', rail, set(STATUS.active));
    world.fails('ChannelClosed', rail, set(STATUS.closed));
    assert.equal(shown(world).status, STATUS.closed);
    const again = channel({ connection: bank.address });
    world.fails('ChannelExists', rail, call('registerChannel', again));
    world.ok(relay, call('heartbeat', CARD, 1n, 3));
  });

  it('changes its connection, and the old one is free', () => {
    const world = opened();
    const set = (account: string, id = CARD) => call('setConnection', id, account);
    for (const nobody of [ZERO_ADDRESS, PAYMENT_ORDERS, ann.address, seal.address]) {
      world.fails('InvalidAccount', rail, set(nobody));
    }
    world.fails('ConnectionTaken', rail, set(relay.address));
    const { logs } = world.ok(rail, set(bank.address));
    const told = logs[0]?.args ?? assert.fail('an event');
    assert.deepEqual(
      [logs[0]?.name, told.oldConnection, told.newConnection].map((one) =>
        String(one).toLowerCase(),
      ),
      ['connectionchanged', relay.address, bank.address],
    );
    world.fails('NotAuthorized', relay, call('heartbeat', CARD, 1n, 0));
    world.ok(bank, call('heartbeat', CARD, 1n, 0));
    const other = channel({ channelId: word('BANK') });
    world.ok(rail, call('registerChannel', other));
    world.fails('ConnectionTaken', rail, set(relay.address));
  });

  it('takes no connection that is its result key, though a member names it one', () => {
    const world = opened();
    const named = [memberId(3), seal.address, 32n, true];
    world.ok(relay, [consortiumRegistry, 'setOperator', named]);
    world.fails('InvalidAccount', rail, call('setConnection', CARD, seal.address));
  });

  it('gets a new result key that signs for it, each signature once', () => {
    const world = opened();
    const rotate = (key: Person, proof: string, id = CARD) =>
      call('rotateResultKey', id, key.address, proof);
    const [first, second] = [possession(world, ann, ann, 0n), possession(world, bea, bea, 1n)];
    for (const [key, proof] of [
      [ann, possession(world, bea, ann, 0n)],
      [ann, possession(world, ann, ann, 1n)],
      [ann, possession(world, ann, ann, 0n, word('BANK'))],
      [bea, first],
      [ann, '0x'],
      [ann, `0x${'00'.repeat(65)}`],
    ] as const) {
      world.fails('InvalidSignature', rail, rotate(key, proof));
    }
    for (const key of [seal, relay, { ...ann, address: ZERO_ADDRESS }]) {
      world.fails('InvalidAccount', rail, rotate(key, possession(world, key, key, 0n)));
    }
    const { logs } = world.ok(rail, rotate(ann, first));
    const told = logs[0]?.args ?? assert.fail('an event');
    assert.deepEqual(
      [told.oldKey, told.newKey].map((one) => String(one).toLowerCase()),
      [seal.address, ann.address],
    );
    assert.equal(String(shown(world).resultKey).toLowerCase(), ann.address);
    assert.equal(world.ledger.view(channelRegistry, 'signatureNonce', [CARD]), 1n);
    world.ok(rail, rotate(bea, second));
    world.fails('InvalidSignature', rail, rotate(ann, first));
  });

  it('shows that its connection is alive, up to the block that is made', () => {
    const world = opened();
    const beat = (block: bigint, open: number) => call('heartbeat', CARD, block, open);
    const last = () => world.ledger.view(channelRegistry, 'lastHeartbeat', [CARD]);
    assert.deepEqual(last(), [0, 0n, 0]);
    for (const from of [rail, seal, ann]) world.fails('NotAuthorized', from, beat(1n, 0));
    const next = world.ledger.facts.height;
    world.fails('BlockToCome', relay, beat(next + 1n, 0));
    world.fails('BlockToCome', relay, beat((1n << 64n) - 1n, 0));
    const at = Number(world.now);
    const { height } = world.ledger.facts;
    const { logs } = world.ok(relay, beat(height, 2 ** 32 - 1));
    assert.deepEqual(
      logs.map(({ name, args }) => [name, args.channelId, args.lastSeenBlock, args.openItems]),
      [['ChannelHeartbeat', CARD, height, 2 ** 32 - 1]],
    );
    assert.deepEqual(last(), [at, height, 2 ** 32 - 1]);
    const lost = [consortiumRegistry, 'setRoles', [memberId(3), 1n]] as const;
    assert.ok(world.ledger.decide(lost).ok);
    world.fails('NotAuthorized', relay, beat(1n, 0));
  });
});

describe('what a rail calls a merchant', () => {
  const bind = (id: Hash, code: Hash, { account = word('account'), rail: to = CARD } = {}) =>
    [merchantRegistry, 'bindChannel', [id, to, code, account]] as const;
  const codeOwner = (world: ShopWorld, code: Hash) =>
    world.ledger.view(merchantRegistry, 'merchantByChannelCode', [CARD, code]);

  it('is one merchant’s (R1), and free again once that is called otherwise', () => {
    const world = opened();
    const other = { merchantId: word('new'), legalEntityHash: word('New Ltd') };
    const { terms, signature } = world.registration(
      { ...other, settlementAccount: bea.address },
      bea,
    );
    world.ok(acquirer, [merchantRegistry, 'registerMerchant', [terms, signature]]);
    world.ok(acquirer, bind(shopId, word('a')));
    assert.equal(codeOwner(world, word('merchant 7')), none);
    world.fails('ChannelCodeTaken', acquirer, bind(other.merchantId, word('a')));
    world.ok(acquirer, bind(shopId, word('b')));
    world.ok(acquirer, bind(other.merchantId, word('a')));
    assert.equal(codeOwner(world, word('b')), shopId);
    assert.equal(codeOwner(world, word('a')), other.merchantId);
  });

  it('stays taken where only the account at the rail changes', () => {
    const world = opened();
    world.ok(acquirer, bind(shopId, word('a')));
    const { logs } = world.ok(acquirer, bind(shopId, word('a'), { account: word('other') }));
    assert.equal(logs[0]?.args.creditedAccountHash, word('other'));
    assert.equal(codeOwner(world, word('a')), shopId);
  });

  it('is something, at a rail that there is, and names the account that is credited', () => {
    const world = opened();
    world.fails('InvalidBinding', acquirer, bind(shopId, none));
    assert.equal(codeOwner(world, none), none, 'nobody has the empty code');
    world.fails('InvalidBinding', acquirer, bind(shopId, word('a'), { account: none }));
    world.fails('UnknownMerchant', acquirer, bind(word('nobody'), word('a')));
    world.fails('NotAuthorized', shop, bind(shopId, word('a')));
    world.fails('NotAuthorized', rail, bind(shopId, word('a')));
    for (const unknown of [word('BANK'), TOKEN_CHANNEL, none]) {
      world.fails('UnknownChannel', acquirer, bind(shopId, word('a'), { rail: unknown }));
    }
    world.ok(rail, call('setStatus', CARD, STATUS.suspended, none));
    world.ok(acquirer, bind(shopId, word('a')));
    world.ok(rail, call('setStatus', CARD, STATUS.closed, none));
    world.fails('ChannelClosed', acquirer, bind(shopId, word('b')));
  });
});
