/** Ethereum's JSON shapes (execution-apis), as strict clients re-serialise them to their hashes. */
import { effectiveGasPrice } from '#src/ledger/gas.ts';
import { otherFeeIn } from '#src/ledger/payments/fees/otherFee.ts';
import { toHex } from '#src/lib/bytes.ts';
import type { Block } from '#src/types/block.ts';
import { createAddress } from '#src/types/createAddress.ts';
import type { Hash } from '#src/types/hash.ts';
import { type Header, headerToRlp, timestampSeconds } from '#src/types/header.ts';
import type { Log, Receipt } from '#src/types/receipt.ts';
import { encodeRlp, type RlpItem } from '#src/types/rlp.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';

/** QUANTITY. */
export function quantity(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** Where a mined transaction stands; null while it waits. */
export type Place = { readonly block: Block; readonly index: number };

export function formatTransaction(transaction: SignedTransaction, place: Place | null) {
  const { type, sender, to, data, accessList, maxFeePerGas, maxPriorityFeePerGas } = transaction;
  const header = place?.block.header ?? null;
  const price =
    header === null ? maxFeePerGas : effectiveGasPrice(transaction, header.baseFeePerGas);
  return {
    blockHash: place === null ? null : place.block.hash,
    blockNumber: header === null ? null : quantity(header.height),
    blockTimestamp: header === null ? null : quantity(timestampSeconds(header)),
    transactionIndex: place === null ? null : quantity(place.index),
    hash: transaction.hash,
    type: quantity(type),
    chainId: quantity(transaction.chainId),
    nonce: quantity(transaction.nonce),
    from: sender,
    to,
    value: quantity(transaction.value),
    gas: quantity(transaction.gasLimit),
    gasPrice: quantity(price),
    ...(type >= 2 && {
      maxFeePerGas: quantity(maxFeePerGas),
      maxPriorityFeePerGas: quantity(maxPriorityFeePerGas),
    }),
    input: toHex(data),
    ...(type !== 0 && { accessList, yParity: quantity(transaction.yParity) }),
    ...(type === 4 && {
      authorizationList: transaction.authorizationList.map((entry) => ({
        chainId: quantity(entry.chainId),
        address: entry.address,
        nonce: quantity(entry.nonce),
        yParity: quantity(entry.yParity),
        r: quantity(entry.r),
        s: quantity(entry.s),
      })),
    }),
    v: quantity(transaction.v),
    r: quantity(transaction.r),
    s: quantity(transaction.s),
  };
}

export function formatReceipt({ block, index }: Place, receipts: readonly Receipt[]) {
  const transaction = block.transactions[index];
  const receipt = receipts[index];
  if (transaction === undefined || receipt === undefined) return null;
  const { sender, to, hash, nonce, type } = transaction;
  const { header } = block;
  const before = receipts[index - 1]?.cumulativeGasUsed ?? 0n;
  // What was taken from the sender's account for a unit of gas (execution-apis): coin, or nothing.
  const isInCoin = otherFeeIn(receipt.logs) === null;
  const price = isInCoin ? effectiveGasPrice(transaction, header.baseFeePerGas) : 0n;
  return {
    type: quantity(type),
    status: receipt.succeeded ? '0x1' : '0x0',
    transactionHash: hash,
    transactionIndex: quantity(index),
    blockHash: block.hash,
    blockNumber: quantity(header.height),
    from: sender,
    to,
    contractAddress: to === null && receipt.succeeded ? createAddress(sender, nonce) : null,
    gasUsed: quantity(receipt.cumulativeGasUsed - before),
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    effectiveGasPrice: quantity(price),
    logs: receipt.logs.length === 0 ? [] : formatLogs({ block, index }, receipts),
    logsBloom: formatBloom(receipt.logsBloom),
  };
}

/** The logs of one transaction, numbered through its block. */
function formatLogs({ block, index }: Place, receipts: readonly Receipt[]) {
  let first = 0;
  for (let before = 0; before < index; before++) first += receipts[before]?.logs.length ?? 0;
  const logs = receipts[index]?.logs ?? [];
  return logs.map((log, at) => formatLog(log, { block, index }, first + at));
}

export function formatLog(log: Log, { block, index }: Place, logIndex: number) {
  return {
    address: log.address,
    topics: log.topics,
    data: toHex(log.data),
    blockHash: block.hash,
    blockNumber: quantity(block.header.height),
    blockTimestamp: quantity(timestampSeconds(block.header)),
    transactionHash: block.transactions[index]?.hash ?? null,
    transactionIndex: quantity(index),
    logIndex: quantity(logIndex),
    removed: false,
  };
}

/** As a subscriber of `newHeads` sees it: the block without its body. */
export function formatHeader(header: Header, hash: Hash) {
  // The bytes that are hashed, so that a constant field cannot differ from what was hashed.
  return formatHeaderItems(header, hash, headerToRlp(header));
}

export function formatBlock(block: Block, full: boolean) {
  const { header, hash, transactions } = block;
  const items = headerToRlp(header);
  return {
    ...formatHeaderItems(header, hash, items),
    size: quantity(blockBytes(encodeRlp(items).length, transactions)),
    transactions: full
      ? transactions.map((transaction, index) => formatTransaction(transaction, { block, index }))
      : transactions.map((transaction) => transaction.hash),
    uncles: [],
    withdrawals: [],
  };
}

/** The pool's view: what would follow the head, without what only its proposer will know. */
export function formatPendingBlock(
  head: Block,
  transactions: readonly SignedTransaction[],
  full: boolean,
) {
  const height = head.header.height + 1n;
  const next = { ...formatBlock({ ...head, transactions: [] }, false) };
  return {
    ...next,
    ...{ hash: null, nonce: null, parentHash: head.hash, number: quantity(height) },
    ...{ gasUsed: '0x0', logsBloom: formatBloom(NO_BLOOM) },
    transactions: full
      ? transactions.map((transaction) => formatTransaction(transaction, null))
      : transactions.map((transaction) => transaction.hash),
  };
}

function formatHeaderItems(header: Header, hash: Hash, items: readonly RlpItem[]) {
  const bytes = (at: number) => toHex(items[at] as Uint8Array);
  return {
    number: quantity(header.height),
    hash,
    parentHash: header.parentHash,
    sha3Uncles: bytes(1),
    miner: header.coinbase,
    stateRoot: header.stateRoot,
    transactionsRoot: header.transactionsRoot,
    receiptsRoot: header.receiptsRoot,
    logsBloom: formatBloom(header.logsBloom),
    difficulty: '0x0',
    gasLimit: quantity(header.gasLimit),
    gasUsed: quantity(header.gasUsed),
    timestamp: quantity(timestampSeconds(header)),
    extraData: bytes(12),
    mixHash: header.prevRandao,
    nonce: bytes(14),
    baseFeePerGas: quantity(header.baseFeePerGas),
    withdrawalsRoot: bytes(16),
    blobGasUsed: '0x0',
    excessBlobGas: '0x0',
    parentBeaconBlockRoot: bytes(19),
    requestsHash: bytes(20),
  };
}

const NO_BLOOM = new Uint8Array(256);
const NO_BLOOM_TEXT = toHex(NO_BLOOM);

function formatBloom(bloom: Uint8Array): string {
  return isEmptyBloom(bloom) ? NO_BLOOM_TEXT : toHex(bloom);
}

export function isEmptyBloom(bloom: Uint8Array): boolean {
  return Buffer.compare(bloom, NO_BLOOM) === 0;
}

/** Of Ethereum's `[header, transactions, uncles, withdrawals]`; typed transactions are strings. */
function blockBytes(headerBytes: number, transactions: readonly SignedTransaction[]): number {
  let body = 0;
  for (const { raw, type } of transactions) body += raw.length + (type === 0 ? 0 : prefix(raw));
  const inner = headerBytes + listBytes(body) + 2;
  return listBytes(inner);
}

function listBytes(payload: number): number {
  return payload + (payload < 56 ? 1 : 1 + Math.ceil(payload.toString(16).length / 2));
}

function prefix(raw: Uint8Array): number {
  return listBytes(raw.length) - raw.length;
}
