/** Money of a currency that code moves: what a frame took back is gone, and its logs with it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runInEvm } from '#src/ledger/evm/machine.ts';
import { makeToken } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState } from '#src/ledger/state/reader.ts';
import { EMPTY_BYTES, fromHex } from '#src/lib/bytes.ts';
import { type Address, tokenAddress } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { asHeight, asWei } from '#src/types/units.ts';

const [sender, outer, inner, taker] = ['aa', 'bb', 'cc', 'dd'].map(
  (byte) => `0x${byte.repeat(20)}` as Address,
) as [Address, Address, Address, Address];
const token = tokenAddress('EUR', new Uint8Array(5).fill(7));
const zero32 = `0x${'00'.repeat(32)}` as Hash;

const CALL = 'f1';
const STATIC = 'fa';
const DELEGATE = 'f4';
const REVERT = '5f5ffd';

/** `transfer(taker, amount)` of 68 bytes, as code has it; what it answers is not looked at. */
function transfer(amount: number, opcode: string): string {
  const data = ['a9059cbb', '00'.repeat(12), taker.slice(2), '00'.repeat(31), hex(amount)].join('');
  const words = [0, 1, 2].map((at) => {
    const word = data.slice(64 * at, 64 * at + 64).padEnd(64, '0');
    return `7f${word}60${hex(32 * at)}52`;
  });
  const value = opcode === CALL ? '5f' : '';
  return `${words.join('')}5f5f60445f${value}73${token.slice(2)}5a${opcode}50`;
}
/** With a part of the gas: what fails takes all that it has. */
const callInner = `5f5f5f5f5f73${inner.slice(2)}62030000f150`;
const hex = (value: number) => value.toString(16).padStart(2, '0');

async function run(codes: ReadonlyMap<Address, string>) {
  const state = new Overlay(emptyState);
  const euro = { name: 'Euro', symbol: 'EUR', currency: 'EUR', issuerMemberId: zero32 };
  makeToken(state, token, { ...euro, admin: sender });
  for (const [address, code] of codes) {
    const codeHash = state.setCode(fromHex(`0x${code}`) ?? assert.fail('hex'));
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce: 1n, codeHash });
    const balance = { available: 100n, held: 0n, isFrozen: false, limits: 0n };
    tokenAt(token).balances(address).set(state, balance);
  }
  state.setAccount(sender, { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(10n ** 18n) });
  const block = {
    ...{ chainId: 6727n, coinbase: sender, prevRandao: zero32, baseFeePerGas: 1n },
    ...{ gasLimit: 1_000_000n, height: asHeight(3n), blockHash: () => null },
    timestampMs: 1_790_000_000_000,
  };
  const message = {
    sender,
    to: outer,
    value: 0n,
    data: EMPTY_BYTES,
    gas: 20_000_000n,
    gasPrice: 1n,
  };
  const outcome = await runInEvm(state, block, { ...message, accessList: [], warm: [] });
  const has = (address: Address) => tokenAt(token).balances(address).get(state).available;
  return { outcome, has };
}

for (const [what, code, paid] of [
  ['a frame that ends well', transfer(7, CALL), 7n],
  ['a frame that reverts', transfer(7, CALL) + REVERT, 0n],
  ['a frame that fails', `${transfer(7, CALL)}fe`, 0n],
  ['a static call', transfer(7, STATIC), 0n],
  ['a delegated call', transfer(7, DELEGATE), 0n],
] as const) {
  it(`money and logs of ${what} are one`, async () => {
    const { outcome, has } = await run(
      new Map([
        [outer, transfer(1, CALL) + callInner + transfer(2, CALL)],
        [inner, code],
      ]),
    );
    assert.equal(outcome.ended, 'well', outcome.reason);
    assert.equal(has(taker), 3n + paid);
    assert.deepEqual([has(outer), has(inner)], [97n, 100n - paid]);
    const amounts = outcome.logs.map(({ address, data }) => [address, data.at(-1)]);
    const want = paid === 0n ? [1, 2] : [1, Number(paid), 2];
    assert.deepEqual(
      amounts,
      want.map((amount) => [token, amount]),
    );
  });
}

for (const [what, end, isKept] of [
  ['a creation', '', true],
  ['a creation of code that may not be', '60ef5f5360015ff3', false],
  ['a creation that reverts', REVERT, false],
] as const) {
  it(`logs of ${what} are those of its frame`, async () => {
    const init = transfer(0, CALL) + end;
    const length = hex(init.length / 2).padStart(4, '0');
    // The code of the creation stands behind the code that begins it.
    const code = (at: string) =>
      `${transfer(1, CALL)}61${length}61${at}5f3961${length}5f5ff050${transfer(2, CALL)}00`;
    const at = hex(code('0000').length / 2).padStart(4, '0');
    const { outcome } = await run(new Map([[outer, code(at) + init]]));
    assert.equal(outcome.ended, 'well', outcome.reason);
    const amounts = outcome.logs.map(({ data }) => data.at(-1));
    assert.deepEqual(amounts, isKept ? [1, 0, 2] : [1, 2]);
  });
}
