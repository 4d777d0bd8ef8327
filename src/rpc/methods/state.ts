import { toHex, uintToBytes } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Backend, PastState } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import { quantity } from '../formats.ts';
import { readAddress, readBlock, readText } from '../params.ts';
import { stateOf } from '../resolve.ts';

/** An account at a block; `pending` differs for the nonce only, which the pool moves on. */
export function stateMethods(backend: Backend): Methods {
  return [
    [
      'eth_getBalance',
      {
        paramsMax: 2,
        run: ([address, block]) => {
          const account = readAddress(address, 0);
          const state = stateOf(backend, readBlock(block, 1));
          return quantity(state.account(account)?.balance ?? 0n);
        },
      },
    ],
    [
      'eth_getTransactionCount',
      {
        paramsMax: 2,
        run: ([address, block]) => {
          const account = readAddress(address, 0);
          const ref = readBlock(block, 1);
          if (ref.at === 'pending') return quantity(backend.pool.nextNonce(account));
          return quantity(stateOf(backend, ref).account(account)?.nonce ?? 0n);
        },
      },
    ],
    [
      'eth_getCode',
      {
        paramsMax: 2,
        run: ([address, block]) => {
          const account = readAddress(address, 0);
          return toHex(codeOf(stateOf(backend, readBlock(block, 1)), account));
        },
      },
    ],
    [
      'eth_getStorageAt',
      {
        paramsMax: 3,
        run: ([address, slot, block]) => {
          const account = readAddress(address, 0);
          const key = readSlot(slot, 1);
          return toHex(stateOf(backend, readBlock(block, 2)).slot(account, key));
        },
      },
    ],
  ];
}

export function codeOf(state: PastState, address: Address): Uint8Array {
  const account = state.account(address);
  return account === null ? new Uint8Array(0) : state.code(account.codeHash);
}

/** A slot comes as a quantity, as 32 bytes, and from some clients with leading zeros. */
export function readSlot(value: unknown, index: number): Uint8Array {
  const text = readText(value, index);
  if (text.length > 66) throw invalidParam(index, 'a storage key is at most 32 bytes');
  if (!/^0x[0-9a-fA-F]+$/.test(text)) throw invalidParam(index, 'invalid hex string');
  return uintToBytes(BigInt(text), 32);
}
