/**
 * `rpc.discover`: the methods of this node as an OpenRPC document (service discovery, OpenRPC 1.3),
 * for tools that make clients and documentation. Of each method two lines say all: its parameters
 * with their types and the type of its result, and what it is for.
 */
import { assert } from '#src/lib/failure.ts';
import type { Method } from '../dispatch.ts';

const SIGNATURES = `
web3_clientVersion(): Text
  name and version of the node's program
web3_sha3(data: Data): Hash
  Keccak-256
net_version(): Text
  the chain id, in decimal
net_listening(): Boolean
  true
net_peerCount(): Quantity
  connected peers
rpc_modules(): Object
  families of methods with their versions
rpc.discover(): Object
  this document
eth_chainId(): Quantity
  the chain id (EIP-155)
eth_syncing(): Syncing
  false, or how many final blocks are on their way here
eth_blockNumber(): Quantity
  height of the newest final block
eth_gasPrice(): Quantity
  the network's constant base fee, in wei
eth_maxPriorityFeePerGas(): Quantity
  0: no tip is needed
eth_accounts(): List
  none: a node signs nothing
eth_getBalance(address: Address, block?: Block): Quantity
  balance in wei
eth_getTransactionCount(address: Address, block?: Block): Quantity
  nonce of the next transaction
eth_getCode(address: Address, block?: Block): Data
  code of a contract
eth_getStorageAt(address: Address, slot: Quantity, block?: Block): Word
  a slot of a contract's storage
eth_getProof(address: Address, slots: List, block?: Block): Object
  account and slots with their Merkle proofs (EIP-1186)
eth_call(call: Object, block?: Block, state?: Object, overrides?: Object): Data
  runs a call that changes nothing
eth_estimateGas(call: Object, block?: Block, state?: Object, overrides?: Object): Quantity
  gas that a call takes
eth_createAccessList(call: Object, block?: Block, state?: Object, overrides?: Object): Object
  accounts and slots that a call accesses, and its gas with them listed (EIP-2930)
eth_simulateV1(payload: Object, block?: Block): List
  runs blocks of calls on each other's state, none of which stays (execution-apis)
eth_feeHistory(blocks: Quantity, newest: Block, percentiles?: List): Object
  base fees, how full blocks were, tips
eth_getBlockByNumber(block: Block, full: Boolean): Object
  a block, its transactions whole or by hash
eth_getBlockByHash(hash: Hash, full: Boolean): Object
  a block, its transactions whole or by hash
eth_getBlockTransactionCountByNumber(block: Block): Quantity
  transactions of a block
eth_getBlockTransactionCountByHash(hash: Hash): Quantity
  transactions of a block
eth_getBlockReceipts(block: Block): List
  all receipts of a block
eth_getUncleCountByBlockNumber(block: Block): Quantity
  0: there are none
eth_getUncleCountByBlockHash(hash: Hash): Quantity
  0: there are none
eth_getUncleByBlockNumberAndIndex(block: Block, index: Quantity): Object
  null: there are none
eth_getUncleByBlockHashAndIndex(hash: Hash, index: Quantity): Object
  null: there are none
eth_getTransactionByHash(hash: Hash): Object
  a transaction, final or waiting
eth_getTransactionByBlockHashAndIndex(hash: Hash, index: Quantity): Object
  a transaction by its place
eth_getTransactionByBlockNumberAndIndex(block: Block, index: Quantity): Object
  a transaction by its place
eth_getTransactionReceipt(hash: Hash): Object
  what came of a transaction; null before it is final
eth_sendRawTransaction(transaction: Data): Hash
  takes a signed transaction; it is kept from then on
eth_sendRawTransactionSync(transaction: Data, timeoutMs?: Quantity): Object
  the same, and waits for its final receipt (EIP-7966)
eth_getLogs(filter: Object): List
  events of contracts in a range of blocks
eth_newFilter(filter: Object): Text
  a filter of events to poll
eth_newBlockFilter(): Text
  a filter of blocks to poll
eth_newPendingTransactionFilter(full?: Boolean): Text
  a filter of waiting transactions to poll
eth_getFilterChanges(id: Text): List
  what came since the last poll
eth_getFilterLogs(id: Text): List
  all events of a filter
eth_uninstallFilter(id: Text): Boolean
  ends a filter
eth_subscribe(kind: Text, options?: Object): Text
  newHeads, logs or newPendingTransactions, over WebSocket
eth_unsubscribe(id: Text): Boolean
  ends a subscription
txpool_status(): Object
  how many transactions wait
txpool_content(): Object
  the transactions that wait
txpool_contentFrom(address: Address): Object
  those of one sender
debug_traceTransaction(transaction: Hash, config?: Object): Object
  all calls of a final transaction, run again (geth's callTracer)
debug_traceCall(call: Object, block?: Block, config?: Object): Object
  all calls of a call that changes nothing
debug_traceBlockByNumber(block: Block, config?: Object): List
  all calls of each transaction of a block
debug_traceBlockByHash(hash: Hash, config?: Object): List
  all calls of each transaction of a block
erigon_getHeaderByNumber(block: Block): Object
  a block's header (Otterscan)
ots_getApiLevel(): Number
  8: which of Otterscan's methods there are
ots_hasCode(address: Address, block?: Block): Boolean
  whether an account has code
ots_getInternalOperations(transaction: Hash): List
  coin that contracts moved, and contracts that they made
ots_getTransactionError(transaction: Hash): Data
  what a failed transaction gave back; 0x of one that succeeded
ots_traceTransaction(transaction: Hash): List
  all calls of a transaction with their depths
ots_getBlockDetails(block: Block): Object
  a block without its transactions, and its fees
ots_getBlockDetailsByHash(hash: Hash): Object
  a block without its transactions, and its fees
ots_getBlockTransactions(block: Block, page: Number, size: Number): Object
  a page of a block's transactions, the last first
ots_searchTransactionsBefore(address: Address, block: Number, size: Number): Object
  transactions of an account below a block; 0: the newest
ots_searchTransactionsAfter(address: Address, block: Number, size: Number): Object
  transactions of an account above a block; 0: the oldest
ots_getTransactionBySenderAndNonce(sender: Address, nonce: Number): Hash
  hash of a transaction
ots_getContractCreator(address: Address): Object
  the transaction that created a contract, and who sent it
mpbp_subscribe(topic: Text, filter?: Object, from?: Quantity): Text
  newHeads or logs with a cursor, from any block on, over WebSocket
mpbp_unsubscribe(id: Text): Boolean
  ends a subscription
mpbp_getAccountHistory(address: Address, cursor?: Text, limit?: Quantity): Object
  what an account did, newest first
mpbp_getFinalityCertificate(block: Block): Object
  the votes that made a block final
mpbp_getFinalityProof(block: Block, epoch?: Quantity): Object
  a proof of finality that needs no node
mpbp_getReceiptProof(transaction: Hash, epoch?: Quantity): Object
  a proof of a payment that needs no node; null while it is not final
mpbp_getValidators(epoch?: Quantity): Object
  who decides, with stakes and keys
mpbp_getMembership(): Object
  members, validators, proposals
mpbp_getEvidence(): List
  votes by which validators contradicted themselves
mpbp_getPoolTransaction(hash: Hash): Object
  a transaction that waits
mpbp_getOrder(orderId: Hash): Object
  what a merchant asked for and what became of it; null where there is none
mpbp_listOrders(filter?: Object, cursor?: Text, limit?: Quantity): Object
  orders of a merchant, or of all, the newest first, in pages; by state where one is named
mpbp_simulateOrder(call: Object): Object
  what would come of a payment that is sent now: movements, fees, refusals by name, the order
mpbp_nodeStatus(): Object
  what the node is doing, and why
`;

