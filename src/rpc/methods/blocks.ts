import type { Block } from '#src/types/block.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import type { Backend } from '../backend.ts';
import type { Method, Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import { formatBlock, formatPendingBlock, formatReceipt, quantity } from '../formats.ts';
import {
  type BlockRef,
  isAbsent,
  readBlock,
  readBlockNumber,
  readBoolean,
  readHash,
  readQuantity,
} from '../params.ts';
import { blockOf } from '../resolve.ts';

export function blockMethods(backend: Backend): Methods {
  return [
    ['eth_getBlockByNumber', getBlock(backend, readBlockNumber)],
    ['eth_getBlockByHash', getBlock(backend, readBlockHash)],
    ['eth_getBlockTransactionCountByNumber', count(backend, readBlockNumber)],
    ['eth_getBlockTransactionCountByHash', count(backend, readBlockHash)],
    [
      'eth_getBlockReceipts',
      { paramsMax: 1, units: 10, run: ([ref]) => blockReceipts(backend, ref) },
    ],
    ['eth_getUncleCountByBlockNumber', uncleCount(backend, readBlockNumber)],
    ['eth_getUncleCountByBlockHash', uncleCount(backend, readBlockHash)],
    ['eth_getUncleByBlockNumberAndIndex', noUncle(readBlockNumber)],
    ['eth_getUncleByBlockHashAndIndex', noUncle(readBlockHash)],
  ];
}

/** The executable payments, as many as a block could take. */
export function pendingTransactions(backend: Backend): SignedTransaction[] {
  const transactions: SignedTransaction[] = [];
  for (const { transaction, executable } of backend.pool.entries()) {
    if (executable) transactions.push(transaction);
  }
  return transactions;
}

type ReadRef = (value: unknown, index: number) => BlockRef;

export function readBlockHash(value: unknown, index: number): BlockRef {
  return { at: 'hash', hash: readHash(value, index) };
}

function getBlock(backend: Backend, read: ReadRef): Method {
  const run = ([block, whole]: readonly unknown[]) => {
    const ref = read(block, 0);
    const full = isAbsent(whole) ? false : readBoolean(whole, 1);
    if (ref.at === 'pending') {
      return formatPendingBlock(backend.head, pendingTransactions(backend), full);
    }
    const found = blockOf(backend, ref);
    return found === null ? null : formatBlock(found, full);
  };
  return { paramsMax: 2, run };
}

function count(backend: Backend, read: ReadRef): Method {
  return ofBlock(backend, read, ({ transactions }, ref) =>
    quantity(ref.at === 'pending' ? backend.pool.executable : transactions.length),
  );
}

function uncleCount(backend: Backend, read: ReadRef): Method {
  return ofBlock(backend, read, () => '0x0');
}

/** Checked like any other, although the answer is always the same. */
function noUncle(read: ReadRef): Method {
  const run = ([block, index]: readonly unknown[]) => {
    read(block, 0);
    readQuantity(index, 1, 64);
    return null;
  };
  return { paramsMax: 2, run };
}

function ofBlock(
  backend: Backend,
  read: ReadRef,
  answer: (block: Block, ref: BlockRef) => unknown,
): Method {
  const run = ([block]: readonly unknown[]) => {
    const ref = read(block, 0);
    const found = blockOf(backend, ref);
    return found === null ? null : answer(found, ref);
  };
  return { paramsMax: 1, run };
}

function blockReceipts(backend: Backend, value: unknown): unknown {
  if (isAbsent(value)) throw invalidParam(0, 'missing value for required argument');
  const ref = readBlock(value, 0);
  if (ref.at === 'pending') return [];
  const block = blockOf(backend, ref);
  const receipts = block === null ? null : backend.receiptsAt(block.header.height);
  if (block === null || receipts === null) return null;
  return block.transactions.map((_, index) => formatReceipt({ block, index }, receipts));
}
