import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Backend } from '../backend.ts';
import type { Method, Methods } from '../dispatch.ts';
import { formatReceipt, formatTransaction, quantity } from '../formats.ts';
import { type BlockRef, readAddress, readBlockNumber, readHash, readQuantity } from '../params.ts';
import { blockOf } from '../resolve.ts';
import { pendingTransactions, readBlockHash } from './blocks.ts';

export function transactionMethods(backend: Backend): Methods {
  return [
    ['eth_getTransactionByHash', byHash(backend)],
    ['eth_getTransactionByBlockHashAndIndex', byIndex(backend, readBlockHash)],
    ['eth_getTransactionByBlockNumberAndIndex', byIndex(backend, readBlockNumber)],
    [
      'eth_getTransactionReceipt',
      { paramsMax: 1, run: ([hash]) => receiptOf(backend, readHash(hash, 0)) },
    ],
    ['txpool_status', { paramsMax: 0, run: () => status(backend) }],
    ['txpool_content', { paramsMax: 0, units: 50, run: () => content(backend) }],
    [
      'txpool_contentFrom',
      { paramsMax: 1, run: ([address]) => contentFrom(backend, readAddress(address, 0)) },
    ],
  ];
}

export function receiptOf(backend: Backend, hash: Hash): unknown {
  const place = backend.locate(hash);
  if (place === null) return null;
  const block = backend.blockAt(place.height);
  const receipts = backend.receiptsAt(place.height);
  if (block === null || receipts === null) return null;
  return formatReceipt({ block, index: place.index }, receipts);
}

function byHash(backend: Backend): Method {
  const run = ([value]: readonly unknown[]) => {
    const hash = readHash(value, 0);
    const place = backend.locate(hash);
    if (place === null) {
      const waiting = backend.pool.get(hash);
      return waiting === null ? null : formatTransaction(waiting, null);
    }
    const block = backend.blockAt(place.height);
    const transaction = block?.transactions[place.index];
    if (block === null || transaction === undefined) return null;
    return formatTransaction(transaction, { block, index: place.index });
  };
  return { paramsMax: 1, run };
}

function byIndex(backend: Backend, read: (value: unknown, index: number) => BlockRef): Method {
  const run = ([where, which]: readonly unknown[]) => {
    const ref = read(where, 0);
    const index = Number(readQuantity(which, 1, 64));
    if (ref.at === 'pending') {
      const waiting = pendingTransactions(backend)[index];
      return waiting === undefined ? null : formatTransaction(waiting, null);
    }
    const block = blockOf(backend, ref);
    const transaction = block?.transactions[index];
    if (block === null || transaction === undefined) return null;
    return formatTransaction(transaction, { block, index });
  };
  return { paramsMax: 2, run };
}

function status({ pool }: Backend): unknown {
  return { pending: quantity(pool.executable), queued: quantity(pool.gapped) };
}

type ByNonce = Map<string, unknown>;

function content(backend: Backend): unknown {
  const pending = new Map<Address, ByNonce>();
  const queued = new Map<Address, ByNonce>();
  for (const { transaction, executable } of backend.pool.entries()) {
    const senders = executable ? pending : queued;
    const lane = senders.get(transaction.sender) ?? new Map<string, unknown>();
    senders.set(transaction.sender, lane);
    lane.set(transaction.nonce.toString(), formatTransaction(transaction, null));
  }
  const plain = (senders: Map<Address, ByNonce>) =>
    Object.fromEntries([...senders].map(([sender, lane]) => [sender, Object.fromEntries(lane)]));
  return { pending: plain(pending), queued: plain(queued) };
}

function contentFrom(backend: Backend, sender: Address): unknown {
  const pending: ByNonce = new Map();
  const queued: ByNonce = new Map();
  for (const { transaction, executable } of backend.pool.entries()) {
    if (transaction.sender !== sender) continue;
    const lane = executable ? pending : queued;
    lane.set(transaction.nonce.toString(), formatTransaction(transaction, null));
  }
  return { pending: Object.fromEntries(pending), queued: Object.fromEntries(queued) };
}
