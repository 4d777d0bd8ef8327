import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashTypedData, toHex as hexOf, keccak256, maxUint256, parseSignature } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { tokenFactory } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { toHex } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { chainId, type Person, person } from '../samples.ts';
import { Ledger, memberId, type Sent } from './rig.ts';

const ISSUER = 1 | 4;
const [bank, other, ann, bea, cid, dan] = [0, 1, 5, 6, 7, 8].map(person) as [
  ...[Person, Person, Person, Person, Person, Person],
];
const word = (text: string) => hexOf(text, { size: 32 }) as Hash;
const role = (name: string) => keccak256(hexOf(name)) as Hash;
const none = word('');
const salt = word('first');

type Message = Readonly<Record<string, unknown>>;

class Euros {
  readonly ledger = new Ledger({ member: { roles: ISSUER } });
  readonly token: Address;

  constructor() {
    const args = ['Euro of Bank 0', 'EUR', 'EUR', memberId(0), bank.address, salt];
    const made = this.ledger.send(bank, [tokenFactory, 'createToken', args]);
    assert.ok(made.ok, made.reason);
    this.token = made.logs[0]?.args.token as Address;
    this.token = this.token.toLowerCase() as Address;
    this.ok(bank, 'mintWithMemo', ann.address, 1_000n, word('opening'));
  }

  get contract() {
    return paymentTokenAt(this.token) ?? assert.fail('a token');
  }
  send(from: Person, name: string, ...args: unknown[]): Sent {
    return this.ledger.send(from, [this.contract, name, args]);
  }
  ok(from: Person, name: string, ...args: unknown[]): Sent {
    const sent = this.send(from, name, ...args);
    assert.ok(sent.ok, `${name}: ${sent.reason}`);
    return sent;
  }
  fails(error: string, from: Person, name: string, ...args: unknown[]): Sent {
    const sent = this.send(from, name, ...args);
    assert.equal(sent.error?.name, error, `${name}: ${sent.reason}`);
    this.check();
    return sent;
  }
  ask(name: string, ...args: unknown[]): unknown {
    return this.ledger.view(this.contract, name, args);
  }
  /** Available, held, and both. */
  money({ address }: Person): [unknown, unknown] {
    const [available, held] = [this.ask('balanceOf', address), this.ask('balanceOnHold', address)];
    assert.equal(this.ask('netBalanceOf', address), (available as bigint) + (held as bigint));
    return [available, held];
  }
  /** Conservation: what everybody has is the supply, and what is held is told. */
  check(): void {
    const all = [bank, other, ann, bea, cid, dan].map((one) => this.money(one));
    const sum = (at: 0 | 1) => all.reduce((total, one) => total + (one[at] as bigint), 0n);
    assert.equal(sum(0) + sum(1), this.ask('totalSupply'));
    assert.equal(sum(1), this.ask('totalSupplyOnHold'));
  }
  get seconds(): bigint {
    return BigInt(Math.floor(this.ledger.facts.timestampMs / 1_000));
  }
  sign(from: Person, primaryType: string, types: [string, string][], message: Message) {
    const parameters = types.map(([type, name]) => ({ type, name }));
    const domain = {
      ...{ name: 'Euro of Bank 0', version: '1', chainId: Number(chainId) },
      verifyingContract: this.token,
    };
    const hash = hashTypedData({
      domain,
      types: { [primaryType]: parameters },
      primaryType,
      message,
    });
    return privateKeyToAccount(toHex(from.key)).sign({ hash });
  }
}

const AUTHORIZATION: [string, string][] = [
  ['address', 'from'],
  ['address', 'to'],
  ['uint256', 'value'],
  ['uint256', 'validAfter'],
  ['uint256', 'validBefore'],
  ['bytes32', 'nonce'],
];

