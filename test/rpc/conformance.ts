/**
 * `npm run conformance`: every method that this node promises, asked of a real network, and its
 * answer held against Ethereum's specification where that has the method. Ends with 1 where
 * something fails.
 */
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { concatBytes, fromHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { keccakHash } from '#src/types/hash.ts';
import { signTransaction, type TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { type Account, accounts, Target } from '../bench/load.ts';
import { startDevnet } from '../bench/peers.ts';
import { type Facts, type Row, specificationJudge, specificationRows } from './specification.ts';

/** Beside those of the specification's rows. */
const ownRows = ({
  sender,
  blockNumber,
  blockHash,
  legacy,
  logged,
  loud,
}: Facts): readonly Row[] => [
  ['web3_clientVersion'],
  ['web3_sha3', '0x68656c6c6f'],
  ['net_listening'],
  ['net_peerCount'],
  ['rpc_modules'],
  ['rpc.discover'],
  ['eth_getUncleCountByBlockHash', keccakHash(utf8('none'))],
  ['eth_getUncleCountByBlockNumber', blockNumber],
  ['eth_getUncleByBlockHashAndIndex', keccakHash(utf8('none')), '0x0'],
  ['eth_getUncleByBlockNumberAndIndex', blockNumber, '0x0'],
  ['debug_traceTransaction', legacy, { tracer: 'callTracer' }],
  ['debug_traceTransaction', logged, { tracer: 'callTracer', tracerConfig: { withLog: true } }],
  ['debug_traceCall', { from: sender, to: loud }, 'latest', { tracer: 'callTracer' }],
  ['debug_traceBlockByNumber', blockNumber, { tracer: 'callTracer' }],
  ['debug_traceBlockByHash', blockHash, { tracer: 'callTracer' }],
  ['erigon_getHeaderByNumber', 1],
  ['ots_getApiLevel'],
  ['ots_hasCode', loud, 'latest'],
  ['ots_getInternalOperations', logged],
  ['ots_getTransactionError', logged],
  ['ots_traceTransaction', logged],
  ['ots_getBlockDetails', 1],
  ['ots_getBlockDetailsByHash', blockHash],
  ['ots_getBlockTransactions', Number(blockNumber), 0, 10],
  ['ots_searchTransactionsBefore', sender, 0, 25],
  ['ots_searchTransactionsAfter', sender, 0, 25],
  ['ots_getTransactionBySenderAndNonce', sender, 0],
  ['ots_getContractCreator', loud],
  ['mpbp_getAccountHistory', sender],
  ['mpbp_getFinalityCertificate', blockNumber],
  ['mpbp_getFinalityProof', blockNumber],
  ['mpbp_getReceiptProof', legacy],
  ['mpbp_getValidators'],
  ['mpbp_getMembership'],
  ['mpbp_getEvidence'],
  ['mpbp_getPoolTransaction', legacy],
  ['mpbp_getOrder', legacy],
  ['mpbp_listOrders', { state: 'SETTLED' }, null, 10],
  ['mpbp_simulateOrder', { from: sender, to: PAYMENT_ORDERS, data: '0x' }],
  ['mpbp_nodeStatus'],
];

const gas = {
  maxPriorityFeePerGas: asWei(0n),
  gasLimit: asGas(200_000n),
  accessList: [],
  authorizationList: [],
};
const topic = keccakHash(utf8('Loud()'));
/** A contract that logs once, whatever it is called with: PUSH32 topic, PUSH0 twice, LOG1, STOP. */
const loudRuntime = concatBytes(bytesOf('0x7f'), bytesOf(topic), bytesOf('0x5f5fa100'));
/** Copies what follows these nine bytes and returns it. */
const loudCode = concatBytes(bytesOf('0x60258060095f395ff3'), loudRuntime);

const running = await startDevnet(4);
const target = new Target(running.rpc[0] ?? '');
let failed = 0;
try {
  const facts = await prepare();
  const judge = specificationJudge();
  const seen = new Map<string, string[]>();
  for (const row of [...specificationRows(facts), ...ownRows(facts)]) {
    const [method, ...params] = row;
    const outcomes = seen.get(method) ?? [];
    seen.set(method, outcomes);
    try {
      const wrong = judge(method, await target.call(method, params));
      const isOurs = wrong === 'not in the specification';
      outcomes.push(isOurs ? 'answered' : wrong === null ? 'passed' : `FAILED ${wrong}`);
    } catch (error) {
      outcomes.push(`FAILED ${(error as Error).message}`);
    }
  }
  for (const [method, outcomes] of [...seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const wrong = outcomes.filter((outcome) => outcome.startsWith('FAILED'));
    failed += wrong.length;
    const verdict = wrong[0] ?? outcomes[0] ?? '';
    process.stdout.write(`${method.padEnd(44)}${`${outcomes.length}`.padStart(3)}  ${verdict}\n`);
  }
  process.stdout.write(`\n${seen.size} methods, ${failed} failed\n`);
} finally {
  target.close();
  await running.stop();
}
process.exit(failed === 0 ? 0 : 1);

/** A block with transactions of each kind, and one that waits. */
async function prepare(): Promise<Facts> {
  const [payer, other] = accounts(0, 2) as [Account, Account];
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  const maxFeePerGas = asWei(2_000_000_000n);
  const usual = { ...gas, type: 2 as const, chainId, maxFeePerGas, to: other.address };
  const sign = (changes: Partial<TransactionFields>) => {
    const nonce = payer.nonce++;
    const fields = { ...usual, value: asWei(1n), data: utf8('memo'), nonce, ...changes };
    return signTransaction(fields, payer.key);
  };
  const send = async (transactions: readonly ReturnType<typeof sign>[]) => {
    const method = 'eth_sendRawTransactionSync';
    const calls = transactions.map(({ raw }) => ({ method, params: [toHex(raw)] }));
    return (await target.batch(calls)) as Receipt[];
  };
  const deployment = sign({ to: null, data: loudCode, value: asWei(0n) });
  const [deployed] = await send([deployment]);
  const loud = deployed?.contractAddress as Facts['loud'];
  const accessList = [{ address: other.address, storageKeys: [topic] }];
  const tip = { maxPriorityFeePerGas: maxFeePerGas };
  const legacy = sign({ type: 0, ...tip });
  const listed = sign({ type: 1, accessList, ...tip });
  const logged = sign({ to: loud, value: asWei(0n) });
  const [receipt] = await send([legacy, listed, logged]);
  payer.nonce++;
  await target.call('eth_sendRawTransaction', [toHex(sign({}).raw)]);
  payer.nonce -= 2n;
  return {
    ...{ sender: payer.address, payee: other.address, contract: loud, loud },
    ...{ legacy: legacy.hash, listed: listed.hash, logged: logged.hash },
    ...{ blockHash: receipt?.blockHash as Facts['blockHash'] },
    ...{ blockNumber: receipt?.blockNumber ?? '0x1', raw: toHex(sign({}).raw) },
  };
}

type Receipt = {
  readonly blockHash: string;
  readonly blockNumber: string;
  readonly contractAddress: string | null;
};

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array(0);
}
