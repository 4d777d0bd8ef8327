/**
 * A transaction that runs code: a creation, or a call of an account that has some. It was found
 * includable, and its fee is held back, as the code may ask for the sender's balance (yellow paper,
 * section 6).
 */
import { type Address, isReservedAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { nonceMax } from '#src/types/limits.ts';
import { recoverAuthority, type SignedTransaction } from '#src/types/transaction.ts';
import { asGas } from '#src/types/units.ts';
import { AUTHORIZATION_REFUND, effectiveGasPrice, floorGas, standardGas, workGas } from '../gas.ts';
import type { Applied, LedgerContext } from '../rules.ts';
import { EMPTY_CODE_HASH } from '../state/account.ts';
import type { Overlay } from '../state/overlay.ts';
import { codeAt, delegationTo, isDelegation } from './evmState.ts';
import { runInEvm } from './machine.ts';
import type { EvmBlock } from './world.ts';

/** EIP-3529: of the gas used, at most one part in so many comes back. */
const REFUND_QUOTIENT = 5n;

/** Code gets what it asks for, or as much as all contracts of a block have. */
export async function applyContractTransaction(
  state: Overlay,
  transaction: SignedTransaction,
  context: LedgerContext,
): Promise<Applied> {
  const { sender, to, value, data, gasLimit, accessList } = transaction;
  const { rules } = context;
  const gasPrice = effectiveGasPrice(transaction, rules.baseFeePerGas);
  const before = standardGas(transaction);
  const work = workGas(transaction);
  const codeGasMax = rules.evmLaneGasLimit - work;
  const gas = gasLimit - before;
  const message = { sender, to, value, data, gas, codeGasMax, gasPrice, accessList };
  const { warm, refund: early } = delegate(state, transaction, rules.chainId);
  const outcome = await runInEvm(state, evmBlock(context), { ...message, warm });
  const spent = before + outcome.gasUsed;
  const refund = early + outcome.refund;
  const most = spent / REFUND_QUOTIENT;
  const kept = spent - (refund < most ? refund : most);
  const floor = floorGas(data);
  const gasUsed = asGas(kept > floor ? kept : floor);
  const { ended, output, logs, transfers, codeGas } = outcome;
  const reason = ended === 'reverted' ? '' : outcome.reason;
  return { ended, reason, output, gasUsed, codeGas: work + codeGas, logs, transfers };
}

/**
 * EIP-7702: what was authorized stands, whatever becomes of the call. An entry that does not fit is
 * passed over. `refund`: for accounts that are there already.
 */
function delegate(
  state: Overlay,
  { authorizationList }: SignedTransaction,
  here: bigint,
): { warm: Address[]; refund: bigint } {
  const warm: Address[] = [];
  let refund = 0n;
  for (const authorization of authorizationList) {
    const { chainId, address, nonce } = authorization;
    if ((chainId !== 0n && chainId !== here) || nonce >= nonceMax) continue;
    const authority = recoverAuthority(authorization);
    // Nobody holds the key of a reserved address, as far as anybody knows.
    if (authority === null || isReservedAddress(authority)) continue;
    warm.push(authority);
    const account = state.account(authority);
    const code = codeAt(state, authority);
    if (code.length > 0 && !isDelegation(code)) continue;
    if ((account?.nonce ?? 0n) !== nonce) continue;
    if (account !== null) refund += AUTHORIZATION_REFUND;
    const codeHash =
      address === ZERO_ADDRESS ? EMPTY_CODE_HASH : state.setCode(delegationTo(address));
    state.changeAccount(authority, (old) => ({ ...old, nonce: nonce + 1n, codeHash }));
  }
  return { warm, refund };
}

function evmBlock({ rules, ...context }: LedgerContext): EvmBlock {
  const { chainId, baseFeePerGas, evmLaneGasLimit: gasLimit } = rules;
  return { ...context, chainId, baseFeePerGas, gasLimit };
}