const SCHEMAS: Readonly<Record<string, object>> = {
  Address: { type: 'string', pattern: '^0x[0-9a-fA-F]{40}$' },
  Block: {
    description: 'number, tag, hash, or an EIP-1898 object',
    type: ['string', 'object'],
  },
  Boolean: { type: 'boolean' },
  Data: { type: 'string', pattern: '^0x([0-9a-fA-F]{2})*$' },
  Hash: { type: 'string', pattern: '^0x[0-9a-fA-F]{64}$' },
  List: { type: 'array' },
  Number: { type: ['number', 'string'] },
  Object: { type: ['object', 'null'] },
  Quantity: { type: 'string', pattern: '^0x(0|[1-9a-f][0-9a-f]*)$' },
  Syncing: { type: ['boolean', 'object'] },
  Text: { type: 'string' },
  Word: { type: 'string', pattern: '^0x[0-9a-fA-F]{64}$' },
};

type Parameter = { readonly name: string; readonly required: boolean; readonly schema: object };
type Signature = {
  readonly name: string;
  readonly summary: string;
  readonly params: readonly Parameter[];
  readonly result: { readonly name: string; readonly schema: object };
};

/** Of the methods that are offered here, in the order of the table above. */
export function discoverMethod(
  version: string,
  offered: () => Iterable<string>,
): readonly [string, Method] {
  const run = () => {
    const names = new Set(offered());
    const methods = [...SIGNATURES.matchAll(SIGNATURE)]
      .map(readSignature)
      .filter(({ name }) => names.has(name));
    assert(methods.length === names.size, 'a method that is served has a signature');
    const info = { title: 'MPBP JSON-RPC', version };
    return { openrpc: '1.3.2', info, methods, components: { schemas: SCHEMAS } };
  };
  return ['rpc.discover', { paramsMax: 0, units: 20, run }];
}

const SIGNATURE = /^([\w.]+)\((.*)\): (\w+)\n {2}(.+)$/gm;
const PARAMETER = /^(\w+)(\??): (\w+)$/;

function readSignature([, name = '', list = '', type = '', summary = '']: string[]): Signature {
  const params = list === '' ? [] : list.split(', ').map(readParameter);
  return { name, summary, params, result: { name: 'result', schema: schemaOf(type) } };
}

function readParameter(text: string): Parameter {
  const [, name = '', optional, type = ''] = PARAMETER.exec(text) ?? [];
  return { name, required: optional === '', schema: schemaOf(type) };
}

function schemaOf(type: string): object {
  assert(SCHEMAS[type] !== undefined, 'a type of a signature has a schema');
  return { $ref: `#/components/schemas/${type}` };
}
