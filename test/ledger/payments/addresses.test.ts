/** Virtual addresses in every way by which money moves, and aliases. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFunctionData, encodePacked, type Hex, keccak256 } from 'viem';
import { ADDRESS_REGISTRY, GOVERNANCE } from '#src/ledger/payments/addresses.ts';
import { addressRegistry } from '#src/ledger/payments/addressRegistry.ts';
import { consortiumRegistry } from '#src/ledger/payments/consortiumRegistry.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { enter, findImbalance } from '#src/ledger/payments/tokens/books.ts';
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { type Person, person } from '../samples.ts';
import { bytes, memberId, type Sent, type Wanted } from './rig.ts';
import {
  acquirer,
  ann,
  bank,
  bea,
  courier,
  none,
  ShopWorld,
  shop,
  shopId,
  word,
} from './shopWorld.ts';

const salt = word('first');
const nobody = `0x01020304${'fd'.repeat(10)}000000000007` as Address;

class Book extends ShopWorld {
  override check(): void {
    this.checkSums();
  }
  register(by: Person, of = salt): Address {
    const sent = this.ok(by, [addressRegistry, 'registerVirtualMaster', [of]]);
    const [{ name, args } = assert.fail('a log')] = sent.logs;
    assert.equal(name, 'MasterRegistered');
    return `${args.masterId as Hex}${'fd'.repeat(10)}c0ffee000001` as Address;
  }
  ask(name: string, ...args: unknown[]): unknown {
    return this.ledger.view(addressRegistry, name, args);
  }
  /** Every way to pay somebody; what has to come before it is done. */
  ways(to: Address, amount: bigint): [name: string, by: Person, wanted: Wanted][] {
    const { euro, token } = this;
    const memo = word('memo');
    const item = { to, amount, memo: none };
    return [
      ['transfer', ann, [euro, 'transfer', [to, amount]]],
      ['transferWithMemo', ann, [euro, 'transferWithMemo', [to, amount, memo]]],
      ['a reference', ann, [euro, 'transfer', [to, amount, '0x07']]],
      ['transferFrom', bea, [euro, 'transferFrom', [ann.address, to, amount]]],
      ['from with a memo', bea, [euro, 'transferFromWithMemo', [ann.address, to, amount, memo]]],
      ['mint', bank, [euro, 'mintWithMemo', [to, amount, memo]]],
      ['force', bank, [euro, 'forcedTransfer', [ann.address, to, amount]]],
      ['payout', ann, [payouts, 'payoutBatch', [token, [item], word(`${amount}`), true]]],
    ];
  }
  signedAlias(by: Person, aliasHash: Hash, account: Address, host = memberId(1), nonce = 0n) {
    const domain = { name: 'MPBP AddressRegistry', verifyingContract: ADDRESS_REGISTRY };
    const fields = [
      ['bytes32', 'aliasHash'] as const,
      ['address', 'account'] as const,
      ['bytes32', 'hostingMemberId'] as const,
      ['uint64', 'nonce'] as const,
    ];
    const message = { aliasHash, account, hostingMemberId: host, nonce };
    const { signature } = this.sign(by, domain, 'Alias', fields, message);
    return [addressRegistry, 'setAlias', [aliasHash, account, signature]] as const;
  }
}

