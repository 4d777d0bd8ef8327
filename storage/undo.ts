import type { Undo } from '#src/chain/store.ts';
import { type Account, decodeAccount, encodeAccount } from '#src/ledger/state/account.ts';
import type { SlotKey } from '#src/ledger/state/reader.ts';
import { EMPTY_BYTES } from '#src/lib/bytes.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { bytesOf, listOf } from './stored.ts';

/** RLP list of accounts and of slots, each with what it held before the block. */
export function encodeUndo({ accounts, slots }: Undo): Uint8Array {
  return encodeRlp([
    [...accounts].map(([address, account]) => [
      addressToBytes(address),
      account === null ? EMPTY_BYTES : encodeAccount(account),
    ]),
    [...slots].map(([address, values]) => [
      addressToBytes(address),
      [...values].map(([key, value]) => [new Uint8Array(Buffer.from(key, 'hex')), value]),
    ]),
  ]);
}

export function decodeUndo(bytes: Uint8Array): Undo {
  const [accountItems, slotItems] = listOf(bytes);
  const accounts = new Map<Address, Account | null>();
  for (const item of listOf(accountItems)) {
    const [address, account] = listOf(item);
    const value = bytesOf(account);
    accounts.set(
      addressFromBytes(bytesOf(address)),
      value.length === 0 ? null : decodeAccount(value),
    );
  }
  const slots = new Map<Address, Map<SlotKey, Uint8Array>>();
  for (const item of listOf(slotItems)) {
    const [address, values] = listOf(item);
    const map = new Map<SlotKey, Uint8Array>();
    for (const pair of listOf(values)) {
      const [key, value] = listOf(pair);
      map.set(Buffer.from(bytesOf(key)).toString('hex'), bytesOf(value));
    }
    slots.set(addressFromBytes(bytesOf(address)), map);
  }
  return { accounts, slots };
}
