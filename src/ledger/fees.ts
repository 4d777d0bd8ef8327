/**
 * Who pays a transaction's fee, and in what (payments.md 2.3, FeeManager): of four ways, in this
 * order, the first that has enough. A sponsor; the currency that the sender chose; the currency that
 * the transaction pays in; the sender's coin. What it may take is held back before anything runs, so
 * that a payment of all that is left after the fee goes through, and one of more does not.
 */
import { toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, isTokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Log } from '#src/types/receipt.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { effectiveGasPrice } from './gas.ts';
import { COIN_ADDRESS, FEE_MANAGER } from './payments/addresses.ts';
import { feeLog } from './payments/fees/feeManager.ts';
import { fees } from './payments/fees/feeStore.ts';
import { paidTokenOf } from './payments/fees/paidToken.ts';
import { isAllowed } from './payments/tokens/policyStore.ts';
import { log as tokenLog } from './payments/tokens/tokenAbi.ts';
import { tokenAt, unfrozenOf } from './payments/tokens/tokenStore.ts';
import type { LedgerRules } from './rules.ts';
import { changeCoin } from './state/coin.ts';
import type { Overlay } from './state/overlay.ts';
import type { StateReader } from './state/reader.ts';

export type Fee = {
  readonly payer: Address;
  /** Null: the coin. */
  readonly token: Address | null;
  /** The number of the sponsorship that it is paid from, if it is. */
  readonly sponsorship: bigint | null;
  readonly sender: Address;
  readonly gasLimit: bigint;
  /** For so much gas, in base units of the token or in wei; rounded up. */
  amountFor(gas: bigint): bigint;
};

type Facts = {
  readonly rules: Pick<LedgerRules, 'baseFeePerGas'>;
  readonly timestampMs: number;
};
type Asking = Pick<
  SignedTransaction,
  'sender' | 'to' | 'data' | 'maxFeePerGas' | 'maxPriorityFeePerGas'
>;

/** Whether the sender's coin is enough is for the caller to see: it may have to pay more than that. */
export function findFee(
  state: StateReader,
  transaction: Asking & { readonly gasLimit: bigint },
  facts: Facts,
): Fee {
  const { sender, gasLimit } = transaction;
  const of = { sender, gasLimit };
  for (const { available, perCoin, price, ...source } of otherSources(state, transaction, facts)) {
    const amountFor = (gas: bigint) => amountOf(gas * price, perCoin);
    if (amountFor(gasLimit) <= available) return { ...of, ...source, amountFor };
  }
  const price = effectiveGasPrice(transaction, facts.rules.baseFeePerGas);
  const amountFor = (gas: bigint) => gas * price;
  return { ...of, payer: sender, token: null, sponsorship: null, amountFor };
}

/** The sender pays it in coin, as on any other network. */
export function isUsual({ payer, token, sender }: Fee): boolean {
  return payer === sender && token === null;
}

/** Both in wei: what a unit of gas costs, and how much there is to pay for it. */
export type Cover = { readonly price: bigint; readonly available: bigint };

/** Of what would pay without the sender's coin, the one that pays for most; null where none does. */
export function coverOf(state: StateReader, transaction: Asking, facts: Facts): Cover | null {
  let best: Cover | null = null;
  for (const { available: amount, perCoin, price } of otherSources(state, transaction, facts)) {
    const available = perCoin === null ? amount : (amount * perCoin.coin) / perCoin.token;
    if (best === null || available * best.price > best.available * price) {
      best = { price, available };
    }
  }
  return best;
}

export function holdFee(state: Overlay, fee: Fee): void {
  change(state, fee, -fee.amountFor(fee.gasLimit));
}

/** Of what was held; the rest goes back. */
export function takeFee(
  state: Overlay,
  fee: Fee,
  gasUsed: bigint,
  coinbase: Address,
): readonly Log[] {
  const { payer, token, sponsorship, sender } = fee;
  const amount = fee.amountFor(gasUsed);
  change(state, fee, fee.amountFor(fee.gasLimit) - amount);
  const logs: Log[] = [];
  if (token === null) changeCoin(state, coinbase, amount);
  else {
    changeToken(state, token, FEE_MANAGER, amount);
    const collected = collectedOf(coinbase, token);
    collected.set(state, collected.get(state) + amount);
    logs.push(tokenLog(token, 'Transfer', payer, FEE_MANAGER, amount));
  }
  if (sponsorship !== null) spendSponsorship(state, sender, sponsorship, amount);
  if (!isUsual(fee)) {
    const sponsor = sponsorship === null ? ZERO_ADDRESS : payer;
    logs.push(feeLog('TransactionFee', sender, token ?? ZERO_ADDRESS, sponsor, amount));
  }
  return logs;
}

// --- ways to pay ---------------------------------------------------------------------------------

/** So many units of a token are worth so many wei. */
type Rate = { readonly token: bigint; readonly coin: bigint };

