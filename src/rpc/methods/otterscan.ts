/**
 * What Otterscan asks of a node beside Ethereum's methods, at its API level 8, in its own shapes
 * (docs/custom-jsonrpc.md of Otterscan). Its numbers come as JSON numbers or as QUANTITY.
 */
import { effectiveGasPrice } from '#src/ledger/gas.ts';
import { otherFeeIn } from '#src/ledger/payments/fees/otherFee.ts';
import { EMPTY_CODE_HASH } from '#src/ledger/state/account.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import { hashHeader, timestampSeconds } from '#src/types/header.ts';
import type { Receipt } from '#src/types/receipt.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { Caller } from '../access/access.ts';
import { AccountSearch, type Side } from '../accountSearch.ts';
import type { Backend, Location } from '../backend.ts';
import type { Method, Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import {
  formatBlock,
  formatHeader,
  formatReceipt,
  formatTransaction,
  quantity,
} from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import {
  type BlockRef,
  readAddress,
  readBlock,
  readBlockNumber,
  readCount,
  readHash,
} from '../params.ts';
import { blockOf, heightOf, stateOf } from '../resolve.ts';
import type { Traces } from '../traces.ts';
import type { TraceShape } from '../views/viewRequest.ts';
import { readBlockHash } from './blocks.ts';
import { replayUnits, traceUnits } from './traces.ts';

const API_LEVEL = 8;

export function otterscanMethods(backend: Backend, limits: RpcLimits, traces: Traces): Methods {
  const search = (side: Side): Method => ({
    ...{ paramsMax: 3, units: 50 },
    run: (params, _, caller) => searchTransactions(backend, limits, side, params, caller),
  });
  const details = (read: typeof readNumber): Method => ({
    ...{ paramsMax: 1, units: 10 },
    run: ([at]) => blockDetails(backend, read(at, 0)),
  });
  return [
    ['erigon_getHeaderByNumber', { paramsMax: 1, run: ([at]) => header(backend, at) }],
    ['ots_getApiLevel', { paramsMax: 0, run: () => API_LEVEL }],
    ['ots_hasCode', { paramsMax: 2, run: ([address, at]) => hasCode(backend, address, at) }],
    ['ots_getInternalOperations', traced(backend, traces, 'operations')],
    ['ots_getTransactionError', traced(backend, traces, 'error')],
    ['ots_traceTransaction', traced(backend, traces, 'entries')],
    ['ots_getBlockDetails', details(readNumber)],
    ['ots_getBlockDetailsByHash', details(readBlockHash)],
    [
      'ots_getBlockTransactions',
      { paramsMax: 3, units: 20, run: (params) => blockTransactions(backend, limits, params) },
    ],
    ['ots_searchTransactionsBefore', search('below')],
    ['ots_searchTransactionsAfter', search('above')],
    [
      'ots_getTransactionBySenderAndNonce',
      {
        ...{ paramsMax: 2, units: 50 },
        run: ([sender, nonce], _, caller) => {
          const from = readAddress(sender, 0);
          const number = BigInt(readCount(nonce, 1));
          return hashOf(new AccountSearch(backend, limits, caller).bySenderAndNonce(from, number));
        },
      },
    ],
    [
      'ots_getContractCreator',
      {
        ...{ paramsMax: 1, units: 2 * traceUnits },
        run: ([address], _, caller) => {
          const search = new AccountSearch(backend, limits, caller);
          const account = readAddress(address, 0);
          const traced = (block: Block) => traces.creatorIn(block, account, caller);
          return creatorOf(backend, search, account, traced);
        },
      },
    ],
  ];
}

/** A block by its number; Otterscan sends numbers as JSON has them. */
function readNumber(value: unknown, index: number): BlockRef {
  if (typeof value !== 'number') return readBlockNumber(value, index);
  return { at: 'height', height: asHeight(BigInt(readCount(value, index))) };
}

function header(backend: Backend, at: unknown): unknown {
  const height = heightOf(backend, readNumber(at, 0));
  const found = height === null ? null : backend.headerAt(height);
  return found === null ? null : formatHeader(found, hashHeader(found));
}

function hasCode(backend: Backend, address: unknown, at: unknown): boolean {
  const account = readAddress(address, 0);
  const ref = typeof at === 'number' ? readNumber(at, 1) : readBlock(at, 1);
  const { codeHash = EMPTY_CODE_HASH } = stateOf(backend, ref).account(account) ?? {};
  return codeHash !== EMPTY_CODE_HASH;
}

function traced(backend: Backend, traces: Traces, shape: TraceShape): Method {
  const run: Method['run'] = ([value], _, caller) => {
    const hash = readHash(value, 0);
    if (shape === 'error') {
      const place = backend.locate(hash);
      const receipts = place === null ? null : backend.receiptsAt(place.height);
      // What succeeded has no error, and need not run again to say so.
      if (place !== null && receipts?.[place.index]?.succeeded === true) return '0x';
    }
    const wish = { shape, onlyTopCall: shape === 'error', withLog: false };
    return traces.ofTransaction(hash, wish, caller);
  };
  return { paramsMax: 1, units: (params) => replayUnits(backend, params), run };
}

function blockDetails(backend: Backend, ref: BlockRef): unknown {
  const block = blockOf(backend, ref);
  const receipts = block === null ? null : backend.receiptsAt(block.header.height);
  if (block === null || receipts === null) return null;
  const { transactions: _, ...rest } = formatSlim(block);
  const none = '0x0';
  return {
    block: rest,
    // Nobody is paid but by fees.
    issuance: { blockReward: none, uncleReward: none, issuance: none },
    totalFees: quantity(feesOf(block, receipts)),
  };
}

/** In coin. */
function feesOf({ header: { baseFeePerGas }, transactions }: Block, receipts: readonly Receipt[]) {
  let fees = 0n;
  let before = 0n;
  for (const [index, transaction] of transactions.entries()) {
    const { cumulativeGasUsed = before, logs = [] } = receipts[index] ?? {};
    const other = otherFeeIn(logs);
    const usual = (cumulativeGasUsed - before) * effectiveGasPrice(transaction, baseFeePerGas);
    if (other === null) fees += usual;
    else if (other.token === null) fees += other.amount;
    before = cumulativeGasUsed;
  }
  return fees;
}

const NO_LOGS = { logs: null, logsBloom: null };
/** A function's selector; what follows it is not shown in lists. */
const inputCharsShown = 10;

/** The first page has the block's last transactions. */
function blockTransactions(
  backend: Backend,
  limits: RpcLimits,
  [at, number, size]: readonly unknown[],
): unknown {
  const ref = readNumber(at, 0);
  const page = readCount(number, 1);
  const pageSize = readPageSize(size, 2, limits);
  const block = blockOf(backend, ref);
  const receipts = block === null ? null : backend.receiptsAt(block.header.height);
  if (block === null || receipts === null) return null;
  const end = Math.max(0, block.transactions.length - page * pageSize);
  const first = Math.max(0, end - pageSize);
  const shown = block.transactions.slice(first, end).map((transaction, offset) => {
    const formatted = formatTransaction(transaction, { block, index: first + offset });
    return { ...formatted, input: formatted.input.slice(0, inputCharsShown) };
  });
  return {
    fullblock: { ...formatSlim(block), transactions: shown },
    receipts: shown.map((_, offset) => {
      return { ...formatReceipt({ block, index: first + offset }, receipts), ...NO_LOGS };
    }),
  };
}

function formatSlim(block: Block) {
  const transactionCount = block.transactions.length;
  return { ...formatBlock(block, false), logsBloom: null, transactionCount };
}

async function searchTransactions(
  backend: Backend,
  limits: RpcLimits,
  side: Side,
  [account, at, size]: readonly unknown[],
  caller: Caller,
): Promise<unknown> {
  const address = readAddress(account, 0);
  const number = BigInt(readCount(at, 1));
  const pageSize = readPageSize(size, 2, limits);
  const end = asHeight(backend.head.header.height + 1n);
  // 0 is the newest below, and the oldest above.
  const from = side === 'below' && (number === 0n || number > end) ? end : asHeight(number);
  const search = new AccountSearch(backend, limits, caller);
  const { places, hasMore } = await search.transactions(address, side, from, pageSize);
  const found = await formatPlaces(backend, search, places);
  if (side === 'above') found.reverse();
  return {
    txs: found.map(({ transaction }) => transaction),
    receipts: found.map(({ receipt }) => receipt),
    firstPage: side === 'below' ? number === 0n : !hasMore,
    lastPage: side === 'above' ? number === 0n : !hasMore,
  };
}

type Shown = { readonly transaction: object; readonly receipt: object };

async function formatPlaces(
  backend: Backend,
  search: AccountSearch,
  places: readonly Location[],
): Promise<Shown[]> {
  const byHeight = Map.groupBy(places, ({ height }) => height);
  const found: Shown[] = [];
  for (const [height, own] of byHeight) {
    found.push(...(await search.slice(() => formatBlockPlaces(backend, height, own))));
  }
  return found;
}

function formatBlockPlaces(backend: Backend, height: Height, own: readonly Location[]): Shown[] {
  const block = backend.blockAt(height);
  const receipts = backend.receiptsAt(height);
  assert(block !== null && receipts !== null, 'the history is of blocks that are there');
  const timestamp = timestampSeconds(block.header);
  return own.map(({ index }) => {
    const transaction = block.transactions[index];
    assert(transaction !== undefined, 'the history is of transactions of the block');
    const receipt = formatReceipt({ block, index }, receipts);
    return {
      transaction: formatTransaction(transaction, { block, index }),
      receipt: { ...receipt, timestamp: Number(timestamp) },
    };
  });
}

function readPageSize(value: unknown, index: number, { searchPageMax }: RpcLimits): number {
  const size = readCount(value, index);
  if (size >= 1 && size <= searchPageMax) return size;
  throw invalidParam(index, `a page of 1 to ${searchPageMax}`);
}

async function hashOf(found: ReturnType<AccountSearch['bySenderAndNonce']>): Promise<unknown> {
  return (await found)?.hash ?? null;
}

/**
 * By the history where a transaction created it; else by the block in which its code came, if the
 * state before that is kept.
 */
async function creatorOf(
  backend: Backend,
  search: AccountSearch,
  address: Address,
  traced: (block: Block) => Promise<unknown>,
): Promise<unknown> {
  const { height: head } = backend.head.header;
  const { codeHash = EMPTY_CODE_HASH } = backend.stateAt(head)?.account(address) ?? {};
  if (codeHash === EMPTY_CODE_HASH) return null;
  const found = await search.creation(address);
  if (found !== null) return { hash: found.hash, creator: found.sender };
  const height = firstWithCode(backend, address);
  const block = height === null ? null : backend.blockAt(height);
  return block === null ? null : traced(block);
}

/** By halves over the heights; null where it is not known, or there is no code. */
function firstWithCode(backend: Backend, address: Address): Height | null {
  const codeAt = (height: bigint) => {
    const state = backend.stateAt(asHeight(height));
    if (state === null) return null;
    return (state.account(address)?.codeHash ?? EMPTY_CODE_HASH) !== EMPTY_CODE_HASH;
  };
  const { height: head } = backend.head.header;
  let low = 0n;
  let high: bigint = head;
  while (low < high) {
    const middle = (low + high) / 2n;
    // What is not kept is older than what is.
    if (codeAt(middle) === true) high = middle;
    else low = middle + 1n;
  }
  return low > 0n && codeAt(low - 1n) === false ? asHeight(low) : null;
}
