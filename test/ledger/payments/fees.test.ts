import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toFunctionSelector } from 'viem';
import { changeOf, historyOf } from '#src/history/history.ts';
import { assembleBlock, executeBlock } from '#src/ledger/execute.ts';
import { coverOf } from '#src/ledger/fees.ts';
import { callGas } from '#src/ledger/gas.ts';
import { COIN_ADDRESS, FEE_MANAGER } from '#src/ledger/payments/addresses.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { policyRegistry } from '#src/ledger/payments/tokens/policyRegistry.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { type Person, payment, person } from '../samples.ts';
import { atOnceBlock, blockOf, dave, eve, FeeWorld, feeFor, feeOf, LATER } from './feeWorld.ts';
import { bytes, coinbase, consortiumRegistry, memberId, type Wanted, zero32 } from './rig.ts';
import { ann, bank, bea, none, shop, till } from './shopWorld.ts';

describe('a customer who holds only euros', () => {
  it('pays in euros, and the fee with it', () => {
    const world = new FeeWorld();
    const sent = world.ok(dave, [world.euro, 'transfer', [eve.address, 1_000n]]);
    const fee = feeFor(sent.gasUsed);
    const paid = { payer: dave.address, token: world.token, sponsor: ZERO_ADDRESS, amount: fee };
    assert.deepEqual(lower(feeOf(sent)), paid);
    assert.equal(world.owned(dave.address), 1_000_000n - 1_000n - fee);
    assert.equal(world.owned(eve.address), 1_001_000n);
    assert.equal(world.feesIn(), fee);
    assert.equal(world.ledger.balance(dave.address), 0n);
    const names = sent.logs.map(({ name }) => name);
    assert.deepEqual(names, ['Transfer', 'Transfer', 'TransactionFee'], 'one log a movement');
    const given = world.ok(ann, [feeManager, 'distributeFees', [coinbase, world.token]]);
    assert.equal(given.logs.at(1)?.name, 'FeesDistributed');
    // Whoever asked for it has coin, and called nothing that moves euros of its own.
    assert.equal(world.owned(coinbase), fee);
    assert.equal(world.feesIn(), 0n);
    world.fails('NothingCollected', ann, [feeManager, 'distributeFees', [coinbase, world.token]]);
  });

  it('pays an order, and a batch of payouts', () => {
    const world = new FeeWorld();
    const id = world.create();
    const paid = world.do(dave, 'pay', id);
    assert.equal(world.owned(dave.address), 1_000_000n - 1_000n - feeFor(paid.gasUsed));
    const before = world.owned(dave.address);
    const items = [{ to: eve.address, amount: 5n, memo: none }];
    const batch = world.ok(dave, [payouts, 'payoutBatch', [world.token, items, zero32, true]]);
    assert.equal(world.owned(dave.address), before - 5n - feeFor(batch.gasUsed));
  });

  it('sends all that it has: nothing is left, and no unit more goes', () => {
    const world = new FeeWorld();
    const wanted = (amount: bigint): Wanted => [world.euro, 'transfer', [eve.address, amount]];
    // As a wallet does: what it costs, then all but that. Other digits are other data.
    const gas = gasOf(world, dave, wanted(999_000n));
    const left = world.owned(dave.address);
    assert.equal(gasOf(world, dave, wanted(left - feeFor(gas))), gas);
    const tooMuch = world.transaction(dave, wanted(left - feeFor(gas) + 1n), gas);
    const failed = world.ledger.block([tooMuch]);
    assert.equal(failed.receipts[0]?.succeeded, false);
    const rest = left - feeFor(failed.gasUsed);
    assert.equal(world.owned(dave.address), rest, 'what fails pays for its gas in euros, too');
    const last = wanted(rest - feeFor(gas));
    assert.equal(gasOf(world, dave, last), gas);
    const sent = world.ledger.block([world.transaction(dave, last, gas)]);
    assert.equal(sent.receipts[0]?.succeeded, true);
    assert.equal(world.owned(dave.address), 0n);
  });

  it('cannot send what it cannot pay for, and holds up nobody', () => {
    const world = new FeeWorld();
    const wanted: Wanted = [world.euro, 'transfer', [eve.address, 1n]];
    const dear = world.transaction(dave, wanted, 10_000_000n, 10n ** 6n);
    const cheap = { ...dear, maxPriorityFeePerGas: asWei(0n) };
    assert.equal(cheap.maxFeePerGas, 10n ** 6n);
    // The price is what counts, not the most that it might be.
    assert.ok(atOnceBlock(world, [cheap]).transactions.length === 1);
    const tipped = payment(dave, { ...dear, maxPriorityFeePerGas: asWei(10n ** 6n) });
    const honest = world.transaction(ann, wanted, 200_000n);
    const { transactions, unpaid } = atOnceBlock(world, [tipped, honest]);
    assert.deepEqual(transactions, [honest]);
    assert.deepEqual(unpaid, [tipped]);
    assert.ok(coverFor(world, tipped) < 10n ** 13n);
  });

  it('cannot where the currency stands still, or its policy keeps it from sending', () => {
    const world = new FeeWorld();
    const wanted: Wanted = [world.euro, 'transfer', [eve.address, 1n]];
    const transaction = world.transaction(dave, wanted, 200_000n);
    assert.ok(coverFor(world, transaction) > 0n);
    const deny: Wanted = [
      policyRegistry,
      'createPolicyWithAccounts',
      [bank.address, 1, [dave.address]],
    ];
    const made = world.ok(bank, deny);
    world.ok(bank, [world.euro, 'changeTransferPolicyId', [made.logs[0]?.args.policyId]]);
    assert.equal(coverFor(world, transaction), 0n);
    world.ok(bank, [world.euro, 'changeTransferPolicyId', [1n]]);
    world.ok(bank, [world.euro, 'setFrozenTokens', [dave.address, 999_999n]]);
    assert.ok(coverFor(world, transaction) <= 50n, 'frozen');
    world.ok(bank, [world.euro, 'setFrozenTokens', [dave.address, 0n]]);
    world.ok(bank, [world.euro, 'pause', []]);
    assert.equal(coverFor(world, transaction), 0n);
    assert.deepEqual(atOnceBlock(world, [transaction]).unpaid, [transaction]);
  });
});

