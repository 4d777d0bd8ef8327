import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runInEvm } from '#src/ledger/evm/machine.ts';
import { PAYOUTS } from '#src/ledger/payments/addresses.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { bytesToUint, EMPTY_BYTES, fromHex } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight, asWei } from '#src/types/units.ts';

const sender = `0x${'aa'.repeat(20)}` as Address;
const caller = `0x${'bb'.repeat(20)}` as Address;
const called = `0x${'cc'.repeat(20)}` as Address;
const block = {
  ...{ chainId: 6727n, coinbase: sender, prevRandao: `0x${'00'.repeat(32)}` as Hash },
  ...{ baseFeePerGas: 1n, gasLimit: 1_000_000n, height: asHeight(3n), blockHash: () => null },
  timestampMs: 1_790_000_000_000,
};

/** What `called` gives back to a message of its own, and how long it took in ms of CPU. */
async function run(codes: ReadonlyMap<Address, string>, to: Address, gas: bigint) {
  const state = new Overlay(emptyState);
  for (const [address, hex] of codes) {
    const codeHash = state.setCode(fromHex(`0x${hex}`) ?? assert.fail('hex'));
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce: 1n, codeHash });
  }
  state.setAccount(sender, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(10n ** 18n) });
  const before = process.cpuUsage();
  const message = { sender, to, value: 0n, data: EMPTY_BYTES, gas, gasPrice: 1n };
  const outcome = await runInEvm(state, block, { ...message, accessList: [], warm: [] });
  const { user, system } = process.cpuUsage(before);
  return { outcome, ms: (user + system) / 1_000 };
}

describe('what code costs that is called again and again', () => {
  it('24 KiB of constants behind a jump are not read for the 100 gas of a call', async () => {
    const jump = '600356';
    const codes = (rest: string) =>
      new Map([
        [caller, `5b${`5f5f5f5f5f73${'cc'.repeat(20)}61fffff150`.repeat(4)}5f56`],
        [called, `${jump}5b00${rest}`],
      ]);
    const fastest = async (rest: string) => {
      const times: number[] = [];
      for (let round = 0; round < 3; round++) {
        const { outcome, ms } = await run(codes(rest), caller, 200_000n);
        assert.equal(outcome.reason, 'out of gas');
        times.push(ms);
      }
      return Math.min(...times);
    };
    await fastest('');
    const [short, long] = [await fastest(''), await fastest('60'.repeat(24_000))];
    // It was thirty times as long.
    assert.ok(long < 5 * short, `${long} ms for long code, ${short} for short`);
  });

  it('constants are the same before and behind a jump, and beyond the code', async () => {
    for (let length = 1; length <= 32; length++) {
      const bytes = Array.from({ length }, (_, at) => (0x5b + 7 * at) % 256);
      const hex = Buffer.from(bytes).toString('hex');
      const push = `${(0x5f + length).toString(16)}${hex}`;
      // The word comes back after a jump to the beginning, where it is pushed once more.
      const end = (length + 15).toString(16).padStart(2, '0');
      const code = `5b${push}5f525f5c60${end}5760015f5d5f565b60205ff3`;
      const { outcome } = await run(new Map([[called, code]]), called, 100_000n);
      assert.equal(outcome.reason, '');
      assert.equal(bytesToUint(outcome.output), BigInt(`0x${hex}`), `PUSH${length}`);
    }
    // PUSH32 at the end, of which one byte is there: the code ends, and nothing went wrong.
    const cut = await run(new Map([[called, '6003565b7f01']]), called, 100_000n);
    assert.equal(cut.outcome.ended, 'well');
  });

  it('a native contract is handed nothing for nothing, also what it refuses', async () => {
    const used = async (length: string) => {
      // The memory is paid for before, whatever of it is handed over.
      const code = `5f612000535f5f61${length}5f5f73${PAYOUTS.slice(2)}61fffff100`;
      const { outcome } = await run(new Map([[called, code]]), called, 100_000n);
      assert.equal(outcome.ended, 'well');
      return outcome.gasUsed;
    };
    const nothing = await used('0000');
    assert.equal((await used('0020')) - nothing, 60n);
    assert.equal((await used('0c81')) - nothing, 101n * 60n);
  });
});
