/**
 * `npm run bench:evm`: how long a million gas of contract code takes, for plain opcodes and for each
 * precompile, by the slowest input that is known. The slowest of them decides how much gas the
 * contracts of a block may use: its time has to stay below a quarter of a view's
 * (design/ledger.md). Each row calls itself until its gas is used up, which ends it.
 */
import { type EvmOutcome, runInEvm } from '#src/ledger/evm/machine.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { defaultTimers } from '#src/types/genesis.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import { hexBytes, precompileInputs } from './precompileInputs.ts';

const gas = 2_000_000n;
const rounds = 5;
const sender = `0x${'aa'.repeat(20)}` as Address;
const target = `0x${'bb'.repeat(20)}` as Address;

const block = {
  chainId: 6727n,
  coinbase: sender,
  prevRandao: `0x${'00'.repeat(32)}` as Hash,
  baseFeePerGas: 1n,
  gasLimit: gas,
  blockHash: () => `0x${'11'.repeat(32)}` as Hash,
  height: asHeight(300n),
  timestampMs: 1_790_000_000_000,
};

/** The fastest of some runs, in seconds of CPU for a million gas. */
async function measure(code: Uint8Array, data: Uint8Array): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const state = new Overlay(emptyState);
    const codeHash = state.setCode(code);
    state.setAccount(target, { ...EMPTY_ACCOUNT, nonce: 1n, codeHash });
    state.setAccount(sender, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(10n ** 18n) });
    const message = { sender, to: target, value: 0n, data, gas, gasPrice: 1n };
    const before = process.cpuUsage();
    const outcome: EvmOutcome = await runInEvm(state, block, {
      ...{ ...message, accessList: [], warm: [] },
    });
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, user + system);
    assert(outcome.reason === 'out of gas', `it used its gas: ${outcome.reason}`);
  }
  return best / Number(gas);
}

/** JUMPDEST, the body, and back to the start. */
function loop(body: string, prelude = ''): Uint8Array {
  const start = prelude.length / 2;
  const to = start.toString(16).padStart(4, '0');
  return hexBytes(`${prelude}5b${body}61${to}56`);
}

/** The call data goes to memory once, then to the precompile again and again. */
function callLoop(address: bigint, outputBytes: number): Uint8Array {
  const to = address.toString(16).padStart(4, '0');
  const out = outputBytes.toString(16).padStart(4, '0');
  // The output comes behind the input, so that the input stays.
  return loop(`61${out}61a000365f61${to}5afa50`, '365f5f37');
}

const word = `7f${'f7'.repeat(32)}`;
const plain: readonly [string, Uint8Array][] = [
  ['JUMP alone', loop('')],
  [
    'ADD',
    loop('6001600201506001600201506001600201506001600201506001600201506001600201'.concat('50')),
  ],
  ['MUL of words', loop(`${word}${word}0250`.repeat(20))],
  ['DIV of words', loop(`61ffff${word}0450`.repeat(20))],
  ['SDIV of words', loop(`61ffff${word}0550`.repeat(20))],
  ['MOD of words', loop(`7f${'35'.repeat(32)}${word}0650`.repeat(20))],
  ['MULMOD of words', loop(`7f${'35'.repeat(32)}${word}${word}0950`.repeat(20))],
  ['ADDMOD of words', loop(`7f${'35'.repeat(32)}${word}${word}0850`.repeat(20))],
  ['EXP by words', loop(`${word}60030a50`.repeat(4) + `${word}${word}0a50`.repeat(4))],
  ['SIGNEXTEND, SAR, BYTE', loop(`${word}60050b${word}60031d1a50`.repeat(10))],
  ['PUSH32 and POP', loop(`${word}50`.repeat(40))],
  ['DUP and SWAP', loop('819080905050'.repeat(20), '60016002')],
  ['MSTORE, MLOAD', loop(`${word}5f525f5150`.repeat(20))],
  ['MCOPY of 32 KiB', loop('6180005f6180005e'.repeat(10))],
  ['CALLDATACOPY of 32 KiB', loop('6180005f5f37'.repeat(10))],
  ['KECCAK256 of a word', loop('60205f2050'.repeat(20))],
  ['KECCAK256 of 32 KiB', loop('6180005f2050'.repeat(4))],
  ['LOG4 of nothing', loop('6001600260036004'.concat('5f5fa4').repeat(4))],
  ['LOG0 of 32 KiB', loop('6180005fa0')],
  ['SLOAD, warm', loop('5f5450'.repeat(40))],
  ['SLOAD, cold', loop('8054506001015b8054506001015b805450600101', '5f')],
  ['SSTORE, new slots', loop('600181556001018060011955'.slice(0, 14), '5f')],
  ['SSTORE, warm', loop('60015f5560025f55'.repeat(10))],
  ['TSTORE, TLOAD', loop('60015f5d5f5c50'.repeat(20))],
  ['BALANCE, cold', loop('803150600101', '63ffffffff')],
  ['EXTCODEHASH, warm', loop('303f50'.repeat(20))],
  ['EXTCODECOPY, warm, 32 KiB', loop('6180005f5f303c'.repeat(4))],
  ['BLOCKHASH', loop('60c84050'.repeat(20))],
  ['SELFBALANCE', loop('4750'.repeat(40))],
  ['ADDRESS, CALLER, ORIGIN', loop('305033503250'.repeat(14))],
  ['CALL of an empty account, warm', loop('5f5f5f5f5f6110005af150'.repeat(4))],
  ['CALL with 32 KiB, warm', loop('5f5f6180005f5f6110005af150'.repeat(4))],
  ['STATICCALL of itself, until the depth ends', hexBytes('5b5f5f5f5f305afa505f56')],
  [
    'STATICCALL of a jump and 24 KiB of constants',
    hexBytes(`36602c575b${'5f5f60015f305afa50'.repeat(4)}6004565b00${'60'.repeat(24_000)}`),
  ],
  ['CREATE of nothing', loop('5f5f5ff050'.repeat(2))],
  ['CREATE of 24 KiB of init code', loop('6160005f5ff050')],
  ['GAS', loop('5a50'.repeat(40))],
];

let worst: readonly [string, number] = ['nothing', 0];
async function row(
  name: string,
  code: Uint8Array,
  data: Uint8Array = new Uint8Array(0),
): Promise<void> {
  const seconds = await measure(code, data);
  if (seconds > worst[1]) worst = [name, seconds];
  const [ms, rate] = [(seconds * 1e3).toFixed(1), (1 / seconds).toFixed(1)];
  process.stdout.write(`${name.padEnd(44)} ${ms.padStart(8)} ms/Mgas ${rate.padStart(7)} Mgas/s\n`);
}

const only = process.argv[2] ?? '';
for (const [name, code] of plain) if (name.includes(only)) await row(name, code);
for (const { name, address, data, output } of precompileInputs()) {
  if (name.includes(only)) await row(`precompile ${name}`, callLoop(address, output), data);
}
const [name, seconds] = worst;
const quarterMs = defaultTimers.advanceMs / 4;
const most = Math.floor((quarterMs / 1e3 / seconds) * 10) / 10;
process.stdout.write(`\nslowest: ${name}, ${(seconds * 1e3).toFixed(1)} ms for a million gas.\n`);
process.stdout.write(
  `A quarter of a view of ${defaultTimers.advanceMs} ms is ${quarterMs} ms: ${most} million gas.\n`,
);
