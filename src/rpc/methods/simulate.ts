/** `eth_simulateV1`: blocks of calls on top of a final block, run in a thread of the views. */
import type { SimulationRefusal } from '#src/ledger/evm/simulateBlocks.ts';
import { assert } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { formatAddress } from '#src/types/address.ts';
import { type Header, hashHeader } from '#src/types/header.ts';
import type { Height } from '#src/types/units.ts';
import type { Backend } from '../backend.ts';
import { JsonText, type Method, type Methods } from '../dispatch.ts';
import { RPC, RpcError, SIMULATION } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import { readBlock } from '../params.ts';
import { finalHeightOf, stateOf } from '../resolve.ts';
import { brokenView, type ViewThreads } from '../views/viewThreads.ts';
import { readSimulation } from './simulateParams.ts';

/** As many as the calls would take one by one (`eth_call`), and some for the blocks. */
const unitsPerCall = 20;
const unitsPerBlock = 5;

export function simulateMethods(
  backend: Backend,
  limits: RpcLimits,
  views: ViewThreads,
  log: Log,
): Methods {
  const run: Method['run'] = async ([payload, at], _, caller) => {
    const ref = readBlock(at, 1);
    stateOf(backend, ref);
    const height = finalHeightOf(backend, ref);
    const header = headerAt(backend, height);
    const { chainId, rules } = backend;
    const simulation = readSimulation(payload, { base: header, chainId, limits });
    const { wanted, validates, logsTransfers, full } = simulation;
    const { viewGasMax: gasMax, responseBytesMax } = limits;
    const request = {
      ...{ kind: 'blocks' as const, height, header, hash: hashHeader(header), rules, wanted, full },
      options: { validates, logsTransfers, gasMax },
      responseBytesMax,
    };
    const answer = await views.ask(request, caller);
    if (answer.t === 'blocks') return new JsonText(answer.json);
    if (answer.t === 'refused') throw refused(answer.refusal);
    if (answer.t === 'failed') throw new RpcError(RPC.rejected, answer.reason);
    if (answer.t === 'broken') throw brokenView(log, answer.reason);
    throw new RpcError(RPC.tooLarge, 'response too large');
  };
  return [['eth_simulateV1', { paramsMax: 2, units: unitsFor, run }]];
}

/** Of whatever was sent: it is read before anything of it is checked. */
function unitsFor([payload]: readonly unknown[]): number {
  const blocks = (payload as { blockStateCalls?: unknown } | null | undefined)?.blockStateCalls;
  if (!Array.isArray(blocks)) return unitsPerCall;
  let units = unitsPerCall;
  for (const block of blocks) {
    const calls = (block as { calls?: unknown } | null | undefined)?.calls;
    units += unitsPerBlock + (Array.isArray(calls) ? calls.length * unitsPerCall : 0);
  }
  return units;
}

function headerAt(backend: Backend, height: Height): Header {
  const header = backend.headerAt(height);
  assert(header !== null, 'a block whose state is kept has a header');
  return header;
}

/** geth's words, and the codes of execution-apis. */
function refused(refusal: SimulationRefusal): RpcError {
  switch (refusal.code) {
    case 'NONCE': {
      const { want, got } = refusal;
      const isLow = got < want;
      const code = isLow ? SIMULATION.nonceTooLow : SIMULATION.nonceTooHigh;
      const words = isLow ? 'nonce too low' : 'nonce too high';
      return new RpcError(code, `${words}: next nonce ${want}, tx nonce ${got}`);
    }
    case 'FEE_CAP_TOO_LOW': {
      const { maxFeePerGas, baseFeePerGas } = refusal;
      const words = 'max fee per gas less than block base fee';
      const fees = `maxFeePerGas: ${maxFeePerGas}, baseFee: ${baseFeePerGas}`;
      return new RpcError(SIMULATION.baseFeeTooLow, `${words}: ${fees}`);
    }
    case 'INTRINSIC_GAS_TOO_LOW': {
      const { gas, need } = refusal;
      return new RpcError(
        SIMULATION.intrinsicGas,
        `intrinsic gas too low: have ${gas}, want ${need}`,
      );
    }
    case 'INSUFFICIENT_FUNDS': {
      const { address, have, need } = refusal;
      const who = `address ${formatAddress(address)} have ${have} want ${need}`;
      const words = 'insufficient funds for gas * price + value';
      return new RpcError(SIMULATION.insufficientFunds, `${words}: ${who}`);
    }
    case 'INIT_CODE_TOO_LONG': {
      const { bytes, max } = refusal;
      const words = 'max initcode size exceeded';
      return new RpcError(SIMULATION.initCodeTooLarge, `${words}: code size ${bytes} limit ${max}`);
    }
    case 'BLOCK_GAS_LIMIT': {
      const { used, gas, limit } = refusal;
      const words = 'block gas limit reached';
      return new RpcError(SIMULATION.blockGasLimit, `${words}: ${used} + ${gas} > ${limit}`);
    }
    case 'EXCEEDS_BLOCK_GAS_LIMIT': {
      const { gas, limit } = refusal;
      const words = 'exceeds block gas limit';
      return new RpcError(SIMULATION.blockGasLimit, `${words}: ${gas} > ${limit}`);
    }
    case 'EVM_LANE_FULL':
      return new RpcError(SIMULATION.blockGasLimit, 'exceeds what a block has for contracts');
    case 'GAS_MAX': {
      const { left, need } = refusal;
      const words = 'gas of all calls together';
      return new RpcError(SIMULATION.clientLimit, `${words}: ${left} left, ${need} needed`);
    }
    case 'ADDRESS_RESERVED': {
      const who = formatAddress(refusal.address);
      return new RpcError(RPC.rejected, `no payments to the reserved address ${who}`);
    }
    case 'SENDER_NOT_EOA':
      return new RpcError(RPC.internal, 'who sends is not looked at');
  }
}