describe('the currency of a fee', () => {
  it('is coin where none has a rate, and where the transaction pays in none', () => {
    const free = new FeeWorld({ rate: 0n });
    const before = free.ledger.balance(ann.address);
    const usual = free.ok(ann, [free.euro, 'transfer', [eve.address, 1n]]);
    assert.equal(feeOf(usual), null);
    assert.equal(free.ledger.balance(ann.address), before - usual.gasUsed);
    const world = new FeeWorld();
    assert.equal(feeOf(world.ok(ann, [world.euro, 'approve', [eve.address, 1n]])), null);
    assert.notEqual(feeOf(world.ok(ann, [world.euro, 'transfer', [eve.address, 1n]])), null);
  });

  it('is the one that the sender chose, for whatever it does', () => {
    const world = new FeeWorld();
    world.fails('UnknownToken', ann, [feeManager, 'setUserToken', [eve.address]]);
    const set = world.ok(ann, [feeManager, 'setUserToken', [world.token]]);
    assert.equal(feeOf(set), null);
    assert.equal(
      String(world.ledger.view(feeManager, 'userTokens', [ann.address])).toLowerCase(),
      world.token,
    );
    const approved = world.ok(ann, [world.euro, 'approve', [eve.address, 1n]]);
    assert.equal(feeOf(approved)?.amount, feeFor(approved.gasUsed));
    const coin = world.ledger.balance(ann.address);
    const nonce = world.ledger.state.account(ann.address)?.nonce ?? 0n;
    const plain = payment(ann, {
      nonce,
      to: bea.address,
      value: asWei(7n),
      gasLimit: asGas(21_000n),
    });
    const { receipts } = world.ledger.block([plain]);
    assert.equal(receipts[0]?.logs.length, 2, 'a payment of coin has logs of its fee');
    assert.equal(world.ledger.balance(ann.address), coin - 7n);
    world.ledger.nonces.set(ann.address, nonce + 1n);
    world.ok(ann, [feeManager, 'setUserToken', [ZERO_ADDRESS]]);
    assert.equal(feeOf(world.ok(ann, [world.euro, 'approve', [eve.address, 2n]])), null);
    world.ok(ann, [feeManager, 'setUserToken', [COIN_ADDRESS]]);
    assert.equal(feeOf(world.ok(ann, [world.euro, 'transfer', [eve.address, 2n]])), null);
  });

  it('is not what a merchant takes in', () => {
    const world = new FeeWorld();
    const id = world.create({ captureMode: 1n });
    world.do(dave, 'pay', id);
    world.ok(bank, [world.euro, 'mintWithMemo', [till.address, 1_000_000n, none]]);
    assert.equal(feeOf(world.do(till, 'capture', id, 400n)), null);
    assert.equal(world.owned(shop.address), 400n);
    const late = world.create({ captureMode: 1n });
    world.do(dave, 'pay', late);
    world.wait(1_000);
    assert.equal(String(feeOf(world.do(dave, 'reclaim', late))?.token).toLowerCase(), world.token);
  });

  it('falls back to coin where there is not enough of it', () => {
    const world = new FeeWorld();
    const { address } = ann;
    const most: Wanted = [world.euro, 'transfer', [eve.address, world.owned(address) - 50_000n]];
    world.ledger.block([world.transaction(ann, most, 100_000n)]);
    world.ledger.nonces.set(address, world.ledger.state.account(address)?.nonce ?? 0n);
    assert.ok(world.owned(address) < 50_000n);
    world.ok(ann, [world.euro, 'transfer', [eve.address, world.owned(address)]]);
    assert.equal(world.owned(address), 0n, 'the last fee was not to be had in euros');
    world.fails('ERC20InsufficientBalance', ann, [world.euro, 'transfer', [eve.address, 1n]]);
  });

  it('has its rate from governance alone', () => {
    const world = new FeeWorld();
    world.fails('NotAuthorized', bank, [feeManager, 'setFeeRate', [world.token, 1n]]);
    const most = (1n << 128n) - 1n;
    assert.equal(
      world.ledger.decide([feeManager, 'setFeeRate', [world.token, most + 1n]]).ok,
      false,
    );
    assert.equal(world.ledger.decide([feeManager, 'setFeeRate', [eve.address, 1n]]).ok, false);
    world.setRate(most);
    const wanted: Wanted = [world.euro, 'transfer', [eve.address, 1n]];
    assert.deepEqual(world.ledger.view(feeManager, 'feeRate', [world.token]), [
      most,
      Number(world.now) - 1,
    ]);
    // Nobody has so much; those who have coin go on.
    assert.equal(feeOf(world.ok(ann, wanted)), null);
    world.setRate(0n);
    assert.equal(feeOf(world.ok(ann, wanted)), null);
    world.fails('TokenPaysNoFees', ann, [feeManager, 'setUserToken', [world.token]]);
  });
});

