import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { floorGas, intrinsicGas, standardGas, workGas } from '#src/ledger/gas.ts';
import { Lanes } from '#src/ledger/lanes.ts';
import { FEE_MANAGER } from '#src/ledger/payments/addresses.ts';
import { gasLimitFor } from '#src/ledger/rules.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import { contractBytesGasMax } from '#src/types/limits.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asGas } from '#src/types/units.ts';
import { blank, payment, person } from './samples.ts';

const rules = {
  chainId: blank.chainId,
  baseFeePerGas: blank.maxFeePerGas,
  paymentLaneGasLimit: asGas(1_000_000n),
  evmLaneGasLimit: asGas(300_000n),
  paymentLaneBytesMax: 1_000_000,
};
const alice = person(0);
const creation = { to: null, gasLimit: asGas(53_000n) };
const data = new Uint8Array(300).fill(1);

describe('the budgets of a block', () => {
  it('count apart what contracts do and what they pay for bytes', () => {
    const lanes = new Lanes(rules);
    const deploy = payment(alice, { ...creation, gasLimit: asGas(5_000_000n) });
    for (let at = 0; at < 10; at++) {
      assert.ok(lanes.take(deploy), `${at}`);
      lanes.settle({ gasUsed: asGas(5_000_000n), codeGas: 0n });
    }
    // 331,648 are left for bytes, and everything for code.
    assert.equal(lanes.take(deploy), false);
    const call = payment(alice, { data, gasLimit: asGas(200_000n) });
    assert.ok(lanes.take(call));
    lanes.settle({ gasUsed: asGas(180_000n), codeGas: 150_000n });
    assert.equal(lanes.take(call), false, '150,000 are left for code');
    assert.ok(lanes.take(payment(alice, { gasLimit: asGas(1_000_000n) })));
  });

  it('leave no room for creations that do nothing without end', () => {
    const lanes = new Lanes(rules);
    const nothing = payment(alice, creation);
    let count = 0n;
    for (; lanes.take(nothing); count++) lanes.settle({ gasUsed: asGas(53_000n), codeGas: 0n });
    assert.equal(count, contractBytesGasMax / 53_000n);
    assert.ok(lanes.isFull('evm') === contractBytesGasMax % 53_000n < 21_000n);
    assert.ok(lanes.take(payment(alice, {})), 'payments have theirs');
  });

  it('are asked first by what may run code: nobody waits for what no block has room for', () => {
    const listOf = (length: number) =>
      Array.from({ length }, () => ({ address: alice.address, storageKeys: [] }));
    const asks = (fields: Partial<TransactionFields>) => {
      const gasLimit = asGas(900_000n);
      return gasLimitFor(payment(alice, { gasLimit, ...fields }), rules) >= gasLimit;
    };
    assert.ok(asks({ accessList: listOf(125) }));
    assert.equal(asks({ accessList: listOf(126) }), false, 'there may be code where it goes');
    assert.ok(asks({ accessList: listOf(126), to: FEE_MANAGER }), 'there is none');
  });

  it('are never overdrawn, whatever transactions ask for and use', () => {
    const random = new SeededRandom(7);
    const number = (max: number) => BigInt(random.below(max));
    for (let round = 0; round < 200; round++) {
      const lanes = new Lanes(rules);
      const spent = { payment: 0n, code: 0n, codeBytes: 0n };
      for (let at = 0; at < 30; at++) {
        const isCreation = random.below(3) === 0;
        const to = isCreation ? null : (`0x${'77'.repeat(20)}` as Address);
        const accessList = Array.from({ length: random.below(4) }, () => ({
          address: alice.address,
          storageKeys: [],
        }));
        const fields = { to, accessList, data: new Uint8Array(random.below(3_000)).fill(1) };
        const least = intrinsicGas({ ...blank, ...fields });
        const gasLimit = asGas(least + number(2_000_000));
        const transaction = payment(alice, { ...fields, gasLimit });
        if (!lanes.take(transaction)) continue;
        const isPayment = to !== null && fields.data.length <= 256;
        const work = workGas(transaction);
        const own = standardGas(transaction);
        const most = gasLimit - own;
        const code = number(Number(most < 300_000n - work ? most : 300_000n - work) + 1);
        const left = to === null ? number(Number(most - code) + 1) : 0n;
        const floor = floorGas(fields.data);
        const used = own + code + left;
        const gasUsed = asGas(used > floor ? used : floor);
        lanes.settle({ gasUsed, codeGas: work + code });
        if (isPayment) spent.payment += gasUsed;
        else {
          spent.code += work + code;
          spent.codeBytes += gasUsed > work + code ? gasUsed - work - code : 0n;
        }
      }
      assert.ok(spent.payment <= rules.paymentLaneGasLimit);
      assert.ok(spent.code <= rules.evmLaneGasLimit, `${round}`);
      assert.ok(spent.codeBytes <= contractBytesGasMax);
    }
  });
});