describe('TokenFactory', () => {
  it('makes tokens whose address shows the currency and is known before', () => {
    const { ledger, token } = new Euros();
    assert.match(token, /^0x4d5042200000000000000000455552/);
    const where = ['EUR', memberId(0), salt];
    const known = ledger.view(tokenFactory, 'getTokenAddress', where) as string;
    assert.equal(known.toLowerCase(), token);
    assert.equal(ledger.view(tokenFactory, 'isToken', [token]), true);
    assert.deepEqual(
      (ledger.view(tokenFactory, 'tokensByCurrency', ['EUR']) as string[]).map((one) =>
        one.toLowerCase(),
      ),
      [token],
    );
    assert.deepEqual(ledger.view(tokenFactory, 'tokensByCurrency', ['USD']), []);
    for (const currency of ['USD', 'EUR', 'USD']) {
      const args = [currency, 'A', currency, memberId(0), bank.address, word(`${ledger.height}`)];
      assert.ok(ledger.send(bank, [tokenFactory, 'createToken', args]).ok);
    }
    assert.deepEqual(ledger.view(tokenFactory, 'currencies'), ['EUR', 'USD'], 'each once');
    assert.ok((ledger.state.account(token)?.codeHash ?? none) !== none, 'it is a contract');
  });

  const make = (change: object) =>
    Object.values({
      ...{ name: 'Dollar', symbol: 'USD', currency: 'USD', issuer: memberId(0) },
      ...{ admin: bank.address, salt, ...change },
    });
  const rows: [when: string, from: Person, change: object, error: string][] = [
    ['nobody of the member', ann, {}, 'NotAuthorized'],
    ['another member', other, {}, 'NotAuthorized'],
    ['a member that is not there', bank, { issuer: memberId(9) }, 'NotAuthorized'],
    ['no name', bank, { name: '' }, 'InvalidName'],
    ['a name that breaks a line', bank, { name: 'a\nb' }, 'InvalidName'],
    ['a symbol with a space', bank, { symbol: 'U D' }, 'InvalidSymbol'],
    ['small letters', bank, { currency: 'usd' }, 'InvalidCurrency'],
    ['four letters', bank, { currency: 'USDC' }, 'InvalidCurrency'],
    ['nobody as admin', bank, { admin: ZERO_ADDRESS }, 'InvalidAccount'],
    ['the same once more', bank, { currency: 'EUR' }, 'TokenExists'],
  ];
  for (const [when, from, change, error] of rows) {
    it(`refuses ${when}`, () => {
      const sent = new Euros().ledger.send(from, [tokenFactory, 'createToken', make(change)]);
      assert.equal(sent.error?.name, error, sent.reason);
    });
  }

  it('nobody issues whose member has not the role, or lost it', () => {
    const plain = new Ledger();
    const sent = plain.send(bank, [tokenFactory, 'createToken', make({})]);
    assert.equal(sent.error?.name, 'NotAuthorized');
  });
});

