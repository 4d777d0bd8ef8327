/** What Otterscan asks, in the way it asks, of a real chain. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Abi, encodeFunctionData } from 'viem';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { createAddress } from '#src/types/createAddress.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import { feeRecipient, people } from '../chain/network.ts';
import { World } from '../ledger/evm/world.ts';
import { type Person, person } from '../ledger/samples.ts';
import { compile } from '../solidity.ts';
import { openChain } from './realChain.ts';

const [alice, bob, carol, dora] = people as [Person, Person, Person, Person];
const tracee = compile('test/rpc/Tracee.sol', 'Tracee');
const nobody = `0x${'ab'.repeat(20)}` as Address;
const world = await World.create();
const at = await world.deploy(alice, tracee, 10_000n);
const leaf = createAddress(at, 1n);
const rpc = await openChain(world.chain);

const call = (name: string, args: unknown[], from: Person = bob, value = 0n) =>
  world.send(from, at, encodeFunctionData({ abi: tracee.abi, functionName: name, args }), {
    value: asWei(value),
  });
/** Several payments of one sender in one block. */
const pay = (from: Person, to: Address, count: number): SignedTransaction[] =>
  Array.from({ length: count }, (_, more) => {
    const nonce = world.nonceOf(from, more);
    const data = utf8(`invoice ${more}`);
    return world.proposer.pay(from, to, 1n, { nonce, data });
  });

const nested = call('nested', [nobody]);
const failing = call('fails', [], dora);
const lost = call('lost', [nobody], alice);
const made = call('made', [`0x${'01'.repeat(32)}`, nobody], carol);
await world.block(nested, made, failing, lost);
for (const count of [3, 1, 5, 40]) await world.block(...pay(bob, carol.address, count));
await world.block();
await world.block(...pay(carol, bob.address, 2));
const head = Number(world.chain.head.header.height);

type Json = Record<string, unknown>;
type Page = {
  txs: { hash: string; blockNumber: string; transactionIndex: string }[];
  receipts: { transactionHash: string; timestamp: number; logs: unknown[] }[];
  firstPage: boolean;
  lastPage: boolean;
};

describe('what Otterscan looks for first', () => {
  it('is there: the API level, and a header by a number of JSON', async () => {
    assert.equal(await rpc.ask('ots_getApiLevel'), 8);
    const header = (await rpc.ask('erigon_getHeaderByNumber', 1)) as Json;
    const block = (await rpc.ask('eth_getBlockByNumber', '0x1', false)) as Json;
    for (const [name, value] of Object.entries(header)) assert.deepEqual(value, block[name], name);
    assert.equal(Object.keys(header).length, 22);
    assert.deepEqual(await rpc.ask('erigon_getHeaderByNumber', '0x1'), header);
    assert.equal(await rpc.ask('erigon_getHeaderByNumber', 9_999), null);
  });

  it('says whether there is code', async () => {
    const rows: [string, unknown, boolean][] = [
      [at, 'latest', true],
      [at, 0, false],
      [at, '0x1', true],
      [alice.address, 'latest', false],
      [nobody, 'latest', false],
    ];
    for (const [address, block, want] of rows) {
      assert.equal(await rpc.ask('ots_hasCode', address, block), want, `${address} at ${block}`);
    }
  });
});

