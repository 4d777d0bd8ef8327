import { Command } from 'commander';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { asWei, formatAmount, parseAmount } from '#src/types/units.ts';
import { Client } from '../client.ts';
import { makeOutput } from '../output.ts';
import { transact } from './transact.ts';
import { addressArgument, defaultKeystore, defaultRpc, unlock } from './wallet.ts';

type PayOptions = {
  from?: string;
  memo?: string;
  keystore: string;
  passwordFile?: string;
  rpc: string;
  json: boolean;
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
  const wallet = await unlock({
    keystore: options.keystore,
    from: options.from ?? null,
    passwordFile: options.passwordFile ?? null,
  });
  const data = utf8(options.memo ?? '');
  const { receipt, finalMs } = await transact(client, wallet, { to, value: amount.value, data });
  const fee = BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice);
  const text = [
    `paid ${formatAmount(amount.value)} MPB to ${formatAddress(to)}`,
    `final in ${finalMs} ms, block ${BigInt(receipt.blockNumber)}, ` +
      `fee ${formatAmount(asWei(fee))} MPB`,
    receipt.transactionHash,
  ];
  makeOutput(options.json).result({ ...receipt, finalMs }, text.join('\n'));
}
