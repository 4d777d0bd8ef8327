import { type Address, isReservedAddress, isVirtualAddress } from '#src/types/address.ts';
import { addressRegistry } from './addressRegistry.ts';
import { consortiumRegistry } from './consortiumRegistry.ts';
import type { NativeContract } from './contract.ts';
import { feeManager } from './fees/feeManager.ts';
import { governance } from './governance.ts';
import { channelRegistry } from './orders/channelRegistry.ts';
import { merchantRegistry } from './orders/merchantRegistry.ts';
import { paymentOrders } from './orders/paymentOrders.ts';
import { payouts } from './payouts.ts';
import { paymentTokenAt } from './tokens/paymentToken.ts';
import { policyRegistry } from './tokens/policyRegistry.ts';
import { tokenFactory } from './tokens/tokenFactory.ts';
import { validatorRegistry } from './validatorRegistry.ts';

/** Every native contract there is but the tokens; each has its ABI. */
export const contracts: readonly NativeContract[] = [
  consortiumRegistry,
  validatorRegistry,
  governance,
  feeManager,
  addressRegistry,
  tokenFactory,
  policyRegistry,
  merchantRegistry,
  channelRegistry,
  paymentOrders,
  payouts,
];

const byAddress = new Map(contracts.map((contract) => [contract.address, contract]));

/** Coin that is paid here could not be paid out: no contract gives it back, nobody has a key. */
export function takesNoCoin(address: Address): boolean {
  return isReservedAddress(address) ? contractAt(address) === null : isVirtualAddress(address);
}

export function contractAt(address: Address): NativeContract | null {
  return byAddress.get(address) ?? paymentTokenAt(address);
}
