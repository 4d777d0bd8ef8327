/** From what a caller named to what the node has; unknown blocks are null, not errors. */

import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { trimSlot } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { assert } from '#src/lib/failure.ts';
import type { Block } from '#src/types/block.ts';
import { asWei, type Height } from '#src/types/units.ts';
import type { Backend, PastState } from './backend.ts';
import { RPC, RpcError } from './errors.ts';
import { quantity } from './formats.ts';
import type { BlockRef } from './params.ts';

/** `pending` is the head here: its own height does not exist yet. */
export function heightOf(backend: Backend, ref: BlockRef): Height | null {
  switch (ref.at) {
    case 'latest':
    case 'pending':
      return backend.head.header.height;
    case 'height':
      return ref.height > backend.head.header.height ? null : ref.height;
    case 'hash':
      return backend.heightOf(ref.hash);
  }
}

export function blockOf(backend: Backend, ref: BlockRef): Block | null {
  if (ref.at === 'latest' || ref.at === 'pending') return backend.head;
  const height = heightOf(backend, ref);
  return height === null ? null : backend.blockAt(height);
}

export function stateOf(backend: Backend, ref: BlockRef): PastState {
  const height = finalHeightOf(backend, ref);
  const state = backend.stateAt(height);
  if (state === null) throw pruned(backend, height);
  return state;
}

/** As the ledger reads it. */
export function readerOf(past: PastState): StateReader {
  return {
    account: (address) => {
      const account = past.account(address);
      return account === null
        ? null
        : { ...EMPTY_ACCOUNT, ...account, balance: asWei(account.balance) };
    },
    slot: (address, key) => trimSlot(past.slot(address, new Uint8Array(Buffer.from(key, 'hex')))),
    code: (hash) => past.code(hash),
    trieNode: () => null,
  };
}

export function headState(backend: Backend): StateReader {
  const past = backend.stateAt(backend.head.header.height);
  assert(past !== null, 'the state of the head is kept');
  return readerOf(past);
}

export function finalHeightOf(backend: Backend, ref: BlockRef): Height {
  const height = heightOf(backend, ref);
  if (height === null) throw new RpcError(RPC.notFound, 'header not found');
  return height;
}

/** Neither the window nor an archive of this node reaches back to it. */
export function pruned(backend: Backend, height: Height): RpcError {
  const head = quantity(backend.head.header.height);
  const reason = `the head is ${head}, older states are not kept`;
  return new RpcError(RPC.rejected, `state of block ${quantity(height)} is pruned: ${reason}`);
}