describe('a sponsor', () => {
  const sponsoring = (
    world: FeeWorld,
    {
      token = world.token as Address,
      budget = 500_000n,
      until = LATER,
      selectors = [] as string[],
    },
  ): Wanted => [feeManager, 'setSponsorship', [dave.address, token, budget, until, selectors]];

  it('pays for its customers, up to its budget', () => {
    const world = new FeeWorld();
    world.ok(bank, [world.euro, 'mintWithMemo', [shop.address, 1_000_000n, none]]);
    const before = world.owned(shop.address);
    world.ok(shop, sponsoring(world, { budget: 300_000n }));
    const fee1 = before - world.owned(shop.address);
    const id = world.create();
    const sent = world.do(dave, 'pay', id);
    const fee = feeFor(sent.gasUsed);
    assert.deepEqual(lower(feeOf(sent)), {
      ...{ payer: dave.address, token: world.token, sponsor: shop.address, amount: fee },
    });
    assert.equal(world.owned(dave.address), 999_000n, 'exactly the price');
    assert.equal(world.owned(shop.address), before - fee1 + 1_000n - fee);
    const [sponsor, , remaining] = world.ledger.view(feeManager, 'sponsorshipOf', [
      dave.address,
    ]) as [string, string, bigint];
    assert.equal(sponsor.toLowerCase(), shop.address);
    assert.equal(remaining, 300_000n - fee);
    // What is left would not do for all that the next one asks for.
    const left = remaining;
    const wanted: Wanted = [world.euro, 'transfer', [eve.address, 1n]];
    const big = world.transaction(dave, wanted, (left + 1n) * 50n);
    const own = world.ledger.block([big]);
    assert.equal(world.owned(dave.address), 999_000n - 1n - feeFor(own.gasUsed));
  });

  it('pays in coin, too, for somebody who has none of anything', () => {
    const world = new FeeWorld();
    const nobody = person(50);
    const terms = [nobody.address, ZERO_ADDRESS, 10n ** 9n, LATER, []];
    world.ok(bea, [feeManager, 'setSponsorship', terms]);
    const before = world.ledger.balance(bea.address);
    const taken = world.ledger.balance(coinbase);
    const sent = world.ok(nobody, [world.euro, 'approve', [eve.address, 1n]]);
    assert.equal(world.ledger.balance(bea.address), before - sent.gasUsed);
    assert.equal(world.ledger.balance(coinbase), taken + sent.gasUsed);
    assert.equal(feeOf(sent)?.amount, sent.gasUsed);
  });

  it('pays only for what it said, and only for so long', () => {
    const world = new FeeWorld();
    const selector = toFunctionSelector('pay(bytes32)');
    const until = world.now + 100n;
    world.ok(ann, sponsoring(world, { selectors: [selector], until }));
    const other = world.ok(dave, [world.euro, 'transfer', [eve.address, 1n]]);
    assert.equal(feeOf(other)?.sponsor, ZERO_ADDRESS);
    const plain = world.transaction(dave, [world.euro, 'transfer', [eve.address, 1n]], 200_000n);
    const bare = { ...plain, data: new Uint8Array(3), to: eve.address };
    assert.equal(coverFor(world, bare), 0n);
    const data = bytes(`${selector}00`);
    assert.ok(coverFor(world, { ...plain, data, to: eve.address }) > 0n);
    assert.equal(coverFor(world, { ...plain, data, to: null }), 0n, 'code of its own');
    const first = world.do(dave, 'pay', world.create());
    assert.equal(String(feeOf(first)?.sponsor).toLowerCase(), ann.address);
    world.wait(200);
    const second = world.do(dave, 'pay', world.create());
    assert.equal(feeOf(second)?.sponsor, ZERO_ADDRESS);
  });

  it('is not pushed aside by strangers, and makes place when it ends', () => {
    const world = new FeeWorld();
    world.ok(ann, sponsoring(world, { until: world.now + 50n }));
    world.fails('AlreadySponsored', bea, sponsoring(world, {}));
    world.fails('InvalidAccount', dave, sponsoring(world, { budget: 5n }));
    world.ok(dave, sponsoring(world, { budget: 0n }));
    world.ok(bea, sponsoring(world, { until: world.now + 50n }));
    world.fails('AlreadySponsored', ann, sponsoring(world, {}));
    world.wait(60);
    world.ok(ann, sponsoring(world, {}));
  });

  it('of the consortium comes before everybody else', () => {
    const world = new FeeWorld();
    world.ok(ann, sponsoring(world, {}));
    const roles = [consortiumRegistry, 'setRoles', [memberId(2), 1n | 512n]] as Wanted;
    assert.ok(world.ledger.decide(roles).ok);
    world.ok(person(2), sponsoring(world, { token: ZERO_ADDRESS, budget: 10n ** 9n }));
    world.fails('AlreadySponsored', ann, sponsoring(world, {}));
    const taken = world.ok(dave, [world.euro, 'transfer', [eve.address, 1n]]);
    assert.equal(feeOf(taken)?.token, ZERO_ADDRESS);
  });

  it('is refused with a reason where it makes no sense', () => {
    const world = new FeeWorld();
    const rows: [string, Wanted][] = [
      ['InvalidUntil', sponsoring(world, { until: world.now })],
      ['InvalidBudget', sponsoring(world, { budget: 1n << 96n })],
      ['UnknownToken', sponsoring(world, { token: eve.address })],
      ['TooManySelectors', sponsoring(world, { selectors: Array(17).fill('0x12345678') })],
      ['InvalidAccount', [feeManager, 'setSponsorship', [world.token, world.token, 5n, LATER, []]]],
    ];
    for (const [error, wanted] of rows) world.fails(error, ann, wanted);
  });

  it('that its own customer replaces in the same transaction is not charged twice', () => {
    const world = new FeeWorld();
    world.ok(ann, sponsoring(world, {}));
    const before = world.owned(ann.address);
    const ended = world.ok(dave, sponsoring(world, { budget: 0n }));
    assert.equal(String(feeOf(ended)?.sponsor).toLowerCase(), ann.address);
    assert.equal(world.owned(ann.address), before - feeFor(ended.gasUsed));
    const [, , remaining] = world.ledger.view(feeManager, 'sponsorshipOf', [dave.address]) as [
      string,
      string,
      bigint,
    ];
    assert.equal(remaining, 0n);
  });
});

