/**
 * Calls of native contracts, and transfers, with or without data, to an account that has no code.
 * Whatever would need an EVM is refused by name rather than answered wrongly.
 */

import { callGas, intrinsicGas, standardGas } from '#src/ledger/gas.ts';
import type { BlockFacts, NativeContract } from '#src/ledger/payments/contract.ts';
import { contractAt } from '#src/ledger/payments/contracts.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay, trimSlot } from '#src/ledger/state/overlay.ts';
import { bytesEqual, EMPTY_BYTES, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { accessListEntriesMax, transactionGasMax } from '#src/types/limits.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';
import { asGas, asHeight, asWei } from '#src/types/units.ts';
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
import { heightOf, stateOf } from '../resolve.ts';
import { codeOf } from './state.ts';

export function callMethods(backend: Backend, limits: RpcLimits): Methods {
  const prepare = ([call, block, overrides]: readonly unknown[]): Prepared => {
    const wanted = readCall(call, 0);
    const ref = readBlock(block, 1);
    const changes = readOverrides(overrides, 2, limits);
    const past = stateOf(backend, ref);
    const world = worldOf(past, changes);
    checkRunnable(wanted, world);
    const contract = wanted.to === null ? null : contractAt(wanted.to);
    if (contract === null) return { wanted, world, native: null };
    const header = backend.headerAt(heightOf(backend, ref) ?? asHeight(0n));
    assert(header !== null, 'a block whose state is kept has a header');
    const { height, consensus } = header;
    const facts = { height, timestampMs: consensus.timestampMs };
    return { wanted, world, native: { contract, state: stateFor(past, changes), facts } };
  };
  const run = (params: readonly unknown[]) => {
    const { wanted, world, native } = prepare(params);
    checkFunds(wanted, world, wanted.gas ?? 0n);
    return native === null ? '0x' : toHex(callNative(wanted, native).output);
  };
  const estimate = (params: readonly unknown[]) => {
    const { wanted, world, native } = prepare(params);
    const fields = fieldsOf(wanted, backend.chainId);
    // Before the call, for what it moves has to be there; what it costs is known afterwards.
    checkFunds(wanted, world, native === null ? intrinsicGas(fields) : 0n);
    const used = native === null ? 0n : callNative({ ...wanted, gas: null }, native).gasUsed;
    const need = callGas(fields, used);
    if (wanted.gas !== null && wanted.gas < need) {
      throw new RpcError(RPC.rejected, `gas required exceeds allowance (${wanted.gas})`);
    }
    checkFunds(wanted, world, need);
    return quantity(need);
  };
  // The fourth parameter is the block overrides, which change nothing here.
  return [
    ['eth_call', { paramsMax: 4, units: 20, run }],
    ['eth_estimateGas', { paramsMax: 4, units: 40, run: estimate }],
  ];
}

type Native = {
  readonly contract: NativeContract;
  readonly state: Overlay;
  readonly facts: BlockFacts;
};
type Prepared = { readonly wanted: Call; readonly world: World; readonly native: Native | null };

/** A revert goes out in geth's manner: code 3, and the error's bytes, which libraries decode. */
function callNative(wanted: Call, { contract, state, facts }: Native) {
  const { from: sender, value, data } = wanted;
  const { accessList } = wanted;
  const before = standardGas({ to: contract.address, data, accessList, authorizationList: [] });
  const gas = (wanted.gas ?? transactionGasMax) - before;
  const message = { sender, to: contract, value, data, gas: gas > 0n ? gas : 0n };
  const result = runMessage(state, facts, message);
  if (result.ended === 'well') return result;
  if (result.ended === 'out of gas') throw new RpcError(RPC.rejected, 'out of gas');
  throw new RpcError(RPC.reverted, `execution reverted: ${result.reason}`, toHex(result.output));
}

/** The past, with the balances of the overrides; nothing of it is ever written. */
function stateFor(past: PastState, changes: ReadonlyMap<Address, Override>): Overlay {
  const overlay = new Overlay({
    account: (address) => {
      const account = past.account(address);
      return account === null ? null : { ...EMPTY_ACCOUNT, ...account, balance: wei(account) };
    },
    slot: (address, key) => trimSlot(past.slot(address, new Uint8Array(Buffer.from(key, 'hex')))),
    code: (hash) => past.code(hash),
    trieNode: () => null,
  });
  for (const [address, { balance }] of changes) {
    if (balance === null) continue;
    overlay.changeAccount(address, (account) => ({ ...account, balance: asWei(balance) }));
  }
  return overlay;
}

function wei({ balance }: { readonly balance: bigint }) {
  return asWei(balance);
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

type World = {
  balance(address: Address): bigint;
  code(address: Address): Uint8Array;
  /** Whether the caller gave the account a code of its own. */
  isOverridden(address: Address): boolean;
};

function worldOf(state: PastState, changes: ReadonlyMap<Address, Override>): World {
  return {
    balance: (address) => changes.get(address)?.balance ?? state.account(address)?.balance ?? 0n,
    code: (address) => changes.get(address)?.code ?? codeOf(state, address),
    isOverridden: (address) => (changes.get(address)?.code ?? null) !== null,
  };
}

function checkRunnable({ to, data }: Call, world: World): void {
  const isNative = to !== null && contractAt(to) !== null && !world.isOverridden(to);
  const needsCode = to === null ? data.length > 0 : !isNative && world.code(to).length > 0;
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
  const authorizationList: [] = [];
  return { ...rest, ...fees, to, value: asWei(value), data, accessList, authorizationList };
}
