import type { TransactionFields } from '#src/types/transaction.ts';
import type { Wei } from '#src/types/units.ts';

const TRANSACTION = 21_000n;
const CREATION = 32_000n;
const INIT_CODE_WORD = 2n;
const ACCESS_ADDRESS = 2_400n;
const ACCESS_KEY = 1_900n;
/** EIP-7702: as if each made an account. */
const AUTHORIZATION = 25_000n;
/** What of it comes back where the account is there. */
export const AUTHORIZATION_REFUND = 12_500n;
const TOKEN = 4n;
const TOKEN_FLOOR = 10n;
const TOKENS_OF_NONZERO_BYTE = 4;

type Fields = Pick<TransactionFields, 'to' | 'data' | 'accessList' | 'authorizationList'>;

/**
 * The least that a transaction costs, whatever it does: the base, its data and access list
 * (EIP-2028, EIP-2930, EIP-3860, EIP-7702), and never less than the floor of EIP-7623. For a transaction that
 * runs nothing this is all the gas that it uses.
 */
export function intrinsicGas(fields: Fields): bigint {
  return callGas(fields, 0n);
}

/** Of a call that itself used so much: the floor holds for both together (EIP-7623). */
export function callGas(fields: Fields, used: bigint): bigint {
  const gas = standardGas(fields) + used;
  const floor = floorGas(fields.data);
  return gas > floor ? gas : floor;
}

/** EIP-7623: what a transaction with this data uses at the least. */
export function floorGas(data: Uint8Array): bigint {
  return TRANSACTION + TOKEN_FLOOR * dataTokens(data);
}

/** Without the floor: what is taken off before a call begins. */
export function standardGas({ to, data, ...lists }: Fields): bigint {
  let gas = TRANSACTION + TOKEN * dataTokens(data) + workGas(lists);
  if (to === null) gas += CREATION + INIT_CODE_WORD * BigInt(Math.ceil(data.length / 32));
  return gas;
}

/**
 * Of {@link standardGas}, what stands for work that code is slowed down by: signatures to recover,
 * accounts and slots to look up. The rest is paid for bytes.
 */
export function workGas({ accessList, authorizationList }: Omit<Fields, 'to' | 'data'>): bigint {
  let gas = AUTHORIZATION * BigInt(authorizationList.length);
  for (const { storageKeys } of accessList) {
    gas += ACCESS_ADDRESS + ACCESS_KEY * BigInt(storageKeys.length);
  }
  return gas;
}

/** For each byte of code that a creation leaves behind. */
export const CODE_BYTE = 200n;

type Prices = Pick<TransactionFields, 'maxFeePerGas' | 'maxPriorityFeePerGas'>;

/** EIP-1559: what is really paid for each unit of gas. */
export function effectiveGasPrice(
  { maxFeePerGas, maxPriorityFeePerGas }: Prices,
  baseFeePerGas: Wei,
): bigint {
  const tipped = baseFeePerGas + maxPriorityFeePerGas;
  return tipped < maxFeePerGas ? tipped : maxFeePerGas;
}

/** Of long data, which is asked about several times on its way into a block. */
const tokensKnown = new WeakMap<Uint8Array, bigint>();
const longDataBytes = 512;

function dataTokens(data: Uint8Array): bigint {
  if (data.length < longDataBytes) return countTokens(data);
  const known = tokensKnown.get(data) ?? countTokens(data);
  tokensKnown.set(data, known);
  return known;
}

function countTokens(data: Uint8Array): bigint {
  let tokens = 0;
  for (const byte of data) tokens += byte === 0 ? 1 : TOKENS_OF_NONZERO_BYTE;
  return BigInt(tokens);
}
