import { type Address, isReservedAddress } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { contractBytesGasMax, memoBytesMax, transactionGasMax } from '#src/types/limits.ts';
import type { Log } from '#src/types/receipt.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asGas, type Gas, type Height, type Wei } from '#src/types/units.ts';
import type { CallObserver } from './calls.ts';
import { workGas } from './gas.ts';
import type { BlockFacts } from './payments/contract.ts';
import type { Transfer } from './payments/dispatch.ts';

/** What the network's genesis fixes for execution. */
export type LedgerRules = {
  readonly chainId: bigint;
  readonly baseFeePerGas: Wei;
  readonly paymentLaneGasLimit: Gas;
  readonly evmLaneGasLimit: Gas;
  readonly paymentLaneBytesMax: number;
};

/** What is fixed for every transaction of a block before any of them runs. */
export type LedgerContext = BlockFacts & {
  readonly rules: LedgerRules;
  /** Where the fees go. */
  readonly coinbase: Address;
  readonly prevRandao: Hash;
  /** Of an ancestor: null at the block's own height and above. */
  blockHash(height: Height): Hash | null;
  /** Whether coin that moves is among the logs, for those who only ask (`payments/dispatch.ts`). */
  readonly logsTransfers?: boolean;
  /** Where precompiles are, where that is not as always: which of them by its address. */
  readonly precompiles?: ReadonlyMap<Address, Address> | null;
  /** Only where a transaction is looked at again. */
  readonly observer?: CallObserver;
};

/** How a call ended. */
export type Ending = {
  readonly ended: 'well' | 'reverted' | 'failed';
  /** In words, where it did not end well; none of code that reverted: they are in its output. */
  readonly reason: string;
  readonly output: Uint8Array;
};

/** What came of a transaction that is in the block. */
export type Applied = Ending & {
  readonly gasUsed: Gas;
  /** Of the gas, before refunds, what code took: it draws on the contracts' budget. */
  readonly codeGas: bigint;
  readonly logs: readonly Log[];
  /** Coin that contracts moved by themselves. */
  readonly transfers: readonly Transfer[];
};

export type LaneName = 'payment' | 'evm';
type Aimed = Pick<TransactionFields, 'type' | 'to' | 'data'>;
type Bounded = Aimed & Pick<TransactionFields, 'accessList' | 'authorizationList'>;

/**
 * Two budgets, so that contracts never crowd payments out. Transfers, with a memo or without, and
 * calls of reserved addresses are payments, as far as type, target and data can tell. Whether there
 * is code at the target of a transfer shows when its turn comes: if so it draws on the other budget
 * (`transfer.ts`).
 */
export function laneOf({ type, to, data }: Aimed): LaneName {
  if (to === null || type === 4) return 'evm';
  return data.length <= memoBytesMax || isReservedAddress(to) ? 'payment' : 'evm';
}

/**
 * The most gas that a transaction may ask for. EIP-7825; a payment's is its lane's budget, too. Code
 * may ask for more than there is for code, as much of it goes for bytes: it gets what there is.
 */
export function gasLimitFor(transaction: Bounded, rules: LedgerRules): Gas {
  const { paymentLaneGasLimit, evmLaneGasLimit } = rules;
  const { to } = transaction;
  const mayRunCode = to === null || !isReservedAddress(to);
  // No block has room for this one, should there be code.
  if (mayRunCode && workGas(transaction) > evmLaneGasLimit) return evmLaneGasLimit;
  const isPayment = laneOf(transaction) === 'payment';
  if (isPayment && paymentLaneGasLimit < transactionGasMax) return paymentLaneGasLimit;
  return asGas(transactionGasMax);
}

export function blockGasLimit({ paymentLaneGasLimit, evmLaneGasLimit }: LedgerRules): Gas {
  return asGas(paymentLaneGasLimit + evmLaneGasLimit + contractBytesGasMax);
}
