/**
 * Every currency added up: what each account got and gave by the logs of genesis and of all blocks,
 * against what the replay gives it and what the store says that it has, available and held told
 * apart; and the sum of all accounts against the supply.
 */
import type { HistoryEntry } from '#src/history/history.ts';
import { valuesOf } from '#src/ledger/payments/storage.ts';
import { type Books, enter, enterTransfer } from '#src/ledger/payments/tokens/books.ts';
import { factory } from '#src/ledger/payments/tokens/factoryStore.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { currencyOf } from '#src/types/currency.ts';
import type { Receipt } from '#src/types/receipt.ts';
import { type Divergence, differs } from './divergence.ts';

export type CurrencyReport = {
  readonly token: Address;
  readonly currency: string;
  readonly accounts: number;
  readonly available: bigint;
  readonly held: bigint;
  readonly supply: bigint;
};

export class Currencies {
  readonly #books: Books = new Map();

  /** What accounts have from the beginning. */
  begin(history: readonly HistoryEntry[]): void {
    for (const { token, account, amount } of history) {
      if (token !== null) enterTransfer(this.#books, token, [ZERO_ADDRESS, account], amount);
    }
  }

  addBlock(receipts: readonly Receipt[]): void {
    for (const { logs } of receipts) enter(this.#books, logs);
  }

  /** The first thing that does not add up. */
  findDifference(top: bigint, state: StateReader, stored: StateReader): Divergence | null {
    for (const token of tokensIn(state)) {
      const difference =
        this.#findInAccounts(top, token, state, stored) ??
        this.#findInSums(top, token, state, stored);
      if (difference !== null) return difference;
    }
    return null;
  }

  report(state: StateReader): CurrencyReport[] {
    return tokensIn(state).map((token) => {
      const supply = tokenAt(token).supplies.get(state).total;
      const sums = this.#sumsOf(token, state);
      return { token, currency: currencyOf(token), ...sums, supply };
    });
  }

  #findInAccounts(
    top: bigint,
    token: Address,
    state: StateReader,
    stored: StateReader,
  ): Divergence | null {
    const { balances } = tokenAt(token);
    for (const [account, byHand] of this.#accountsOf(token)) {
      const want = balances(account).get(state);
      const money = want.available + want.held;
      if (money !== byHand) {
        return differs('CURRENCY_CONSERVATION', top, of(token, byHand), of(token, money), account);
      }
      const [spelled, found] = [spell(want), spell(balances(account).get(stored))];
      if (spelled !== found) {
        return differs('CURRENCY_STORED', top, of(token, spelled), of(token, found), account);
      }
    }
    return null;
  }

  #findInSums(
    top: bigint,
    token: Address,
    state: StateReader,
    stored: StateReader,
  ): Divergence | null {
    const { available, held } = this.#sumsOf(token, state);
    const supplies = tokenAt(token).supplies.get(state);
    const kept = tokenAt(token).supplies.get(stored);
    // What came from nobody was issued, what went to nobody is no more.
    const issued = -(this.#books.get(token)?.get(ZERO_ADDRESS) ?? 0n);
    const sums: [string, bigint, bigint][] = [
      ['CURRENCY_SUPPLY', issued, supplies.total],
      ['CURRENCY_SUPPLY', available + held, supplies.total],
      ['CURRENCY_HELD', held, supplies.held],
      ['CURRENCY_STORED', supplies.total, kept.total],
      ['CURRENCY_STORED', supplies.held, kept.held],
    ];
    const wrong = sums.find(([, want, found]) => want !== found);
    if (wrong === undefined) return null;
    const [code, want, found] = wrong;
    return differs(code, top, of(token, want), of(token, found), token);
  }

  #sumsOf(token: Address, state: StateReader) {
    const { balances } = tokenAt(token);
    let [accounts, available, held] = [0, 0n, 0n];
    for (const [account] of this.#accountsOf(token)) {
      const balance = balances(account).get(state);
      if (balance.available + balance.held > 0n) accounts++;
      available += balance.available;
      held += balance.held;
    }
    return { accounts, available, held };
  }

  *#accountsOf(token: Address): Generator<[Address, bigint], void> {
    for (const entry of this.#books.get(token) ?? []) {
      if (entry[0] !== ZERO_ADDRESS) yield entry;
    }
  }
}

function tokensIn(state: StateReader): Address[] {
  return valuesOf(factory.currencies, state).flatMap((currency) =>
    valuesOf(factory.byCurrency(currency), state),
  );
}

type Balance = { readonly available: bigint; readonly held: bigint; readonly isFrozen: boolean };

function spell({ available, held, isFrozen }: Balance): string {
  return `${available} available, ${held} held${isFrozen ? ', some frozen' : ''}`;
}

function of(token: Address, what: string | bigint): string {
  return `${currencyOf(token)} ${what}`;
}
