/** Whoever wants what is not theirs of fees: the money, the way of others, or a validator's time. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assembleBlock } from '#src/ledger/execute.ts';
import { coverOf } from '#src/ledger/fees.ts';
import { FEE_MANAGER, PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { otherFeeIn } from '#src/ledger/payments/fees/otherFee.ts';
import { hashFees } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { atOnce } from '#src/lib/steps.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { asWei } from '#src/types/units.ts';
import { payment, person } from '../samples.ts';
import { dave, eve, FeeWorld, feeFor, LATER } from './feeWorld.ts';
import { coinbase, type Wanted } from './rig.ts';
import { ann, bank, feeTaker, word } from './shopWorld.ts';

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
