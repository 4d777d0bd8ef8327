import type { Address } from '#src/types/address.ts';

/** `MPB`, 15 zero bytes, a 2-byte number (payments.md 2.1). */
const systemAddress = (number: string) => `0x4d5042${'00'.repeat(15)}${number}` as Address;

export const CONSORTIUM_REGISTRY = systemAddress('0001');
export const VALIDATOR_REGISTRY = systemAddress('0002');
export const GOVERNANCE = systemAddress('0003');
export const FEE_MANAGER = systemAddress('0004');
export const ADDRESS_REGISTRY = systemAddress('0006');
export const TOKEN_FACTORY = systemAddress('0010');
export const POLICY_REGISTRY = systemAddress('0011');
export const MERCHANT_REGISTRY = systemAddress('0020');
export const CHANNEL_REGISTRY = systemAddress('0021');
export const PAYMENT_ORDERS = systemAddress('0022');
export const PAYOUTS = systemAddress('0024');

/** ERC-7528: coin as if it were a token. */
export const COIN_ADDRESS = `0x${'ee'.repeat(20)}` as Address;