describe('PaymentToken', () => {
  it('is an ERC-20 of six decimals', () => {
    const euros = new Euros();
    assert.deepEqual(
      ['name', 'symbol', 'currency', 'decimals', 'totalSupply', 'issuerMemberId'].map((name) =>
        euros.ask(name),
      ),
      ['Euro of Bank 0', 'EUR', 'EUR', 6, 1_000n, memberId(0)],
    );
    const sent = euros.ok(ann, 'transfer', bea.address, 300n);
    assert.deepEqual(
      sent.logs.map(({ name, args }) => [name, args.amount]),
      [['Transfer', 300n]],
      'one movement, one Transfer',
    );
    assert.deepEqual(
      [euros.money(ann), euros.money(bea)],
      [
        [700n, 0n],
        [300n, 0n],
      ],
    );
    euros.ok(ann, 'transfer', ann.address, 700n);
    assert.deepEqual(euros.money(ann), [700n, 0n], 'to oneself');
    const short = euros.fails('ERC20InsufficientBalance', bea, 'transfer', cid.address, 301n);
    assert.deepEqual(short.error?.args.slice(1), [300n, 301n]);
    euros.fails('ERC20InvalidReceiver', ann, 'transfer', ZERO_ADDRESS, 1n);
    euros.fails('ERC20InvalidReceiver', ann, 'transfer', euros.token, 1n);
    euros.ok(ann, 'approve', bea.address, 50n);
    euros.fails('ERC20InsufficientAllowance', bea, 'transferFrom', ann.address, cid.address, 51n);
    euros.ok(bea, 'transferFrom', ann.address, cid.address, 20n);
    assert.equal(euros.ask('allowance', ann.address, bea.address), 30n);
    euros.ok(ann, 'approve', bea.address, maxUint256);
    euros.ok(bea, 'transferFrom', ann.address, cid.address, 1n);
    assert.equal(euros.ask('allowance', ann.address, bea.address), maxUint256);
    euros.check();
  });

  it('that was never made answers nothing', () => {
    const { ledger } = new Euros();
    const absent = paymentTokenAt(`0x4d5042200000000000000000555344${'11'.repeat(5)}` as Address);
    assert.ok(absent !== null);
    const sent = ledger.send(ann, [absent, 'transfer', [bea.address, 0n]]);
    assert.equal(sent.error?.name, 'UnknownToken');
    assert.equal(ledger.state.account(absent.address), null);
  });

  it('tells what a payment is for: memos, and references (ERC-7699)', () => {
    const euros = new Euros();
    const memo = word('invoice 7');
    const sent = euros.ok(ann, 'transferWithMemo', bea.address, 5n, memo);
    assert.deepEqual(
      sent.logs.map(({ name }) => name),
      ['Transfer', 'TransferWithMemo'],
    );
    assert.equal(sent.logs[1]?.args.memo, memo);
    const short = euros.ok(ann, 'transfer', bea.address, 5n, '0x0102');
    assert.equal(short.logs[1]?.args.loggedReference, `0x0102${'00'.repeat(30)}`);
    const long = hexOf('a reference that is longer than a word of 32 bytes');
    const hashed = euros.ok(ann, 'transfer', bea.address, 5n, long);
    assert.equal(hashed.logs[1]?.args.loggedReference, keccak256(long));
    euros.fails('ReferenceTooLong', ann, 'transfer', bea.address, 5n, `0x${'00'.repeat(1_025)}`);
  });

  it('takes permits (ERC-2612), once each and in time', async () => {
    const euros = new Euros();
    const deadline = euros.seconds + 10n;
    const types: [string, string][] = [
      ['address', 'owner'],
      ['address', 'spender'],
      ['uint256', 'value'],
      ['uint256', 'nonce'],
      ['uint256', 'deadline'],
    ];
    const message = { owner: ann.address, spender: bea.address, value: 70n, nonce: 0n, deadline };
    const { r, s, v } = parseSignature(await euros.sign(ann, 'Permit', types, message));
    const args = [ann.address, bea.address, 70n, deadline, v, r, s];
    euros.fails('ERC2612InvalidSigner', cid, 'permit', ...args.with(2, 71n));
    euros.ok(cid, 'permit', ...args);
    assert.equal(euros.ask('allowance', ann.address, bea.address), 70n);
    assert.equal(euros.ask('nonces', ann.address), 1n);
    euros.fails('ERC2612InvalidSigner', cid, 'permit', ...args);
    euros.fails('ERC2612ExpiredSignature', cid, 'permit', ...args.with(3, 5n));
  });

  it('takes payments that somebody else submits (ERC-3009), once each and in time', async () => {
    const euros = new Euros();
    const nonce = word('order 1');
    const message = {
      ...{ from: ann.address, to: bea.address, value: 90n, validAfter: 0n, nonce },
      validBefore: euros.seconds + 10n,
    };
    const sign = (type: string, by = ann) => euros.sign(by, type, AUTHORIZATION, message);
    const transfer = await sign('TransferWithAuthorization');
    const args = (of: string) => [
      ...[message.from, message.to, message.value, message.validAfter, message.validBefore],
      ...[nonce, of],
    ];
    const forged = await sign('TransferWithAuthorization', cid);
    euros.fails('InvalidSignature', dan, 'transferWithAuthorization', ...args(forged));
    const other = await sign('ReceiveWithAuthorization');
    euros.fails('InvalidSignature', dan, 'transferWithAuthorization', ...args(other));
    euros.fails('InvalidSignature', dan, 'transferWithAuthorization', ...args('0x'));
    euros.fails('CallerNotReceiver', dan, 'receiveWithAuthorization', ...args(other));
    assert.equal(euros.ask('authorizationState', ann.address, nonce), false);
    const { r, s, v } = parseSignature(transfer);
    euros.ok(dan, 'transferWithAuthorization', ...args(transfer).slice(0, 6), v, r, s);
    assert.equal(euros.ask('authorizationState', ann.address, nonce), true);
    assert.deepEqual(euros.money(bea), [90n, 0n]);
    euros.fails('AuthorizationSpent', dan, 'transferWithAuthorization', ...args(transfer));
    euros.fails('AuthorizationSpent', bea, 'receiveWithAuthorization', ...args(other));
    euros.ledger.timeMs += 20_000;
    euros.fails('AuthorizationExpired', dan, 'transferWithAuthorization', ...args(transfer));
  });

  it('takes signatures of 64 bytes (EIP-2098), and none with a high s', async () => {
    const euros = new Euros();
    const nonce = word('order 2');
    const validBefore = euros.seconds + 10n;
    const message = {
      ...{ from: ann.address, to: bea.address, value: 1n, validAfter: 0n, validBefore, nonce },
    };
    const signature = await euros.sign(ann, 'TransferWithAuthorization', AUTHORIZATION, message);
    const { r, s, yParity } = parseSignature(signature);
    const args = Object.values({ ...message, nonce: undefined }).filter((one) => one !== undefined);
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const high = hexOf(order - BigInt(s), { size: 32 }).slice(2);
    const malleable = `${r}${high}${yParity === 0 ? '1c' : '1b'}`;
    euros.fails('InvalidSignature', cid, 'transferWithAuthorization', ...args, nonce, malleable);
    const parity = BigInt(yParity) << 255n;
    const compact = `${r}${hexOf(BigInt(s) | parity, { size: 32 }).slice(2)}`;
    euros.ok(cid, 'transferWithAuthorization', ...args, nonce, compact);
  });

  it('mints under its cap, for a licensed issuer, and burns what the issuer has', () => {
    const euros = new Euros();
    euros.fails('AccessControlUnauthorizedAccount', ann, 'mintWithMemo', ann.address, 1n, none);
    euros.ok(bank, 'setSupplyCap', 1_100n);
    euros.fails('SupplyCapExceeded', bank, 'mintWithMemo', bea.address, 101n, none);
    const minted = euros.ok(bank, 'mintWithMemo', bea.address, 100n, none);
    assert.deepEqual(
      minted.logs.map(({ name }) => name),
      ['Transfer', 'TransferWithMemo', 'Mint'],
    );
    euros.fails('SupplyCapExceeded', bank, 'setSupplyCap', 1_099n);
    euros.fails('ERC20InsufficientBalance', bank, 'burnWithMemo', 1n, none);
    euros.ok(bea, 'transfer', bank.address, 100n);
    euros.ok(bank, 'burnWithMemo', 60n, none);
    assert.deepEqual([euros.ask('totalSupply'), euros.money(bank)], [1_040n, [40n, 0n]]);
    euros.ok(bank, 'grantRole', role('ISSUER_ROLE'), cid.address);
    euros.ok(cid, 'mintWithMemo', cid.address, 1n, none);
    euros.ok(bank, 'revokeRole', role('ISSUER_ROLE'), cid.address);
    euros.fails('AccessControlUnauthorizedAccount', cid, 'mintWithMemo', cid.address, 1n, none);
    euros.fails('ReserveFromTheFuture', bank, 'attestReserve', 9n, euros.seconds + 5n, none);
    const attested = euros.ok(bank, 'attestReserve', 2_000n, euros.seconds - 60n, word('audit'));
    const { amount, supply } = attested.logs[0]?.args ?? {};
    assert.deepEqual([amount, supply], [2_000n, 1_041n]);
    euros.fails('AccessControlBadConfirmation', bank, 'renounceRole', none, ann.address);
    euros.ok(bank, 'renounceRole', role('ISSUER_ROLE'), bank.address);
    euros.fails('AccessControlUnauthorizedAccount', bank, 'burnWithMemo', 1n, none);
  });

  it('stops when it is paused', () => {
    const euros = new Euros();
    euros.fails('AccessControlUnauthorizedAccount', ann, 'pause');
    euros.ok(bank, 'pause');
    assert.equal(euros.ask('paused'), true);
    euros.fails('EnforcedPause', ann, 'transfer', bea.address, 1n);
    euros.fails('EnforcedPause', bank, 'mintWithMemo', bea.address, 1n, none);
    assert.equal(euros.ask('canTransfer', ann.address, bea.address, 1n), false);
    euros.ok(bank, 'unpause');
    euros.ok(ann, 'transfer', bea.address, 1n);
  });

  it('keeps to policies: of the token, and of whoever receives', () => {
    const euros = new Euros();
    const { ledger } = euros;
    const policy = (from: Person, name: string, ...args: unknown[]) => {
      const sent = ledger.send(from, [policyRegistry, name, args]);
      assert.ok(sent.ok, sent.reason);
      return sent.logs[0]?.args.policyId as bigint;
    };
    const black = policy(bank, 'createPolicy', bank.address, 1);
    const white = policy(bank, 'createPolicyWithAccounts', bank.address, 0, [bea.address]);
    const both = policy(bank, 'createCompoundPolicy', black, white, 1n);
    euros.fails('UnknownPolicy', bank, 'changeTransferPolicyId', both + 1n);
    euros.ok(bank, 'changeTransferPolicyId', both);
    euros.fails('ERC7943CannotReceive', ann, 'transfer', cid.address, 1n);
    euros.ok(ann, 'transfer', bea.address, 2n);
    policy(bank, 'modifyPolicyBlacklist', black, ann.address, true);
    assert.equal(euros.ask('canSend', ann.address), false);
    euros.fails('ERC7943CannotSend', ann, 'transfer', bea.address, 1n);
    euros.ok(bank, 'changeTransferPolicyId', 1n);
    policy(bea, 'setReceivePolicy', 1n, 1n, ZERO_ADDRESS, true);
    euros.fails('MemoRequired', ann, 'transfer', bea.address, 1n);
    euros.fails('MemoRequired', ann, 'transferWithMemo', bea.address, 1n, none);
    euros.ok(ann, 'transferWithMemo', bea.address, 1n, word('for bea'));
    policy(bea, 'setReceivePolicy', white, 1n, ZERO_ADDRESS, false);
    euros.fails('ReceiverRefusesSender', ann, 'transfer', bea.address, 1n);
    policy(bea, 'setReceivePolicy', 1n, white, ZERO_ADDRESS, false);
    euros.fails('ReceiverRefusesToken', ann, 'transfer', bea.address, 1n);
  });

  it('freezes by order, and moves by order what is frozen (ERC-7943)', () => {
    const euros = new Euros();
    euros.fails('AccessControlUnauthorizedAccount', ann, 'setFrozenTokens', bea.address, 1n);
    euros.ok(bank, 'setFrozenTokens', ann.address, 900n);
    assert.equal(euros.ask('getFrozenTokens', ann.address), 900n);
    const short = euros.fails(
      ...(['ERC7943InsufficientUnfrozenBalance', ann, 'transfer', bea.address, 101n] as const),
    );
    assert.deepEqual(short.error?.args.slice(1), [101n, 100n]);
    assert.equal(euros.ask('canTransfer', ann.address, bea.address, 100n), true);
    assert.equal(euros.ask('canTransfer', ann.address, bea.address, 101n), false);
    euros.fails('ERC7943InsufficientUnfrozenBalance', ...holdOf(ann, 101n));
    euros.ok(ann, 'transfer', bea.address, 100n);
    const forced = euros.ok(bank, 'forcedTransfer', ann.address, cid.address, 400n);
    assert.deepEqual(
      forced.logs.map(({ name }) => name),
      ['Frozen', 'Transfer', 'ForcedTransfer'],
    );
    assert.equal(euros.ask('getFrozenTokens', ann.address), 500n);
    euros.fails('ERC7943InsufficientUnfrozenBalance', ann, 'transfer', bea.address, 1n);
    euros.ok(bank, 'setFrozenTokens', ann.address, 0n);
    euros.ok(ann, 'transfer', bea.address, 500n);
    euros.check();
  });

  it('by an order lets go of no more that is frozen than it takes', () => {
    const euros = new Euros();
    euros.ok(bank, 'setFrozenTokens', ann.address, 5_000n);
    euros.fails('ERC20InvalidReceiver', bank, 'forcedTransfer', ann.address, ann.address, 1_000n);
    euros.ok(bank, 'forcedTransfer', ann.address, cid.address, 0n);
    assert.equal(euros.ask('getFrozenTokens', ann.address), 5_000n);
    euros.ok(bank, 'forcedTransfer', ann.address, cid.address, 400n);
    assert.equal(euros.ask('getFrozenTokens', ann.address), 4_600n, 'what comes later stays, too');
    euros.ok(cid, 'transfer', ann.address, 100n);
    euros.fails('ERC7943InsufficientUnfrozenBalance', ann, 'transfer', bea.address, 1n);
    euros.check();
  });

  it('holds money in the account of its owner (ERC-1996)', () => {
    const euros = new Euros();
    const id = word('hold');
    euros.ok(...holdOf(ann, 600n));
    assert.deepEqual(euros.money(ann), [400n, 600n]);
    euros.fails('HoldExists', ...holdOf(ann, 1n));
    euros.fails('ERC20InsufficientBalance', ann, 'transfer', bea.address, 401n);
    euros.fails('NotHoldParty', ann, 'executeHold', id, 1n);
    euros.fails('NotHoldParty', ann, 'releaseHold', id);
    euros.fails('HoldTooSmall', cid, 'executeHold', id, 601n);
    const sent = euros.ok(cid, 'executeHold', id, 250n);
    assert.deepEqual(
      sent.logs.map(({ name }) => name),
      ['Transfer', 'HoldExecuted'],
    );
    assert.deepEqual(
      [euros.money(ann), euros.money(bea)],
      [
        [750n, 0n],
        [250n, 0n],
      ],
    );
    euros.fails('HoldNotOpen', cid, 'releaseHold', id);
    euros.fails('UnknownHold', cid, 'releaseHold', word('another'));
    const data = euros.ask('retrieveHoldData', id) as unknown[];
    assert.deepEqual(data.slice(3), [600n, 0n, 2]);
    euros.check();
  });

  it('releases a hold to its owner: by notary, by payee, and by anybody when it is over', () => {
    for (const [by, status] of [
      [cid, 3],
      [bea, 4],
      [dan, 5],
    ] as const) {
      const euros = new Euros();
      const id = word('hold');
      euros.ok(...holdOf(ann, 600n, 60n));
      euros.fails('NotHoldParty', dan, 'releaseHold', id);
      if (by === dan) {
        euros.ok(ann, 'renewHold', id, 100n);
        euros.ledger.timeMs += 70_000;
        euros.fails('NotHoldParty', dan, 'releaseHold', id);
        euros.ledger.timeMs += 40_000;
        euros.fails('HoldExpired', cid, 'executeHold', id, 1n);
        euros.fails('HoldExpired', ann, 'renewHold', id, 100n);
      }
      euros.ok(by, 'releaseHold', id);
      assert.deepEqual(euros.money(ann), [1_000n, 0n]);
      assert.equal((euros.ask('retrieveHoldData', id) as unknown[])[5], status);
    }
  });

  it('holds for others what they allowed', () => {
    const euros = new Euros();
    const id = word('hold');
    const from = [id, ann.address, bea.address, cid.address, 50n, 0n];
    euros.fails('ERC20InsufficientAllowance', dan, 'holdFrom', ...from);
    euros.ok(ann, 'approve', dan.address, 60n);
    euros.ok(dan, 'holdFrom', ...from);
    assert.equal(euros.ask('allowance', ann.address, dan.address), 10n);
    euros.check();
  });
});

function holdOf(from: Person, value: bigint, seconds = 0n) {
  return [from, 'hold', word('hold'), bea.address, cid.address, value, seconds] as const;
}
