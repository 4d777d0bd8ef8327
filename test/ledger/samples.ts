import { uintToBytes } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { SignedTransaction, TransactionFields } from '#src/types/transaction.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';

export const chainId = 4242n;

export type Person = { readonly key: Uint8Array; readonly address: Address };

export const blank: TransactionFields = {
  type: 2,
  chainId,
  nonce: 0n,
  maxFeePerGas: asWei(20n),
  maxPriorityFeePerGas: asWei(0n),
  gasLimit: asGas(21_000n),
  to: `0x${'77'.repeat(20)}` as Address,
  value: asWei(0n),
  data: new Uint8Array(0),
  accessList: [],
  authorizationList: [],
};

/** The same people in every test; a number names one. */
export function person(number: number): Person {
  const key = uintToBytes(BigInt(number + 1), 32);
  return { key, address: signTransaction(blank, key).sender };
}

/** A signed payment; types 0 and 1 have one price, which is then both fees. */
export function payment(from: Person, fields: Partial<TransactionFields>): SignedTransaction {
  const merged = { ...blank, ...fields };
  const tip = merged.type >= 2 ? merged.maxPriorityFeePerGas : merged.maxFeePerGas;
  return signTransaction({ ...merged, maxPriorityFeePerGas: tip }, from.key);
}