it('code of a contract is paid for in euros', async () => {
  const world = new FeeWorld();
  const wanted: Wanted = [feeManager, 'setUserToken', [world.token]];
  // The choice itself has to be paid for: by somebody else.
  const all = [dave.address, world.token, 900_000n, LATER, []];
  world.ok(bea, [feeManager, 'setSponsorship', all]);
  world.ok(dave, wanted);
  world.ok(dave, [feeManager, 'setSponsorship', [dave.address, world.token, 0n, LATER, []]]);
  const before = world.owned(dave.address);
  // PUSH0 PUSH0 RETURN: an account without code.
  const data = Uint8Array.of(0x5f, 0x5f, 0xf3);
  const nonce = world.ledger.state.account(dave.address)?.nonce ?? 0n;
  const create = payment(dave, {
    ...{ nonce, to: null, data, gasLimit: asGas(100_000n), maxFeePerGas: asWei(1n) },
  });
  const built = await assembleBlock(world.ledger.state, world.context, [create]);
  assert.deepEqual(built.transactions, [create]);
  const checked = await executeBlock(world.ledger.state, world.context, [create]);
  assert.ok(checked.ok);
  assert.equal(checked.value.stateRoot, built.outcome.stateRoot);
  world.ledger.state = built.outcome.state;
  assert.equal(world.owned(dave.address), before - feeFor(built.outcome.gasUsed));
  assert.equal(world.ledger.balance(dave.address), 0n);
});

