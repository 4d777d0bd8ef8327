/** What `eth_call` and its kin are asked, read strictly; unknown keys are ignored, as in geth. */

import type { Override } from '#src/ledger/state/overridden.ts';
import { bytesEqual, EMPTY_BYTES, toBareHex, uintToBytes } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { accessListEntriesMax } from '#src/types/limits.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';
import { invalidParam, RPC, RpcError } from '../errors.ts';
import type { RpcLimits } from '../limits.ts';
import {
  isAbsent,
  readAddress,
  readData,
  readHash,
  readList,
  readObject,
  readQuantity,
} from '../params.ts';
import type { ViewBlock } from '../views/viewRequest.ts';

export type Call = {
  readonly from: Address;
  readonly to: Address | null;
  readonly value: bigint;
  readonly gas: bigint | null;
  readonly price: bigint;
  /** With a gas price a legacy transaction, or one with an access list; else EIP-1559's. */
  readonly type: 0 | 1 | 2;
  readonly tip: bigint;
  readonly nonce: bigint | null;
  readonly data: Uint8Array;
  readonly accessList: readonly AccessListEntry[];
};

/** Unknown keys are ignored; of `data` and `input` only a difference is refused. */
export function readCall(value: unknown, index: number): Call {
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
  const accessList = isAbsent(call.accessList) ? [] : readAccessList(call.accessList, index);
  return {
    from: isAbsent(call.from) ? ZERO_ADDRESS : readAddress(call.from, index),
    to: isAbsent(call.to) ? null : readAddress(call.to, index),
    value: number(call.value, 256) ?? 0n,
    gas: number(call.gas, 64),
    price: gasPrice ?? cap ?? 0n,
    type: gasPrice === null ? 2 : accessList.length === 0 ? 0 : 1,
    tip: gasPrice ?? tip ?? 0n,
    nonce: number(call.nonce, 64),
    data: data ?? input ?? EMPTY_BYTES,
    accessList,
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

export function readOverrides(
  value: unknown,
  index: number,
  { overrideAccountsMax, overrideSlotsMax }: RpcLimits,
): ReadonlyMap<Address, Override> {
  const overrides = new Map<Address, Override>();
  if (isAbsent(value)) return overrides;
  const entries = Object.entries(readObject(value, index));
  if (entries.length > overrideAccountsMax) {
    throw invalidParam(index, `overrides of more than ${overrideAccountsMax} accounts`);
  }
  for (const [address, fields] of entries) {
    const { balance, nonce, code, state, stateDiff } = readObject(fields, index);
    if (!isAbsent(state) && !isAbsent(stateDiff)) {
      throw invalidParam(index, `account ${address} has both 'state' and 'stateDiff'`);
    }
    const slots = (given: unknown) =>
      isAbsent(given) ? null : readSlots(given, index, overrideSlotsMax);
    overrides.set(readAddress(address, index), {
      balance: isAbsent(balance) ? null : readQuantity(balance, index),
      nonce: isAbsent(nonce) ? null : readQuantity(nonce, index, 64),
      code: isAbsent(code) ? null : readData(code, index),
      state: slots(state),
      stateDiff: slots(stateDiff),
    });
  }
  return overrides;
}

/** Precompiles stay where they are for one call. */
export function refuseMoves(overrides: unknown, index: number): void {
  for (const fields of isAbsent(overrides) ? [] : Object.values(readObject(overrides, index))) {
    if (isAbsent(readObject(fields, index).movePrecompileToAddress)) continue;
    throw invalidParam(index, 'movePrecompileToAddress is for eth_simulateV1');
  }
}

function readSlots(value: unknown, index: number, max: number): ReadonlyMap<string, Uint8Array> {
  const entries = Object.entries(readObject(value, index));
  if (entries.length > max) throw invalidParam(index, `overrides of more than ${max} slots`);
  return new Map(
    entries.map(([key, word]) => [
      toBareHex(hashToBytes(readHash(key, index))),
      hashToBytes(readHash(word, index)),
    ]),
  );
}

/** geth's names; what it does not have is as the block has it. */
export function readBlockOverrides(value: unknown, index: number): Partial<ViewBlock> {
  if (isAbsent(value)) return {};
  const given = readObject(value, index);
  const number = (field: unknown, bits: number) => readQuantity(field, index, bits);
  return {
    ...(!isAbsent(given.number) && { height: number(given.number, 63) }),
    // What a contract keeps of a time has 40 bits, and simulated blocks count on.
    ...(!isAbsent(given.time) && { timestampMs: Number(number(given.time, 39)) * 1_000 }),
    ...(!isAbsent(given.gasLimit) && { gasLimit: number(given.gasLimit, 64) }),
    ...(!isAbsent(given.feeRecipient) && { coinbase: readAddress(given.feeRecipient, index) }),
    ...(!isAbsent(given.prevRandao) && { prevRandao: readWord(given.prevRandao, index) }),
    ...(!isAbsent(given.baseFeePerGas) && { baseFeePerGas: number(given.baseFeePerGas, 256) }),
  };
}

/** A hash, or without its leading zeros, as execution-apis has it. */
function readWord(value: unknown, index: number): Hash {
  if (typeof value === 'string' && value.length === 66) return readHash(value, index);
  return hashFromBytes(uintToBytes(readQuantity(value, index), 32));
}
