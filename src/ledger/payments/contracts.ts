import type { Address } from '#src/types/address.ts';
import type { NativeContract } from './contract.ts';

/** Every native contract there is. */
export const contracts: readonly NativeContract[] = [];

const byAddress = new Map(contracts.map((contract) => [contract.address, contract]));

export function contractAt(address: Address): NativeContract | null {
  return byAddress.get(address) ?? null;
}
