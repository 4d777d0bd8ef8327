/** `mpbp fee`: in what fees are paid, who pays them for whom, and where they go. */
import { Command } from 'commander';
import { COIN_ADDRESS, FEE_MANAGER } from '#src/ledger/payments/addresses.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import type { Hex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress, tokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { addressArgument, amountArgument, wholeNumber } from '../arguments.ts';
import { Client, defaultRpc } from '../client.ts';
import { makeOutput, table } from '../output.ts';
import {
  allCurrencies,
  amountOf,
  type Currency,
  contractOf,
  findCurrency,
  shownAmount,
} from './currency/tokens.ts';
import { findEvent, view } from './membership/contract.ts';
import { propose } from './membership/proposing.ts';
import { Session, type SessionOptions, signing } from './membership/session.ts';
import { type Sentences, timeOf } from './membership/words.ts';

const fees = contractOf(FEE_MANAGER);
const COIN = 'coin';
/** A rate is told for so much gas: some twenty transfers. */
const ratedGas = 1_000_000n;
const E18 = 10n ** 18n;

type Of = { readonly token: string };

/** What FeeManager's refusals mean, and what to do. */
const SENTENCES: Sentences = {
  AlreadySponsored: (user, sponsor, until) =>
    `${spelt(sponsor)} pays the fees of ${spelt(user)} until ${timeOf(Number(until))}: another ` +
    'may when that is over or used up, or when either of them gives it up [AlreadySponsored]',
  NothingCollected: (validator, token) =>
    `no fees in ${currencyOf(token as Address)} wait for ${spelt(validator)}: they are for the ` +
    'fee recipient of who made the block; say whose with --for [NothingCollected]',
  TokenPaysNoFees: (token) =>
    `fees are not paid in ${currencyOf(token as Address)} here: mpbp fee list [TokenPaysNoFees]`,
  InvalidAccount: (account) =>
    `${spelt(account)} cannot be sponsored by this wallet: nobody pays for itself or for a ` +
    'contract of the system [InvalidAccount]',
};

function spelt(address: unknown): string {
  return formatAddress(String(address).toLowerCase() as Address);
}

async function open(options: SessionOptions): Promise<Session> {
  const session = await Session.open(options);
  session.sentences = SENTENCES;
  return session;
}

export function feeCommand(): Command {
  const fee = new Command('fee').description('in what fees are paid, who pays them for whom');
  fee
    .command('list', { isDefault: true })
    .description('what fees cost in each currency; of an account, in what it pays and its sponsor')
    .argument('[address]', 'whose')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp fee list 0x7099…79C8')
    .action(list);
  signing(fee.command('choose'))
    .description("in what the own wallet's fees are paid")
    .argument('<currency>', `such as EUR; "${COIN}" always; "any" as each transaction has it`)
    .addHelpText('after', '\nExample:\n  $ mpbp fee choose EUR')
    .action(choose);
  signing(fee.command('sponsor'))
    .description("pay an account's fees from the own wallet; 0 ends it")
    .argument('<address>', 'whose')
    .argument('<budget>', 'at most so much in all, such as 5')
    .requiredOption('--token <currency>', `in what: such as EUR, or "${COIN}"`)
    .option('--days <n>', 'for how long', wholeNumber(1, 36_500), 30)
    .option('--only <functions>', 'of these functions only, such as pay,transfer')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp fee sponsor 0x7099…79C8 5 --token EUR --only pay,reclaim',
    )
    .action(sponsor);
  signing(fee.command('collect'))
    .description('have the fees paid out that wait in a currency')
    .requiredOption('--token <currency>', 'such as EUR')
    .option('--for <address>', 'the fee recipient of a validator; the own wallet if left out')
    .addHelpText('after', '\nExample:\n  $ mpbp fee collect --token EUR')
    .action(collect);
  signing(fee.command('rate'))
    .description(
      'propose to the members what a million gas costs in a currency; 0 for no fees in it',
    )
    .argument('<amount>', 'such as 0.02: a transfer is about a twentieth of it')
    .requiredOption('--token <currency>', 'such as EUR')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp fee rate 0.02 --token EUR --keystore devnet/wallets/member-0',
    )
    .action(rate);
  return fee;
}

async function list(
  of: string | undefined,
  { rpc, json }: { rpc: string; json: boolean },
): Promise<void> {
  const client = new Client(rpc);
  const account = of === undefined ? null : addressArgument(of, 'address');
  const currencies = await allCurrencies(client);
  const rows = await Promise.all(
    currencies.map(async ({ address, code, issuer }) => {
      const [perGasE18] = await view(client, fees, 'feeRate', address);
      const millionGas = formatTokenAmount(((perGasE18 as bigint) * ratedGas) / E18);
      return { currency: code, issuer, token: address, millionGas };
    }),
  );
  const shown = rows.map(({ currency, issuer, millionGas }) => [
    ...[currency, issuer, millionGas === '0.00' ? 'pays no fees' : `${millionGas} a million gas`],
  ]);
  const own = account === null ? null : await ownOf(client, account, currencies);
  const lines = [table([['CURRENCY', 'ISSUER', 'FEES'], ...shown]), ...(own?.lines ?? [])];
  makeOutput(json).result({ currencies: rows, ...own?.data }, lines.join('\n'));
}

