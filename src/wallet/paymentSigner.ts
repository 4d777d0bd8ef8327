import type { Address } from '#src/types/address.ts';
import {
  type SignedTransaction,
  signTransaction,
  type TransactionFields,
} from '#src/types/transaction.ts';
import { addressOfKey } from './keystore.ts';

/**
 * Whoever signs payments for an account: a key in this process, another process or machine, or a
 * device. It is asked with the fields of the payment, never with a digest, so that it can judge
 * what it signs.
 */
export type PaymentSigner = {
  readonly address: Address;
  /** Throws a `UserError` where the signer refuses or does not answer. */
  sign(fields: TransactionFields): Promise<SignedTransaction>;
};

/** The key is in this process. */
export function localPaymentSigner(secret: Uint8Array): PaymentSigner {
  return {
    address: addressOfKey(secret),
    sign: async (fields) => signTransaction(fields, secret),
  };
}
