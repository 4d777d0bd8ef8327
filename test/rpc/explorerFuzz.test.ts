/** Traces and searches with parameters that are nearly right, on a chain whose blocks are real. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '#src/lib/bytes.ts';
import { people } from '../chain/network.ts';
import { World } from '../ledger/evm/world.ts';
import type { Person } from '../ledger/samples.ts';
import { compile } from '../solidity.ts';
import { type Answer, openAccess, unlimitedAccess } from './harness.ts';
import { openChain } from './realChain.ts';

const [alice, bob] = people as [Person, Person];
const chain = await World.create();
const contract = await chain.deploy(alice, compile('test/rpc/Tracee.sol', 'Tracee'), 100n);
const paid = chain.proposer.pay(bob, alice.address, 1n);
await chain.block(paid);
const access = openAccess({ debug: true });
const world = await openChain(
  chain.chain,
  { viewGasMax: 200_000n },
  { ...unlimitedAccess(), access },
);

const methods = [
  ...['debug_traceTransaction', 'debug_traceCall', 'debug_traceBlockByNumber'],
  ...['debug_traceBlockByHash', 'erigon_getHeaderByNumber', 'ots_getApiLevel', 'ots_hasCode'],
  ...['ots_getInternalOperations', 'ots_getTransactionError', 'ots_traceTransaction'],
  ...['ots_getBlockDetails', 'ots_getBlockDetailsByHash', 'ots_getBlockTransactions'],
  ...['ots_searchTransactionsBefore', 'ots_searchTransactionsAfter'],
  ...['ots_getTransactionBySenderAndNonce', 'ots_getContractCreator'],
];
const config = fc.record(
  {
    tracer: fc.constantFrom<unknown>('callTracer', 'prestateTracer', '', 7, null),
    tracerConfig: fc.record(
      {
        onlyTopCall: fc.constantFrom<unknown>(true, false, 1),
        withLog: fc.constantFrom(true, 'x'),
      },
      { requiredKeys: [] },
    ),
    timeout: fc.constantFrom<unknown>(
      '5s',
      '1m30s',
      '0s',
      '-1s',
      '1e9s',
      's',
      5,
      `${'9'.repeat(40)}h`,
    ),
    stateOverrides: fc.constantFrom<unknown>({}, { [contract]: { code: '0xfe' } }, [], 'x'),
    blockOverrides: fc.constantFrom<unknown>({}, { number: '0x5' }, { time: 7 }),
  },
  { requiredKeys: [] },
);
const near = fc.oneof(
  fc.constantFrom<unknown>(
    'latest',
    'pending',
    'earliest',
    '0x0',
    '0x1',
    '0x2',
    0,
    1,
    2,
    9,
    -1,
    0.5,
  ),
  fc.constantFrom(paid.hash, chain.chain.head.hash, contract, alice.address, bob.address, null),
  fc.constantFrom({ to: contract }, { to: contract, data: '0x12345678' }, { data: '0x60006000fd' }),
  fc.constantFrom(
    { from: bob.address, to: alice.address, value: '0x1' },
    { to: bob.address, gas: 1 },
  ),
  config,
  fc.uint8Array({ maxLength: 40 }).map(toHex),
  fc.maxSafeNat(),
  fc.jsonValue({ maxDepth: 2 }),
);
const known = new Set([3, -32000, -32001, -32003, -32005, -32602]);

test('traces and searches answer, or say what is wrong with the question', async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...methods),
    fc.array(near, { maxLength: 4 }),
    async (method, params) => {
      const { error }: Answer = await world.call(method, ...params);
      if (error !== undefined) assert.ok(known.has(error.code), JSON.stringify(error));
    },
  );
  await fc.assert(property, { numRuns: 1_500 });
  assert.equal(await world.ask('ots_getApiLevel'), 8);
});
