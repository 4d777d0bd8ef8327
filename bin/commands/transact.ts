import { toHex } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas, asWei, type Wei } from '#src/types/units.ts';
import type { Client } from '../client.ts';

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

export type Wallet = { readonly address: Address; readonly secret: Uint8Array };

/** What a transaction asks for: where to, how much, with which data. */
export type Wanted = { readonly to: Address; readonly value: Wei; readonly data: Uint8Array };

/** Signs with the wallet, sends, and waits until it is final; what would revert is not sent. */
export async function transact(
  client: Client,
  { address, secret }: Wallet,
  { to, value, data }: Wanted,
): Promise<{ receipt: Receipt; finalMs: number }> {
  const call = { from: address, to, value: `0x${value.toString(16)}`, data: toHex(data) };
  const [chainId, nonce, gasPrice, gas] = await Promise.all([
    client.call<string>('eth_chainId'),
    client.call<string>('eth_getTransactionCount', address, 'pending'),
    client.call<string>('eth_gasPrice'),
    client.call<string>('eth_estimateGas', call),
  ]);
  const signed = signTransaction(
    {
      type: 2,
      chainId: BigInt(chainId),
      nonce: BigInt(nonce),
      maxFeePerGas: asWei(BigInt(gasPrice)),
      maxPriorityFeePerGas: asWei(0n),
      gasLimit: asGas(roomFor(BigInt(gas), data)),
      to,
      value,
      data,
      accessList: [],
    },
    secret,
  );
  const started = performance.now();
  const receipt = await client.call<Receipt>('eth_sendRawTransactionSync', toHex(signed.raw));
  return { receipt, finalMs: Math.round(performance.now() - started) };
}

/** A contract's list may have grown by the time the call runs; a payment costs what it costs. */
function roomFor(gas: bigint, data: Uint8Array): bigint {
  return data.length < 4 ? gas : gas + gas / 10n;
}