type Source = Pick<Fee, 'payer' | 'token' | 'sponsorship'> & {
  /** Null: it is coin. */
  readonly perCoin: Rate | null;
  /** Of a unit of gas, in wei. */
  readonly price: bigint;
  readonly available: bigint;
};

const E18 = 10n ** 18n;

function amountOf(wei: bigint, rate: Rate | null): bigint {
  return rate === null ? wei : (wei * rate.token + rate.coin - 1n) / rate.coin;
}

/** All but the sender's own coin. */
function* otherSources(
  state: StateReader,
  transaction: Asking,
  { rules, timestampMs }: Facts,
): Generator<Source, void> {
  const { baseFeePerGas } = rules;
  const price = effectiveGasPrice(transaction, baseFeePerGas);
  // Without a price of gas there is nothing that a currency's rate could be compared with.
  if (baseFeePerGas === 0n || price === 0n) return;
  if (!fees.head.get(state).isUsed) return;
  const { sender } = transaction;
  const { token: chosen, isSponsored } = fees.payers(sender).get(state);
  if (isSponsored) yield* sponsorOf(state, transaction, { rules, timestampMs });
  if (chosen === COIN_ADDRESS) return;
  const own = { payer: sender, sponsorship: null, price };
  if (chosen !== ZERO_ADDRESS) yield* tokenSource(state, { ...own, token: chosen }, rules);
  const paid = paidTokenOf(state, transaction);
  if (paid !== null && paid !== chosen) yield* tokenSource(state, { ...own, token: paid }, rules);
}

/** It pays no tip: its user could share that with whoever makes the block. */
function* sponsorOf(
  state: StateReader,
  { sender: user, to, data }: Asking,
  { rules, timestampMs }: Facts,
): Generator<Source, void> {
  const { by, what, number } = fees.sponsorships(user);
  const { sponsor, until, isForAll } = by.get(state);
  const { token, remaining } = what.get(state);
  if (until * 1_000n <= BigInt(timestampMs)) return;
  const sponsorship = number.get(state);
  if (!isForAll) {
    // A creation calls nothing, whatever its code begins with.
    if (to === null || data.length < 4) return;
    const selector = toHex(data.subarray(0, 4));
    if (!fees.sponsoredCalls(sponsorship)(selector).get(state)) return;
  }
  const source = { payer: sponsor, sponsorship, price: rules.baseFeePerGas };
  if (token === ZERO_ADDRESS) {
    const available = least(remaining, state.account(sponsor)?.balance ?? 0n);
    yield { ...source, token: null, perCoin: null, available };
    return;
  }
  for (const found of tokenSource(state, { ...source, token }, rules)) {
    yield { ...found, available: least(remaining, found.available) };
  }
}

/** Where the token is in use and its policy lets this account send: a fee is a payment, too. */
function* tokenSource(
  state: StateReader,
  source: Pick<Source, 'payer' | 'sponsorship' | 'price'> & { readonly token: Address },
  { baseFeePerGas }: Facts['rules'],
): Generator<Source, void> {
  const { payer, token } = source;
  if (!isTokenAddress(token)) return;
  const { tokenPerGasE18 } = fees.rates(token).get(state);
  if (tokenPerGasE18 === 0n) return;
  const { exists, paused, transferPolicyId } = tokenAt(token).head.get(state);
  if (!exists || paused || !isAllowed(state, transferPolicyId, payer, 'sender')) return;
  const perCoin = { token: tokenPerGasE18, coin: baseFeePerGas * E18 };
  yield { ...source, perCoin, available: unfrozenOf(state, token, payer) };
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** A few validators and currencies, again and again: where each sum lies is found once. */
const collectedKnown = new Map<string, Collected>();
const collectedKnownMax = 1_024;
type Collected = ReturnType<ReturnType<typeof fees.collected>>;

function collectedOf(validator: Address, token: Address): Collected {
  const key = `${validator} ${token}`;
  let found = collectedKnown.get(key);
  if (found === undefined) {
    found = fees.collected(validator)(token);
    if (collectedKnown.size >= collectedKnownMax) collectedKnown.clear();
    collectedKnown.set(key, found);
  }
  return found;
}

// --- movements -----------------------------------------------------------------------------------

function change(state: Overlay, { payer, token }: Fee, by: bigint): void {
  if (token === null) changeCoin(state, payer, by);
  else changeToken(state, token, payer, by);
}

function changeToken(state: Overlay, token: Address, account: Address, by: bigint): void {
  const balance = tokenAt(token).balances(account);
  const before = balance.get(state);
  const available = before.available + by;
  assert(available >= 0n, 'no balance is negative');
  balance.set(state, { ...before, available });
}

/** Unless the transaction itself put another in its place. */
function spendSponsorship(state: Overlay, user: Address, number: bigint, amount: bigint): void {
  const record = fees.sponsorships(user);
  if (record.number.get(state) !== number) return;
  const what = record.what.get(state);
  record.what.set(state, { ...what, remaining: what.remaining - least(what.remaining, amount) });
}
