import { readFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { PAYOUTS } from '#src/ledger/payments/addresses.ts';
import { payoutItemsMax } from '#src/ledger/payments/payouts.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';

import { makeOutput } from '../output.ts';
import { Progress } from '../progress.ts';
import { ask, type MovingOptions, moveMoney, moving, prepareAll } from './currency/moving.ts';
import { feesOf, spellFees } from './currency/paidFees.ts';
import { type Line, type PayoutFile, parsePayouts } from './currency/payoutFile.ts';
import {
  type AmountOptions,
  amounts,
  type Currency,
  contractOf,
  findCurrency,
  moneyOf,
  shownAmount,
  spellAmount,
} from './currency/tokens.ts';
import { itemWords } from './currency/words.ts';
import { findEvents, view } from './membership/contract.ts';
import { Session, signing } from './membership/session.ts';
import type { Receipt } from './transact.ts';

type Options = MovingOptions &
  AmountOptions & {
    csv: string;
    token: string;
    atomic: boolean;
    ref: string;
    failed?: string;
  };

const payouts = contractOf(PAYOUTS);

export function payoutCommand(): Command {
  const payout = new Command('payout').description('pay many at once');
  const batch = payout
    .command('batch')
    .description('pay every line of a file and wait until all are final')
    .requiredOption('--csv <file>', 'lines of address,amount,memo; a line of titles may be first')
    .requiredOption('--token <currency>', 'such as EUR, or the address of a token')
    .option('--atomic', 'all or none; otherwise each line for itself', false)
    .option('--ref <text>', 'tells it from an earlier payout of the same lines', '')
    .option('--failed <file>', 'where to write the lines that were not paid');
  amounts(moving(signing(batch)))
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp payout batch --csv salaries.csv --token EUR --ref november\n\n' +
        'The same lines are paid once: run the same command again after a failure, and it goes\n' +
        'on with what is not paid yet; to pay them once more, say what for with --ref. Exit\n' +
        'codes: 64 what you ask for cannot be; 65 refused, or some lines were not paid; 69 no\n' +
        'answer: run it again.',
    )
    .action(pay);
  return payout;
}

/** What fits one transaction. */
type Part = { readonly lines: readonly Line[]; readonly ref: Hash };

async function pay(options: Options): Promise<void> {
  const file = parsePayouts(readCsv(options.csv), options);
  const { lines } = file;
  if (options.atomic && lines.length > payoutItemsMax) {
    const limit = `at most ${payoutItemsMax} payments fit one transaction`;
    const why = `--atomic: ${limit}, and the file has ${lines.length} [BATCH_TOO_LONG]`;
    throw new UserError(EXIT.usage, why);
  }
  const session = await Session.open(options);
  const currency = await findCurrency(session.client, options.token);
  const parts = partsOf(file, session, currency, options);
  const open = await unpaid(session, parts);
  const total = sum(open.flatMap((part) => part.lines));
  await checkMoney(session, currency, total);
  const values = open.map((part) => valuesOf(part, currency, options.atomic));
  const count = open.reduce((all, part) => all + part.lines.length, 0);
  const progress = new Progress('{stage} [{bar}] {value}/{total} payments');
  const tell = (parts: number) => progress.at('checking', parts * payoutItemsMax, count);
  const prepared = prepareAll(session, payouts, 'payoutBatch', values, options, { tell });
  const { calls, fee } = await prepared.finally(() => progress.stop());
  const skipped = lines.length - count;
  const about = [
    `pay   ${shownAmount(total, currency)} to ${count} lines of ${options.csv}`,
    `token ${formatAddress(currency.address)}, ${currency.name} of ${currency.issuer}`,
    `in    ${open.length} ${plural(open.length, 'transaction')}`,
    ...(skipped > 0 ? [`      ${skipped} lines were paid before`] : []),
  ];
  await ask(session, about, fee, options);
  const done = await sendAll(session, open, calls);
  report({ file, currency, skipped, from: session.wallet.address, ...done }, options);
}

type Failed = { readonly line: Line; readonly errorCode: bigint };
type Done = {
  readonly paid: readonly Line[];
  readonly failed: readonly Failed[];
  readonly hashes: readonly string[];
  readonly fees: ReturnType<typeof feesOf>;
  readonly finalMs: number;
};

async function sendAll(
  session: Session,
  parts: readonly Part[],
  calls: Awaited<ReturnType<typeof prepareAll>>['calls'],
): Promise<Done> {
  const progress = new Progress('{stage} [{bar}] {value}/{total} payments');
  const [paid, failed, receipts]: [Line[], Failed[], Receipt[]] = [[], [], []];
  const count = parts.reduce((all, { lines }) => all + lines.length, 0);
  const started = performance.now();
  try {
    for (const [at, { lines }] of parts.entries()) {
      progress.at('paying', paid.length + failed.length, count);
      const call = calls[at];
      if (call === undefined) break;
      const { receipt } = await moveMoney(session, call);
      receipts.push(receipt);
      for (const { item, ok, errorCode } of findEvents(receipt, payouts, 'BatchItem')) {
        const line = lines[Number(item)];
        if (line === undefined) continue;
        if (ok === true) paid.push(line);
        else failed.push({ line, errorCode: errorCode as bigint });
      }
    }
  } catch (error) {
    throw interrupted(error, paid.length, count);
  } finally {
    progress.stop();
  }
  const hashes = receipts.map(({ transactionHash }) => transactionHash);
  const finalMs = Math.round(performance.now() - started);
  return { paid, failed, hashes, fees: feesOf(receipts), finalMs };
}

