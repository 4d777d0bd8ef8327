import { encodeAccount } from '#src/ledger/state/account.ts';
import type { SlotKey, StateChanges } from '#src/ledger/state/reader.ts';
import { concatBytes } from '#src/lib/bytes.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { hashToBytes } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import type { Change } from './shelf.ts';

/** What a block changed in the state, as rows of its four tables. */
export function stateRows({ accounts, slots, code, trieNodes }: StateChanges, out: Change[]): void {
  for (const [address, account] of accounts) {
    const value = account === null ? null : encodeAccount(account);
    out.push({ table: 'accounts', key: addressToBytes(address), value });
  }
  for (const [address, values] of slots) {
    for (const [key, value] of values) {
      const stored = value.length === 0 ? null : value;
      out.push({ table: 'slots', key: slotKey(address, key), value: stored });
    }
  }
  for (const [hash, bytes] of code) {
    out.push({ table: 'code', key: hashToBytes(hash), value: bytes });
  }
  for (const { owner, path, node } of trieNodes) {
    out.push({ table: 'trie', key: nodeKey(owner, path), value: node?.bytes ?? null });
  }
}

export function slotKey(address: Address, key: SlotKey): Uint8Array {
  return concatBytes(addressToBytes(address), new Uint8Array(Buffer.from(key, 'hex')));
}

/** One byte a nibble, so that a subtree is a range of keys. */
export function nodeKey(owner: Address | null, path: Nibbles): Uint8Array {
  const start = owner === null ? 1 : 21;
  const out = new Uint8Array(start + path.length);
  if (owner !== null) {
    out[0] = 1;
    out.set(addressToBytes(owner), 1);
  }
  for (let i = 0; i < path.length; i++) {
    const digit = path.charCodeAt(i);
    out[start + i] = digit < 58 ? digit - 48 : digit - 87;
  }
  return out;
}
