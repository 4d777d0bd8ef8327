/**
 * Ethereum's official state tests through our decoder, state, transfers and receipts: the state's
 * root and the logs after each. What differs on purpose, or by a fork that is younger than the test,
 * is named with its reason and counted: neither more nor less may differ.
 */
import assert from 'node:assert/strict';
import { precompilePrices } from '#src/ledger/evm/precompilePrices.ts';
import { floorGas, standardGas } from '#src/ledger/gas.ts';
import type { Address } from '#src/types/address.ts';
import { listVectors, readVectors, testWithVectors } from '../../types/vectors.ts';
import { type Expected, fieldsOf, type Result, runStateTest, type StateTest } from './stateTest.ts';

// Ethereum's own prices: what costs more here would show in every test of it.
for (const address of precompilePrices.keys()) {
  (precompilePrices as Map<Address, bigint>).set(address, 1n);
}

type Case = { file: string; fork: string; test: StateTest; expected: Expected };
type Reason = { why: string; of(one: Case, result: Result | null): boolean };

const P256_VERIFY = `0x${'0'.repeat(37)}100`;

const reasons: readonly Reason[] = [
  { why: 'type 3: no blobs', of: ({ test }) => test.transaction.maxFeePerBlobGas !== undefined },
  {
    why: 'a value over 256 bits cannot be signed',
    of: ({ test: { transaction } }) => transaction.value.some((text) => /^0x:bigint/.test(text)),
  },
  {
    why: 'at most 64 authorizations',
    of: ({ test }) => (test.transaction.authorizationList?.length ?? 0) > 64,
  },
  {
    why: 'EIP-8246: no coin is burned',
    of: ({ file }) => file.endsWith('CREATE_ContractSuicideDuringInit_WithValueToItself.json'),
  },
  {
    why: 'EIP-7883 (Osaka): modexp costs more',
    of: ({ file }, result) =>
      result !== null && file.endsWith('RevertPrecompiledTouchExactOOG_Paris.json'),
  },
  {
    why: 'EIP-7951 (Osaka): a precompile stands where the test has a contract',
    of: ({ fork, test }, result) =>
      fork === 'Cancun' && result !== null && test.pre[P256_VERIFY] !== undefined,
  },
  {
    why: 'EIP-7623 (Prague): data costs more',
    of: ({ fork, test, expected }, result) => {
      if (fork !== 'Cancun' || result === null) return false;
      const fields = fieldsOf(test.transaction, expected);
      const floor = floorGas(fields.data);
      if (result.t === 'ran') return result.gasUsed === floor;
      const isShort = result.code === 'INTRINSIC_GAS_TOO_LOW' && fields.gasLimit < floor;
      return isShort && fields.gasLimit >= standardGas(fields);
    },
  },
];

async function differs(folder: string, fork: string) {
  let passed = 0;
  const excepted = new Map<string, number>();
  const failed: string[] = [];
  for (const file of listVectors(folder)) {
    for (const [name, test] of Object.entries(readVectors<Record<string, StateTest>>(file))) {
      for (const [index, expected] of (test.post[fork] ?? []).entries()) {
        const one = { file, fork, test, expected };
        const early = reasons.find(({ of }) => of(one, null));
        const result = early === undefined ? await runStateTest(test, expected) : null;
        if (result !== null && isRight(expected, result)) {
          passed++;
          continue;
        }
        const why = (early ?? reasons.find(({ of }) => of(one, result)))?.why;
        if (why === undefined)
          failed.push(`${file} ${name} ${index}: ${JSON.stringify(result, spell)}`);
        else excepted.set(why, (excepted.get(why) ?? 0) + 1);
      }
    }
  }
  assert.deepEqual(failed, []);
  return { passed, excepted: Object.fromEntries(excepted) };
}

function isRight(expected: Expected, result: Result): boolean {
  if (result.root !== expected.hash) return false;
  if (result.t === 'refused') return expected.expectException !== undefined;
  return expected.expectException === undefined && result.logs === expected.logs;
}

function spell(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value;
}

testWithVectors('the general state tests of Cancun', 'GeneralStateTests', async () => {
  const { passed, excepted } = await differs('GeneralStateTests', 'Cancun');
  assert.equal(passed, 2_791);
  assert.deepEqual(excepted, {
    'EIP-7623 (Prague): data costs more': 16,
    'EIP-7883 (Osaka): modexp costs more': 8,
    'EIP-7951 (Osaka): a precompile stands where the test has a contract': 5,
    'EIP-8246: no coin is burned': 1,
    'a value over 256 bits cannot be signed': 1,
  });
});

testWithVectors('the state tests of Osaka', 'osaka', async () => {
  const { passed, excepted } = await differs('osaka', 'Osaka');
  assert.equal(passed, 1_073);
  assert.deepEqual(excepted, { 'type 3: no blobs': 12, 'at most 64 authorizations': 3 });
});
