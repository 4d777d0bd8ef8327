import { isReservedAddress } from '#src/types/address.ts';
import { transactionGasMax } from '#src/types/limits.ts';
import type { Envelope } from '#src/types/transaction.ts';
import { asGas, type Gas, type Wei } from '#src/types/units.ts';

/** What the network's genesis fixes for execution. */
export type LedgerRules = {
  readonly baseFeePerGas: Wei;
  readonly paymentLaneGasLimit: Gas;
  readonly evmLaneGasLimit: Gas;
  readonly paymentLaneBytesMax: number;
};

export type LaneName = 'payment' | 'evm';

/**
 * Two budgets, so that contracts never crowd payments out. Plain transfers and calls of reserved
 * addresses are payments; target and data alone decide, never the state.
 */
export function laneOf({ to, data }: Envelope): LaneName {
  if (to === null) return 'evm';
  return data.length === 0 || isReservedAddress(to) ? 'payment' : 'evm';
}

/** The most gas that a transaction may ask for: its lane's budget, and EIP-7825. */
export function gasLimitFor(transaction: Envelope, rules: LedgerRules): Gas {
  const { paymentLaneGasLimit, evmLaneGasLimit } = rules;
  const lane = laneOf(transaction) === 'payment' ? paymentLaneGasLimit : evmLaneGasLimit;
  return lane < transactionGasMax ? lane : asGas(transactionGasMax);
}

export function blockGasLimit(rules: LedgerRules): Gas {
  return asGas(rules.paymentLaneGasLimit + rules.evmLaneGasLimit);
}
