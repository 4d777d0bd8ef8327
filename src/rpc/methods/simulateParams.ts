/** What `eth_simulateV1` is asked, and the chain of blocks that it makes of that. */
import { precompilePrices } from '#src/ledger/evm/precompilePrices.ts';
import type { WantedBlock, WantedCall } from '#src/ledger/evm/simulateBlocks.ts';
import { type Address, isReservedAddress } from '#src/types/address.ts';
import { type Header, timestampSeconds } from '#src/types/header.ts';
import { authorizationsMax } from '#src/types/limits.ts';
import type { Authorization } from '#src/types/transaction.ts';
import { asHeight, asWei } from '#src/types/units.ts';
import { invalidParam, RpcError, SIMULATION } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import {
  isAbsent,
  readAddress,
  readBoolean,
  readList,
  readObject,
  readQuantity,
} from '../params.ts';
import { readBlockOverrides, readCall, readOverrides } from './callParams.ts';

export type Simulation = {
  readonly wanted: readonly WantedBlock[];
  readonly validates: boolean;
  readonly logsTransfers: boolean;
  /** Whether transactions are told whole. */
  readonly full: boolean;
};

type Place = { readonly height: bigint; readonly seconds: number };

/** Each block later than the one before by so much, where the caller does not say. */
const secondsBetween = 1;

/** Gaps between the numbers are filled with empty blocks. Throws an {@link RpcError}. */
export function readSimulation(
  value: unknown,
  { base, chainId, limits }: { base: Header; chainId: bigint; limits: RpcLimits },
): Simulation {
  const payload = readObject(value, 0);
  const { simulatedBlocksMax } = limits;
  const given = readList(payload.blockStateCalls, 0, Number.POSITIVE_INFINITY);
  if (given.length === 0) throw invalidParam(0, 'blockStateCalls are empty');
  if (given.length > simulatedBlocksMax) throw tooMany(simulatedBlocksMax);
  const wanted: WantedBlock[] = [];
  let last: Place = { height: base.height, seconds: timestampSeconds(base) };
  for (const item of given) {
    const { blockOverrides, stateOverrides, calls } = readObject(item, 0);
    const changes = readBlockOverrides(blockOverrides, 0);
    const height = changes.height ?? last.height + 1n;
    if (height <= last.height) {
      const reason = `block numbers must be in order: ${height} <= ${last.height}`;
      throw new RpcError(SIMULATION.blockNumbers, reason);
    }
    if (height - base.height > simulatedBlocksMax) throw tooMany(simulatedBlocksMax);
    while (last.height + 1n < height) {
      last = next(last);
      wanted.push(blockAt(last));
    }
    const { seconds: usual } = next(last);
    const { timestampMs = usual * 1_000 } = changes;
    const seconds = timestampMs / 1_000;
    if (seconds <= last.seconds) {
      const reason = `block timestamps must be in order: ${seconds} <= ${last.seconds}`;
      throw new RpcError(SIMULATION.timestamps, reason);
    }
    last = { height, seconds };
    const list = isAbsent(calls) ? [] : readList(calls, 0, limits.simulatedCallsMax);
    wanted.push({
      ...blockAt(last),
      gasLimit: changes.gasLimit ?? null,
      coinbase: changes.coinbase ?? null,
      prevRandao: changes.prevRandao ?? null,
      baseFeePerGas: changes.baseFeePerGas ?? null,
      overrides: readOverrides(stateOverrides, 0, limits),
      precompiles: readPrecompiles(stateOverrides),
      calls: list.map((call) => readWanted(call, chainId)),
    });
  }
  const flag = (name: string) => !isAbsent(payload[name]) && readBoolean(payload[name], 0);
  return {
    wanted,
    validates: flag('validation'),
    logsTransfers: flag('traceTransfers'),
    full: flag('returnFullTransactions'),
  };
}

function next({ height, seconds }: Place): Place {
  return { height: height + 1n, seconds: seconds + secondsBetween };
}

function blockAt({ height, seconds }: Place): WantedBlock {
  return {
    ...{ height: asHeight(height), timestampMs: seconds * 1_000 },
    ...{ gasLimit: null, coinbase: null, prevRandao: null, baseFeePerGas: null },
    ...{ overrides: new Map(), precompiles: null, calls: [] },
  };
}

/** As in geth: what is overridden is no precompile any more, be it moved or not. */
function readPrecompiles(value: unknown): ReadonlyMap<Address, Address> | null {
  if (isAbsent(value)) return null;
  const places = new Map([...precompilePrices.keys()].map((address) => [address, address]));
  const moved = new Map<Address, Address>();
  const overrides = new Map(
    Object.entries(readObject(value, 0)).map(([address, fields]) => [
      readAddress(address, 0),
      readObject(fields, 0).movePrecompileToAddress,
    ]),
  );
  for (const [from, target] of overrides) {
    const isPrecompile = places.delete(from);
    if (isAbsent(target)) continue;
    const to = readAddress(target, 0);
    if (to === from) {
      throw new RpcError(SIMULATION.movesToItself, `precompile ${from} is moved to itself`);
    }
    if (moved.has(to)) {
      throw new RpcError(SIMULATION.movesToTheSame, `two precompiles are moved to ${to}`);
    }
    if (!isPrecompile) throw invalidParam(0, `account ${from} is not a precompile`);
    if (overrides.has(to)) throw invalidParam(0, `account ${to} is already overridden`);
    if (isReservedAddress(to)) throw invalidParam(0, `account ${to} is reserved`);
    moved.set(to, from);
  }
  return new Map([...places, ...moved]);
}

function readWanted(value: unknown, chainId: bigint): WantedCall {
  const { blobVersionedHashes, authorizationList: list, chainId: own } = readObject(value, 0);
  if (!isAbsent(blobVersionedHashes)) throw invalidParam(0, 'this chain has no blobs');
  if (!isAbsent(own) && readQuantity(own, 0) !== chainId) {
    throw invalidParam(0, `chainId does not match this network's, ${chainId}`);
  }
  const call = readCall(value, 0);
  const { from: sender, to, nonce, gas, price, tip, data, accessList } = call;
  const authorizationList = isAbsent(list) ? [] : readAuthorizations(list);
  const isDelegating = authorizationList.length > 0;
  if (isDelegating && to === null) throw invalidParam(0, 'an authorization list without "to"');
  return {
    ...{ sender, to, nonce, gas, chainId, data, accessList, authorizationList },
    type: isDelegating ? 4 : call.type,
    value: asWei(call.value),
    maxFeePerGas: asWei(price),
    maxPriorityFeePerGas: asWei(tip),
  };
}

function readAuthorizations(value: unknown): Authorization[] {
  return readList(value, 0, authorizationsMax).map((item) => {
    const { chainId, address, nonce, yParity, r, s } = readObject(item, 0);
    const target = readAddress(address, 0);
    if (isReservedAddress(target)) throw invalidParam(0, 'an authorization of reserved code');
    return {
      ...{ chainId: readQuantity(chainId, 0), address: target, nonce: readQuantity(nonce, 0, 64) },
      ...{ yParity: Number(readQuantity(yParity, 0, 8)) },
      ...{ r: readQuantity(r, 0), s: readQuantity(s, 0) },
    };
  });
}

function tooMany(max: number): RpcError {
  return new RpcError(SIMULATION.clientLimit, `too many blocks: ${max} at most`);
}
