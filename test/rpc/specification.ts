/** Each method that Ethereum's specification has and this node serves, with what it is asked. */
import { Ajv, type ValidateFunction } from 'ajv';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { readVectors } from '../types/vectors.ts';

/** What is in a chain, for questions that have an answer. */
export type Facts = {
  /** Has paid, and has a payment that waits. */
  readonly sender: Address;
  readonly payee: Address;
  /** Has code. */
  readonly contract: Address;
  /** Has logged something. */
  readonly loud: Address;
  /** Of these transactions, in this order: legacy, with an access list, with a log. */
  readonly blockHash: Hash;
  readonly blockNumber: string;
  readonly legacy: Hash;
  readonly listed: Hash;
  readonly logged: Hash;
  /** Not sent yet. */
  readonly raw: string;
};

export type Row = readonly [method: string, ...params: unknown[]];

export function specificationRows(facts: Facts): readonly Row[] {
  const { sender, payee, contract, loud, blockHash, blockNumber } = facts;
  const call = { from: sender, to: payee, value: '0x1', data: '0x0102' };
  return [
    ['net_version'],
    ['eth_chainId'],
    ['eth_syncing'],
    ['eth_blockNumber'],
    ['eth_gasPrice'],
    ['eth_maxPriorityFeePerGas'],
    ['eth_accounts'],
    ['eth_feeHistory', '0x3', 'latest', [0, 25, 50, 100]],
    ['eth_feeHistory', 2, 'pending'],
    ['eth_feeHistory', '0x0', 'latest'],
    ['eth_getBalance', sender],
    ['eth_getBalance', sender, { blockHash, requireCanonical: true }],
    ['eth_getBalance', sender, blockHash],
    ['eth_getTransactionCount', sender, 'pending'],
    ['eth_getTransactionCount', sender, 'safe'],
    ['eth_getCode', sender, 'latest'],
    ['eth_getCode', contract, 'finalized'],
    ['eth_getStorageAt', contract, '0x0', 'latest'],
    ['eth_getStorageAt', contract, `0x${'00'.repeat(32)}`, null],
    ['eth_getProof', sender, [], 'latest'],
    ['eth_getProof', contract, ['0x0', `0x${'00'.repeat(31)}11`], 'latest'],
    ['eth_call', call, 'latest'],
    ['eth_estimateGas', call],
    ['eth_estimateGas', { from: sender, to: loud }],
    ['eth_call', { to: loud }, 'latest'],
    ['eth_createAccessList', call],
    ['eth_createAccessList', { from: sender, to: loud }],
    ['eth_simulateV1', { blockStateCalls: [{ calls: [call, { to: loud }] }, {}] }, 'latest'],
    ['eth_simulateV1', { blockStateCalls: [{ calls: [call] }], returnFullTransactions: true }],
    ['eth_getBlockByNumber', 'latest', true],
    ['eth_getBlockByNumber', 'earliest', false],
    ['eth_getBlockByNumber', blockNumber, true],
    ['eth_getBlockByNumber', blockNumber, false],
    ['eth_getBlockByNumber', '0x999', false],
    ['eth_getBlockByHash', blockHash, true],
    ['eth_getBlockByHash', facts.legacy, true],
    ['eth_getBlockTransactionCountByHash', blockHash],
    ['eth_getBlockTransactionCountByNumber', blockNumber],
    ['eth_getBlockReceipts', blockNumber],
    ['eth_getBlockReceipts', blockHash],
    ['eth_getBlockReceipts', { blockHash }],
    ['eth_getTransactionByHash', facts.legacy],
    ['eth_getTransactionByHash', facts.listed],
    ['eth_getTransactionByHash', facts.logged],
    ['eth_getTransactionByBlockHashAndIndex', blockHash, '0x1'],
    ['eth_getTransactionByBlockNumberAndIndex', blockNumber, '0x2'],
    ['eth_getTransactionByBlockNumberAndIndex', blockNumber, '0x9'],
    ['eth_getTransactionReceipt', facts.legacy],
    ['eth_getTransactionReceipt', facts.logged],
    ['eth_getTransactionReceipt', blockHash],
    ['eth_getLogs', { fromBlock: 'earliest', address: loud }],
    ['eth_getLogs', { blockHash }],
    ['eth_newFilter', { fromBlock: '0x0' }],
    ['eth_newBlockFilter'],
    ['eth_newPendingTransactionFilter'],
    ['eth_uninstallFilter', '0x1'],
    ['txpool_status'],
    ['txpool_content'],
    ['txpool_contentFrom', sender],
    ['eth_sendRawTransaction', facts.raw],
  ];
}

/** Null where the answer is of the shape that the specification demands; otherwise what is wrong. */
export type Judge = (method: string, answer: unknown) => string | null;

const listsOfEither = new Set(['eth_getLogs', 'eth_getFilterChanges', 'eth_getFilterLogs']);

type Method = { readonly name: string; readonly result: { readonly schema: object } };

/** By Ethereum's execution-apis (an OpenRPC document). */
export function specificationJudge(): Judge {
  const { methods } = readVectors<{ methods: Method[] }>('execution-apis/openrpc.json');
  const schemas = new Map(methods.map(({ name, result }) => [name, result.schema]));
  const ajv = new Ajv({ strict: false, allErrors: true });
  const validators = new Map<string, ValidateFunction>();
  return (method, answer) => {
    const schema = schemas.get(method);
    if (schema === undefined) return 'not in the specification';
    // An empty list is of two of the shapes of which the specification demands exactly one.
    if (listsOfEither.has(method) && Array.isArray(answer) && answer.length === 0) return null;
    const validate = validators.get(method) ?? ajv.compile(schema);
    validators.set(method, validate);
    if (validate(answer)) return null;
    const errors = JSON.stringify(validate.errors?.slice(0, 5));
    return `${errors} ${JSON.stringify(answer).slice(0, 2_000)}`;
  };
}
