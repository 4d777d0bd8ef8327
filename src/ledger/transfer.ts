import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, isReservedAddress } from '#src/types/address.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asGas, asWei, type Gas, type Wei } from '#src/types/units.ts';
import { intrinsicGas } from './gas.ts';
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

/**
 * A payment of the native coin, without an EVM: one debit, one credit, and the whole fee to the
 * proposer's fee recipient. A call with data to an account without code does the same (yellow
 * paper, section 8). Contracts come in here.
 */
export function applyTransfer(
  state: Overlay,
  transaction: SignedTransaction,
  coinbase: Address,
  rules: LedgerRules,
): Verdict<{ gasUsed: Gas }, InclusionRefusal> {
  const { sender, to, value, nonce, gasLimit, maxFeePerGas } = transaction;
  if (to === null) return refuse({ code: 'CONTRACTS_NOT_ENABLED' });
  // No native contract is there yet: what is paid in could not be paid out.
  if (isReservedAddress(to)) return refuse({ code: 'ADDRESS_RESERVED', address: to });
  const limit = gasLimitFor(transaction, rules);
  if (gasLimit > limit) return refuse({ code: 'EXCEEDS_BLOCK_GAS_LIMIT', gas: gasLimit, limit });
  const gasUsed = intrinsicGas(transaction);
  if (gasLimit < gasUsed) {
    return refuse({ code: 'INTRINSIC_GAS_TOO_LOW', gas: gasLimit, need: gasUsed });
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
  const target = state.account(to);
  if (target !== null && hasCode(target)) return refuse({ code: 'CONTRACTS_NOT_ENABLED' });
  const fee = gasUsed * effectiveGasPrice(transaction, baseFeePerGas);
  move(state, sender, -value - fee, 1n);
  move(state, to, value, 0n);
  move(state, coinbase, fee, 0n);
  return accept({ gasUsed: asGas(gasUsed) });
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
