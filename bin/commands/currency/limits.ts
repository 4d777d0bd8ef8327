/** `mpbp policy limit`: how much may move in a period, told and set. */
import { Command } from 'commander';
import { DIRECTION, subjectOf } from '#src/ledger/payments/tokens/limits.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Hash } from '#src/types/hash.ts';
import { addressArgument, wholeNumber } from '../../arguments.ts';
import { Client } from '../../client.ts';
import { makeOutput, table } from '../../output.ts';
import { view } from '../membership/contract.ts';
import { propose } from '../membership/proposing.ts';
import { refusedInWords, type SessionOptions, signing } from '../membership/session.ts';
import { timeOf } from '../membership/words.ts';
import { idOf } from '../sales/words.ts';
import { openPolicies, policies } from './policies.ts';
import {
  type AmountOptions,
  amountOf,
  amounts,
  findCurrency,
  shownAmount,
  spellAmount,
} from './tokens.ts';
import { limitText, PERIODS, subjectText } from './words.ts';

type Direction = keyof typeof DIRECTION;
const DIRECTIONS = Object.keys(DIRECTION) as Direction[];

type LimitOptions = SessionOptions &
  AmountOptions & {
    token: string;
    direction?: string;
    per?: string;
    amount?: string;
    count?: number;
    remove: boolean;
  };

export function limitCommand(): Command {
  return amounts(signing(new Command('limit')))
    .description('how much an account, a merchant or a member may move; without --per, what is set')
    .argument('<whom>', 'an address, or what a merchant or a member is called')
    .requiredOption('--token <currency>', 'such as EUR, or the address of a token')
    .option('--direction <way>', 'out: what it pays (refunds of a merchant); in: what it gets')
    .option('--per <period>', `${PERIODS.join(', ')}: of the calendar, in UTC`)
    .option('--amount <amount>', 'at most so much')
    .option('--count <n>', 'at most so many payments', wholeNumber(1, 2 ** 32 - 1))
    .option('--remove', 'no such limit any more', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp policy limit 0x7099…79C8 --token EUR --direction out --per month \\\n' +
        "      --amount 5000\n\nAn account's are set by the currency's compliance officer, a " +
        "merchant's by its\nacquirer, a member's by a vote of all members.",
    )
    .action(limit);
}

async function limit(whom: string, options: LimitOptions): Promise<void> {
  const subject = whom.startsWith('0x') && whom.length === 42 ? null : idOf(whom, 'whom');
  const id = subject ?? subjectOf(addressArgument(whom, 'whom'));
  if (options.per === undefined) return show(id, options);
  const wanted = readLimit(options);
  const session = await openPolicies(options);
  const currency = await findCurrency(session.client, options.token);
  const { direction, unit, amount, count } = wanted;
  const values = [id, currency.address, DIRECTION[direction], unit, amount, count];
  const done = limitText({ ...wanted, whom: subjectText(id), token: currency.address });
  const { members } = await session.membership();
  // What holds for a member is for all of them to say.
  if (members.some(({ memberId }) => subject !== null && idOf(memberId, 'member') === id)) {
    await propose(session, [{ contract: policies, name: 'setLimit', values }], done);
  } else {
    await session.send(policies, 'setLimit', values);
    session.report.say(done, { subject: id, direction, per: options.per });
  }
  session.report.end();
}

type Wanted = { direction: Direction; unit: bigint; amount: bigint; count: bigint };

function readLimit(options: LimitOptions): Wanted {
  const { direction, per, amount, count, remove } = options;
  const way = DIRECTIONS.find((name) => name === direction);
  if (way === undefined) throw new UserError(EXIT.usage, '--direction: out or in');
  const periods: readonly string[] = PERIODS;
  const unit = periods.indexOf(per ?? '');
  if (unit < 0) throw new UserError(EXIT.usage, `--per: one of ${PERIODS.join(', ')}`);
  if (remove === (amount !== undefined || count !== undefined)) {
    throw new UserError(EXIT.usage, 'say --amount, --count or both; or --remove');
  }
  const most = amount === undefined ? 0n : amountOf(amount, '--amount', options);
  if (amount !== undefined && most === 0n) {
    throw new UserError(EXIT.usage, '--amount: more than 0; whoever may not pay at all is frozen');
  }
  return { direction: way, unit: BigInt(unit), amount: most, count: BigInt(count ?? 0) };
}

async function show(subject: Hash, options: LimitOptions): Promise<void> {
  const { rpc, json, token } = options;
  const client = new Client(rpc);
  const currency = await findCurrency(client, token);
  const asked = DIRECTIONS.flatMap((direction) =>
    PERIODS.map((per, unit) => ({ direction, per, unit: BigInt(unit) })),
  );
  const found = await Promise.all(
    asked.map(async ({ direction, per, unit }) => {
      const values = [subject, currency.address, DIRECTION[direction], unit];
      const answer = await refusedInWords(() => view(client, policies, 'limitOf', ...values));
      const [amount, count, used, usedCount, end] = answer as readonly bigint[];
      return { direction, per, unit, ...limitOf([amount, count, used, usedCount, end]) };
    }),
  );
  const limits = found.filter(({ amount, count }) => amount > 0n || count > 0n);
  const whom = subjectText(subject);
  const rows = limits.map((one) => [
    limitText({ ...one, whom, token: currency.address }),
    `${shownAmount(one.used, currency)} in ${one.usedCount} so far`,
    one.end === 0n ? '' : `until ${timeOf(Number(one.end))}`,
  ]);
  const data = limits.map(({ direction, per, amount, count, used, usedCount, end }) => ({
    ...{ direction, per, count, usedCount, periodEnd: end },
    ...{ amount: spellAmount(amount, options), used: spellAmount(used, options) },
  }));
  makeOutput(json).result(data, rows.length === 0 ? `${whom} has no limits` : table(rows));
}

function limitOf(values: readonly (bigint | undefined)[]) {
  const [amount = 0n, count = 0n, used = 0n, usedCount = 0n, end = 0n] = values;
  return { amount, count, used, usedCount, end };
}
