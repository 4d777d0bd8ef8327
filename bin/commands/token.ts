import { Command } from 'commander';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { keccakHash, parseHash } from '#src/types/hash.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { asWei } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { addressArgument, wholeNumber } from '../arguments.ts';
import { Client, defaultRpc } from '../client.ts';
import { defaultKeystore, listWallets } from '../keystoreFolder.ts';
import { makeOutput, printable, table } from '../output.ts';
import { memoWord, tokenMemoBytesMax } from './currency/memo.ts';
import { ask, type MovingOptions, moveMoney, moving, prepareAll } from './currency/moving.ts';
import { feesOf, spellFees } from './currency/paidFees.ts';
import { makePolicy, type NewPolicyOptions, newPolicy, policyText } from './currency/policies.ts';
import {
  type AmountOptions,
  allCurrencies,
  amountOf,
  amounts,
  type Currency,
  factory,
  feeIn,
  findCurrency,
  moneyOf,
  shownAmount,
  spellAmount,
} from './currency/tokens.ts';
import { encodeCall, findEvent, view } from './membership/contract.ts';
import { refusedInWords, Session, type SessionOptions, signing } from './membership/session.ts';
import { prepare } from './transact.ts';

type Asking = AmountOptions & { rpc: string; json: boolean };
type Of = { token: string };
type Acting = SessionOptions & Of;
type ActingWithAmount = Acting & AmountOptions;
type ActingWithMemo = ActingWithAmount & { memo?: string };

export function tokenCommand(): Command {
  const token = new Command('token').description('currencies: who has how much, and issuing them');
  asking(token.command('list'))
    .description('the currencies of this network')
    .addHelpText('after', '\nExample:\n  $ mpbp token list')
    .action(list);
  asking(token.command('balance'))
    .description('what an account has of each currency')
    .argument('[address]', 'an address; the own wallet where there is only one')
    .option('--token <currency>', 'of this one only')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .addHelpText('after', '\nExample:\n  $ mpbp token balance 0x7099…79C8 --token EUR')
    .action(balance);
  moving(actingWithMemo(token.command('transfer')))
    .description('pay in a currency and wait until it is final')
    .argument('<to>', 'address of the payee')
    .argument('<amount>', 'such as 12.50; "all" is what is left after the fee')
    .addHelpText(
      'after',
      "\nExample:\n  $ mpbp token transfer 0x7099…79C8 12.50 --token EUR --memo 'no 7'",
    )
    .action(transfer);
  signing(token.command('create'))
    .description("make a currency of one's member, which needs the role issuer")
    .requiredOption('--currency <code>', 'three letters of ISO 4217, such as EUR')
    .requiredOption('--name <text>', "what people call it, such as 'Euro of Bank 5'")
    .option('--symbol <text>', 'as wallets show it; the letters of the currency if left out')
    .option('--admin <address>', 'who has every role in it; the own wallet if left out')
    .option('--salt <text>', 'for a second one of the same currency', '')
    .addHelpText(
      'after',
      "\nExample:\n  $ mpbp token create --currency CHF --name 'Franc of Bank 0' \\\n" +
        '      --keystore devnet/wallets/member-0',
    )
    .action(create);
  actingWithMemo(token.command('mint'))
    .description('issue money to an account')
    .argument('<to>', 'address')
    .argument('<amount>', 'such as 1000')
    .addHelpText('after', '\nExample:\n  $ mpbp token mint 0x7099…79C8 1000 --token EUR')
    .action(mint);
  actingWithMemo(token.command('burn'))
    .description("take money of one's own out of circulation")
    .argument('<amount>', 'such as 1000')
    .addHelpText('after', '\nExample:\n  $ mpbp token burn 1000 --token EUR')
    .action(burn);
  for (const name of ['pause', 'unpause'] as const) {
    acting(token.command(name))
      .description(name === 'pause' ? 'let nothing of a currency move' : 'let it move again')
      .addHelpText('after', `\nExample:\n  $ mpbp token ${name} --token EUR`)
      .action((options: Acting) => setPaused(name, options));
  }
  amounts(acting(token.command('freeze')))
    .description("freeze so much of an account's money; 0 frees it")
    .argument('<address>', 'whose')
    .argument('<amount>', 'such as 1000; may be more than there is')
    .addHelpText('after', '\nExample:\n  $ mpbp token freeze 0x7099…79C8 1000 --token EUR')
    .action(freeze);
  acting(token.command('policy'))
    .description('who may send and receive a currency; without an option, which policy it has')
    .option(
      '--id <n>',
      'a policy that is there: 0 nobody, 1 everybody',
      wholeNumber(0, 2 ** 53 - 1),
    )
    .option('--allow-only <list>', 'a new policy: these addresses and nobody else')
    .option('--deny <list>', 'a new policy: everybody but these addresses')
    .addHelpText('after', '\nExample:\n  $ mpbp token policy --token EUR --deny 0x7099…79C8')
    .action(setPolicy);
  return token;
}

