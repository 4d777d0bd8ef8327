import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import {
  type DecodeOptions,
  decodeTransaction,
  type TransactionRefusal,
} from './decodeTransaction.ts';
import type { Hash } from './hash.ts';
import {
  type Header,
  type HeaderRefusal,
  hashHeader,
  headerFromRlp,
  headerToRlp,
} from './header.ts';
import { blockBytesMax, blockTransactionsMax } from './limits.ts';
import { listRoot } from './listRoot.ts';
import { decodeRlp, encodeRlp, isRlpList } from './rlp.ts';
import type { SignedTransaction } from './transaction.ts';

/** Made by `makeBlock` and `decodeBlock` only: the body is the one that the header commits to. */
export type Block = {
  readonly header: Header;
  readonly hash: Hash;
  readonly transactions: readonly SignedTransaction[];
};

export type BlockRefusal =
  | HeaderRefusal
  | { code: 'BLOCK_TOO_LARGE'; bytes: number; max: number }
  | { code: 'BLOCK_LAYOUT' }
  | { code: 'BLOCK_TRANSACTIONS'; count: number; max: number }
  | { code: 'BLOCK_TRANSACTIONS_ROOT'; want: Hash; got: Hash }
  | { code: 'BLOCK_TRANSACTION'; index: number; refusal: TransactionRefusal };

/** The caller has put the root of these transactions into the header. */
export function makeBlock(header: Header, transactions: readonly SignedTransaction[]): Block {
  return { header, hash: hashHeader(header), transactions };
}

export function transactionsRoot(transactions: readonly SignedTransaction[]): Hash {
  return listRoot(transactions.map((transaction) => transaction.raw));
}

/** `[header, [raw transaction, ...]]`: each transaction a byte string, legacy ones too. */
export function encodeBlock(block: Block): Uint8Array {
  return encodeRlp([
    headerToRlp(block.header),
    block.transactions.map((transaction) => transaction.raw),
  ]);
}

/** The dear checks last: the body's root, then the senders that `senderOf` does not know. */
export function decodeBlock(
  bytes: Uint8Array,
  options: DecodeOptions,
): Verdict<Block, BlockRefusal> {
  if (bytes.length > blockBytesMax) {
    return refuse({ code: 'BLOCK_TOO_LARGE', bytes: bytes.length, max: blockBytesMax });
  }
  const list = decodeRlp(bytes, blockBytesMax);
  if (!list.ok) return list;
  if (!isRlpList(list.value) || list.value.length !== 2) return refuse({ code: 'BLOCK_LAYOUT' });
  const [headerItem, body] = list.value;
  if (headerItem === undefined || !isRlpList(body)) return refuse({ code: 'BLOCK_LAYOUT' });
  const header = headerFromRlp(headerItem);
  if (!header.ok) return header;
  if (body.length > blockTransactionsMax) {
    return refuse({ code: 'BLOCK_TRANSACTIONS', count: body.length, max: blockTransactionsMax });
  }
  const raws: Uint8Array[] = [];
  for (const item of body) {
    if (!(item instanceof Uint8Array) || item.length === 0) return refuse({ code: 'BLOCK_LAYOUT' });
    raws.push(item);
  }
  const got = listRoot(raws);
  const want = header.value.transactionsRoot;
  if (got !== want) return refuse({ code: 'BLOCK_TRANSACTIONS_ROOT', want, got });
  const transactions: SignedTransaction[] = [];
  for (const [index, raw] of raws.entries()) {
    const transaction = decodeTransaction(raw, options);
    if (!transaction.ok) {
      return refuse({ code: 'BLOCK_TRANSACTION', index, refusal: transaction.refusal });
    }
    transactions.push(transaction.value);
  }
  return accept({ header: header.value, hash: hashHeader(header.value), transactions });
}

/**
 * The raw transactions to which the header of these bytes commits; none where the body is another,
 * so that nobody works on what no block can have.
 */
export function rawTransactionsIn(bytes: Uint8Array): Uint8Array[] {
  const list = decodeRlp(bytes, blockBytesMax);
  const [headerItem, body] = list.ok && isRlpList(list.value) ? list.value : [];
  if (headerItem === undefined || !isRlpList(body) || body.length > blockTransactionsMax) return [];
  const header = headerFromRlp(headerItem);
  const raws = body.filter((item) => item instanceof Uint8Array && item.length > 0) as Uint8Array[];
  if (!header.ok || raws.length !== body.length) return [];
  return listRoot(raws) === header.value.transactionsRoot ? raws : [];
}

/** The header alone, without looking at the body. */
export function decodeBlockHeader(bytes: Uint8Array): Verdict<Header, BlockRefusal> {
  const list = decodeRlp(bytes, blockBytesMax);
  if (!list.ok) return list;
  const headerItem = isRlpList(list.value) ? list.value[0] : undefined;
  return headerItem === undefined ? refuse({ code: 'BLOCK_LAYOUT' }) : headerFromRlp(headerItem);
}
