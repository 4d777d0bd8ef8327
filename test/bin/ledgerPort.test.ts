/** The chain and the pool as agreement sees them: what is built ahead, and when it is taken. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Abi, encodeFunctionData } from 'viem';
import type { Block as CoreBlock } from '#consensus/core/types.ts';
import type { Ledger } from '#consensus/engine/ports.ts';
import { Chain } from '#src/chain/chain.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { hexBytes } from '#src/lib/bytes.ts';
import { silentLog } from '#src/lib/log.ts';
import { atOnce } from '#src/lib/steps.ts';
import { defaultPoolLimits, Pool } from '#src/pool/pool.ts';
import { Senders } from '#src/pool/senders.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asGas, asView, asWei } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { MemoryShelf } from '#storage/memoryShelf.ts';
import { ledgerPort } from '../../bin/ledgerPort.ts';
import { poolCover, poolRules } from '../../bin/settings.ts';
import { people, TinyChain, TinyNetwork } from '../chain/network.ts';
import { payment, person } from '../ledger/samples.ts';

async function scene(payments: number, fields: Partial<TransactionFields> = {}) {
  const network = new TinyNetwork();
  const store = await ShelfChainStore.open(new MemoryShelf());
  await Chain.create(network.params, store);
  const known = () => null;
  const chain = await Chain.open({ params: network.params, store, known, onFinal: () => {} });
  const pool = new Pool({
    limits: defaultPoolLimits,
    rules: poolRules(network.params.rules),
    account: (address) => chain.account(address) ?? { nonce: 0n, balance: 0n },
    coverOf: () => null,
    now: () => 0,
  });
  let sent = 0;
  const pay = (count: number) => {
    for (const until = sent + count; sent < until; sent++) {
      const from = people[sent % 2];
      assert.ok(from !== undefined);
      const nonce = BigInt(Math.floor(sent / 2));
      assert.ok(pool.add(payment(from, { nonce, ...fields }), true).ok);
    }
  };
  pay(payments);
  const ledger = ledgerPort(chain, pool, new Senders(null), silentLog);
  const { floor } = ledger;
  return { ledger, parent: floor as CoreBlock, pay };
}

const ahead = { view: asView(1), parentView: asView(0), proposer: 2 };
const whole = { mayBeEmpty: false, withPayments: true };

function built(ledger: Ledger, parent: CoreBlock, change: Partial<typeof ahead> = {}): Block {
  const timestampMs = parent.timestampMs + 50;
  const outcome = atOnce(ledger.build({ ...ahead, ...whole, parent, timestampMs, ...change }));
  assert.ok(outcome.t === 'block');
  return outcome.block.content as Block;
}

describe('a block that was built ahead', () => {
  it('is taken once, for the view and the parent that it was built for', async () => {
    const { ledger, parent, pay } = await scene(80);
    const timestampMs = parent.timestampMs + 7;
    ledger.prepare({ ...ahead, parent, timestampMs });
    pay(10);
    const first = built(ledger, parent);
    assert.equal(first.transactions.length, 80);
    assert.equal(first.header.consensus.timestampMs, timestampMs);
    assert.equal(ledger.execute({ ...parent, content: first }), null, 'as valid as any');
    assert.equal(built(ledger, parent).transactions.length, 90, 'not taken twice');
  });

  for (const change of [{ view: asView(2) }, { proposer: 1 }, { parentView: asView(1) }]) {
    it(`is left where ${Object.keys(change)} is another`, async () => {
      const { ledger, parent, pay } = await scene(80);
      ledger.prepare({ ...ahead, parent, timestampMs: parent.timestampMs + 7 });
      pay(10);
      assert.equal(built(ledger, parent, change).transactions.length, 90);
    });
  }

  it('is worth it by the gas that it uses: a batch is as much as many payments', async () => {
    const rows: [what: string, fields: Partial<TransactionFields>, isKept: boolean][] = [
      ['long memos', { data: new Uint8Array(256).fill(1), gasLimit: asGas(40_000n) }, true],
      ['much that is asked for', { gasLimit: asGas(200_000n) }, false],
    ];
    for (const [what, fields, isKept] of rows) {
      const { ledger, parent, pay } = await scene(50, fields);
      ledger.prepare({ ...ahead, parent, timestampMs: parent.timestampMs + 7 });
      pay(2);
      assert.equal(built(ledger, parent).transactions.length, isKept ? 50 : 52, what);
    }
  });

  it('is not kept where it would be small: what comes in between goes with it', async () => {
    const { ledger, parent, pay } = await scene(20);
    ledger.prepare({ ...ahead, parent, timestampMs: parent.timestampMs + 7 });
    pay(10);
    assert.equal(built(ledger, parent).transactions.length, 30);
  });
});

it('nobody waits for what was paid for until a moment ago', async () => {
  const { chain, store, append } = await sponsored();
  let wall = 0;
  const pool = new Pool({
    limits: defaultPoolLimits,
    rules: poolRules(chain.params.rules),
    account: (address) => chain.account(address) ?? { nonce: 0n, balance: 0n },
    coverOf: poolCover(chain, store, () => wall),
    now: () => 0,
  });
  const ledger = ledgerPort(chain, pool, new Senders(null), silentLog);
  const transaction = payment(poor, { nonce: 0n, maxFeePerGas: asWei(10n), value: asWei(0n) });
  await append();
  const parent = ledger.floor as CoreBlock;
  wall = parent.timestampMs;
  assert.ok(pool.add(transaction, true).ok);
  assert.equal(ledger.waiting([]).has, true);
  // Nothing happens until the sponsor pays no more: the next block is the first to know.
  wall += 60_000;
  const built = atOnce(ledger.build({ ...ahead, ...whole, parent, timestampMs: wall }));
  assert.equal(built.t, 'nothing');
  assert.equal(pool.size, 0);
  assert.equal(ledger.waiting([]).has, false);
  assert.equal(pool.add(transaction, true).ok, false);
});

/** Never had any coin. */
const poor = person(60);

/** For half a minute somebody else pays. */
async function sponsored() {
  const tiny = await TinyChain.create(new TinyNetwork(), new MemoryShelf());
  const [from] = people;
  assert.ok(from !== undefined);
  const { address: to, abi } = feeManager;
  const until = Math.floor(tiny.chain.head.header.consensus.timestampMs / 1_000) + 30;
  const args = [poor.address, ZERO_ADDRESS, 10n ** 9n, until, []];
  const call = encodeFunctionData({ abi: abi as Abi, functionName: 'setSponsorship', args });
  const gasLimit = asGas(300_000n);
  const transaction = payment(from, { nonce: 0n, to, data: hexBytes(call), gasLimit });
  const { chain, store } = tiny;
  return { chain, store, append: () => tiny.append([transaction]) };
}
