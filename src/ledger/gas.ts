import type { TransactionFields } from '#src/types/transaction.ts';

const TRANSACTION = 21_000n;
const CREATION = 32_000n;
const INIT_CODE_WORD = 2n;
const ACCESS_ADDRESS = 2_400n;
const ACCESS_KEY = 1_900n;
const TOKEN = 4n;
const TOKEN_FLOOR = 10n;
const TOKENS_OF_NONZERO_BYTE = 4;

type Fields = Pick<TransactionFields, 'to' | 'data' | 'accessList'>;

/**
 * The least that a transaction costs, whatever it does: the base, its data and access list
 * (EIP-2028, EIP-2930, EIP-3860), and never less than the floor of EIP-7623. For a transaction that
 * runs nothing this is all the gas that it uses.
 */
export function intrinsicGas(fields: Fields): bigint {
  return callGas(fields, 0n);
}

/** Of a call that itself used so much: the floor holds for both together (EIP-7623). */
export function callGas(fields: Fields, used: bigint): bigint {
  const gas = standardGas(fields) + used;
  const floor = TRANSACTION + TOKEN_FLOOR * dataTokens(fields.data);
  return gas > floor ? gas : floor;
}

/** Without the floor: what is taken off before a call begins. */
export function standardGas({ to, data, accessList }: Fields): bigint {
  let gas = TRANSACTION + TOKEN * dataTokens(data);
  if (to === null) gas += CREATION + INIT_CODE_WORD * BigInt(Math.ceil(data.length / 32));
  for (const { storageKeys } of accessList) {
    gas += ACCESS_ADDRESS + ACCESS_KEY * BigInt(storageKeys.length);
  }
  return gas;
}

function dataTokens(data: Uint8Array): bigint {
  let tokens = 0;
  for (const byte of data) tokens += byte === 0 ? 1 : TOKENS_OF_NONZERO_BYTE;
  return BigInt(tokens);
}
