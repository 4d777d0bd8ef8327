import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Abi,
  decodeErrorResult,
  encodeAbiParameters,
  encodeFunctionData,
  hashTypedData,
  toHex as hexOf,
  keccak256,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { assembleBlock } from '#src/ledger/execute.ts';
import { PAYOUTS } from '#src/ledger/payments/addresses.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { payoutItemsMax, payouts } from '#src/ledger/payments/payouts.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { tokenFactory } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { toHex, uintToBytes } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { atOnce } from '#src/lib/steps.ts';
import { type Address, addressFromBytes, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { transactionBytesMax, transactionGasMax } from '#src/types/limits.ts';
import { asEpoch, asGas, asWei } from '#src/types/units.ts';
import { chainId, type Person, payment, person } from '../samples.ts';
import { addMember, bytes, Ledger, memberId, type Sent, type Wanted } from './rig.ts';

const [bank, ann, bea, cid, dan] = [0, 5, 6, 7, 8].map(person) as [
  ...[Person, Person, Person, Person, Person],
];
const everybody = [bank, ann, bea, cid, dan];
const word = (text: string) => hexOf(text, { size: 32 }) as Hash;
const none = word('');

type Item = { to: Address; amount: bigint; memo: Hash };
const item = (to: Person | Address, amount: bigint, memo = none): Item => ({
  to: typeof to === 'string' ? to : to.address,
  ...{ amount, memo },
});
const ITEMS = {
  type: 'tuple[]',
  components: [
    { type: 'address', name: 'to' },
    { type: 'uint256', name: 'amount' },
    { type: 'bytes32', name: 'memo' },
  ],
} as const;

/** A bank's euros, of which Ann has 1,000. */
class Payroll {
  readonly ledger = new Ledger({ member: { roles: 5 } });
  readonly token: Address;
  #refs = 0;

  constructor() {
    const args = ['Euro', 'EUR', 'EUR', memberId(0), bank.address, none];
    const made = this.ledger.send(bank, [tokenFactory, 'createToken', args]);
    this.token = String(made.logs[0]?.args.token).toLowerCase() as Address;
    this.euro(bank, 'mintWithMemo', ann.address, 1_000n, none);
  }
  get contract() {
    return paymentTokenAt(this.token) ?? assert.fail('a token');
  }
  euro(from: Person, name: string, ...args: unknown[]): Sent {
    const sent = this.ledger.send(from, [this.contract, name, args]);
    assert.ok(sent.ok, `${name}: ${sent.reason}`);
    return sent;
  }
  balance(of: Person | Address): bigint {
    const account = typeof of === 'string' ? of : of.address;
    return this.ledger.view(this.contract, 'balanceOf', [account]) as bigint;
  }
  nextRef(): Hash {
    return word(`ref ${++this.#refs}`);
  }
  pay(from: Person, items: readonly Item[], atomic = false, ref = this.nextRef()): Sent {
    const args = [this.token, items, ref, atomic];
    const gasLimit = transactionGasMax;
    const sent = this.ledger.send(from, [payouts, 'payoutBatch', args], { gasLimit });
    this.check();
    return sent;
  }
  /** Conservation: nothing came, nothing went. */
  check(): void {
    const sum = everybody.reduce((total, one) => total + this.balance(one), 0n);
    const supply = this.ledger.view(this.contract, 'totalSupply') as bigint;
    assert.ok(sum <= supply && supply === 1_000n);
  }
  sign(by: Person, message: Record<string, unknown>, domain: object = {}): Promise<`0x${string}`> {
    const types = {
      PayoutBatch: [
        { type: 'address', name: 'from' },
        { type: 'address', name: 'token' },
        { type: 'bytes32', name: 'itemsHash' },
        { type: 'bytes32', name: 'batchRef' },
        { type: 'bool', name: 'atomic' },
        { type: 'uint256', name: 'validBefore' },
      ],
    };
    const ours = { name: 'MPBP Payouts', version: '1', chainId: Number(chainId) };
    const hash = hashTypedData({
      domain: { ...ours, verifyingContract: PAYOUTS, ...domain },
      ...{ types, primaryType: 'PayoutBatch', message },
    });
    return privateKeyToAccount(toHex(by.key)).sign({ hash });
  }
}

const itemsHash = (items: readonly Item[]) => keccak256(encodeAbiParameters([ITEMS], [items]));
const namesOf = ({ logs }: Sent) => logs.map(({ name }) => name);
const codesOf = ({ logs }: Sent) =>
  logs.filter(({ name }) => name === 'BatchItem').map(({ args }) => [args.ok, args.errorCode]);

describe('payoutBatch', () => {
  it('pays each item with one Transfer, and says what it was for', () => {
    const roll = new Payroll();
    const ref = word('march');
    const items = [item(bea, 100n, word('salary')), item(cid, 200n), item(bea, 5n, word('tip'))];
    const sent = roll.pay(ann, items, false, ref);
    assert.ok(sent.ok, sent.reason);
    assert.deepEqual(
      [ann, bea, cid].map((one) => roll.balance(one)),
      [695n, 105n, 200n],
    );
    assert.deepEqual(namesOf(sent), [
      ...items.flatMap(() => ['Transfer', 'BatchItem']),
      'BatchPaid',
    ]);
    const { args } = sent.logs[5] ?? assert.fail('a log');
    assert.deepEqual(args, {
      ...{ batchRef: ref, item: 2, to: bea.address, amount: 5n, memo: word('tip') },
      ...{ ok: true, errorCode: 0 },
      to: args.to,
    });
    const paid = sent.logs.at(-1)?.args;
    assert.deepEqual([paid?.count, paid?.failed, paid?.total], [3, 0, 305n]);
    assert.equal(roll.ledger.view(payouts, 'batchState', [ann.address, ref]), true);
  });

  /** Each of them with the money of all others, at the end of a batch of three. */
  const refusals: [why: string, code: number, error: string, (roll: Payroll) => Item][] = [
    ['more than there is', 1, 'ERC20InsufficientBalance', () => item(bea, 991n)],
    ['more than 2^96', 1, 'ERC20InsufficientBalance', () => item(bea, (1n << 256n) - 1n)],
    [
      ...(['frozen money', 2, 'ERC7943InsufficientUnfrozenBalance'] as const),
      (roll) => {
        roll.euro(bank, 'setFrozenTokens', ann.address, 900n);
        return item(bea, 91n);
      },
    ],
    ['nobody', 3, 'ERC20InvalidReceiver', () => item(ZERO_ADDRESS, 1n)],
    ['a contract of the system', 3, 'ERC20InvalidReceiver', () => item(PAYOUTS, 1n)],
    [
      ...(['whom the token keeps out', 4, 'ERC7943CannotReceive'] as const),
      (roll) => {
        const list = [bank.address, 1, [bea.address]];
        roll.ledger.send(bank, [policyRegistry, 'createPolicyWithAccounts', list]);
        roll.euro(bank, 'changeTransferPolicyId', 2n);
        return item(bea, 1n);
      },
    ],
    ['who wants a memo', 5, 'MemoRequired', (roll) => wants(roll, 1n, 1n, true)],
    ['who refuses the sender', 6, 'ReceiverRefusesSender', (roll) => wants(roll, 0n, 1n, false)],
    ['who refuses the token', 7, 'ReceiverRefusesToken', (roll) => wants(roll, 1n, 0n, false)],
    [
      ...(['whoever passes payments on', 8, 'ConduitNotCredited'] as const),
      (roll) => {
        assert.ok(roll.ledger.decide(addMember(20, bea.address, 8n)).ok);
        return item(bea, 1n);
      },
    ],
  ];
  function wants(roll: Payroll, senders: bigint, tokens: bigint, memo: boolean): Item {
    const args = [senders, tokens, ZERO_ADDRESS, memo];
    const set = roll.ledger.send(bea, [policyRegistry, 'setReceivePolicy', args]);
    assert.ok(set.ok, set.reason);
    return item(bea, 1n);
  }
  for (const [why, code, error, make] of refusals) {
    it(`refuses an item alone, and a batch that is whole or nothing: ${why}`, () => {
      const roll = new Payroll();
      const items = [item(cid, 10n), item(dan, 10n), make(roll)];
      const ref = roll.nextRef();
      const whole = roll.pay(ann, items, true, ref);
      assert.equal(whole.ok, false);
      assert.equal(whole.error?.name, 'ItemFailed');
      const [index, told, data] = whole.error?.args as [bigint, number, `0x${string}`];
      assert.deepEqual([index, told], [2n, code]);
      assert.equal(decodeErrorResult({ abi: payouts.abi as Abi, data }).errorName, error);
      assert.deepEqual(
        [ann, cid, dan].map((one) => roll.balance(one)),
        [1_000n, 0n, 0n],
      );

      const [last] = items.slice(-1);
      const mixed = [item(cid, 10n), last ?? assert.fail('an item'), item(dan, 10n)];
      const each = roll.pay(ann, mixed, false, ref);
      assert.ok(each.ok, 'a reference that paid nothing is still free');
      assert.deepEqual(codesOf(each), [
        [true, 0],
        [false, code],
        [true, 0],
      ]);
      assert.equal(namesOf(each).filter((name) => name === 'Transfer').length, 2);
      const paid = each.logs.at(-1)?.args;
      assert.deepEqual([paid?.count, paid?.failed, paid?.total], [3, 1, 20n]);
      assert.deepEqual(
        [ann, cid, dan].map((one) => roll.balance(one)),
        [980n, 10n, 10n],
      );
    });
  }

  it('pays who wants a memo with one', () => {
    const roll = new Payroll();
    wants(roll, 1n, 1n, true);
    assert.deepEqual(codesOf(roll.pay(ann, [item(bea, 1n, word('no 7'))])), [[true, 0]]);
  });

  it('pays the payer itself like anybody, out of the same money', () => {
    const roll = new Payroll();
    const items = [item(ann, 1_000n), item(bea, 600n), item(ann, 401n), item(ann, 400n)];
    assert.deepEqual(codesOf(roll.pay(ann, items)), [
      ...[
        [true, 0],
        [true, 0],
        [false, 1],
        [true, 0],
      ],
    ]);
    assert.deepEqual(
      [ann, bea].map((one) => roll.balance(one)),
      [400n, 600n],
    );
  });

  it('leaves what is on hold and what is frozen where it is', () => {
    const roll = new Payroll();
    const hold = [word('order'), bea.address, cid.address, 300n, 0n];
    roll.euro(ann, 'hold', ...hold);
    roll.euro(bank, 'setFrozenTokens', ann.address, 200n);
    const items = [item(bea, 501n), item(bea, 500n), item(bea, 1n), item(bea, 0n)];
    const codes = codesOf(roll.pay(ann, items)).map(([, code]) => code);
    assert.deepEqual(codes, [2, 0, 2, 0]);
    assert.equal(roll.balance(ann), 200n);
    assert.equal(roll.ledger.view(roll.contract, 'balanceOnHold', [ann.address]), 300n);
    assert.equal(roll.ledger.view(roll.contract, 'getFrozenTokens', [ann.address]), 200n);
  });

  it('takes from whoever calls it, and from nobody else', () => {
    const roll = new Payroll();
    roll.euro(ann, 'approve', PAYOUTS, 1_000n);
    roll.euro(ann, 'approve', bea.address, 1_000n);
    assert.deepEqual(codesOf(roll.pay(bea, [item(cid, 1n)])), [[false, 1]]);
    assert.equal(roll.balance(ann), 1_000n);
  });

  it('refuses what can pay nobody: no items, a pause, a sender kept out, a used reference', () => {
    const roll = new Payroll();
    const ref = word('once');
    const one = [item(bea, 1n)];
    assert.equal(roll.pay(ann, []).error?.name, 'EmptyBatch');
    assert.ok(roll.pay(ann, one, true, ref).ok);
    assert.equal(roll.pay(ann, one, false, ref).error?.name, 'BatchRefUsed');
    assert.ok(roll.pay(bea, one, true, ref).ok, "another payer's references are its own");
    roll.euro(bank, 'pause');
    assert.equal(roll.pay(ann, one).error?.name, 'EnforcedPause');
    roll.euro(bank, 'unpause');
    const list = [bank.address, 1, [ann.address]];
    roll.ledger.send(bank, [policyRegistry, 'createPolicyWithAccounts', list]);
    roll.euro(bank, 'changeTransferPolicyId', 2n);
    assert.equal(roll.pay(ann, one).error?.name, 'ERC7943CannotSend');
    assert.equal(roll.balance(ann), 999n);
  });

  it('moves no money of what only looks like a token', () => {
    const { ledger } = new Payroll();
    const state = new Overlay(ledger.state);
    const fake = `0x${'fa'.repeat(20)}` as Address;
    state.changeAccount(fake, (account) => ({ ...account, nonce: 1n }));
    // `exists`, policy 1: as a token's head has it.
    state.setSlot(fake, '00'.repeat(32), bytes('0x010001'));
    for (const token of [fake, PAYOUTS, `${'0x4d5042200000000000000000'}${'45'.repeat(8)}`]) {
      const args = [token, [item(bea, 0n)], none, false];
      const call = { abi: payouts.abi as Abi, functionName: 'payoutBatch', args };
      const data = bytes(encodeFunctionData(call));
      const message = { sender: ann.address, to: payouts, value: 0n, data, gas: 1_000_000n };
      const result = runMessage(state, ledger.facts, message);
      assert.ok(result.ended === 'reverted' && /^UnknownToken/.test(result.reason), token);
    }
    assert.equal(ledger.view(tokenFactory, 'isToken', [fake]), false);
  });

  it("reads and writes the payer's balance once, and takes the same gas for each item", () => {
    const roll = new Payroll();
    const touched = new Map<string, { reads: number; writes: number }>();
    class Counting extends Overlay {
      override slot(...at: Parameters<Overlay['slot']>) {
        count(at[1], 'reads');
        return super.slot(...at);
      }
      override setSlot(...at: Parameters<Overlay['setSlot']>) {
        count(at[1], 'writes');
        super.setSlot(...at);
      }
    }
    const count = (key: string, what: 'reads' | 'writes') => {
      const seen = touched.get(key) ?? { reads: 0, writes: 0 };
      seen[what]++;
      touched.set(key, seen);
    };
    const gasOf = (items: readonly Item[]) => {
      touched.clear();
      const args = [roll.token, items, none, true];
      const call = { abi: payouts.abi as Abi, functionName: 'payoutBatch', args };
      const result = runMessage(new Counting(roll.ledger.state), roll.ledger.facts, {
        ...{ sender: ann.address, to: payouts, value: 0n, gas: transactionGasMax },
        data: bytes(encodeFunctionData(call)),
      });
      assert.ok(result.ended === 'well');
      return result.gasUsed;
    };
    const [first, second, third] = [1, 2, 3].map((n) => gasOf(many(n)));
    assert.equal((second ?? 0n) - (first ?? 0n), (third ?? 0n) - (second ?? 0n));
    gasOf(many(50));
    const payer = keccak256(
      encodeAbiParameters([{ type: 'address' }, { type: 'uint256' }], [ann.address, 3n]),
    );
    assert.deepEqual(touched.get(payer.slice(2)), { reads: 1, writes: 1 });
    assert.ok(touched.size < 50 * 4 + 10);
  });

  it(`has room for ${payoutItemsMax} new accounts with memos in one transaction`, () => {
    const roll = new Payroll();
    const items = many(payoutItemsMax);
    const sent = roll.pay(ann, items, true);
    assert.ok(sent.ok, sent.reason);
    assert.equal(roll.balance(ann), 1_000n - BigInt(payoutItemsMax));
    // Amounts of one byte here; they could be of eleven, at 12 gas for each.
    const gasMost = sent.gasUsed + BigInt(payoutItemsMax) * 10n * 12n;
    assert.ok(gasMost <= transactionGasMax, `${gasMost}`);
    const args = [roll.token, items, none, true];
    const call = { abi: payouts.abi as Abi, functionName: 'payoutBatch', args };
    const data = bytes(encodeFunctionData(call));
    const { raw } = payment(ann, { to: PAYOUTS, data });
    assert.ok(raw.length <= transactionBytesMax, `${raw.length} bytes`);
  });
});

it('a proposer that has no more time ends its block after a batch, not after sixteen', () => {
  const roll = new Payroll();
  const context = {
    ...{ parentHash: none, parentStateRoot: roll.ledger.root, coinbase: bank.address },
    rules: {
      ...{ chainId, baseFeePerGas: asWei(1n), evmLaneGasLimit: asGas(1n << 30n) },
      ...{ paymentLaneGasLimit: asGas(1n << 30n), paymentLaneBytesMax: 1_500_000 },
    },
    ...{ ...roll.ledger.facts, epoch: asEpoch(0), prevRandao: none, blockHash: () => null },
  };
  const transactions = (count: number, data: Uint8Array, to: Address, gas: bigint) =>
    Array.from({ length: count }, (_, at) =>
      payment(ann, { nonce: BigInt(at), to, data, gasLimit: asGas(gas) }),
    );
  const inBlock = (candidates: ReturnType<typeof transactions>) =>
    atOnce(assembleBlock(roll.ledger.state, context, candidates, () => false)).transactions.length;
  const args = [roll.token, many(50), none, true];
  const call = { abi: payouts.abi as Abi, functionName: 'payoutBatch', args };
  const batch = bytes(encodeFunctionData(call));
  assert.equal(inBlock(transactions(20, batch, PAYOUTS, 2_000_000n)), 1);
  assert.equal(inBlock(transactions(20, new Uint8Array(0), bea.address, 21_000n)), 16);
});

/** To accounts that nobody has used, each with a memo that has no zero in it. */
const many = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    item(
      addressFromBytes(uintToBytes((0xfedcba98765432n << 104n) + BigInt(n + 1), 20)),
      1n,
      `0x${'7e'.repeat(32)}` as Hash,
    ),
  );

