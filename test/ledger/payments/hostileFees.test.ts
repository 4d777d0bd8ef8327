/** Whoever wants of fees what is not theirs: money, the way of others, or a validator's time. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { encodeFunctionData } from 'viem';
import { assembleBlock } from '#src/ledger/execute.ts';
import { coverOf, findFee, holdFee, takeFee } from '#src/ledger/fees.ts';
import { FEE_MANAGER, PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { fees } from '#src/ledger/payments/fees/feeStore.ts';
import { otherFeeIn } from '#src/ledger/payments/fees/otherFee.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { atOnce } from '#src/lib/steps.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { payment, person } from '../samples.ts';
import { atOnceBlock, dave, eve, FeeWorld, feeFor, LATER } from './feeWorld.ts';
import { bytes, coinbase, type Wanted } from './rig.ts';
import { ann, bank, bea, feeTaker, word } from './shopWorld.ts';

it('no officer takes, or keeps back, what waits in a contract of the system', () => {
  const world = new FeeWorld();
  const { euro, token } = world;
  const fee = { receiver: feeTaker.address, bps: 100, fixedAmount: 0n, kind: word('fee') };
  world.setFees([fee], hashFees);
  const denied = [policyRegistry, 'createPolicyWithAccounts'] as const;
  const made = world.ok(bank, [...denied, [bank.address, 1, [feeTaker.address]]]);
  world.ok(bank, [euro, 'changeTransferPolicyId', [made.logs[0]?.args.policyId]]);
  const id = world.create();
  world.do(dave, 'pay', id);
  world.ok(bank, [euro, 'changeTransferPolicyId', [1n]]);
  for (const contract of [FEE_MANAGER, PAYMENT_ORDERS]) {
    assert.ok(world.owned(contract) > 0n);
    const to = bank.address;
    world.fails('ERC7943CannotSend', bank, [euro, 'forcedTransfer', [contract, to, 1n]]);
    world.fails('ERC7943CannotSend', bank, [euro, 'setFrozenTokens', [contract, 1n]]);
    const limit = [subjectOf(contract), token, 0, 1, 1n, 0];
    world.fails('InvalidAccount', bank, [policyRegistry, 'setLimit', limit]);
  }
  const collected = world.feesIn();
  world.do(ann, 'claimParkedFee', id, feeTaker.address);
  assert.equal(world.owned(feeTaker.address), 10n);
  world.ok(eve, [euro, 'transfer', [ann.address, 1n]]);
  world.ok(ann, [feeManager, 'distributeFees', [coinbase, token]]);
  assert.ok(world.owned(coinbase) > collected);
  assert.equal(world.owned(FEE_MANAGER), world.feesIn());
});

it('a crowd that nobody pays for takes no more of the time for a block than there is', () => {
  const world = new FeeWorld();
  const [first, ...others] = Array.from({ length: 200 }, (_, at) => payment(person(100 + at), {}));
  assert.ok(first !== undefined);
  let asked = 0;
  const goOn = () => ++asked < 3;
  const { state } = world.ledger;
  const { unpaid } = atOnce(assembleBlock(state, world.context, [first, ...others], goOn));
  assert.equal(asked, 3);
  assert.equal(unpaid.length, 48, 'the rest is asked about another time');
});

it('no user gives the budget of its sponsor away as a tip', () => {
  const world = new FeeWorld();
  const nobody = person(50);
  for (const [token, budget] of [
    [ZERO_ADDRESS, 10n ** 9n],
    [world.token, 900_000n],
  ] as const) {
    const terms = [nobody.address, token, budget, LATER, []];
    world.ok(ann, [feeManager, 'setSponsorship', terms]);
    const wanted: Wanted = [world.euro, 'approve', [eve.address, 1n]];
    const plain = world.transaction(nobody, wanted, 100_000n);
    const prices = { maxFeePerGas: asWei(10_000n), maxPriorityFeePerGas: asWei(9_999n) };
    const cover = coverOf(world.ledger.state, { ...plain, ...prices }, world.context);
    assert.equal(cover?.price, 1n);
    const { receipts, gasUsed } = world.ledger.block([payment(nobody, { ...plain, ...prices })]);
    const left = world.ledger.view(feeManager, 'sponsorshipOf', [nobody.address]) as bigint[];
    assert.equal(otherFeeIn(receipts[0]?.logs ?? [])?.payer, ann.address);
    assert.equal(left[2], budget - (token === ZERO_ADDRESS ? gasUsed : feeFor(gasUsed)));
  }
});

it('a sponsor that promised more than it has pays for nobody, and stops no block', () => {
  const world = new FeeWorld();
  const [poor, guest] = [person(51), person(52)];
  const gift = payment(bea, { nonce: 0n, to: poor.address, value: asWei(800_000n) });
  world.ledger.block([gift]);
  const terms = [guest.address, ZERO_ADDRESS, 10n ** 9n, LATER, []];
  const promise = world.transaction(poor, [feeManager, 'setSponsorship', terms], 400_000n);
  world.ledger.block([promise]);
  const left = world.ledger.balance(poor.address);
  assert.ok(left > 0n && left < 10n ** 9n);
  const wanted: Wanted = [world.euro, 'approve', [eve.address, 1n]];
  const dear = world.transaction(guest, wanted, left + 1n);
  assert.deepEqual(atOnceBlock(world, [dear]).unpaid, [dear]);
  const just = world.transaction(guest, wanted, left);
  world.ledger.block([just]);
  assert.ok(world.ledger.balance(poor.address) < left);
  // It pays the fee, and not what is sent.
  const fields = { nonce: 1n, to: poor.address, gasLimit: asGas(21_000n) };
  const more = payment(guest, { ...fields, value: asWei(1n) });
  assert.deepEqual(atOnceBlock(world, [more]).unpaid, [more]);
  world.ledger.block([payment(guest, { ...fields, value: asWei(0n) })]);
});

it('a sponsorship that takes the place of another meanwhile is not charged for it', () => {
  const world = new FeeWorld();
  const terms = (budget: bigint) => [dave.address, world.token, budget, LATER, []];
  world.ok(ann, [feeManager, 'setSponsorship', terms(900_000n)]);
  const wanted: Wanted = [world.euro, 'approve', [eve.address, 1n]];
  const state = new Overlay(world.ledger.state);
  const fee = findFee(state, world.transaction(dave, wanted, 100_000n), world.context);
  holdFee(state, fee);
  // As code may do that the customer calls.
  const args = terms(700_000n);
  const functionName = 'setSponsorship';
  const data = bytes(encodeFunctionData({ abi: feeManager.abi, functionName, args }));
  const message = { sender: ann.address, to: feeManager, value: 0n, data, gas: 1n << 30n };
  assert.equal(runMessage(state, world.ledger.facts, message).ended, 'well');
  takeFee(state, fee, 100_000n, coinbase);
  assert.equal(fees.sponsorships(dave.address).what.get(state).remaining, 700_000n);
});

it('a sponsor pays up to the second that it named, and strangers do not end it', () => {
  const world = new FeeWorld();
  const until = world.now + 10n;
  world.ok(ann, [feeManager, 'setSponsorship', [dave.address, world.token, 9_000n, until, []]]);
  const end: Wanted = [feeManager, 'setSponsorship', [dave.address, ZERO_ADDRESS, 0n, 0n, []]];
  world.fails('AlreadySponsored', bea, end);
  const asked = world.transaction(eve, [world.euro, 'approve', [eve.address, 1n]], 100_000n);
  const payerAt = (second: bigint) => {
    const facts = { ...world.context, timestampMs: Number(second) * 1_000 };
    return findFee(world.ledger.state, { ...asked, sender: dave.address }, facts).payer;
  };
  assert.deepEqual([payerAt(until - 1n), payerAt(until)], [ann.address, dave.address]);
});

it('fees go to nobody whom the currency does not let receive, nor while it stands', () => {
  const world = new FeeWorld();
  const { euro, token } = world;
  world.ok(dave, [euro, 'transfer', [ann.address, 1n]]);
  const denied: Wanted = [
    ...([policyRegistry, 'createPolicyWithAccounts'] as const),
    [bank.address, 1, [coinbase]],
  ];
  const made = world.ok(bank, denied);
  const distribute: Wanted = [feeManager, 'distributeFees', [coinbase, token]];
  world.ok(bank, [euro, 'changeTransferPolicyId', [made.logs[0]?.args.policyId]]);
  world.fails('ERC7943CannotReceive', ann, distribute);
  world.ok(bank, [euro, 'changeTransferPolicyId', [1n]]);
  world.ok(bank, [euro, 'pause', []]);
  world.fails('EnforcedPause', ann, distribute);
  world.ok(bank, [euro, 'unpause', []]);
  world.ok(ann, distribute);
  assert.equal(world.owned(FEE_MANAGER), world.feesIn());
});