describe('a virtual address', () => {
  it('is told by its form alone', () => {
    const world = new Book();
    const virtual = world.register(shop);
    assert.deepEqual(world.ask('decodeVirtualAddress', virtual), [
      ...[true, virtual.slice(0, 10), '0xc0ffee000001'],
    ]);
    const hash = keccak256(encodePacked(['address', 'bytes32'], [shop.address, salt]));
    assert.equal(virtual.slice(0, 10), `0x${hash.slice(10, 18)}`, 'as TIP-1022 derives it');
    const other = virtual.replace('fdfd', 'fdfe');
    for (const plain of [other, ann.address, ZERO_ADDRESS, world.token]) {
      assert.deepEqual(world.ask('decodeVirtualAddress', plain), [
        ...[false, '0x00000000', '0x000000000000'],
      ]);
      assert.equal(world.ask('isVirtualAddress', plain), false);
      assert.equal(String(world.ask('resolveRecipient', plain)).toLowerCase(), plain);
    }
    const master = (name: string, of: string) => String(world.ask(name, of)).toLowerCase();
    assert.equal(master('resolveRecipient', virtual), shop.address);
    assert.equal(master('getMaster', virtual.slice(0, 10)), shop.address);
    assert.equal(master('getMaster', '0x01020304'), ZERO_ADDRESS);
  });

  it('has one master for ever, which can be paid', () => {
    const world = new Book();
    const register: Wanted = [addressRegistry, 'registerVirtualMaster', [salt]];
    world.register(shop);
    world.fails('MasterIdCollision', shop, register);
    world.register(shop, word('second'));
    world.fails('InvalidMasterAddress', acquirer, register);
    const data = bytes(
      encodeFunctionData({ abi: addressRegistry.abi, functionName: register[1], args: [salt] }),
    );
    for (const sender of [GOVERNANCE, ZERO_ADDRESS, nobody, world.token]) {
      const message = { sender, to: addressRegistry, value: 0n, data, gas: 1n << 30n };
      const result = runMessage(new Overlay(world.ledger.state), world.ledger.facts, message);
      assert.ok(result.ended === 'reverted' && result.reason.startsWith('InvalidMasterAddress'));
    }
  });

  it('is paid for its master in every way, and the log tells which it was', () => {
    const world = new Book();
    const { euro } = world;
    world.ok(ann, [euro, 'approve', [bea.address, 1_000n]]);
    // It can tell what each payment is for.
    const receive = [1n, 1n, ZERO_ADDRESS, true];
    world.ok(shop, [policyRegistry, 'setReceivePolicy', receive]);
    const virtual = world.register(shop);
    let has = 0n;
    const seen = (name: string, before: typeof world.ledger.state, { logs, outcome }: Sent) => {
      has += 7n;
      assert.deepEqual(world.money(shop), [has, 0n], name);
      assert.deepEqual(world.money({ address: virtual }), [0n, 0n], name);
      const named = (event: string) => logs.filter((log) => log.name === event);
      const [transfer = assert.fail('a transfer'), ...more] = named('Transfer');
      const [told = assert.fail('told'), ...others] = named('VirtualTransfer');
      assert.deepEqual([more.length, others.length], [0, 0], name);
      assert.equal(String(transfer.args.to).toLowerCase(), shop.address, name);
      const { from, virtualAddress, master, amount } = told.args;
      assert.equal(from, transfer.args.from);
      assert.equal(String(virtualAddress).toLowerCase(), virtual);
      assert.equal(String(master).toLowerCase(), shop.address);
      assert.equal(amount, 7n);
      const books = new Map();
      enter(books, outcome.receipts[0]?.logs ?? []);
      assert.equal(findImbalance(books, before, world.ledger.state), null, name);
    };
    for (const [name, by, wanted] of world.ways(virtual, 7n)) {
      const before = world.ledger.state;
      seen(name, before, world.ok(by, wanted));
    }
    const held = word('held');
    world.ok(ann, [euro, 'hold', [held, virtual, bea.address, 9n, 0n]]);
    const before = world.ledger.state;
    seen('a hold', before, world.ok(bea, [euro, 'executeHold', [held, 7n]]));
    const again = word('again');
    world.ok(ann, [euro, 'hold', [again, virtual, bea.address, 9n, 0n]]);
    world.ok(shop, [euro, 'releaseHold', [again]]);
    assert.equal(world.ledger.view(euro, 'canReceive', [virtual]), true);
  });

  it('that nobody registered is paid in no way', () => {
    const world = new Book();
    const { euro } = world;
    world.ok(ann, [euro, 'approve', [bea.address, 1_000n]]);
    for (const [name, by, wanted] of world.ways(nobody, 7n)) {
      const error = name === 'payout' ? 'ItemFailed' : 'VirtualAddressUnregistered';
      const sent = world.fails(error, by, wanted);
      if (name === 'payout') assert.equal(sent.error?.args[1], 10);
    }
    const hold: Wanted = [euro, 'hold', [word('held'), nobody, bea.address, 9n, 0n]];
    world.fails('VirtualAddressUnregistered', ann, hold);
    const can = world.ledger.view(euro, 'canTransfer', [ann.address, nobody, 1n]);
    assert.deepEqual([can, world.ledger.view(euro, 'canReceive', [nobody])], [false, false]);
    const sent = world.ledger.send(ann, [addressRegistry, 'registerVirtualMaster', [none]]);
    assert.ok(sent.ok);
    assert.throws(() => world.ask('resolveRecipient', nobody));
  });

  it("is under its master's policies and limits", () => {
    const world = new Book();
    const { euro } = world;
    const virtual = world.register(bea);
    const pay: Wanted = [euro, 'transfer', [virtual, 7n]];
    const limit = [subjectOf(bea.address), world.token, 1, 1, 10n, 0];
    world.ok(bank, [policyRegistry, 'setLimit', limit]);
    world.ok(ann, pay);
    world.fails('LimitExceeded', ann, pay);
    const lists = [bank.address, 1, [bea.address]];
    const made = world.ok(bank, [policyRegistry, 'createPolicyWithAccounts', lists]);
    const id = made.logs[0]?.args.policyId;
    world.ok(bank, [euro, 'changeTransferPolicyId', [id]]);
    world.fails('ERC7943CannotReceive', ann, pay);
    world.ok(bank, [euro, 'changeTransferPolicyId', [1n]]);
    const operator = [memberId(1), bea.address, 8n, true];
    world.ok(acquirer, [consortiumRegistry, 'setOperator', operator]);
    world.fails('ConduitNotCredited', ann, pay);
  });

  it("is no merchant's account, nor one for its fees", () => {
    const world = new Book();
    const virtual = world.register(shop);
    const other = { merchantId: word('other'), legalEntityHash: word('Other Ltd') };
    const { terms, signature } = world.registration({ ...other, settlementAccount: virtual });
    const register: Wanted = [merchantRegistry, 'registerMerchant', [terms, signature]];
    world.fails('InvalidAccount', acquirer, register);
    const fee = { receiver: virtual, bps: 1, fixedAmount: 0n, kind: none };
    const args = [shopId, TOKEN_CHANNEL, [fee], '0x'];
    world.fails('InvalidFee', acquirer, [merchantRegistry, 'setFeeSchedule', args]);
  });
});