describe('a block', () => {
  it('has its details, and the fees that were paid', async () => {
    const details = (await rpc.ask('ots_getBlockDetails', 2)) as { block: Json; totalFees: string };
    const whole = (await rpc.ask('eth_getBlockByNumber', '0x2', false)) as Json;
    const { transactions, logsBloom: _, ...rest } = whole;
    const transactionCount = (transactions as string[]).length;
    assert.deepEqual(details.block, { ...rest, logsBloom: null, transactionCount });
    assert.equal(transactionCount, 4);
    const receipts = (await rpc.ask('eth_getBlockReceipts', '0x2')) as Json[];
    const fees = receipts.reduce(
      (sum, { gasUsed, effectiveGasPrice }) =>
        sum + BigInt(String(gasUsed)) * BigInt(String(effectiveGasPrice)),
      0n,
    );
    assert.equal(BigInt(details.totalFees), fees);
    assert.deepEqual(await rpc.ask('ots_getBlockDetailsByHash', whole.hash), details);
    assert.equal(await rpc.ask('ots_getBlockDetails', 9_999), null);
  });

  it('has pages of transactions, the last first, without what is long', async () => {
    const block = world.chain.blockAt(asHeight(5n)) ?? assert.fail();
    const hashes = block.transactions.map(({ hash }) => hash);
    assert.equal(hashes.length, 5);
    const seen: string[][] = [];
    for (const page of [0, 1, 2, 3]) {
      const { fullblock, receipts } = (await rpc.ask('ots_getBlockTransactions', 5, page, 2)) as {
        fullblock: { transactions: { hash: string; input: string }[]; transactionCount: number };
        receipts: { transactionHash: string; logs: null; logsBloom: null; status: string }[];
      };
      assert.equal(fullblock.transactionCount, 5);
      seen.push(fullblock.transactions.map(({ hash }) => hash));
      assert.deepEqual(
        receipts.map(({ transactionHash }) => transactionHash),
        seen.at(-1),
      );
      for (const { logs, logsBloom, status } of receipts) {
        assert.deepEqual([logs, logsBloom, status], [null, null, '0x1']);
      }
      for (const { input } of fullblock.transactions) {
        assert.equal(input, toHex(utf8('invo')), 'four bytes');
      }
    }
    assert.deepEqual(seen, [hashes.slice(3), hashes.slice(1, 3), hashes.slice(0, 1), []]);
  });
});

describe('a transaction', () => {
  it('has its calls with their depths', async () => {
    const entries = (await rpc.ask('ots_traceTransaction', nested.hash)) as Json[];
    assert.deepEqual(
      entries.map(({ type, depth, to, value }) => [type, depth, to, value]),
      [
        ['CALL', 0, at, '0x0'],
        ['CALL', 1, leaf, '0x3'],
        ['CALL', 1, leaf, '0x0'],
        ['STATICCALL', 1, leaf, null],
        ['CALL', 1, nobody, '0x5'],
      ],
    );
    assert.deepEqual(Object.keys(entries[0] ?? {}), [
      ...['type', 'depth', 'from', 'to', 'value', 'input', 'output'],
    ]);
  });

  it('has the coin that moved inside, and contracts that were made', async () => {
    const moved = await rpc.ask('ots_getInternalOperations', nested.hash);
    assert.deepEqual(moved, [
      { type: 0, from: at, to: leaf, value: '0x3' },
      { type: 0, from: at, to: nobody, value: '0x5' },
    ]);
    const operations = (await rpc.ask('ots_getInternalOperations', made.hash)) as Json[];
    const child = operations[0]?.to;
    assert.deepEqual(operations, [
      { type: 3, from: at, to: child, value: '0xb' },
      { type: 1, from: child, to: nobody, value: '0xb' },
    ]);
    assert.deepEqual(await rpc.ask('ots_getInternalOperations', failing.hash), []);
    const poor = call('poor', []);
    await world.block(poor);
    for (const { hash } of [lost, poor]) {
      const nothing = await rpc.ask('ots_getInternalOperations', hash);
      assert.deepEqual(nothing, [], 'what was taken back, or never went, did not move');
    }
  });

  it('has its error, where it failed', async () => {
    assert.equal(await rpc.ask('ots_getTransactionError', nested.hash), '0x');
    assert.match(String(await rpc.ask('ots_getTransactionError', failing.hash)), /^0x08c379a0/);
    const { error } = await rpc.call('ots_getTransactionError', `0x${'00'.repeat(32)}`);
    assert.equal(error?.message, 'transaction not found');
  });
});

