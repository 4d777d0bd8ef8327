import { Command } from 'commander';
import { renderUnicodeCompact } from 'uqr';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatPaymentLink, linkMemoBytesMax } from '#src/wallet/paymentLink.ts';
import { addressArgument, amountArgument, wholeNumber } from '../../arguments.ts';
import { Client, defaultRpc } from '../../client.ts';
import { chooseWallet, defaultKeystore } from '../../keystoreFolder.ts';
import { makeOutput } from '../../output.ts';

type Options = {
  to?: string;
  amount?: string;
  memo?: string;
  chainId?: number;
  keystore: string;
  rpc: string;
  qr: boolean;
  json: boolean;
};

export function linkCommand(): Command {
  return new Command('link')
    .description('a payment link (EIP-681) and its QR code, for whoever is to pay you')
    .option('--to <address>', 'the payee; the own wallet where there is only one')
    .option('--amount <amount>', 'MPB, such as 12.50; left out: the payer chooses')
    .option('--memo <text>', 'the note that is to travel with the payment')
    .option(
      '--chain-id <n>',
      "the network's; left out: that of the node",
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--no-qr', 'the link alone')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet link --amount 12.50 --memo "invoice 7"\n\n' +
        'Paid with: mpbp pay LINK, or by a wallet that reads EIP-681.',
    )
    .action(link);
}

async function link(options: Options): Promise<void> {
  const memo = options.memo ?? '';
  const memoBytes = utf8(memo).length;
  if (memoBytes > linkMemoBytesMax || /\p{Cc}/u.test(memo)) {
    const limit = `at most ${linkMemoBytesMax} bytes in one line`;
    throw new UserError(EXIT.usage, `--memo: ${limit}, not ${memoBytes} bytes`);
  }
  const to =
    options.to === undefined
      ? chooseWallet(options.keystore, null).address
      : addressArgument(options.to, '--to');
  const value = options.amount === undefined ? null : amountArgument(options.amount, '--amount');
  const chainId =
    options.chainId === undefined
      ? BigInt(await new Client(options.rpc).call<string>('eth_chainId'))
      : BigInt(options.chainId);
  const text = formatPaymentLink({ to, chainId, value, memo });
  const picture = options.qr ? `\n${renderUnicodeCompact(text, { border: 2 })}` : '';
  makeOutput(options.json).result({ link: text }, `${text}${picture}`);
}
