import assert from 'node:assert/strict';
import { intrinsicGas } from '#src/ledger/gas.ts';
import { decodeEnvelope } from '#src/types/decodeTransaction.ts';
import { bytes, listVectors, readVectors, testWithVectors } from '../types/vectors.ts';

type Vector = {
  txbytes: string;
  result?: Record<string, { exception?: string; intrinsicGas: string }>;
};

testWithVectors('intrinsic gas is that of TransactionTests', 'TransactionTests', () => {
  let seen = 0;
  for (const path of listVectors('TransactionTests')) {
    for (const [name, vector] of Object.entries(readVectors<Record<string, Vector>>(path))) {
      const want = vector.result?.Cancun;
      if (want === undefined || want.exception !== undefined) continue;
      const decoded = decodeEnvelope(bytes(vector.txbytes), { chainId: 1n });
      // Without replay protection it is not one of ours; the gas of the others is Ethereum's.
      if (!decoded.ok) continue;
      const { data } = decoded.value;
      const zeros = data.filter((byte) => byte === 0).length;
      // The vectors are Cancun's: EIP-7623 set a floor after them.
      const floor = 21_000n + 10n * BigInt(zeros + 4 * (data.length - zeros));
      const cancun = BigInt(want.intrinsicGas);
      assert.equal(intrinsicGas(decoded.value), cancun > floor ? cancun : floor, name);
      seen++;
    }
  }
  assert.ok(seen >= 17, `${seen} vectors`);
});
