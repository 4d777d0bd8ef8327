import { EMPTY_BYTES } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import type { Soon } from '#src/lib/steps.ts';
import { type Address, isReservedAddress } from '#src/types/address.ts';
import { initCodeBytesMax } from '#src/types/limits.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, type Gas, type Wei } from '#src/types/units.ts';
import { applyContractTransaction } from './evm/contractTransaction.ts';
import { codeAt, isDelegation } from './evm/evmState.ts';
import { precompilePrices } from './evm/precompilePrices.ts';
import { type Fee, findFee, holdFee, isUsual, takeFee } from './fees.ts';
import { callGas, intrinsicGas, standardGas, workGas } from './gas.ts';
import type { NativeContract } from './payments/contract.ts';
import { contractAt, takesNoCoin } from './payments/contracts.ts';
import { runMessage, transferLog } from './payments/dispatch.ts';
import { type Applied, gasLimitFor, type LedgerContext, laneOf } from './rules.ts';
import { type Account, EMPTY_ACCOUNT, EMPTY_CODE_HASH } from './state/account.ts';
import { changeCoin, moveCoin } from './state/coin.ts';
import type { Overlay } from './state/overlay.ts';

/** Why a transaction cannot be in a block at all; in the order of the checks. */
export type InclusionRefusal =
  | { code: 'ADDRESS_RESERVED'; address: Address }
  | { code: 'INIT_CODE_TOO_LONG'; bytes: number; max: number }
  | { code: 'EXCEEDS_BLOCK_GAS_LIMIT'; gas: bigint; limit: Gas }
  | { code: 'INTRINSIC_GAS_TOO_LOW'; gas: bigint; need: bigint }
  | { code: 'FEE_CAP_TOO_LOW'; maxFeePerGas: bigint; baseFeePerGas: Wei }
  | { code: 'NONCE'; want: bigint; got: bigint }
  | { code: 'SENDER_NOT_EOA'; address: Address }
  | { code: 'INSUFFICIENT_FUNDS'; address: Address; have: bigint; need: bigint }
  /** In this block: it may be in the next one. */
  | { code: 'EVM_LANE_FULL' };

/**
 * One transaction: a payment of the native coin, a call of a native contract, or one that runs code.
 * Only the last has to be waited for. The whole fee goes to the proposer's fee recipient. A call
 * with data to an account without code is a payment (yellow paper, section 8).
 *
 * `mayRunCode` is asked where a plain transfer turns out to go to an account with code.
 *
 * A call that fails is in the block all the same: it pays for its gas and changes nothing else. Out
 * of gas it pays for all that it asked for.
 */
export function applyTransaction(
  state: Overlay,
  transaction: SignedTransaction,
  block: LedgerContext,
  mayRunCode: () => boolean,
): Soon<Verdict<Applied, InclusionRefusal>> {
  const fee = findFee(state, transaction, block);
  for (const refusal of findRefusals(state, transaction, block, fee)) return refuse(refusal);
  return applyIncludable(state, transaction, block, mayRunCode, fee);
}

/** As {@link applyTransaction}, where what speaks against it was looked at before. */
export function applyIncludable(
  state: Overlay,
  transaction: SignedTransaction,
  block: LedgerContext,
  mayRunCode: () => boolean,
  fee = findFee(state, transaction, block),
): Soon<Verdict<Applied, InclusionRefusal>> {
  const { sender, to, value } = transaction;
  const { coinbase } = block;
  const contract = to !== null && isReservedAddress(to) ? contractAt(to) : null;
  const delegates = transaction.type === 4;
  if (contract !== null && !delegates) {
    begin(state, transaction, fee);
    const applied = applyCall(state, transaction, contract, block);
    tellCall(block, transaction, applied);
    return accept(end(state, fee, applied, coinbase));
  }
  const precompiles = block.precompiles ?? precompilePrices;
  if (to === null || delegates || precompiles.has(to) || hasCode(state.account(to))) {
    if (laneOf(transaction) === 'payment' && !mayRunCode()) {
      return refuse({ code: 'EVM_LANE_FULL' });
    }
    return runCode(state, transaction, block, fee);
  }
  const gasUsed = asGas(intrinsicGas(transaction));
  const applied = { ...PLAIN, gasUsed, codeGas: workGas(transaction) };
  tellCall(block, transaction, applied);
  if (!isUsual(fee)) {
    begin(state, transaction, fee);
    moveCoin(state, sender, to, value);
    return accept(end(state, fee, applied, coinbase));
  }
  // The most frequent of all transactions: both debits are one.
  const coin = fee.amountFor(gasUsed);
  changeCoin(state, sender, -value - coin, 1n);
  changeCoin(state, to, value);
  changeCoin(state, coinbase, coin);
  return accept(applied);
}