function asking(command: Command): Command {
  return amounts(command)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false);
}

function acting(command: Command): Command {
  const what = 'such as EUR, or the address of a token';
  return signing(command).requiredOption('--token <currency>', what);
}

function actingWithMemo(command: Command): Command {
  const what = 'up to 32 bytes, for everyone to read';
  return amounts(acting(command)).option('--memo <text>', what);
}

// --- looking -------------------------------------------------------------------------------------

async function list(options: Asking): Promise<void> {
  const client = new Client(options.rpc);
  const found = await allCurrencies(client);
  const rows = await Promise.all(
    found.map(async (currency) => {
      const names = ['totalSupply', 'paused', 'transferPolicyId'];
      const read = names.map(async (name) => (await view(client, currency.contract, name))[0]);
      const [supply, paused, policyId] = await Promise.all(read);
      const { contract, ...about } = currency;
      return { ...about, supply: supply as bigint, paused: paused === true, policyId };
    }),
  );
  const text = rows.map((row) => [
    ...[row.code, formatAddress(row.address), row.name, `issued by ${row.issuer}`],
    ...[`${shownAmount(row.supply, row)} in all`, row.paused ? 'PAUSED' : ''],
  ]);
  const empty = 'there is no currency yet: mpbp token create';
  const data = rows.map((row) => ({ ...row, supply: spellAmount(row.supply, options) }));
  makeOutput(options.json).result(data, rows.length === 0 ? empty : table(text));
}

async function balance(
  text: string | undefined,
  options: Asking & { token?: string; keystore: string },
): Promise<void> {
  const { rpc, json, token, keystore } = options;
  const account = text === undefined ? ownAddress(keystore) : addressArgument(text, 'address');
  const client = new Client(rpc);
  const wanted =
    token === undefined ? await allCurrencies(client) : [await findCurrency(client, token)];
  const rows = await Promise.all(
    wanted.map(async (currency) => ({ currency, ...(await moneyOf(client, currency, account)) })),
  );
  const data = rows.map(({ currency, available, held, frozen }) => ({
    ...{ token: currency.address, currency: currency.code, name: currency.name },
    available: spellAmount(available, options),
    held: spellAmount(held, options),
    frozen: spellAmount(frozen, options),
  }));
  const shown = rows.map(({ currency, available, held, frozen }) => [
    shownAmount(available, currency),
    held > 0n ? `${shownAmount(held, currency)} on hold` : '',
    frozen > 0n ? `${shownAmount(frozen, currency)} frozen` : '',
    currency.name,
  ]);
  makeOutput(json).result(data, shown.length === 0 ? 'there is no currency yet' : table(shown));
}

