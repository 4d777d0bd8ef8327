import { formatAbi } from 'abitype';
import { Command } from 'commander';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { makeOutput, table } from '../output.ts';

type Options = { readable: boolean };

export function abiCommand(): Command {
  return new Command('abi')
    .description('the interface of a native contract, for viem, ethers and Solidity tools')
    .argument('[contract]', 'its name; left out: all names and addresses')
    .option('--readable', 'one line a function, as ethers and viem read it too', false)
    .addHelpText('after', '\nExample:\n  $ mpbp abi PaymentOrders > PaymentOrders.json')
    .action((name: string | undefined, options: Options) => {
      if (name === undefined) return list();
      const abi = abis.get(name.toLowerCase());
      if (abi === undefined) {
        const names = [...contracts.map((one) => one.name), 'PaymentToken'].join(', ');
        throw new UserError(EXIT.usage, `there is no contract "${name}"; there are ${names}`);
      }
      const shown = options.readable ? formatAbi(abi) : abi;
      process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
    });
}

const abis = new Map([
  ...contracts.map(({ name, abi }) => [name.toLowerCase(), abi] as const),
  ['paymenttoken', tokenAbi] as const,
]);

function list(): void {
  const rows = contracts.map(({ name, address }) => [name, formatAddress(address)]);
  rows.push(['PaymentToken', 'one for each token: mpbp abi PaymentToken']);
  makeOutput(false).result(null, table(rows));
}
