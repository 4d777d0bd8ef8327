/** The native coin of accounts: the one way in which a balance changes. */
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { asWei } from '#src/types/units.ts';
import type { Overlay } from './overlay.ts';

/** In wei. `nonces`: how many transactions of the account it pays for. */
export function changeCoin(state: Overlay, address: Address, by: bigint, nonces = 0n): void {
  state.changeAccount(address, (account) => {
    const balance = account.balance + by;
    assert(balance >= 0n, 'no balance is negative');
    return { ...account, balance: asWei(balance), nonce: account.nonce + nonces };
  });
}

/** One debit and one credit of the same amount. */
export function moveCoin(state: Overlay, from: Address, to: Address, amount: bigint): void {
  if (amount === 0n) return;
  changeCoin(state, from, -amount);
  changeCoin(state, to, amount);
}