describe('an alias', () => {
  const alias = word('salted hash of a number');
  const known = (world: Book) => {
    const [account, host] = world.ask('resolveAlias', alias) as [string, string];
    return [account.toLowerCase(), host];
  };

  it("is set by the account's word and its member, and found", () => {
    const world = new Book();
    assert.deepEqual(known(world), [ZERO_ADDRESS, none]);
    const sent = world.ok(acquirer, [...world.signedAlias(ann, alias, ann.address)]);
    const [{ name, args } = assert.fail('a log')] = sent.logs;
    assert.deepEqual(
      [name, args.aliasHash, args.hostingMemberId],
      ['AliasSet', alias, memberId(1)],
    );
    assert.deepEqual(known(world), [ann.address, memberId(1)]);
    assert.equal(world.ask('aliasNonce', alias), 1n);
    world.ok(acquirer, [...world.signedAlias(bea, alias, bea.address, memberId(1), 1n)]);
    assert.deepEqual(known(world), [bea.address, memberId(1)]);
  });

  const rows: [
    when: string,
    by: Person,
    wanted: (world: Book) => readonly unknown[],
    error: string,
  ][] = [
    [
      'of no member',
      courier,
      (world) => world.signedAlias(ann, alias, ann.address),
      'NotAuthorized',
    ],
    [
      'without the word of its owner',
      acquirer,
      (world) => world.signedAlias(bea, alias, ann.address),
      'InvalidSignature',
    ],
    [
      'by what was signed for another member',
      person(2),
      (world) => world.signedAlias(ann, alias, ann.address),
      'InvalidSignature',
    ],
    [
      'by what was signed for another time',
      acquirer,
      (world) => world.signedAlias(ann, alias, ann.address, memberId(1), 1n),
      'InvalidSignature',
    ],
    [
      'to an address that nobody has the key of',
      acquirer,
      (world) => world.signedAlias(ann, alias, nobody),
      'InvalidAccount',
    ],
    [
      'to a contract of the system',
      acquirer,
      (world) => world.signedAlias(ann, alias, ADDRESS_REGISTRY),
      'InvalidAccount',
    ],
    [
      'away, where there is none',
      acquirer,
      () => [addressRegistry, 'setAlias', [alias, ZERO_ADDRESS, '0x']],
      'UnknownAlias',
    ],
  ];
  for (const [when, by, wanted, error] of rows) {
    it(`is not set ${when}`, () => {
      const world = new Book();
      world.fails(error, by, wanted(world) as unknown as Wanted);
      assert.deepEqual(known(world), [ZERO_ADDRESS, none]);
    });
  }

  it('is not taken by another member, nor kept by one that may not vouch any more', () => {
    const world = new Book();
    const remove: Wanted = [addressRegistry, 'setAlias', [alias, ZERO_ADDRESS, '0x']];
    world.ok(acquirer, [...world.signedAlias(ann, alias, ann.address)]);
    const theirs = [...world.signedAlias(bea, alias, bea.address, memberId(2), 1n)] as const;
    world.fails('AliasTaken', person(2), [...theirs]);
    world.fails('NotAuthorized', person(2), remove);
    world.fails('NotAuthorized', bea, remove);
    const roles: Wanted = [consortiumRegistry, 'setRoles', [memberId(1), 1n]];
    assert.ok(world.ledger.decide(roles).ok);
    assert.deepEqual(known(world), [ZERO_ADDRESS, none]);
    world.ok(person(2), [...theirs]);
    assert.deepEqual(known(world), [bea.address, memberId(2)]);
  });

  it('is taken away by its account or its member, and what was signed is used up', () => {
    for (const by of [ann, acquirer]) {
      const world = new Book();
      const set = [...world.signedAlias(ann, alias, ann.address)] as const;
      world.ok(acquirer, [...set]);
      world.ok(by, [addressRegistry, 'setAlias', [alias, ZERO_ADDRESS, '0x']]);
      assert.deepEqual(known(world), [ZERO_ADDRESS, none]);
      world.fails('InvalidSignature', acquirer, [...set]);
    }
  });
});