const PLAIN = {
  ...{ ended: 'well' as const, reason: '', output: EMPTY_BYTES },
  ...{ codeGas: 0n, logs: [], transfers: [] },
};

function runCode(
  state: Overlay,
  transaction: SignedTransaction,
  block: LedgerContext,
  fee: Fee,
): Soon<Verdict<Applied, InclusionRefusal>> {
  begin(state, transaction, fee);
  const running = applyContractTransaction(state, transaction, block);
  return running.then((applied) => accept(end(state, fee, applied, block.coinbase)));
}

/** From here on it pays, whatever becomes of it. */
function begin(state: Overlay, { sender }: SignedTransaction, fee: Fee): void {
  holdFee(state, fee);
  changeCoin(state, sender, 0n, 1n);
}

function end(state: Overlay, fee: Fee, applied: Applied, coinbase: Address): Applied {
  const logs = takeFee(state, fee, applied.gasUsed, coinbase);
  return logs.length === 0 ? applied : { ...applied, logs: [...applied.logs, ...logs] };
}

/** Why it cannot be in the block, in the order of the checks; whoever judges takes the first. */
export function* findRefusals(
  state: Overlay,
  transaction: SignedTransaction,
  block: LedgerContext,
  fee = findFee(state, transaction, block),
): Generator<InclusionRefusal, void> {
  const { rules } = block;
  const { sender, to, value, nonce, gasLimit, maxFeePerGas, data } = transaction;
  if (to !== null && takesNoCoin(to)) {
    yield { code: 'ADDRESS_RESERVED', address: to };
  }
  // EIP-3860.
  if (to === null && data.length > initCodeBytesMax) {
    yield { code: 'INIT_CODE_TOO_LONG', bytes: data.length, max: initCodeBytesMax };
  }
  const limit = gasLimitFor(transaction, rules);
  if (gasLimit > limit) yield { code: 'EXCEEDS_BLOCK_GAS_LIMIT', gas: gasLimit, limit };
  const intrinsic = intrinsicGas(transaction);
  if (gasLimit < intrinsic) {
    yield { code: 'INTRINSIC_GAS_TOO_LOW', gas: gasLimit, need: intrinsic };
  }
  const { baseFeePerGas } = rules;
  if (maxFeePerGas < baseFeePerGas) {
    yield { code: 'FEE_CAP_TOO_LOW', maxFeePerGas, baseFeePerGas };
  }
  const account = state.account(sender) ?? EMPTY_ACCOUNT;
  if (account.nonce !== nonce) yield { code: 'NONCE', want: account.nonce, got: nonce };
  // EIP-3607, and its exception for who lends its account to code (EIP-7702).
  if (hasCode(account) && !isDelegation(codeAt(state, sender))) {
    yield { code: 'SENDER_NOT_EOA', address: sender };
  }
  const need = isUsual(fee) ? gasLimit * maxFeePerGas + value : value;
  if (account.balance < need) {
    yield { code: 'INSUFFICIENT_FUNDS', address: sender, have: account.balance, need };
  }
}

function applyCall(
  state: Overlay,
  { sender, value, data, gasLimit, ...rest }: SignedTransaction,
  to: NativeContract,
  block: LedgerContext,
): Applied {
  const before = standardGas({ ...rest, data });
  const message = { sender, to, value, data, gas: gasLimit - before };
  const result = runMessage(state, block, message);
  const gasUsed = asGas(callGas({ ...rest, data }, result.gasUsed));
  if (result.ended === 'well') {
    const { output, logs, transfers } = result;
    const all = block.logsTransfers === true ? [...transfers.map(transferLog), ...logs] : logs;
    return { ...PLAIN, output, gasUsed, logs: all, transfers };
  }
  if (result.ended === 'out of gas') {
    return { ...PLAIN, gasUsed, ended: 'failed', reason: result.ended };
  }
  const { ended, reason, output } = result;
  return { ...PLAIN, gasUsed, ended, reason, output };
}

/** Of what is one call only, because no code of the EVM runs. */
function tellCall(
  { observer }: LedgerContext,
  { sender: from, to, value, gasLimit: gas, data: input }: SignedTransaction,
  { gasUsed, ended, reason, output, logs }: Applied,
): void {
  if (observer === undefined) return;
  observer.enter({ type: 'CALL', from, to, value, gas, input });
  for (const log of logs) observer.log(log);
  const error = { well: null, reverted: 'revert', failed: reason }[ended];
  observer.exit({ gasUsed, output, error, created: null });
}

function hasCode(account: Account | null): boolean {
  return account !== null && account.codeHash !== EMPTY_CODE_HASH;
}