function ownAddress(keystore: string): Address {
  const [only, second] = listWallets(keystore);
  if (only !== undefined && second === undefined) return only.address;
  throw new UserError(EXIT.usage, 'say which address: mpbp token balance ADDRESS');
}

// --- paying --------------------------------------------------------------------------------------

async function transfer(
  toText: string,
  amountText: string,
  options: MovingOptions & ActingWithMemo,
): Promise<void> {
  const to = addressArgument(toText, 'to');
  const wanted = amountText === 'all' ? null : amountOf(amountText, 'amount', options);
  const memo = memoOf(options);
  const session = await Session.open(options);
  const currency = await findCurrency(session.client, options.token);
  const callOf = (sum: bigint) =>
    memo === ZERO_HASH
      ? ({ name: 'transfer', values: [to, sum] } as const)
      : ({ name: 'transferWithMemo', values: [to, sum, memo] } as const);
  const amount = wanted ?? (await mostOf(session, currency, callOf));
  const { name, values } = callOf(amount);
  const { contract } = currency;
  const isExact = wanted === null;
  const { calls, fee } = await prepareAll(session, contract, name, [values], options, { isExact });
  const about = [
    `pay   ${shownAmount(amount, currency)}`,
    `token ${formatAddress(currency.address)}, ${currency.name} of ${currency.issuer}`,
    `to    ${formatAddress(to)}`,
    ...(options.memo === undefined ? [] : [`memo  ${printable(options.memo)}`]),
  ];
  await ask(session, about, fee, options);
  for (const call of calls) {
    const { receipt, finalMs } = await moveMoney(session, call);
    const fees = feesOf([receipt]);
    const text = [
      `paid ${shownAmount(amount, currency)} to ${formatAddress(to)}`,
      `final in ${finalMs} ms, block ${BigInt(receipt.blockNumber)}, ${spellFees(fees)}`,
      receipt.transactionHash,
    ];
    const data = {
      ...{ token: currency.address, currency: currency.code, to, memo, finalMs },
      ...{ amount: spellAmount(amount, options), fees },
    };
    makeOutput(options.json).result({ ...receipt, ...data }, text.join('\n'));
  }
}

/** All that is not frozen but the fee: other digits are other data, and another price. */
async function mostOf(
  { client, wallet }: Session,
  currency: Currency,
  callOf: (sum: bigint) => { readonly name: string; readonly values: readonly unknown[] },
): Promise<bigint> {
  const { available, frozen } = await moneyOf(client, currency, wallet.address);
  const all = available > frozen ? available - frozen : 0n;
  let most = all;
  for (let round = 0; round < 8; round++) {
    const { name, values } = callOf(most);
    const data = encodeCall(currency.contract, name, ...values);
    const wanted = { to: currency.address, value: asWei(0n), data };
    const fields = await refusedInWords(() => prepare(client, wallet.address, wanted, true));
    const fee = (await feeIn(client, currency, fields.gasLimit)) ?? 0n;
    if (most + fee <= all) return most;
    if (fee >= all) break;
    most = all - fee;
  }
  const has = shownAmount(all, currency);
  throw new UserError(
    EXIT.badData,
    `${has} do not pay for a fee of their own [INSUFFICIENT_FUNDS]`,
  );
}

function memoOf({ memo }: { memo?: string }) {
  const word = memoWord(memo ?? '');
  if (word !== null) return word;
  throw new UserError(EXIT.usage, `--memo: one line of at most ${tokenMemoBytesMax} bytes [MEMO]`);
}

// --- issuing -------------------------------------------------------------------------------------

type Making = SessionOptions & {
  currency: string;
  name: string;
  symbol?: string;
  admin?: string;
  salt: string;
};

