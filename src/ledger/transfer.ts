import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, isReservedAddress } from '#src/types/address.ts';
import type { Log } from '#src/types/receipt.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, asWei, type Gas, type Wei } from '#src/types/units.ts';
import { callGas, intrinsicGas, standardGas } from './gas.ts';
import type { BlockFacts, NativeContract } from './payments/contract.ts';
import { contractAt } from './payments/contracts.ts';
import { runMessage, type Transfer } from './payments/dispatch.ts';
import { gasLimitFor, type LedgerRules } from './rules.ts';
import { type Account, EMPTY_ACCOUNT, EMPTY_CODE_HASH } from './state/account.ts';
import type { Overlay } from './state/overlay.ts';

/** Why a transaction cannot be in a block at all; in the order of the checks. */
export type InclusionRefusal =
  | { code: 'CONTRACTS_NOT_ENABLED' }
  | { code: 'ADDRESS_RESERVED'; address: Address }
  | { code: 'EXCEEDS_BLOCK_GAS_LIMIT'; gas: bigint; limit: Gas }
  | { code: 'INTRINSIC_GAS_TOO_LOW'; gas: bigint; need: bigint }
  | { code: 'FEE_CAP_TOO_LOW'; maxFeePerGas: bigint; baseFeePerGas: Wei }
  | { code: 'NONCE'; want: bigint; got: bigint }
  | { code: 'SENDER_NOT_EOA'; address: Address }
  | { code: 'INSUFFICIENT_FUNDS'; address: Address; have: bigint; need: bigint };

/** What came of a transaction that is in the block. */
export type Applied = {
  readonly gasUsed: Gas;
  readonly succeeded: boolean;
  readonly logs: readonly Log[];
  /** Coin that contracts moved by themselves. */
  readonly transfers: readonly Transfer[];
};

/**
 * One transaction: a payment of the native coin, or a call of a native contract. The whole fee goes
 * to the proposer's fee recipient. A call with data to an account without code is a payment (yellow
 * paper, section 8).
 *
 * A call that fails is in the block all the same: it pays for its gas and changes nothing else. Out
 * of gas it pays for all that it asked for.
 */
export function applyTransaction(
  state: Overlay,
  transaction: SignedTransaction,
  block: BlockFacts & { readonly coinbase: Address; readonly rules: LedgerRules },
): Verdict<Applied, InclusionRefusal> {
  const { sender, to, value, nonce, gasLimit, maxFeePerGas } = transaction;
  const { coinbase, rules } = block;
  if (to === null) return refuse({ code: 'CONTRACTS_NOT_ENABLED' });
  const contract = isReservedAddress(to) ? contractAt(to) : null;
  // What is paid in could not be paid out.
  if (contract === null && isReservedAddress(to)) {
    return refuse({ code: 'ADDRESS_RESERVED', address: to });
  }
  const limit = gasLimitFor(transaction, rules);
  if (gasLimit > limit) return refuse({ code: 'EXCEEDS_BLOCK_GAS_LIMIT', gas: gasLimit, limit });
  const intrinsic = intrinsicGas(transaction);
  if (gasLimit < intrinsic) {
    return refuse({ code: 'INTRINSIC_GAS_TOO_LOW', gas: gasLimit, need: intrinsic });
  }
  const { baseFeePerGas } = rules;
  if (maxFeePerGas < baseFeePerGas) {
    return refuse({ code: 'FEE_CAP_TOO_LOW', maxFeePerGas, baseFeePerGas });
  }
  const account = state.account(sender) ?? EMPTY_ACCOUNT;
  if (account.nonce !== nonce) return refuse({ code: 'NONCE', want: account.nonce, got: nonce });
  // EIP-3607.
  if (hasCode(account)) return refuse({ code: 'SENDER_NOT_EOA', address: sender });
  const need = gasLimit * maxFeePerGas + value;
  if (account.balance < need) {
    return refuse({ code: 'INSUFFICIENT_FUNDS', address: sender, have: account.balance, need });
  }
  const price = effectiveGasPrice(transaction, baseFeePerGas);
  if (contract !== null) {
    const applied = applyCall(state, transaction, contract, block);
    payFee(state, sender, coinbase, applied.gasUsed * price);
    return accept(applied);
  }
  const target = state.account(to);
  if (target !== null && hasCode(target)) return refuse({ code: 'CONTRACTS_NOT_ENABLED' });
  const fee = intrinsic * price;
  move(state, sender, -value - fee, 1n);
  move(state, to, value, 0n);
  move(state, coinbase, fee, 0n);
  return accept({ ...PLAIN, gasUsed: asGas(intrinsic) });
}

const PLAIN = { succeeded: true, logs: [], transfers: [] } as const;

function applyCall(
  state: Overlay,
  { sender, value, data, gasLimit, ...rest }: SignedTransaction,
  to: NativeContract,
  block: BlockFacts,
): Applied {
  const before = standardGas({ ...rest, data });
  const message = { sender, to, value, data, gas: gasLimit - before };
  const result = runMessage(state, block, message);
  const gasUsed = asGas(callGas({ ...rest, data }, result.gasUsed));
  if (result.ended !== 'well') return { succeeded: false, gasUsed, logs: [], transfers: [] };
  const { logs, transfers } = result;
  return { succeeded: true, gasUsed, logs, transfers };
}

/** A contract moves its own coin only: the sender still has what was held against its fee. */
function payFee(state: Overlay, sender: Address, coinbase: Address, fee: bigint): void {
  move(state, sender, -fee, 1n);
  move(state, coinbase, fee, 0n);
}

/** EIP-1559: what is really paid for each unit of gas. */
export function effectiveGasPrice(
  { maxFeePerGas, maxPriorityFeePerGas }: SignedTransaction,
  baseFeePerGas: Wei,
): bigint {
  const tipped = baseFeePerGas + maxPriorityFeePerGas;
  return tipped < maxFeePerGas ? tipped : maxFeePerGas;
}

function move(state: Overlay, address: Address, amount: bigint, nonces: bigint): void {
  state.changeAccount(address, (account) => {
    const balance = account.balance + amount;
    assert(balance >= 0n, 'no balance is negative');
    return { ...account, balance: asWei(balance), nonce: account.nonce + nonces };
  });
}

function hasCode(account: Account): boolean {
  return account.codeHash !== EMPTY_CODE_HASH;
}
