import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { addressArgument } from '../arguments.ts';
import { Client, defaultRpc, NodeRefusal } from '../client.ts';
import { defaultKeystore, listWallets } from '../keystoreFolder.ts';
import { makeOutput, printable, table } from '../output.ts';

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
  /** Null for the native coin. */
  token: Address | null;
  orderId: string | null;
  /** That was paid, where the receiver has made one for this. */
  virtualAddress: Address | null;
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
const pageEntries = 100;
/** Not now: a limit, an answer that takes too long, a database that is opened anew. */
const momentaryCodes = [-32005, -32002, -32000];

export function historyCommand(): Command {
  return new Command('history')
    .description('what an account did, the newest last')
    .argument('[address]', 'an address; the own wallet where there is only one')
    .option('--limit <n>', 'how many entries', '20')
    .option('--follow', 'stay and print what happens', false)
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document a line', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp history 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --follow',
    )
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
    else if (entries.length > 0) output.result(null, table(entries.filter(saysMore).map(row)));
  };
  const limit = Number(options.limit);
  const first = await client.call<Page>('mpbp_getAccountHistory', address, null, limit);
  const entries = [...first.entries].reverse();
  print(entries);
  if (entries.length === 0 && !options.json) {
    process.stderr.write(`${formatAddress(address)} has no history yet\n`);
  }
  if (options.follow) await follow(client, address, blockOf(entries.at(-1)), print);
}

/**
 * A call that paid in currencies took nothing of the coin: the lines of what it did move tell of it.
 * One that moved nothing at all is told as it is.
 */
function saysMore(entry: Entry, _: number, all: readonly Entry[]): boolean {
  const { token, amount, fee, transactionHash, kind } = entry;
  if (token !== null || BigInt(amount) > 0n || BigInt(fee) > 0n || kind !== 'sent') return true;
  const isSame = (other: Entry) => other.transactionHash === transactionHash;
  return !all.some((other) => other !== entry && isSame(other));
}

/**
 * Prints what comes after this block, without an end. A block is final and its entries are written
 * with it, so each block is printed once and whole, however many entries came since the last look:
 * also when the node was away, or when another one answers that is still behind.
 */
async function follow(
  client: Client,
  address: Address,
  after: bigint,
  print: (entries: readonly Entry[]) => void,
): Promise<never> {
  const chain = await genesisHash(client);
  let printed = after;
  let isAway = false;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, followIntervalMs));
    try {
      if (isAway && (await genesisHash(client)) !== chain) {
        throw new UserError(EXIT.badData, `${client.url} is of another chain now`);
      }
      const fresh = await entriesAfter(client, address, printed);
      if (isAway) process.stderr.write(`${client.url} is back\n`);
      isAway = false;
      print(fresh);
      printed = fresh.length === 0 ? printed : blockOf(fresh.at(-1));
    } catch (error) {
      if (!isMomentary(error)) throw error;
      if (!isAway) process.stderr.write(`${client.url} does not answer; waiting for it\n`);
      isAway = true;
    }
  }
}

/** Oldest first, from as many pages as it takes. */
async function entriesAfter(client: Client, address: Address, block: bigint): Promise<Entry[]> {
  const fresh: Entry[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await client.call<Page>(
      'mpbp_getAccountHistory',
      ...[address, cursor, pageEntries],
    );
    for (const entry of page.entries) {
      if (blockOf(entry) <= block) return fresh.reverse();
      fresh.push(entry);
    }
    cursor = page.cursor;
  } while (cursor !== null);
  return fresh.reverse();
}

/** Of nothing yet: before genesis, whose entries are news too. */
function blockOf(entry: Entry | undefined): bigint {
  return entry === undefined ? -1n : BigInt(entry.blockNumber);
}

async function genesisHash(client: Client): Promise<string> {
  return (await client.call<{ hash: string }>('eth_getBlockByNumber', '0x0', false)).hash;
}

/** A node that stops, starts, or has too much to do. */
function isMomentary(error: unknown): boolean {
  if (error instanceof NodeRefusal) return momentaryCodes.includes(error.rpcCode);
  return error instanceof UserError && error.exitCode === EXIT.unavailable;
}

function ownAddress(keystore: string): Address {
  const [only, second] = listWallets(keystore);
  if (only === undefined || second !== undefined) {
    throw new UserError(EXIT.usage, 'say which address: mpbp history ADDRESS');
  }
  return only.address;
}

function amountOf({ amount, token }: Entry): string {
  if (token === null) return `${formatAmount(asWei(BigInt(amount)))} MPB`;
  return `${formatTokenAmount(BigInt(amount))} ${currencyOf(token)}`;
}

function row(entry: Entry): string[] {
  const time = new Date(Number(BigInt(entry.timestampMs))).toISOString().replace('T', ' ');
  const income = ['received', 'fees', 'genesis'].includes(entry.kind);
  const sign = entry.kind === 'self' ? ' ' : income ? '+' : '-';
  const fee = BigInt(entry.fee);
  return [
    time.slice(0, 19),
    entry.kind,
    `${sign}${amountOf(entry)}`,
    fee > 0n
      ? `fee ${entry.token === null ? formatAmount(asWei(fee)) : formatTokenAmount(fee)}`
      : '',
    entry.counterparty === null ? '' : formatAddress(entry.counterparty),
    entry.virtualAddress === null ? '' : `at ${formatAddress(entry.virtualAddress)}`,
    entry.succeeded ? '' : 'FAILED',
    entry.memo === '0x' ? '' : printable(Buffer.from(entry.memo.slice(2), 'hex').toString('utf8')),
  ];
}
