/**
 * Double-entry bookkeeping over a block (ledger invariants 1 and 2): what the logs say that each
 * account of each currency got and gave is what its balance, available and held together, has
 * changed by, and the supply has changed by what was minted and burned. The logs are an account of
 * their own: nothing of what moved the money is asked.
 */
import { bytesToUint, utf8 } from '#src/lib/bytes.ts';
import { type Address, isTokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { keccakHash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import type { StateReader } from '../../state/reader.ts';
import { tokenAt } from './tokenStore.ts';

const TRANSFER = keccakHash(utf8('Transfer(address,address,uint256)'));

/** By token: what each account has more than before; the zero address has what was burned. */
export type Books = Map<Address, Map<Address, bigint>>;

export function enter(books: Books, logs: readonly Log[]): void {
  for (const { address: token, topics, data } of logs) {
    const [event, from, to] = topics;
    if (event !== TRANSFER || from === undefined || to === undefined) continue;
    if (!isTokenAddress(token)) continue;
    enterTransfer(books, token, [accountIn(from), accountIn(to)], bytesToUint(data));
  }
}

export function enterTransfer(
  books: Books,
  token: Address,
  [from, to]: readonly [Address, Address],
  amount: bigint,
): void {
  let accounts = books.get(token);
  if (accounts === undefined) {
    accounts = new Map();
    books.set(token, accounts);
  }
  add(accounts, from, -amount);
  add(accounts, to, amount);
}

/** In words, the first thing that does not add up; null where everything does. */
export function findImbalance(
  books: Books,
  before: StateReader,
  after: StateReader,
): string | null {
  for (const [token, accounts] of books) {
    for (const [account, change] of accounts) {
      const isSupply = account === ZERO_ADDRESS;
      const read = isSupply ? supplyOf : moneyOf;
      const found = read(after, token, account) - read(before, token, account);
      // What came from nobody was issued, what went to nobody is no more.
      const want = isSupply ? -change : change;
      if (found === want) continue;
      const what = isSupply ? 'the supply' : account;
      return `of ${token} the logs change ${what} by ${want}, the state by ${found}`;
    }
  }
  return null;
}

function moneyOf(state: StateReader, token: Address, account: Address): bigint {
  const { available, held } = tokenAt(token).balances(account).get(state);
  return available + held;
}

function supplyOf(state: StateReader, token: Address): bigint {
  return tokenAt(token).supplies.get(state).total;
}

function add(accounts: Map<Address, bigint>, account: Address, amount: bigint): void {
  accounts.set(account, (accounts.get(account) ?? 0n) + amount);
}

function accountIn(topic: string): Address {
  return `0x${topic.slice(26)}` as Address;
}
