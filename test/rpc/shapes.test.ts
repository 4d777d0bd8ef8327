import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatTransaction,
  keccak256,
  type RpcTransaction,
  type Signature,
  serializeTransaction,
  type TransactionSerializable,
} from 'viem';
import type { Hash } from '#src/types/hash.ts';
import { testWithVectors } from '../types/vectors.ts';
import { contract, loud } from './fakeBackend.ts';
import { addressOf, keyOf, openWorld, payee, payment, rawOf } from './harness.ts';
import { specificationJudge, specificationRows } from './specification.ts';

const world = await openWorld();
const { backend } = world;
const memo = new TextEncoder().encode('thanks');
const key = `0x${'01'.repeat(32)}` as Hash;
const accessList = [{ address: payee, storageKeys: [key] }];
const mined = [
  payment({ type: 0, data: memo }),
  payment({ type: 1, nonce: 1n, accessList }),
  payment({ nonce: 2n, to: loud, accessList }),
  payment({ nonce: 3n, to: loud }),
];
for (const transaction of mined) await backend.submit(transaction.raw);
const block = backend.mine();
backend.mine();
await backend.submit(payment({ nonce: 4n }).raw);
await backend.submit(payment({ nonce: 7n }).raw);
await backend.submit(payment({ type: 0 }, keyOf(1)).raw);

const sender = addressOf(0);
const [legacy, listed, logged] = mined.map(({ hash }) => hash) as [Hash, Hash, Hash];
const rows = specificationRows({
  ...{ sender, payee, contract, loud, legacy, listed, logged },
  ...{ blockHash: block.hash, blockNumber: '0x1', raw: rawOf(payment({ nonce: 5n })) },
});

const answers = await Promise.all(rows.map((row) => world.ask(...row)));

testWithVectors("answers have the shapes of Ethereum's execution-apis", 'execution-apis', () => {
  const judge = specificationJudge();
  for (const [index, row] of rows.entries()) {
    assert.equal(judge(row[0], answers[index]), null, JSON.stringify(row));
  }
});

type Fields = Record<string, unknown>;
type Shown = Fields & { transactions: Fields[] };

test('a block says what its bytes say', async () => {
  const shown = (await world.ask('eth_getBlockByNumber', '0x1', true)) as Shown;
  assert.equal(shown.hash, block.hash);
  assert.equal(shown.totalDifficulty, undefined);
  assert.deepEqual(shown.uncles, []);
  assert.deepEqual(shown.withdrawals, []);
  assert.equal(shown.mixHash, block.header.prevRandao);
  assert.equal(shown.requestsHash, REQUESTS);
  assert.equal(shown.sha3Uncles, UNCLES);
  assert.equal(shown.timestamp, `0x${(1_790_000_000).toString(16)}`);
  const [first, second, third] = shown.transactions;
  assert.equal(first?.yParity, undefined);
  assert.equal(first?.accessList, undefined);
  assert.deepEqual(second?.accessList, accessList);
  assert.equal(third?.gasPrice, `0x${(1_000_001_000).toString(16)}`, 'the effective price');
  for (const transaction of shown.transactions) {
    assert.equal(transaction.blockTimestamp, shown.timestamp);
    assert.equal(transaction.chainId, '0x1092');
  }
});

test('a transaction can be put together again, to its hash', async () => {
  for (const transaction of mined) {
    const shown = (await world.ask('eth_getTransactionByHash', transaction.hash)) as Fields;
    const parts = formatTransaction(shown as unknown as RpcTransaction);
    const { v, yParity, r, s, ...rest } = parts;
    const fields = rest as unknown as TransactionSerializable;
    const signed = serializeTransaction(
      { ...fields, data: parts.input, gas: parts.gas } as TransactionSerializable,
      { r, s, v, ...(yParity === undefined ? {} : { yParity }) } as Signature,
    );
    assert.equal(signed, rawOf(transaction), `type ${transaction.type}`);
    assert.equal(keccak256(signed), transaction.hash);
  }
});

test('receipts add up, and logs are numbered through the block', async () => {
  const receipts = (await world.ask('eth_getBlockReceipts', '0x1')) as Fields[];
  let sum = 0n;
  for (const receipt of receipts) {
    sum += BigInt(receipt.gasUsed as string);
    assert.equal(BigInt(receipt.cumulativeGasUsed as string), sum);
    assert.equal('blockTimestamp' in receipt, false);
    assert.deepEqual(
      receipt,
      await world.ask('eth_getTransactionReceipt', receipt.transactionHash),
    );
  }
  const logs = (await world.ask('eth_getLogs', { fromBlock: '0x0' })) as Fields[];
  assert.deepEqual(
    logs.map(({ logIndex, removed, transactionIndex }) => [logIndex, removed, transactionIndex]),
    [
      ['0x0', false, '0x2'],
      ['0x1', false, '0x3'],
    ],
  );
  assert.deepEqual(
    receipts.flatMap((receipt) => receipt.logs),
    logs,
  );
});

test('the pending block is a block with a number, of the pool', async () => {
  const pending = (await world.ask('eth_getBlockByNumber', 'pending', true)) as Shown;
  assert.equal(pending.number, '0x3');
  assert.equal(pending.parentHash, backend.head.hash);
  assert.ok(pending.transactions.length >= 2);
  assert.equal(pending.transactions[0]?.blockHash, null);
  const count = await world.ask('eth_getBlockTransactionCountByNumber', 'pending');
  assert.equal(count, `0x${pending.transactions.length.toString(16)}`);
});

test("the block's size is that of Ethereum's encoding", async () => {
  const { createBlockFromRPC } = await import('@ethereumjs/block');
  const { createCustomCommon, Hardfork, Mainnet } = await import('@ethereumjs/common');
  const chain = createCustomCommon({ chainId: 4242 }, Mainnet, { hardfork: Hardfork.Osaka });
  const shown = await world.ask('eth_getBlockByNumber', '0x1', true);
  const theirs = createBlockFromRPC(shown as Parameters<typeof createBlockFromRPC>[0], [], {
    common: chain,
    skipConsensusFormatValidation: true,
  });
  assert.equal(`0x${Buffer.from(theirs.hash()).toString('hex')}`, block.hash);
  assert.equal((shown as Fields).size, `0x${theirs.serialize().length.toString(16)}`);
});

test('uncles are none, and asking for them is checked', async () => {
  assert.equal(await world.ask('eth_getUncleCountByBlockNumber', 'latest'), '0x0');
  assert.equal(await world.ask('eth_getUncleCountByBlockHash', block.hash), '0x0');
  assert.equal(await world.ask('eth_getUncleByBlockNumberAndIndex', 'latest', '0x0'), null);
  assert.equal(await world.ask('eth_getUncleByBlockHashAndIndex', block.hash, '0x0'), null);
  assert.equal((await world.call('eth_getUncleCountByBlockHash', '0x1')).error?.code, -32602);
});

test('state is kept for a while only, and says so', async () => {
  for (let blocks = 0; blocks < 5; blocks++) backend.mine();
  const { error } = await world.call('eth_getBalance', sender, '0x1');
  assert.equal(error?.code, -32000);
  assert.match(error?.message ?? '', /state of block 0x1 is pruned/);
  assert.equal(await world.ask('eth_getBalance', payee), '0x19');
});

const UNCLES = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';
const REQUESTS = '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
