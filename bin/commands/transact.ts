import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { keccakHash } from '#src/types/hash.ts';
import { transactionGasMax } from '#src/types/limits.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei, type Wei } from '#src/types/units.ts';
import type { PaymentSigner } from '#src/wallet/paymentSigner.ts';
import { type Client, NodeRefusal } from '../client.ts';

/** As `eth_getTransactionReceipt` gives it; of it what the command line uses. */
export type Receipt = {
  transactionHash: string;
  blockNumber: string;
  blockHash: string;
  status: string;
  gasUsed: string;
  effectiveGasPrice: string;
  logs: { address: string; topics: string[]; data: string }[];
};

/** What a transaction asks for: where to, how much, with which data. */
export type Wanted = { readonly to: Address; readonly value: Wei; readonly data: Uint8Array };

/** The node takes it and it is not final in time: EIP-7966. */
const syncTimeoutCode = 4;
/** So long a node that went away behind a payment is asked again with the same bytes. */
const resendMs = 60_000;
const resendPauseMs = 500;

/** Signs, sends, and waits until it is final; what would revert is not sent. */
export async function transact(
  client: Client,
  signer: PaymentSigner,
  wanted: Wanted,
): Promise<{ receipt: Receipt; finalMs: number }> {
  return send(client, signer, await prepare(client, signer.address, wanted));
}

/** What is to be signed: its fee is at most `gasLimit * maxFeePerGas`, or worth that. */
export async function prepare(
  client: Client,
  address: Address,
  { to, value, data }: Wanted,
  isExact = false,
): Promise<TransactionFields> {
  const call = { from: address, to, value: `0x${value.toString(16)}`, data: toHex(data) };
  const [chainId, nonce, gasPrice, gas] = await Promise.all([
    client.call<string>('eth_chainId'),
    client.call<string>('eth_getTransactionCount', address, 'pending'),
    client.call<string>('eth_gasPrice'),
    client.call<string>('eth_estimateGas', call),
  ]);
  return {
    type: 2,
    chainId: BigInt(chainId),
    nonce: BigInt(nonce),
    maxFeePerGas: asWei(BigInt(gasPrice)),
    maxPriorityFeePerGas: asWei(0n),
    gasLimit: asGas(isExact ? BigInt(gas) : roomFor(BigInt(gas), data)),
    to,
    value,
    data,
    accessList: [],
    authorizationList: [],
  };
}

/**
 * Sends the same bytes again where the node went away in between: they are one payment, however
 * often they come.
 */
export async function send(
  client: Client,
  signer: PaymentSigner,
  fields: TransactionFields,
): Promise<{ receipt: Receipt; finalMs: number }> {
  const { raw } = await signer.sign(fields);
  const started = performance.now();
  for (;;) {
    try {
      const receipt = await client.call<Receipt>('eth_sendRawTransactionSync', toHex(raw));
      return { receipt, finalMs: Math.round(performance.now() - started) };
    } catch (error) {
      const isLate = error instanceof NodeRefusal && error.rpcCode === syncTimeoutCode;
      const isAway = error instanceof UserError && error.exitCode === EXIT.unavailable;
      if (!isLate && !isAway) throw error;
      if (performance.now() - started > resendMs || isLate) {
        throw notFinal(keccakHash(raw), error);
      }
      await new Promise((resolve) => setTimeout(resolve, resendPauseMs));
    }
  }
}

/** It may have been paid: whoever paid anew could pay twice. */
function notFinal(hash: string, cause: Error): UserError {
  const message =
    `not final yet: ${cause.message}. Payment ${hash} may still become final; look for it in ` +
    'mpbp history before you pay again [NOT_FINAL]';
  return new UserError(EXIT.unavailable, message, { cause });
}

/** A contract's list may have grown by the time the call runs; a payment costs what it costs. */
function roomFor(gas: bigint, data: Uint8Array): bigint {
  if (data.length < 4) return gas;
  const room = gas + gas / 10n;
  return room < transactionGasMax ? room : transactionGasMax;
}
