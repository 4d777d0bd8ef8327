import { Command } from 'commander';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas, asWei, formatAmount, parseAmount } from '#src/types/units.ts';
import { Client } from '../client.ts';
import { makeOutput } from '../output.ts';
import { addressArgument, defaultKeystore, defaultRpc, unlock } from './wallet.ts';

type PayOptions = {
  from?: string;
  memo?: string;
  keystore: string;
  passwordFile?: string;
  rpc: string;
  json: boolean;
};

type Receipt = {
  transactionHash: string;
  blockNumber: string;
  blockHash: string;
  status: string;
  gasUsed: string;
  effectiveGasPrice: string;
};

export function payCommand(): Command {
  return new Command('pay')
    .description('pay from a wallet and wait until it is final')
    .argument('<to>', 'address of the payee')
    .argument('<amount>', 'MPB, such as 12.50')
    .option('--from <address>', 'which wallet, where there are several')
    .option('--memo <text>', 'a note that travels with the payment, for everyone to read')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'read the password from a private file')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp pay 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 12.50 --memo "bill 7"',
    )
    .action(pay);
}

async function pay(toText: string, amountText: string, options: PayOptions): Promise<void> {
  const to = addressArgument(toText, 'to');
  const amount = parseAmount(amountText);
  if (!amount.ok) {
    throw new UserError(
      EXIT.usage,
      `amount: "${amountText.slice(0, 80)}" should be digits with at most 18 decimals, like 12.50`,
    );
  }
  const client = new Client(options.rpc);
  const chainId = BigInt(await client.call<string>('eth_chainId'));
  const { address, secret } = await unlock({
    keystore: options.keystore,
    from: options.from ?? null,
    passwordFile: options.passwordFile ?? null,
  });
  const data = utf8(options.memo ?? '');
  const call = { from: address, to, value: `0x${amount.value.toString(16)}`, data: toHex(data) };
  const [nonce, gasPrice, gas] = await Promise.all([
    client.call<string>('eth_getTransactionCount', address, 'pending'),
    client.call<string>('eth_gasPrice'),
    client.call<string>('eth_estimateGas', call),
  ]);
  const signed = signTransaction(
    {
      type: 2,
      chainId,
      nonce: BigInt(nonce),
      maxFeePerGas: asWei(BigInt(gasPrice)),
      maxPriorityFeePerGas: asWei(0n),
      gasLimit: asGas(BigInt(gas)),
      to,
      value: amount.value,
      data,
      accessList: [],
    },
    secret,
  );
  const started = performance.now();
  const receipt = await client.call<Receipt>('eth_sendRawTransactionSync', toHex(signed.raw));
  const ms = Math.round(performance.now() - started);
  const fee = BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice);
  const text = [
    `paid ${formatAmount(amount.value)} MPB to ${formatAddress(to)}`,
    `final in ${ms} ms, block ${BigInt(receipt.blockNumber)}, fee ${formatAmount(asWei(fee))} MPB`,
    receipt.transactionHash,
  ];
  makeOutput(options.json).result({ ...receipt, finalMs: ms }, text.join('\n'));
}
