/**
 * Calls and estimates. A native contract and a transfer to an account without code are answered at
 * once; whatever runs code is asked of a thread.
 */
import { precompilePrices } from '#src/ledger/evm/precompilePrices.ts';
import { coverOf } from '#src/ledger/fees.ts';
import { callGas, intrinsicGas, standardGas, workGas } from '#src/ledger/gas.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { contractAt } from '#src/ledger/payments/contracts.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { Override } from '#src/ledger/state/overridden.ts';
import { toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { transactionGasMax } from '#src/types/limits.ts';
import { asGas, asHeight, asWei } from '#src/types/units.ts';
import type { Caller } from '../access/access.ts';
import type { Backend, PastState } from '../backend.ts';
import type { Method, Methods } from '../dispatch.ts';
import { RPC, RpcError } from '../errors.ts';
import { quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import { readBlock } from '../params.ts';
import { finalHeightOf, readerOf, stateOf } from '../resolve.ts';
import { revertOf, viewFailure } from '../views/viewErrors.ts';
import type { CallAnswer, CallRequest, ViewBlock, ViewFailure } from '../views/viewRequest.ts';
import { brokenView, type ViewThreads } from '../views/viewThreads.ts';
import {
  type Call,
  readBlockOverrides,
  readCall,
  readOverrides,
  refuseMoves,
} from './callParams.ts';
import { codeOf } from './state.ts';

export function callMethods(
  backend: Backend,
  limits: RpcLimits,
  views: ViewThreads,
  log: Log,
): Methods {
  const prepare = (params: readonly unknown[]) => prepareCall(backend, limits, params);
  const view = async (asked: Asked, kind: CallRequest['kind'], gasMax: bigint) => {
    const { wanted, height, block, changes } = asked.prepared;
    const { from: sender, to, value, data, price: gasPrice, accessList } = wanted;
    const lane = kind === 'call' ? {} : { laneGas: backend.evmGasLimit };
    const question = { sender, to, value, data, gasPrice, accessList, ...lane };
    const request = { kind, question, gasMax, height, block, overrides: changes };
    const answer = await views.ask(request, asked.caller);
    if (kind === 'estimate' && answer.t === 'failed' && answer.reason === 'out of gas') {
      throw new RpcError(RPC.rejected, `gas required exceeds allowance (${gasMax})`);
    }
    return resultOf(answer, gasMax, log);
  };
  const run: Method['run'] = (params, _, caller) => {
    const prepared = prepare(params);
    const { wanted, world, native } = prepared;
    checkFunds(wanted, world, wanted.gas ?? 0n);
    if (native !== null) return toHex(callNative(wanted, native).output);
    if (!prepared.runsCode) return '0x';
    const { viewGasMax } = limits;
    const gas = wanted.gas ?? viewGasMax;
    return view({ prepared, caller }, 'call', gas < viewGasMax ? gas : viewGasMax);
  };
  const estimate = (params: readonly unknown[], caller: Caller) => {
    const prepared = prepare(params);
    const { wanted, world, native } = prepared;
    const fields = fieldsOf(wanted, backend.chainId);
    // Before the call, for what it moves has to be there; what it costs is known afterwards.
    checkFunds(wanted, world, native === null ? intrinsicGas(fields) : 0n);
    if (prepared.runsCode)
      return view({ prepared, caller }, 'estimate', allowance(wanted, world, backend));
    const used = native === null ? 0n : callNative({ ...wanted, gas: null }, native).gasUsed;
    const need = callGas(fields, used);
    if (wanted.gas !== null && wanted.gas < need) {
      throw new RpcError(RPC.rejected, `gas required exceeds allowance (${wanted.gas})`);
    }
    checkFunds(wanted, world, need);
    return quantity(need);
  };
  const createAccessList: Method['run'] = async (params, _, caller) => {
    const prepared = prepare(params);
    const { wanted, world, runsCode } = prepared;
    if (runsCode)
      return view({ prepared, caller }, 'accessList', allowance(wanted, world, backend));
    // Native contracts and transfers have nothing to warm up.
    return { accessList: [], gasUsed: estimate(params, caller) };
  };
  return [
    ['eth_createAccessList', { paramsMax: 4, units: 60, run: createAccessList }],
    ['eth_call', { paramsMax: 4, units: 20, run }],
    [
      'eth_estimateGas',
      { paramsMax: 4, units: 40, run: (params, _, caller) => estimate(params, caller) },
    ],
  ];
}

type Native = { readonly contract: NativeContract; readonly state: Overlay };
type Asked = { readonly prepared: Prepared; readonly caller: Caller };
export type Prepared = {
  readonly wanted: Call;
  readonly world: World;
  readonly height: bigint;
  readonly block: ViewBlock;
  readonly changes: ReadonlyMap<Address, Override>;
  /** Answered here. */
  readonly native: (Native & { readonly block: ViewBlock }) | null;
  readonly runsCode: boolean;
};

export function prepareCall(
  backend: Backend,
  limits: RpcLimits,
  [call, at, overrides, blockOverrides]: readonly unknown[],
): Prepared {
  const wanted = readCall(call, 0);
  const ref = readBlock(at, 1);
  const changes = readOverrides(overrides, 2, limits);
  refuseMoves(overrides, 2);
  const changedBlock = readBlockOverrides(blockOverrides, 3);
  const past = stateOf(backend, ref);
  const height = finalHeightOf(backend, ref);
  const block = { ...blockAt(backend, height), ...changedBlock };
  const world = worldOf(past, changes, block);
  const { to, data } = wanted;
  const contract = to === null ? null : contractAt(to);
  const isChanged = [...changes.values()].some(
    ({ code, state, stateDiff, nonce }) => (code ?? state ?? stateDiff ?? nonce) !== null,
  );
  // Of a native contract only the balances can be changed here.
  const isNative = contract !== null && !isChanged;
  const hasCode = (at: Address) => precompilePrices.has(at) || world.code(at).length > 0;
  const runsCode = to === null ? data.length > 0 : !isNative && hasCode(to);
  const native = isNative ? { contract, state: stateFor(past, changes), block } : null;
  return { wanted, world, height, block, changes, native, runsCode };
}

function blockAt(backend: Backend, height: bigint): ViewBlock {
  const header = backend.headerAt(asHeight(height));
  assert(header !== null, 'a block whose state is kept has a header');
  const { coinbase, prevRandao, baseFeePerGas, consensus } = header;
  const { timestampMs } = consensus;
  const { chainId, evmGasLimit: gasLimit } = backend;
  return { chainId, height, timestampMs, coinbase, prevRandao, baseFeePerGas, gasLimit };
}

/** What the caller may spend: what a block has for it, and what its coin pays for. */
function allowance(call: Call, world: World, { evmGasLimit }: Backend): bigint {
  const { from, to, value, data, accessList, price, gas } = call;
  const lists = { accessList, authorizationList: [] };
  // A creation may leave code for all that it has.
  const code = to === null ? transactionGasMax : evmGasLimit - workGas(lists);
  const possible = callGas({ to, data, ...lists }, code > 0n ? code : 0n);
  const allowed = possible < transactionGasMax ? possible : transactionGasMax;
  let most: bigint = gas === null || gas > allowed ? allowed : gas;
  if (price > 0n) {
    const inCoin = (world.balance(from) - value) / price;
    const covered = world.coveredGas(call);
    const affordable = inCoin > covered ? inCoin : covered;
    if (affordable < most) most = affordable;
  }
  return most;
}

function resultOf(answer: CallAnswer, gasMax: bigint, log: Log): unknown {
  switch (answer.t) {
    case 'output':
      return toHex(answer.output);
    case 'gas':
      return quantity(answer.gas);
    case 'accessList': {
      const { accessList, gas, error } = answer;
      const words = error === null ? {} : { error: failureOf(error, gasMax).message };
      return { accessList, gasUsed: quantity(gas), ...words };
    }
    case 'reverted':
    case 'failed':
      throw failureOf(answer, gasMax);
    case 'broken':
      throw brokenView(log, answer.reason);
  }
}

function failureOf(failure: ViewFailure, gasMax: bigint): RpcError {
  if (failure.t === 'reverted') return revertOf(failure.output);
  return viewFailure(failure.reason, gasMax);
}

/** A revert goes out in geth's manner: code 3, and the error's bytes, which libraries decode. */
function callNative(wanted: Call, { contract, state, block }: NonNullable<Prepared['native']>) {
  const { from: sender, value, data, accessList } = wanted;
  const before = standardGas({ to: contract.address, data, accessList, authorizationList: [] });
  // Here, on the thread that votes: never more than the dearest transaction, some 25 ms.
  const { gas: asked } = wanted;
  const gas = (asked === null || asked > transactionGasMax ? transactionGasMax : asked) - before;
  const message = { sender, to: contract, value, data, gas: gas > 0n ? gas : 0n };
  const facts = { height: asHeight(block.height), timestampMs: block.timestampMs };
  const result = runMessage(state, facts, message);
  if (result.ended === 'well') return result;
  if (result.ended === 'out of gas') throw new RpcError(RPC.rejected, 'out of gas');
  throw new RpcError(RPC.reverted, `execution reverted: ${result.reason}`, toHex(result.output));
}

/** The past, with the balances of the overrides; nothing of it is ever written. */
function stateFor(past: PastState, changes: ReadonlyMap<Address, Override>): Overlay {
  const overlay = new Overlay(readerOf(past));
  for (const [address, { balance }] of changes) {
    if (balance === null) continue;
    overlay.changeAccount(address, (account) => ({ ...account, balance: asWei(balance) }));
  }
  return overlay;
}

type World = {
  balance(address: Address): bigint;
  code(address: Address): Uint8Array;
  /** How much gas would be paid without the sender's coin (FeeManager). */
  coveredGas(call: Call): bigint;
};

function worldOf(
  state: PastState,
  changes: ReadonlyMap<Address, Override>,
  { baseFeePerGas, timestampMs }: ViewBlock,
): World {
  const facts = { rules: { baseFeePerGas: asWei(baseFeePerGas) }, timestampMs };
  return {
    coveredGas: ({ from: sender, to, data, price, tip }) => {
      const prices = { maxFeePerGas: asWei(price), maxPriorityFeePerGas: asWei(tip) };
      const asking = { sender, to, data, ...prices };
      const cover = coverOf(stateFor(state, changes), asking, facts);
      return cover === null ? 0n : cover.available / cover.price;
    },
    balance: (address) => changes.get(address)?.balance ?? state.account(address)?.balance ?? 0n,
    code: (address) => changes.get(address)?.code ?? codeOf(state, address),
  };
}
/** Only who names a price pays for gas, as in geth. */
export function checkFunds(call: Call, world: World, gas: bigint): void {
  const { from, value, price } = call;
  const need = value + gas * price;
  if (need === 0n) return;
  const have = world.balance(from);
  if (have >= need) return;
  if (have >= value && gas <= world.coveredGas(call)) return;
  const reason = `address ${formatAddress(from)} have ${have} want ${need}`;
  throw new RpcError(RPC.rejected, `insufficient funds for gas * price + value: ${reason}`);
}

function fieldsOf({ to, value, data, accessList }: Call, chainId: bigint) {
  const none = asWei(0n);
  const fees = { maxFeePerGas: none, maxPriorityFeePerGas: none };
  const rest = { type: 2 as const, chainId, nonce: 0n, gasLimit: asGas(0n) };
  const authorizationList: [] = [];
  return { ...rest, ...fees, to, value: asWei(value), data, accessList, authorizationList };
}