describe('an account', () => {
  const page = async (side: 'Before' | 'After', address: string, from: number, size: number) =>
    (await rpc.ask(`ots_searchTransactions${side}`, address, from, size)) as Page;
  /** By the chain itself, the newest first. */
  const all = (address: Address) => {
    const found: string[] = [];
    for (let height = BigInt(head); height > 0n; height--) {
      const { transactions } = world.chain.blockAt(asHeight(height)) ?? assert.fail();
      for (const { hash, sender, to } of [...transactions].reverse()) {
        if (sender === address || to === address) found.push(hash);
      }
    }
    return found;
  };

  it('is walked from the newest to the oldest, whole blocks at a time', async () => {
    const seen: string[] = [];
    const lengths: number[] = [];
    let from = 0;
    for (let pages = 0; ; pages++) {
      assert.ok(pages < 20, 'it ends');
      const { txs, receipts, firstPage, lastPage } = await page('Before', carol.address, from, 2);
      assert.equal(firstPage, from === 0);
      lengths.push(txs.length);
      seen.push(...txs.map(({ hash }) => hash));
      assert.deepEqual(
        receipts.map(({ transactionHash }) => transactionHash),
        txs.map(({ hash }) => hash),
      );
      for (const { timestamp, logs } of receipts) {
        assert.equal(typeof timestamp, 'number');
        assert.ok(Array.isArray(logs));
      }
      from = Number(txs.at(-1)?.blockNumber);
      if (lastPage) break;
    }
    assert.deepEqual(seen, all(carol.address));
    assert.deepEqual(lengths, [2, 40, 5, 4, 1]);
  });

  it('is walked back from the oldest, each page the newest first', async () => {
    const seen: string[] = [];
    let from = 0;
    for (let pages = 0; ; pages++) {
      assert.ok(pages < 20, 'it ends');
      const { txs, firstPage, lastPage } = await page('After', carol.address, from, 2);
      assert.equal(lastPage, from === 0);
      seen.unshift(...txs.map(({ hash }) => hash));
      from = Number(txs[0]?.blockNumber);
      if (firstPage) break;
    }
    assert.deepEqual(seen, all(carol.address));
  });

  it('is found where a contract paid it, and where fees alone came it has nothing', async () => {
    const { txs } = await page('Before', nobody, 0, 25);
    assert.deepEqual(txs.map(({ hash }) => hash).sort(), [nested.hash, made.hash].sort());
    const fees = await page('Before', feeRecipient, 0, 25);
    assert.deepEqual(fees, { txs: [], receipts: [], firstPage: true, lastPage: true });
    const stranger = await page('After', `0x${'99'.repeat(20)}`, 0, 25);
    assert.deepEqual(stranger, { txs: [], receipts: [], firstPage: true, lastPage: true });
  });

  it('has a transaction for each nonce', async () => {
    let asked = 0;
    for (const { address } of [alice, bob, carol, dora]) {
      const count = Number(await rpc.ask('eth_getTransactionCount', address, 'latest'));
      for (let nonce = 0; nonce < count; nonce++) {
        const hash = await rpc.ask('ots_getTransactionBySenderAndNonce', address, nonce);
        const found = (await rpc.ask('eth_getTransactionByHash', hash)) as Json;
        assert.deepEqual([found.from, Number(found.nonce)], [address, nonce]);
        asked++;
      }
      assert.equal(await rpc.ask('ots_getTransactionBySenderAndNonce', address, count), null);
    }
    assert.ok(asked >= 14, `${asked} nonces`);
    assert.equal(await rpc.ask('ots_getTransactionBySenderAndNonce', nobody, 0), null);
    // Its nonce counts what it made, and its coin moved; but it signs nothing, and no block is read.
    const blockAt = rpc.backend.blockAt;
    rpc.backend.blockAt = () => assert.fail('no block is read');
    const none = await rpc.ask('ots_getTransactionBySenderAndNonce', at, 0);
    assert.equal(await rpc.ask('ots_getContractCreator', nobody), null);
    rpc.backend.blockAt = blockAt;
    assert.equal(none, null);
  });

  it('is found by sender and nonce, whoever paid for it', async () => {
    const guest = person(70);
    const { address: to, abi } = feeManager;
    const args = [guest.address, ZERO_ADDRESS, 10n ** 15n, (1n << 40n) - 1n, []];
    const sponsor = { abi: abi as Abi, functionName: 'setSponsorship', args };
    await world.block(world.send(dora, to, encodeFunctionData(sponsor)));
    await world.block(...pay(bob, guest.address, 4));
    const sent: SignedTransaction[] = [];
    for (let nonce = 0; nonce < 3; nonce++) {
      const [one] = pay(guest, nobody, 1);
      assert.ok(one !== undefined);
      await world.block(one);
      sent.push(one);
    }
    for (const { nonce, hash } of sent) {
      const asked = [guest.address, Number(nonce)];
      assert.equal(await rpc.ask('ots_getTransactionBySenderAndNonce', ...asked), hash);
    }
  });

  it('that is a contract has a creator, where a transaction created it', async () => {
    const [deployment] = world.chain.blockAt(asHeight(1n))?.transactions ?? assert.fail();
    assert.deepEqual(await rpc.ask('ots_getContractCreator', at), {
      hash: deployment?.hash,
      creator: alice.address,
    });
    assert.equal(await rpc.ask('ots_getContractCreator', nobody), null);
    assert.equal(await rpc.ask('ots_getContractCreator', alice.address), null);
  });

  it('that is a contract has a creator, where another contract made it', async () => {
    const { hash } = world.chain.blockAt(asHeight(1n))?.transactions[0] ?? assert.fail();
    const want = { hash, creator: at };
    assert.deepEqual(await rpc.ask('ots_getContractCreator', leaf), want);
    const stateAt = rpc.backend.stateAt;
    // Its block is outside of what is kept: nobody knows.
    rpc.backend.stateAt = (height) => (height < 2n ? null : stateAt(height));
    assert.equal(await rpc.ask('ots_getContractCreator', leaf), null);
    rpc.backend.stateAt = (height) => (height < 1n ? null : stateAt(height));
    assert.equal(await rpc.ask('ots_getContractCreator', leaf), null);
    rpc.backend.stateAt = stateAt;
    assert.deepEqual(await rpc.ask('ots_getContractCreator', leaf), want);
  });

  it('is looked through only so far', async () => {
    const busy = await openChain(world.chain, { searchEntriesMax: 3 });
    const found = (await busy.ask('ots_searchTransactionsBefore', carol.address, 0, 25)) as Page;
    assert.ok(found.txs.length > 0 && found.txs.length < all(carol.address).length);
    assert.equal(found.lastPage, false);
    const { error } = await busy.call('ots_searchTransactionsBefore', feeRecipient, 0, 25);
    assert.equal(error?.code, -32003);
    assert.match(error?.message ?? '', /^more than 3 entries/);
    const hasty = await openChain(world.chain, { searchMs: 0 });
    for (const asked of [
      ['Before', 0],
      ['After', 1],
    ]) {
      const name = `ots_searchTransactions${asked[0]}`;
      const late = await hasty.call(name, carol.address, asked[1], 25);
      assert.deepEqual(
        [late.error?.code, late.error?.message],
        [-32005, 'the search takes too long: ask for less'],
      );
    }
    const few = await openChain(world.chain, { searchBlocksMax: 1 });
    const sent = await few.call('ots_getTransactionBySenderAndNonce', bob.address, 0);
    assert.match(sent.error?.message ?? '', /^more than 1 blocks/);
    const many = await rpc.call('ots_searchTransactionsBefore', carol.address, 0, 101);
    assert.equal(many.error?.code, -32602);
  });
});
