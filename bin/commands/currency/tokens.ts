/** Currencies from outside: found by their letters or their address, and what is known of them. */
import type { Command } from 'commander';
import { FEE_MANAGER, TOKEN_FACTORY } from '#src/ledger/payments/addresses.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { contractAt } from '#src/ledger/payments/contracts.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { formatTokenAmount, isCurrency, parseTokenAmount } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import { addressArgument } from '../../arguments.ts';
import type { Client } from '../../client.ts';
import { printable } from '../../output.ts';
import { view } from '../membership/contract.ts';

export type Currency = {
  readonly address: Address;
  readonly contract: NativeContract;
  readonly name: string;
  readonly symbol: string;
  /** ISO 4217. */
  readonly code: string;
  readonly issuer: string;
};

export const factory = contractOf(TOKEN_FACTORY);
const fees = contractOf(FEE_MANAGER);

export function contractOf(address: Address): NativeContract {
  const contract = contractAt(address);
  if (contract === null) throw new Error(`a contract is at ${address}`);
  return contract;
}

/** `EUR`, where one issuer has euros here, or the token's address. */
export async function findCurrency(client: Client, text: string): Promise<Currency> {
  if (text.startsWith('0x')) {
    const address = addressArgument(text, '--token');
    const [isOne] = await view(client, factory, 'isToken', address);
    if (isOne === true) return readCurrency(client, address);
    throw new UserError(EXIT.badData, `there is no currency at ${text}: mpbp token list`);
  }
  const code = text.toUpperCase();
  if (!isCurrency(code)) {
    const hint = 'should be three letters, such as EUR, or an address';
    throw new UserError(EXIT.usage, `--token: "${text.slice(0, 80)}" ${hint}`);
  }
  const [only, ...others] = await tokensOf(client, code);
  if (only === undefined) {
    throw new UserError(EXIT.badData, `there is no ${code} here: mpbp token list`);
  }
  if (others.length === 0) return readCurrency(client, only);
  const all = [only, ...others].map(formatAddress).join(', ');
  throw new UserError(EXIT.usage, `several issue ${code}: say which by its address: ${all}`);
}

export async function allCurrencies(client: Client): Promise<Currency[]> {
  const [codes] = await view(client, factory, 'currencies');
  const found: Currency[] = [];
  for (const code of codes as readonly string[]) {
    for (const address of await tokensOf(client, code)) {
      found.push(await readCurrency(client, address));
    }
  }
  return found;
}

async function tokensOf(client: Client, code: string): Promise<readonly Address[]> {
  const [tokens] = await view(client, factory, 'tokensByCurrency', code);
  return tokens as readonly Address[];
}

async function readCurrency(client: Client, address: Address): Promise<Currency> {
  const contract = paymentTokenAt(address);
  if (contract === null) throw new Error(`${address} is a token's`);
  const names = ['name', 'symbol', 'currency', 'issuerMemberId'];
  const read = names.map(async (name) => String((await view(client, contract, name))[0]));
  const [name = '', symbol = '', code = '', issuer = ''] = await Promise.all(read);
  const shown = printable(memberText(issuer as Hash), 64);
  return { address, contract, name: printable(name), symbol, code, issuer: shown };
}

export type Money = { readonly available: bigint; readonly held: bigint; readonly frozen: bigint };

export async function moneyOf(
  client: Client,
  { contract }: Currency,
  account: Address,
): Promise<Money> {
  const names = ['balanceOf', 'balanceOnHold', 'getFrozenTokens'];
  const read = names.map(async (name) => (await view(client, contract, name, account))[0]);
  const [available, held, frozen] = (await Promise.all(read)) as [bigint, bigint, bigint];
  return { available, held, frozen };
}

export type AmountOptions = { baseUnits: boolean };

/** The option that all commands with an amount have. */
export function amounts(command: Command): Command {
  return command.option('--base-units', 'amounts are whole millionths, not currency units', false);
}

/** Exact; null where it is no amount. */
export function readAmount(text: string, { baseUnits }: AmountOptions): bigint | null {
  if (!baseUnits) return parseTokenAmount(text);
  const value = /^(0|[1-9][0-9]{0,28})$/.test(text) ? BigInt(text) : null;
  return value === null || parseTokenAmount(formatTokenAmount(value)) === null ? null : value;
}

export function amountOf(text: string, what: string, options: AmountOptions): bigint {
  const value = readAmount(text, options);
  if (value !== null) return value;
  const hint = options.baseUnits
    ? 'should be a whole number of millionths'
    : 'should be digits with at most 6 decimals, like 12.50';
  throw new UserError(EXIT.usage, `${what}: "${text.slice(0, 80)}" ${hint}`);
}

/** For machines: what they asked for in the same unit. */
export function spellAmount(value: bigint, { baseUnits }: AmountOptions): string {
  return baseUnits ? value.toString() : formatTokenAmount(value);
}

export function shownAmount(value: bigint, { code }: Pick<Currency, 'code'>): string {
  return `${formatTokenAmount(value)} ${code}`;
}

/** What so much gas costs in it, where the price is the network's own; null where it pays no fees. */
export async function feeIn(client: Client, { address }: Currency, gas: bigint) {
  const [rate] = await view(client, fees, 'feeRate', address);
  const perGas = rate as bigint;
  return perGas === 0n ? null : (gas * perGas + 10n ** 18n - 1n) / 10n ** 18n;
}