describe('payoutBatchWithAuthorization', () => {
  const items = [item(bea, 100n), item(cid, 981n), item(dan, 20n, word('no 7'))];
  const terms = (roll: Payroll, change: object = {}) => ({
    ...{ from: ann.address, token: roll.token, itemsHash: itemsHash(items) },
    ...{ batchRef: word('signed'), atomic: false },
    validBefore: BigInt(Math.floor(roll.ledger.facts.timestampMs / 1_000)) + 60n,
    ...change,
  });
  const submit = (roll: Payroll, signed: ReturnType<typeof terms>, signature: string) => {
    const { from, token, batchRef, atomic, validBefore } = signed;
    const args = [from, token, items, batchRef, atomic, validBefore, signature];
    return roll.ledger.send(dan, [payouts, 'payoutBatchWithAuthorization', args]);
  };

  it('takes from the signer, whoever submits it, once', async () => {
    const roll = new Payroll();
    const signed = terms(roll);
    const signature = await roll.sign(ann, signed);
    const sent = submit(roll, signed, signature);
    assert.ok(sent.ok, sent.reason);
    assert.deepEqual(
      codesOf(sent).map(([, code]) => code),
      [0, 1, 0],
    );
    assert.deepEqual(
      [ann, bea, cid, dan].map((one) => roll.balance(one)),
      [880n, 100n, 0n, 20n],
    );
    assert.equal(sent.logs.at(-1)?.args.from, sent.logs[0]?.args.from);
    assert.equal(submit(roll, signed, signature).error?.name, 'BatchRefUsed');
    assert.equal(roll.pay(ann, items, false, word('signed')).error?.name, 'BatchRefUsed');
    const domain = roll.ledger.view(payouts, 'eip712Domain') as unknown[];
    assert.deepEqual(domain.slice(0, 4), ['0x0f', 'MPBP Payouts', '1', chainId]);
    roll.check();
  });

  it(`has room for ${payoutItemsMax} new accounts with memos, too`, async () => {
    const roll = new Payroll();
    const long = many(payoutItemsMax);
    const signed = terms(roll, { itemsHash: itemsHash(long) });
    const { from, token, batchRef, atomic, validBefore } = signed;
    const signature = await roll.sign(ann, signed);
    const args = [from, token, long, batchRef, atomic, validBefore, signature];
    const call: Wanted = [payouts, 'payoutBatchWithAuthorization', args];
    const sent = roll.ledger.send(dan, call, { gasLimit: transactionGasMax });
    assert.ok(sent.ok, sent.reason);
    const gasMost = sent.gasUsed + BigInt(payoutItemsMax) * 10n * 12n;
    assert.ok(gasMost <= transactionGasMax, `${gasMost}`);
  });

  const wrong: [why: string, signed: object, submitted: object, domain?: object][] = [
    ['another token', { token: `0x${'11'.repeat(20)}` }, {}],
    ['other items', { itemsHash: itemsHash([item(dan, 20n)]) }, {}],
    ['another reference', { batchRef: none }, {}],
    ['whole or nothing', { atomic: true }, {}],
    ['each item for itself', {}, { atomic: true }],
    ['another time', {}, { validBefore: 1n << 60n }],
    ['another payer', {}, { from: bea.address }],
    ['another chain', {}, {}, { chainId: 1 }],
    ['another contract', {}, {}, { verifyingContract: bea.address }],
    ['another version', {}, {}, { version: '2' }],
  ];
  for (const [why, change, submitted, domain] of wrong) {
    it(`refuses what was signed for ${why}`, async () => {
      const roll = new Payroll();
      const signature = await roll.sign(ann, terms(roll, change), domain);
      const sent = submit(roll, terms(roll, submitted), signature);
      assert.equal(sent.error?.name, 'InvalidSignature');
      assert.equal(roll.balance(ann), 1_000n);
    });
  }

  it('refuses a signature whose time is over, of somebody else, and one that is none', async () => {
    const roll = new Payroll();
    const late = terms(roll, { validBefore: 1n });
    assert.equal(
      submit(roll, late, await roll.sign(ann, late)).error?.name,
      'AuthorizationExpired',
    );
    const signed = terms(roll);
    for (const signature of [await roll.sign(dan, signed), '0x', `0x${'00'.repeat(65)}`]) {
      assert.equal(submit(roll, signed, signature).error?.name, 'InvalidSignature');
    }
    assert.equal(roll.balance(ann), 1_000n);
  });
});