async function ownOf(client: Client, account: Address, currencies: readonly Currency[]) {
  const nameOf = (token: unknown) => {
    const address = String(token).toLowerCase();
    if (address === COIN_ADDRESS || address === ZERO_ADDRESS) return COIN;
    return currencies.find((one) => one.address === address)?.code ?? address;
  };
  const [chosen] = await view(client, fees, 'userTokens', account);
  const [by, token, remaining, until] = await view(client, fees, 'sponsorshipOf', account);
  const choice = chosen === ZERO_ADDRESS ? 'what it pays in, else coin' : nameOf(chosen);
  const sponsor = formatAddress(by as Address);
  const left = spell(remaining as bigint, token as Address, nameOf(token));
  const end = timeOf(Number(until));
  const isSponsored = remaining !== 0n;
  return {
    lines: [
      `fees are paid in ${choice}`,
      ...(isSponsored ? [`${sponsor} pays them until ${end}: ${left} are left`] : []),
    ],
    data: {
      choice: nameOf(chosen),
      sponsorship: isSponsored ? { sponsor, token, remaining: `${remaining}`, until } : null,
    },
  };
}

async function choose(what: string, options: SessionOptions): Promise<void> {
  const session = await open(options);
  const token = what === 'any' ? ZERO_ADDRESS : await tokenFor(session, what, COIN_ADDRESS);
  await session.send(fees, 'setUserToken', [token]);
  const words = what === 'any' ? 'what each transaction pays in, else coin' : what;
  session.report.say(`fees of ${formatAddress(session.wallet.address)} are paid in ${words}`);
  session.report.end();
}

type Sponsoring = SessionOptions & Of & { readonly days: number; readonly only?: string };

async function sponsor(toText: string, amountText: string, options: Sponsoring): Promise<void> {
  const user = addressArgument(toText, 'address');
  const isCoin = options.token === COIN;
  const budget = isCoin
    ? amountArgument(amountText, 'budget')
    : amountOf(amountText, 'budget', { baseUnits: false });
  const selectors = selectorsOf(options.only);
  const session = await open(options);
  const token = await tokenFor(session, options.token, ZERO_ADDRESS);
  const until = budget === 0n ? 0n : BigInt(Math.floor(Date.now() / 1_000) + options.days * 86_400);
  await session.send(fees, 'setSponsorship', [user, token, budget, until, selectors]);
  const whose = `fees of ${formatAddress(user)}`;
  const upTo = spell(budget, token, options.token);
  const done =
    budget === 0n
      ? `${whose} are its own again`
      : `${whose} are paid until ${timeOf(Number(until))}, up to ${upTo}`;
  session.report.say(done, { user, token, budget: `${budget}`, until: Number(until) });
  session.report.end();
}

async function collect(options: SessionOptions & Of & { readonly for?: string }): Promise<void> {
  const session = await open(options);
  const currency = await findCurrency(session.client, options.token);
  const to =
    options.for === undefined ? session.wallet.address : addressArgument(options.for, '--for');
  const receipt = await session.send(fees, 'distributeFees', [to, currency.address]);
  const amount = findEvent(receipt, fees, 'FeesDistributed')?.amount as bigint;
  const done = `paid ${shownAmount(amount, currency)} of fees to ${formatAddress(to)}`;
  session.report.say(done, { to, token: currency.address, amount: formatTokenAmount(amount) });
  session.report.end();
}

async function rate(amountText: string, options: SessionOptions & Of): Promise<void> {
  const amount = amountOf(amountText, 'amount', { baseUnits: false });
  const session = await open(options);
  session.needMember();
  const currency = await findCurrency(session.client, options.token);
  const values = [currency.address, (amount * E18) / ratedGas];
  const words = `a million gas costs ${shownAmount(amount, currency)} of ${currency.issuer}`;
  await propose(session, [{ contract: fees, name: 'setFeeRate', values }], words);
  session.report.end();
}

/** `coin`: what stands for it here. */
async function tokenFor({ client }: Session, text: string, coin: Address): Promise<Address> {
  return text === COIN ? coin : (await findCurrency(client, text)).address;
}

function spell(amount: bigint, token: Address, name: string): string {
  const isCoin = token === ZERO_ADDRESS;
  return isCoin ? `${formatAmount(asWei(amount))} MPB` : `${formatTokenAmount(amount)} ${name}`;
}

/** Every function of tokens, orders and payouts that has one of these names. */
function selectorsOf(only: string | undefined): readonly Hex[] {
  if (only === undefined) return [];
  const all = [contractOf(ANY_TOKEN), paymentOrders, payouts].flatMap(({ functions }) => [
    ...functions,
  ]);
  return only.split(',').flatMap((text) => {
    const found = all.filter(([, { name, isView }]) => name === text.trim() && !isView);
    if (found.length > 0) return found.map(([selector]) => selector);
    const hint = 'no function of tokens, orders or payouts: mpbp abi PaymentOrders';
    throw new UserError(EXIT.usage, `--only: "${text.slice(0, 80)}" is ${hint}`);
  });
}

/** They all have the same functions. */
const ANY_TOKEN = tokenAddress('EUR', new Uint8Array(5));
