import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFunctionData, toHex, zeroHash } from 'viem';
import { Currencies } from '#src/audit/currencies.ts';
import type { Divergence } from '#src/audit/divergence.ts';
import { type ReplayReport, replay } from '#src/audit/replay.ts';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { log, tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { StateReader, StateWriter } from '#src/ledger/state/reader.ts';
import { fromHex } from '#src/lib/bytes.ts';
import type { Verdict } from '#src/lib/failure.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Log, makeReceipt } from '#src/types/receipt.ts';
import { asGas } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { slotKey } from '#storage/stateRows.ts';
import { people, TinyChain, TinyNetwork } from '../chain/network.ts';
import type { Person } from '../ledger/samples.ts';

const [bank, ann, bea, shop] = people as [Person, Person, Person, Person];
const issued = 1_000n;
const currencies = ['EUR', 'USD'].map((currency) => ({
  ...{ currency, name: currency, symbol: currency, issuer: 'm0', admin: bank.address },
  alloc: { [ann.address]: `${issued}` },
}));
const network = new TinyNetwork(undefined, undefined, undefined, {}, currencies);
const [euro, dollar] = ['EUR', 'USD'].map((one) => genesisTokenAddress(one, 'm0')) as [
  Address,
  Address,
];
const HEIGHT = 4n;

/** Transfers, holds and a payout in one currency, nothing but genesis in the other. */
async function record(): Promise<MemoryShelf> {
  const shelf = new MemoryShelf();
  const tiny = await TinyChain.create(network, shelf);
  const send = (from: Person, to: Address, data: string) => {
    const call = { data: fromHex(data) ?? assert.fail(), gasLimit: asGas(400_000n) };
    return tiny.pay(from, to, 0n, call);
  };
  const inEuros = (from: Person, functionName: 'transfer', to: Person, amount: bigint) => {
    const args = [to.address, amount] as const;
    return send(from, euro, encodeFunctionData({ abi: tokenAbi, functionName, args }));
  };
  const hold = (text: string, value: bigint) => {
    const id = toHex(text, { size: 32 });
    const args = [id, shop.address, bank.address, value, 0n] as const;
    return send(ann, euro, encodeFunctionData({ abi: tokenAbi, functionName: 'hold', args }));
  };
  const execute = (text: string, value: bigint) => {
    const args = [toHex(text, { size: 32 }), value] as const;
    const functionName = 'executeHold';
    return send(bank, euro, encodeFunctionData({ abi: tokenAbi, functionName, args }));
  };
  await tiny.append([inEuros(ann, 'transfer', bea, 300n)]);
  await tiny.append([hold('kept', 40n)]);
  await tiny.append([hold('paid', 60n)]);
  const items = [{ to: shop.address, amount: 5n, memo: zeroHash }];
  const wages = encodeFunctionData({
    ...{ abi: payouts.abi, functionName: 'payoutBatch' },
    args: [euro, items, zeroHash, true],
  });
  await tiny.append([execute('paid', 50n), send(bea, payouts.address, wages)]);
  for (const { receipts } of tiny.events) assert.ok(receipts.every(({ succeeded }) => succeeded));
  return shelf;
}

async function audit(shelf: MemoryShelf): Promise<Verdict<ReplayReport, Divergence>> {
  return replay(network.params, await ShelfChainStore.open(shelf), () => {});
}

/** Writes to the stored state what no block did. */
async function tamper(
  shelf: MemoryShelf,
  token: Address,
  change: (state: StateWriter) => void,
): Promise<void> {
  const store = await ShelfChainStore.open(shelf);
  const changed: { key: Uint8Array; value: Uint8Array }[] = [];
  change({
    account: (address) => store.account(address),
    slot: (address, key) => store.slot(address, key),
    code: (hash) => store.code(hash),
    trieNode: (owner, path) => store.trieNode(owner, path),
    setSlot: (_address, key, value) => changed.push({ key: slotKey(token, key), value }),
  });
  assert.ok(changed.length > 0);
  await shelf.write(changed.map((row) => ({ table: 'slots', ...row })));
}

describe('the audit of currencies', () => {
  it('adds up every account of each, available and held told apart', async () => {
    const verdict = await audit(await record());
    assert.ok(verdict.ok, verdict.ok ? '' : JSON.stringify(verdict.refusal, String));
    assert.deepEqual(verdict.value.currencies, [
      { token: euro, currency: 'EUR', accounts: 3, available: 960n, held: 40n, supply: issued },
      { token: dollar, currency: 'USD', accounts: 1, available: issued, held: 0n, supply: issued },
    ]);
  });

  const tamperings: [when: string, code: string, account: Address, change: Change][] = [
    [
      'somebody has more than the blocks gave',
      'CURRENCY_STORED',
      bea.address,
      (state, token) => {
        const balance = token.balances(bea.address);
        balance.set(state, { ...balance.get(state), available: 999n });
      },
    ],
    [
      'money on hold is called available',
      'CURRENCY_STORED',
      ann.address,
      (state, token) => {
        const balance = token.balances(ann.address);
        const { available, held, ...rest } = balance.get(state);
        balance.set(state, { ...rest, available: available + held, held: 0n });
      },
    ],
    [
      'the supply is another',
      'CURRENCY_STORED',
      euro,
      (state, token) => token.supplies.set(state, { total: issued + 1n, held: 40n }),
    ],
  ];
  for (const [when, code, account, change] of tamperings) {
    it(`names it where ${when}`, async () => {
      const shelf = await record();
      await tamper(shelf, euro, (state) => change(state, tokenAt(euro)));
      const verdict = await audit(shelf);
      assert.ok(!verdict.ok);
      const { refusal } = verdict;
      assert.deepEqual([refusal.code, refusal.account, refusal.height], [code, account, HEIGHT]);
      assert.match(refusal.expected, /^EUR \d+/);
      assert.notEqual(refusal.expected, refusal.found);
    });
  }

  it('names what no block wrote, also of accounts that no block names', async () => {
    const [rich, known] = [await record(), await record()];
    await tamper(rich, euro, (state) => {
      const balance = { available: 5n, held: 0n, isFrozen: false, limits: 0n };
      tokenAt(euro)
        .balances(people[5]?.address ?? assert.fail())
        .set(state, balance);
    });
    const unknown = await audit(rich);
    assert.ok(!unknown.ok);
    assert.equal(unknown.refusal.code, 'INDEX_ENTRIES');
    assert.match(unknown.refusal.found, /slots$/);
    await tamper(known, euro, (state) => {
      tokenAt(euro).limits.set(state, { ...tokenAt(euro).limits.get(state), supplyCap: 1n });
    });
    const changed = await audit(known);
    assert.ok(!changed.ok);
    assert.deepEqual([changed.refusal.code, changed.refusal.account], ['SLOT_STORED', euro]);
  });

  /** What execution itself got wrong shows where the logs and the state disagree. */
  const faults: [when: string, code: string, change: Change][] = [
    [
      'money appears at somebody who was paid before',
      'CURRENCY_CONSERVATION',
      (state, token) => {
        const balance = token.balances(bea.address);
        balance.set(state, { available: 301n, held: 0n, isFrozen: false, limits: 0n });
      },
    ],
    [
      'the supply grows without an issue',
      'CURRENCY_SUPPLY',
      (state, token) => token.supplies.set(state, { total: issued + 1n, held: 40n }),
    ],
    [
      'what is held is not what accounts hold',
      'CURRENCY_HELD',
      (state, token) => token.supplies.set(state, { total: issued, held: 41n }),
    ],
  ];
  for (const [when, code, change] of faults) {
    it(`notices that ${when}`, () => {
      const { state, found } = world();
      change(state, tokenAt(euro));
      assert.equal(found(state)?.code, code);
    });
  }

  it('notices a transfer that is told and was not made', () => {
    const { state, found } = world([log(euro, 'Transfer', ann.address, bea.address, 7n)]);
    assert.equal(found(state)?.code, 'CURRENCY_CONSERVATION');
    const burned = world([log(euro, 'Transfer', ann.address, ZERO_ADDRESS, 7n)]);
    assert.equal(burned.found(burned.state)?.code, 'CURRENCY_CONSERVATION');
  });
});

type Change = (state: StateWriter, token: ReturnType<typeof tokenAt>) => void;

/** A state after genesis, a transfer and a hold, and the logs that tell of them. */
function world(more: readonly Log[] = []) {
  const { changes, history } = network.params.genesis;
  const genesis: StateReader = {
    account: (address) => changes.accounts.get(address) ?? null,
    slot: (address, key) => changes.slots.get(address)?.get(key) ?? new Uint8Array(0),
    code: () => null,
    trieNode: () => null,
  };
  const state = new Overlay(genesis);
  const token = tokenAt(euro);
  token
    .balances(ann.address)
    .set(state, { available: 660n, held: 40n, isFrozen: false, limits: 0n });
  token
    .balances(bea.address)
    .set(state, { available: 300n, held: 0n, isFrozen: false, limits: 0n });
  token.supplies.set(state, { total: issued, held: 40n });
  const books = new Currencies();
  books.begin(history);
  const logs = [log(euro, 'Transfer', ann.address, bea.address, 300n), ...more];
  const fields = { type: 2, succeeded: true, cumulativeGasUsed: asGas(21_000n) } as const;
  books.addBlock([makeReceipt({ ...fields, logs })]);
  const found = (now: StateReader) => books.findDifference(1n, now, now);
  if (more.length === 0) assert.equal(found(state), null);
  return { state, found };
}