function interrupted(error: unknown, paid: number, count: number): unknown {
  if (!(error instanceof UserError) || paid === 0) return error;
  const how = `${paid} of ${count} payments are final; run the same command again to go on`;
  return new UserError(error.exitCode, `${error.message}\n  ${how}`, { cause: error });
}

// --- what is wanted ------------------------------------------------------------------------------

function readCsv(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as { code?: string };
    const exit = code === 'EACCES' ? EXIT.permission : EXIT.badData;
    throw new UserError(exit, `${path}: ${code === 'ENOENT' ? 'no such file' : code}`);
  }
}

/**
 * A reference for each part, of all that is paid: a file that was changed is another payout, and
 * none of its lines passes for paid.
 */
function partsOf(
  { lines }: PayoutFile,
  { wallet }: Session,
  { address }: Currency,
  { ref }: Options,
): Part[] {
  const paid = lines.map(({ to, amount, memo }) => [to, `${amount}`, memo]);
  const whole = keccakHash(utf8(JSON.stringify(['payout', wallet.address, address, ref, paid])));
  const parts: Part[] = [];
  for (let from = 0; from < lines.length; from += payoutItemsMax) {
    const part = lines.slice(from, from + payoutItemsMax);
    parts.push({ lines: part, ref: keccakHash(utf8(`${whole} ${parts.length}`)) });
  }
  return parts;
}

async function unpaid({ client, wallet }: Session, parts: readonly Part[]): Promise<Part[]> {
  const open: Part[] = [];
  for (const part of parts) {
    const [isPaid] = await view(client, payouts, 'batchState', wallet.address, part.ref);
    if (isPaid !== true) open.push(part);
  }
  if (open.length > 0) return open;
  const again = 'to pay it once more, say what for with --ref';
  throw new UserError(EXIT.badData, `all of it was paid before; ${again} [ALREADY_PAID]`);
}

async function checkMoney(session: Session, currency: Currency, total: bigint): Promise<void> {
  const { available, frozen } = await moneyOf(session.client, currency, session.wallet.address);
  const free = available > frozen ? available - frozen : 0n;
  if (free >= total) return;
  const [has, needs] = [free, total].map((amount) => shownAmount(amount, currency));
  const why = `the wallet has ${has} to spend; the file pays ${needs}`;
  throw new UserError(EXIT.badData, `${why} [INSUFFICIENT_FUNDS]`);
}

function valuesOf({ lines, ref }: Part, { address }: Currency, atomic: boolean): unknown[] {
  const items = lines.map(({ to, amount, memo }) => ({ to, amount, memo }));
  return [address, items, ref, atomic];
}

function sum(lines: readonly Line[]): bigint {
  return lines.reduce((all, { amount }) => all + amount, 0n);
}

// --- what came of it -----------------------------------------------------------------------------

function report(
  all: Done & { file: PayoutFile; currency: Currency; skipped: number; from: string },
  options: Options,
): void {
  const { file, currency, skipped, from, paid, failed, hashes, fees, finalMs } = all;
  const total = sum(paid);
  if (options.failed !== undefined) {
    const rows = [file.title ?? '', ...failed.map(({ line }) => line.text)];
    // Also where there are none: an older file would be taken for what is left.
    writeFileSync(
      options.failed,
      rows
        .filter((row) => row !== '')
        .map((row) => `${row}\n`)
        .join(''),
    );
  }
  const text = [
    `paid ${shownAmount(total, currency)} in ${paid.length} ${plural(paid.length, 'payment')}` +
      (skipped > 0 ? `; ${skipped} were paid before` : ''),
    `final in ${finalMs} ms, ${hashes.length} ${plural(hashes.length, 'transaction')}, ` +
      spellFees(fees),
    ...hashes,
    ...failed.map(({ line, errorCode }) => {
      const what = `${formatAddress(line.to)} ${shownAmount(line.amount, currency)}`;
      return `line ${line.line}: not paid: ${what}: ${itemWords(errorCode)}`;
    }),
  ];
  const data = {
    ...{ token: currency.address, currency: currency.code, from, skipped },
    ...{ paid: paid.length, total: spellAmount(total, options), transactions: hashes },
    ...{ fees, finalMs },
    failed: failed.map(({ line, errorCode }) => ({
      ...{ line: line.line, to: line.to, amount: spellAmount(line.amount, options) },
      ...{ errorCode: Number(errorCode), reason: itemWords(errorCode) },
    })),
  };
  makeOutput(options.json).result(data, text.join('\n'));
  if (failed.length === 0) return;
  const count = `${failed.length} of ${paid.length + failed.length} payments were not made`;
  throw new UserError(EXIT.badData, `${count} [ITEMS_FAILED]`);
}

function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`;
}