it('thousands of fees, whoever pays them, add up', () => {
  const world = new FeeWorld();
  const random = new SeededRandom(7);
  const people = [ann, bea, dave, eve];
  const supply = world.ledger.view(world.euro, 'totalSupply') as bigint;
  const coins = () =>
    [...people, { address: coinbase }].reduce(
      (sum, one) => sum + world.ledger.balance(one.address),
      0n,
    );
  const coinBefore = coins();
  // What the histories tell, added up.
  const told = [...people, bank, { address: coinbase }, { address: FEE_MANAGER }];
  const inEuros = new Map(told.map(({ address }) => [address, world.owned(address)]));
  const inCoin = new Map(told.map(({ address }) => [address, world.ledger.balance(address)]));
  for (let round = 0; round < 400; round++) {
    const [from, to] = [random.pick(people), random.pick(people)];
    const amount = BigInt(random.below(1_200_000));
    const token = random.pick([ZERO_ADDRESS, world.token]);
    const until = world.now + BigInt(random.below(40)) - 5n;
    const budget = BigInt(random.below(300_000));
    const wanted = random.pick<Wanted>([
      [world.euro, 'transfer', [to.address, amount]],
      [world.euro, 'transfer', [to.address, amount / 100n]],
      [world.euro, 'approve', [to.address, amount]],
      [feeManager, 'setUserToken', [token]],
      [feeManager, 'setSponsorship', [to.address, token, budget, until < 0n ? 0n : until, []]],
      [feeManager, 'distributeFees', [coinbase, world.token]],
    ]);
    const gasLimit = BigInt(150_000 + random.below(5_000_000));
    const { transactions } = atOnceBlock(world, [world.transaction(from, wanted, gasLimit)]);
    if (transactions.length === 0) continue;
    const { context } = world;
    const { receipts, movements } = world.ledger.block(transactions);
    for (const entry of historyOf(blockOf(context, transactions), receipts, movements)) {
      const { account, token: currency } = entry;
      const book = currency === null ? inCoin : inEuros;
      book.set(account, (book.get(account) ?? 0n) + changeOf(entry));
    }
    const owned = [...people, { address: coinbase }, bank, { address: FEE_MANAGER }];
    const sum = owned.reduce((all, { address }) => all + world.owned(address), 0n);
    assert.equal(sum, supply, `${round}`);
    assert.equal(world.owned(FEE_MANAGER), world.feesIn(), `${round}`);
    assert.equal(coins(), coinBefore, `${round}`);
  }
  assert.ok(world.owned(coinbase) + world.feesIn() > 100_000n, 'fees were paid in euros');
  for (const { address } of told) {
    assert.equal(inEuros.get(address), world.owned(address), address);
    assert.equal(inCoin.get(address), world.ledger.balance(address), address);
  }
});

// --- helpers ---------------------------------------------------------------------------------------

/** In wei, what would pay for it without coin. */
function coverFor({ ledger, context }: FeeWorld, transaction: SignedTransaction): bigint {
  return coverOf(ledger.state, transaction, context)?.available ?? 0n;
}

/** As `eth_estimateGas` finds it: nothing is held back for a fee. */
function gasOf(world: FeeWorld, from: Person, wanted: Wanted): bigint {
  const transaction = world.transaction(from, wanted, 1_000_000n);
  const { sender, value, data } = transaction;
  const message = { sender, to: wanted[0], value, data, gas: 1_000_000n };
  const { gasUsed } = runMessage(new Overlay(world.ledger.state), world.ledger.facts, message);
  return callGas(transaction, gasUsed);
}

/** Addresses as the ledger spells them. */
function lower(args: Record<string, unknown> | null): object {
  const entries = Object.entries(args ?? {});
  const spell = (value: unknown) => (typeof value === 'string' ? value.toLowerCase() : value);
  return Object.fromEntries(entries.map(([key, value]) => [key, spell(value)]));
}
