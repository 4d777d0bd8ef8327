import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { Client } from '../client.ts';
import { makeOutput, printable, table } from '../output.ts';
import { addressArgument, defaultKeystore, defaultRpc, listWallets } from './wallet.ts';

/** As `mpbp_getAccountHistory` gives it. */
type Entry = {
  blockNumber: string;
  transactionIndex: string;
  kind: string;
  amount: string;
  fee: string;
  counterparty: Address | null;
  transactionHash: string | null;
  timestampMs: string;
  memo: string;
  succeeded: boolean;
};
type Page = { entries: Entry[]; cursor: string | null };

type Options = {
  limit: string;
  follow: boolean;
  keystore: string;
  rpc: string;
  json: boolean;
};

const followIntervalMs = 500;

export function historyCommand(): Command {
  return new Command('history')
    .description('what an account did, the newest last')
    .argument('[address]', 'an address; the own wallet where there is only one')
    .option('--limit <n>', 'how many entries', '20')
    .option('--follow', 'stay and print what happens', false)
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document a line', false)
    .addHelpText('after', '\nExample:\n  $ mpbp history 0xf39F…2266 --follow')
    .action(history);
}

async function history(text: string | undefined, options: Options): Promise<void> {
  if (!/^[1-9]\d{0,2}$/.test(options.limit)) {
    throw new UserError(EXIT.usage, `--limit should be from 1 to 999, not "${options.limit}"`);
  }
  const address =
    text === undefined ? ownAddress(options.keystore) : addressArgument(text, 'address');
  const client = new Client(options.rpc);
  const output = makeOutput(options.json);
  const print = (entries: readonly Entry[]) => {
    if (options.json) for (const entry of entries) output.result(entry, '');
    else if (entries.length > 0) output.result(null, table(entries.map(row)));
  };
  const limit = Number(options.limit);
  const first = await client.call<Page>('mpbp_getAccountHistory', address, null, limit);
  const entries = [...first.entries].reverse();
  print(entries);
  if (entries.length === 0 && !options.json) {
    process.stderr.write(`${formatAddress(address)} has no history yet\n`);
  }
  let newest = entries.at(-1);
  while (options.follow) {
    await new Promise((resolve) => setTimeout(resolve, followIntervalMs));
    const page = await client.call<Page>('mpbp_getAccountHistory', address, null, 100);
    const fresh: Entry[] = [];
    for (const entry of page.entries) {
      if (newest !== undefined && placeOf(entry) === placeOf(newest)) break;
      fresh.unshift(entry);
    }
    print(fresh);
    newest = fresh.at(-1) ?? newest;
  }
}

function ownAddress(keystore: string): Address {
  const [only, second] = listWallets(keystore);
  if (only === undefined || second !== undefined) {
    throw new UserError(EXIT.usage, 'say which address: mpbp history ADDRESS');
  }
  return only.address;
}

function placeOf(entry: Entry): string {
  return `${entry.blockNumber}.${entry.transactionIndex}.${entry.kind}`;
}

function row(entry: Entry): string[] {
  const time = new Date(Number(BigInt(entry.timestampMs))).toISOString().replace('T', ' ');
  const income = ['received', 'fees', 'genesis'].includes(entry.kind);
  const sign = entry.kind === 'self' ? ' ' : income ? '+' : '-';
  const fee = BigInt(entry.fee);
  return [
    time.slice(0, 19),
    entry.kind,
    `${sign}${formatAmount(asWei(BigInt(entry.amount)))} MPB`,
    fee > 0n ? `fee ${formatAmount(asWei(fee))}` : '',
    entry.counterparty === null ? '' : formatAddress(entry.counterparty),
    entry.succeeded ? '' : 'FAILED',
    entry.memo === '0x' ? '' : printable(Buffer.from(entry.memo.slice(2), 'hex').toString('utf8')),
  ];
}
