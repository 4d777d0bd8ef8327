import type { HistoryEntry } from '#src/history/history.ts';
import { toHex } from '#src/lib/bytes.ts';
import { encodeCertificate } from '#src/types/certificate.ts';
import { asEpoch } from '#src/types/units.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import { formatTransaction, quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import { isAbsent, readAddress, readBlock, readCount, readHash, readText } from '../params.ts';
import { heightOf } from '../resolve.ts';
import { membership } from './membership.ts';

/** What Ethereum has no name for. Numbers are QUANTITY throughout. */
export function mpbpMethods(backend: Backend, limits: RpcLimits): Methods {
  const history = (params: readonly unknown[]) => accountHistory(backend, limits, params);
  return [
    ['mpbp_getAccountHistory', { paramsMax: 3, units: 10, run: history }],
    ['mpbp_getFinalityCertificate', { paramsMax: 1, run: ([at]) => certificate(backend, at) }],
    ['mpbp_getValidators', { paramsMax: 1, run: ([epoch]) => validators(backend, epoch) }],
    ['mpbp_getMembership', { paramsMax: 0, run: () => membership(backend) }],
    ['mpbp_nodeStatus', { paramsMax: 0, run: () => nodeStatus(backend) }],
    ['mpbp_getPoolTransaction', { paramsMax: 1, run: ([hash]) => waiting(backend, hash) }],
  ];
}

const HISTORY_LIMIT = 100;

async function accountHistory(
  backend: Backend,
  { historyEntriesMax }: RpcLimits,
  [address, cursor, limit]: readonly unknown[],
): Promise<unknown> {
  const account = readAddress(address, 0);
  const from = isAbsent(cursor) ? null : readText(cursor, 1);
  const wanted = isAbsent(limit) ? HISTORY_LIMIT : readCount(limit, 2);
  if (wanted < 1 || wanted > historyEntriesMax) {
    throw invalidParam(2, `a limit from 1 to ${historyEntriesMax}`);
  }
  const page = await backend.history(account, from, wanted);
  if (page === null) throw invalidParam(1, 'not a cursor of this account');
  return { entries: page.entries.map(formatEntry), cursor: page.cursor };
}

function formatEntry(entry: HistoryEntry) {
  return {
    blockNumber: quantity(entry.height),
    transactionIndex: quantity(entry.index),
    kind: entry.kind,
    amount: quantity(entry.amount),
    fee: quantity(entry.fee),
    counterparty: entry.counterparty,
    transactionHash: entry.transactionHash,
    timestampMs: quantity(entry.timestampMs),
    memo: toHex(entry.memo),
    succeeded: entry.succeeded,
    token: entry.token,
    orderId: entry.orderId,
    virtualAddress: entry.via,
  };
}

/** Of the block itself, or of the descendant whose certificate made it final. */
function certificate(backend: Backend, block: unknown): unknown {
  const height = heightOf(backend, readBlock(block, 0));
  const found = height === null ? null : backend.certificateFor(height);
  if (found === null) return null;
  const { statement, signers, signatures } = found.certificate;
  return {
    blockNumber: quantity(found.height),
    blockHash: statement.blockHash,
    epoch: quantity(statement.epoch),
    view: quantity(statement.view),
    parentView: quantity(statement.parentView),
    signers: signers.map(quantity),
    signatures: signatures.map(toHex),
    encoded: toHex(encodeCertificate(found.certificate)),
  };
}

/** Of the epoch of the next block, or of one that is named; null where that has not begun. */
function validators(backend: Backend, wanted: unknown): unknown {
  const { electorate } = backend;
  const epoch = isAbsent(wanted) ? electorate.epoch : asEpoch(readCount(wanted, 0));
  const found = epoch === electorate.epoch ? electorate : backend.electorateOf(epoch);
  if (found === null) return null;
  const { set } = found;
  return {
    epoch: quantity(epoch),
    validators: set.validators.map((validator, index) => ({
      index: quantity(index),
      consensusKey: toHex(validator.consensusKey),
      peerId: validator.peerId,
      stake: quantity(validator.stake),
      memberId: validator.memberId,
      operator: validator.operator,
      feeRecipient: validator.feeRecipient,
    })),
    totalStake: quantity(set.totalStake),
    hash: set.hash,
  };
}

function nodeStatus(backend: Backend): unknown {
  const status = backend.status();
  return {
    version: status.version,
    peerId: status.peerId,
    validator: quantityOrNull(status.validator),
    consensusKeys: status.consensusKeys.map(toHex),
    recalling: status.recalling,
    epoch: quantity(status.epoch),
    height: quantity(status.height),
    view: quantity(status.view),
    finalizedView: quantity(status.finalizedView),
    leader: quantity(status.leader),
    suspects: status.suspects.map(quantity),
    unfinalizedBlocks: quantity(status.unfinalizedBlocks),
    blocksBehind: quantity(status.blocksBehind),
    poolTransactions: quantity(status.poolTransactions),
    cryptoBackend: status.cryptoBackend,
    uptimeMs: quantity(Math.round(status.uptimeMs)),
    diskFull: status.diskFull,
    peers: status.peers.map((peer) => ({
      ...peer,
      connectedSinceMs: quantity(Math.round(peer.connectedSinceMs)),
      validator: quantityOrNull(peer.validator),
    })),
  };
}

function waiting(backend: Backend, hash: unknown): unknown {
  const transaction = backend.pool.get(readHash(hash, 0));
  return transaction === null ? null : formatTransaction(transaction, null);
}

function quantityOrNull(value: number | null): string | null {
  return value === null ? null : quantity(value);
}
