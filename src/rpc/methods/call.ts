/**
 * Calls without an EVM: a transfer, with or without data, to an account that has no code. Whatever
 * would need code is refused by name rather than answered wrongly.
 */

import { intrinsicGas } from '#src/ledger/gas.ts';
import { bytesEqual, EMPTY_BYTES } from '#src/lib/bytes.ts';
import { type Address, formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { accessListEntriesMax } from '#src/types/limits.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import type { Backend, PastState } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam, RPC, RpcError } from '../errors.ts';
import { quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import {
  isAbsent,
  readAddress,
  readBlock,
  readData,
  readHash,
  readList,
  readObject,
  readQuantity,
} from '../params.ts';
import { stateOf } from '../resolve.ts';
import { codeOf } from './state.ts';

export function callMethods(backend: Backend, limits: RpcLimits): Methods {
  const prepare = ([call, block, overrides]: readonly unknown[]) => {
    const wanted = readCall(call, 0);
    const changes = readOverrides(overrides, 2, limits);
    return { wanted, world: worldOf(stateOf(backend, readBlock(block, 1)), changes) };
  };
  const run = (params: readonly unknown[]) => {
    const { wanted, world } = prepare(params);
    checkRunnable(wanted, world);
    checkFunds(wanted, world, wanted.gas ?? 0n);
    return '0x';
  };
  const estimate = (params: readonly unknown[]) => {
    const { wanted, world } = prepare(params);
    checkRunnable(wanted, world);
    const need = intrinsicGas(fieldsOf(wanted, backend.chainId));
    if (wanted.gas !== null && wanted.gas < need) {
      throw new RpcError(RPC.rejected, `gas required exceeds allowance (${wanted.gas})`);
    }
    checkFunds(wanted, world, need);
    return quantity(need);
  };
  // The fourth parameter is the block overrides, which change nothing here.
  return [
    ['eth_call', { paramsMax: 4, run }],
    ['eth_estimateGas', { paramsMax: 4, run: estimate }],
  ];
}

type Call = {
  readonly from: Address;
  readonly to: Address | null;
  readonly value: bigint;
  readonly gas: bigint | null;
  readonly price: bigint;
  readonly data: Uint8Array;
  readonly accessList: readonly AccessListEntry[];
};

/** Unknown keys are ignored; of `data` and `input` only a difference is refused. */
function readCall(value: unknown, index: number): Call {
  const call = readObject(value, index);
  const number = (field: unknown, bits: number) =>
    isAbsent(field) ? null : readQuantity(field, index, bits);
  const bytes = (field: unknown) => (isAbsent(field) ? null : readData(field, index));
  const data = bytes(call.data);
  const input = bytes(call.input);
  if (data !== null && input !== null && !bytesEqual(data, input)) {
    throw invalidParam(index, 'both "data" and "input" are set and not equal');
  }
  const gasPrice = number(call.gasPrice, 256);
  const cap = number(call.maxFeePerGas, 256);
  const tip = number(call.maxPriorityFeePerGas, 256);
  if (gasPrice !== null && (cap !== null || tip !== null)) {
    const reason = 'both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified';
    throw invalidParam(index, reason);
  }
  if (cap !== null && tip !== null && tip > cap) {
    const fees = `maxPriorityFeePerGas: ${tip}, maxFeePerGas: ${cap}`;
    const message = `max priority fee per gas higher than max fee per gas: ${fees}`;
    throw new RpcError(RPC.rejected, message);
  }
  number(call.nonce, 64);
  return {
    from: isAbsent(call.from) ? ZERO_ADDRESS : readAddress(call.from, index),
    to: isAbsent(call.to) ? null : readAddress(call.to, index),
    value: number(call.value, 256) ?? 0n,
    gas: number(call.gas, 64),
    price: gasPrice ?? cap ?? 0n,
    data: data ?? input ?? EMPTY_BYTES,
    accessList: isAbsent(call.accessList) ? [] : readAccessList(call.accessList, index),
  };
}

function readAccessList(value: unknown, index: number): AccessListEntry[] {
  return readList(value, index, accessListEntriesMax).map((item) => {
    const { address, storageKeys } = readObject(item, index);
    const keys = isAbsent(storageKeys) ? [] : readList(storageKeys, index, accessListEntriesMax);
    return {
      address: readAddress(address, index),
      storageKeys: keys.map((key): Hash => readHash(key, index)),
    };
  });
}

type Override = { readonly balance: bigint | null; readonly code: Uint8Array | null };

function readOverrides(
  value: unknown,
  index: number,
  { overrideAccountsMax }: RpcLimits,
): ReadonlyMap<Address, Override> {
  const overrides = new Map<Address, Override>();
  if (isAbsent(value)) return overrides;
  const entries = Object.entries(readObject(value, index));
  if (entries.length > overrideAccountsMax) {
    throw invalidParam(index, `overrides of more than ${overrideAccountsMax} accounts`);
  }
  for (const [address, fields] of entries) {
    const { balance, code } = readObject(fields, index);
    overrides.set(readAddress(address, index), {
      balance: isAbsent(balance) ? null : readQuantity(balance, index),
      code: isAbsent(code) ? null : readData(code, index),
    });
  }
  return overrides;
}

type World = { balance(address: Address): bigint; code(address: Address): Uint8Array };

function worldOf(state: PastState, changes: ReadonlyMap<Address, Override>): World {
  return {
    balance: (address) => changes.get(address)?.balance ?? state.account(address)?.balance ?? 0n,
    code: (address) => changes.get(address)?.code ?? codeOf(state, address),
  };
}

function checkRunnable({ to, data }: Call, world: World): void {
  const needsCode = to === null ? data.length > 0 : world.code(to).length > 0;
  if (needsCode) throw new RpcError(RPC.rejected, 'contracts are not enabled');
}

/** Only who names a price pays for gas, as in geth. */
function checkFunds({ from, value, price }: Call, world: World, gas: bigint): void {
  const need = value + gas * price;
  if (need === 0n) return;
  const have = world.balance(from);
  if (have >= need) return;
  const reason = `address ${formatAddress(from)} have ${have} want ${need}`;
  throw new RpcError(RPC.rejected, `insufficient funds for gas * price + value: ${reason}`);
}

function fieldsOf({ to, value, data, accessList }: Call, chainId: bigint) {
  const none = asWei(0n);
  const fees = { maxFeePerGas: none, maxPriorityFeePerGas: none };
  const rest = { type: 2 as const, chainId, nonce: 0n, gasLimit: asGas(0n) };
  return { ...rest, ...fees, to, value: asWei(value), data, accessList };
}