async function create(options: Making): Promise<void> {
  const { currency, name, symbol = currency, admin: adminText, salt: saltText } = options;
  const session = await Session.open(options);
  const own = session.wallet.address;
  const admin = adminText === undefined ? own : addressArgument(adminText, '--admin');
  const salt = saltText === '' ? ZERO_HASH : keccakHash(utf8(saltText));
  const member = session.needMember();
  const issuer = parseHash(member) ?? memberIdOf(member);
  const values = [name, symbol, currency, issuer, admin, salt];
  const receipt = await session.send(factory, 'createToken', values);
  const token = findEvent(receipt, factory, 'TokenCreated')?.token as Address;
  const { report } = session;
  report.say(`made ${name}: ${formatAddress(token)}`, { token, currency, name, admin });
  report.say(`its admin ${formatAddress(admin)} issues it with: mpbp token mint`);
  report.end();
}

async function mint(toText: string, amountText: string, options: ActingWithMemo): Promise<void> {
  const to = addressArgument(toText, 'to');
  const amount = amountOf(amountText, 'amount', options);
  const memo = memoOf(options);
  const { session, currency } = await begin(options);
  const receipt = await session.send(currency.contract, 'mintWithMemo', [to, amount, memo]);
  const done = `issued ${shownAmount(amount, currency)} to ${formatAddress(to)}`;
  const { transactionHash } = receipt;
  end(session, done, { to, amount: spellAmount(amount, options), transactionHash });
}

async function burn(amountText: string, options: ActingWithMemo): Promise<void> {
  const amount = amountOf(amountText, 'amount', options);
  const memo = memoOf(options);
  const { session, currency } = await begin(options);
  const receipt = await session.send(currency.contract, 'burnWithMemo', [amount, memo]);
  const done = `took ${shownAmount(amount, currency)} out of circulation`;
  const { transactionHash } = receipt;
  end(session, done, { amount: spellAmount(amount, options), transactionHash });
}

async function setPaused(name: 'pause' | 'unpause', options: Acting): Promise<void> {
  const { session, currency } = await begin(options);
  await session.send(currency.contract, name, []);
  const now = name === 'pause' ? 'stands still' : 'moves';
  end(session, `${currency.name} ${now}`, { paused: name === 'pause' });
}

async function freeze(
  whoText: string,
  amountText: string,
  options: ActingWithAmount,
): Promise<void> {
  const account = addressArgument(whoText, 'address');
  const amount = amountOf(amountText, 'amount', options);
  const { session, currency } = await begin(options);
  await session.send(currency.contract, 'setFrozenTokens', [account, amount]);
  const what = `${shownAmount(amount, currency)} of ${formatAddress(account)}`;
  end(session, amount === 0n ? `nothing is frozen of ${account}` : `froze ${what}`, {
    ...{ account, amount: spellAmount(amount, options) },
  });
}

type PolicyOptions = Acting & NewPolicyOptions & { id?: number };

async function setPolicy(options: PolicyOptions): Promise<void> {
  const { id, allowOnly, deny } = options;
  const given = [id, allowOnly, deny].filter((one) => one !== undefined).length;
  if (given > 1) throw new UserError(EXIT.usage, 'one of --id, --allow-only and --deny');
  if (given === 0) {
    const client = new Client(options.rpc);
    const currency = await findCurrency(client, options.token);
    const [policyId] = await view(client, currency.contract, 'transferPolicyId');
    makeOutput(options.json).result({ policyId }, `${currency.name}: ${policyText(policyId)}`);
    return;
  }
  const wanted = newPolicy(options);
  const { session, currency } = await begin(options);
  const policyId = id === undefined ? await makePolicy(session, wanted) : BigInt(id);
  await session.send(currency.contract, 'changeTransferPolicyId', [policyId]);
  end(session, `${currency.name}: ${policyText(policyId)}`, { policyId });
}

async function begin(options: Acting): Promise<{ session: Session; currency: Currency }> {
  const session = await Session.open(options);
  return { session, currency: await findCurrency(session.client, options.token) };
}

function end({ report }: Session, line: string, data: Readonly<Record<string, unknown>>): void {
  report.say(line, data);
  report.end();
}
