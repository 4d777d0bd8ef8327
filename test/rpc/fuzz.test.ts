import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Answer, addressOf, openWorld, payee, payment, rawOf } from './harness.ts';

/** Every method with parameters that are nearly right: the code says so, and nothing breaks. */
const methods = [
  ...['web3_clientVersion', 'web3_sha3', 'net_version', 'net_listening', 'net_peerCount'],
  ...['rpc_modules', 'eth_chainId', 'eth_syncing', 'eth_blockNumber', 'eth_gasPrice'],
  ...['eth_maxPriorityFeePerGas', 'eth_feeHistory', 'eth_accounts', 'eth_getBalance'],
  ...['eth_getTransactionCount', 'eth_getCode', 'eth_getStorageAt', 'eth_call', 'eth_estimateGas'],
  ...['eth_sendRawTransaction', 'eth_getTransactionByHash', 'eth_getTransactionReceipt'],
  ...['eth_getTransactionByBlockHashAndIndex', 'eth_getTransactionByBlockNumberAndIndex'],
  ...['eth_getBlockReceipts', 'eth_getBlockByNumber', 'eth_getBlockByHash', 'eth_getLogs'],
  ...['eth_getBlockTransactionCountByHash', 'eth_getBlockTransactionCountByNumber'],
  ...['eth_getUncleCountByBlockNumber', 'eth_getUncleByBlockHashAndIndex', 'eth_newFilter'],
  ...['eth_newBlockFilter', 'eth_newPendingTransactionFilter', 'eth_getFilterChanges'],
  ...['eth_getFilterLogs', 'eth_uninstallFilter', 'txpool_status', 'txpool_content'],
  ...['txpool_contentFrom', 'mpbp_getAccountHistory', 'mpbp_getFinalityCertificate'],
  ...['mpbp_getValidators', 'mpbp_nodeStatus', 'mpbp_getPoolTransaction'],
  ...['mpbp_getFinalityProof', 'mpbp_getEvidence', 'mpbp_getOrder', 'mpbp_simulateOrder'],
];
const world = await openWorld({ filtersMax: 20 });
const transaction = payment();
await world.backend.submit(transaction.raw);
const { hash } = world.backend.mine();

const near = fc.oneof(
  fc.constantFrom<unknown>('latest', 'pending', 'earliest', '0x0', '0x1', '0x2', 0, 1, true, null),
  fc.constantFrom(hash, transaction.hash, payee, addressOf(0), rawOf(transaction), '0x', [], {}),
  fc.constantFrom({ blockHash: hash }, { blockNumber: '0x1' }, [10, 50], ['0x1'], { to: payee }),
  fc.bigInt({ min: 0n, max: 1n << 70n }).map((value) => `0x${value.toString(16)}`),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`),
  fc.record(
    {
      ...{ fromBlock: fc.constantFrom('0x0', 'latest', '0x9', 7), address: fc.jsonValue() },
      ...{ topics: fc.jsonValue(), to: fc.constantFrom(payee, '0x1', null), data: fc.string() },
      ...{ value: fc.jsonValue(), gas: fc.constantFrom('0x5208', '0x0', 1), from: fc.jsonValue() },
    },
    { requiredKeys: [] },
  ),
  fc.jsonValue({ maxDepth: 3 }),
);
const anyCall = fc.record({
  jsonrpc: fc.constant('2.0'),
  id: fc.nat(),
  method: fc.constantFrom(...methods),
  params: fc.array(near, { maxLength: 4 }),
});
const known = new Set([-32000, -32001, -32600, -32602, -32005]);

test('20,000 calls with parameters nearly right get a result or a code', async () => {
  const batches = fc.array(anyCall, { minLength: 100, maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(batches, async (calls) => {
      const response = await world.post(JSON.stringify(calls));
      assert.equal(response.status, 200);
      const answers = (await response.json()) as Answer[] | Answer;
      // A value too deep or too wide refuses the whole body.
      if (!Array.isArray(answers)) return assert.ok(known.has(answers.error?.code ?? 0));
      assert.equal(answers.length, calls.length);
      for (const [index, { id, error, result }] of answers.entries()) {
        const shown = JSON.stringify([calls[index], error]);
        assert.equal(id, calls[index]?.id, shown);
        if (error === undefined) assert.notEqual(result, undefined, shown);
        else assert.ok(known.has(error.code), shown);
      }
    }),
    { numRuns: 200, seed: 20_26, endOnFailure: true },
  );
});

test('5,000 bodies of any bytes: an answer, always', async () => {
  const good = '{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x00","latest"]}';
  const damaged = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
    .map((edits) => {
      const bytes = Buffer.from(good);
      for (const [at, byte] of edits) bytes[at] = byte;
      return bytes;
    });
  const body = fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged, fc.json().map(Buffer.from));
  await fc.assert(
    fc.asyncProperty(body, async (bytes) => {
      const response = await world.post(bytes);
      if (response.status === 204) return;
      assert.equal(response.status, 200);
      const answer = (await response.json()) as Answer | Answer[];
      for (const { jsonrpc, error } of [answer].flat()) {
        assert.equal(jsonrpc, '2.0');
        assert.notEqual(error?.code, -32603);
      }
    }),
    { numRuns: 5_000, seed: 20_27, endOnFailure: true },
  );
});