/** What the text of payments.md says of batches, and nothing of how they are kept. */
it('20,000 random batches are those of a model, and lose no money', { timeout: 300_000 }, () => {
  const random = new SeededRandom(20_261_122);
  const roll = new Payroll();
  for (const one of [bea, cid]) roll.euro(ann, 'transfer', one.address, 300n);
  const wantsMemo = roll.ledger.send(dan, [
    policyRegistry,
    'setReceivePolicy',
    [1n, 1n, ZERO_ADDRESS, true],
  ]);
  assert.ok(wantsMemo.ok);
  const owned = new Map(everybody.map((one) => [one.address, roll.balance(one)]));
  const frozen = new Map<Address, bigint>();
  const state = new Overlay(roll.ledger.state);
  const call = (sender: Address, to: typeof payouts, functionName: string, args: unknown[]) => {
    const data = bytes(encodeFunctionData({ abi: to.abi as Abi, functionName, args }));
    const message = { sender, to, value: 0n, data, gas: 1n << 40n };
    return runMessage(state, roll.ledger.facts, message);
  };
  const balances = (address: Address) => {
    const result = call(address, roll.contract, 'balanceOf', [address]);
    return result.ended === 'well' ? BigInt(toHex(result.output)) : -1n;
  };
  const codeOf = (money: Map<Address, bigint>, from: Address, { to, amount, memo }: Item) => {
    if (to === ZERO_ADDRESS) return 3n;
    if (to === dan.address && memo === none) return 5n;
    const available = money.get(from) ?? 0n;
    if (amount > available) return 1n;
    const kept = frozen.get(from) ?? 0n;
    if (amount > (available > kept ? available - kept : 0n)) return 2n;
    return 0n;
  };
  const who = () => everybody[random.below(everybody.length)]?.address ?? assert.fail();
  const seen = { whole: 0, refused: 0, paid: 0, failed: 0 };
  for (let n = 0; n < 20_000; n++) {
    const from = who();
    if (random.below(5) === 0) {
      const [account, amount] = [who(), BigInt(random.below(300))];
      assert.equal(
        call(bank.address, roll.contract, 'setFrozenTokens', [account, amount]).ended,
        'well',
      );
      frozen.set(account, amount);
    }
    const atomic = random.below(2) === 0;
    const items = Array.from({ length: 1 + random.below(6) }, () => ({
      to: random.below(30) === 0 ? ZERO_ADDRESS : who(),
      amount: BigInt(random.below(random.below(4) === 0 ? 300 : 30)),
      memo: random.below(3) === 0 ? none : word('memo'),
    }));
    const money = new Map(owned);
    const codes: bigint[] = [];
    for (const one of items) {
      const code = codeOf(money, from, one);
      codes.push(code);
      if (code > 0n && atomic) break;
      if (code > 0n) continue;
      money.set(from, (money.get(from) ?? 0n) - one.amount);
      money.set(one.to, (money.get(one.to) ?? 0n) + one.amount);
    }
    const result = call(from, payouts, 'payoutBatch', [roll.token, items, word(`${n}`), atomic]);
    const failed = codes.filter((code) => code > 0n).length;
    const isRefused = atomic && failed > 0;
    const told = result.ended === 'reverted' ? result.reason : result.ended;
    assert.equal(result.ended, isRefused ? 'reverted' : 'well', `${n}: ${told}`);
    if (result.ended === 'well') {
      for (const [address, amount] of money) owned.set(address, amount);
      assert.equal(result.logs.length, items.length - failed + items.length + 1);
    } else if (result.ended === 'reverted') {
      assert.match(
        result.reason,
        new RegExp(`^ItemFailed\\(${codes.length - 1}, ${codes.at(-1)},`),
      );
    }
    seen[isRefused ? 'refused' : atomic ? 'whole' : failed > 0 ? 'failed' : 'paid']++;
    for (const [address, amount] of owned) assert.equal(balances(address), amount, `${n}`);
  }
  const sum = [...owned.values()].reduce((total, one) => total + one, 0n);
  assert.equal(sum, 1_000n);
  for (const [kind, count] of Object.entries(seen)) assert.ok(count > 1_000, `${kind}: ${count}`);
});
