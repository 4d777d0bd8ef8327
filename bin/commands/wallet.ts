import { Command } from 'commander';
import { formatAddress } from '#src/types/address.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { addressArgument } from '../arguments.ts';
import { Client, defaultRpc } from '../client.ts';
import { defaultKeystore, listWallets } from '../keystoreFolder.ts';
import { makeOutput, table } from '../output.ts';
import { exportCommand, importCommand, newCommand } from './wallet/keyFiles.ts';
import { linkCommand } from './wallet/link.ts';
import { signCommand, verifyCommand } from './wallet/messages.ts';
import { walletSignerCommand } from './wallet/signer.ts';

export function walletCommand(): Command {
  const wallet = new Command('wallet').description(
    "a person's keys: make, keep, sign with them, see the balance",
  );
  wallet.addCommand(newCommand());
  wallet.addCommand(importCommand());
  wallet.addCommand(exportCommand());
  wallet.addCommand(listCommand());
  wallet.addCommand(balanceCommand());
  wallet.addCommand(linkCommand());
  wallet.addCommand(signCommand());
  wallet.addCommand(verifyCommand());
  wallet.addCommand(walletSignerCommand());
  return wallet;
}

function listCommand(): Command {
  return new Command('list')
    .description('list the wallets in the folder')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp wallet list')
    .action((options: { keystore: string; json: boolean }) => {
      const found = listWallets(options.keystore);
      const text =
        found.length === 0
          ? `no wallets in ${options.keystore}; make one with: mpbp wallet new`
          : found.map(({ address }) => formatAddress(address)).join('\n');
      makeOutput(options.json).result(
        found.map(({ address, path }) => ({ address: formatAddress(address), path })),
        text,
      );
    });
}

function balanceCommand(): Command {
  return new Command('balance')
    .description('balances of addresses, or of all own wallets')
    .argument('[address...]', 'addresses')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet balance 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
    )
    .action(balances);
}

async function balances(
  addresses: string[],
  options: { keystore: string; rpc: string; json: boolean },
): Promise<void> {
  const client = new Client(options.rpc);
  const wanted =
    addresses.length > 0
      ? addresses.map((text) => addressArgument(text, 'address'))
      : listWallets(options.keystore).map(({ address }) => address);
  const rows: { address: string; wei: bigint }[] = [];
  for (const address of wanted) {
    const wei = BigInt(await client.call<string>('eth_getBalance', address, 'latest'));
    rows.push({ address: formatAddress(address), wei });
  }
  makeOutput(options.json).result(
    rows,
    table(rows.map(({ address, wei }) => [address, `${formatAmount(asWei(wei))} MPB`])),
  );
}
