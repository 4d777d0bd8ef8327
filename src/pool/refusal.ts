import { type Address, formatAddress } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Gas, Wei } from '#src/types/units.ts';

/** Why a well-formed transaction is not taken; the order is that of the checks. */
export type PoolRefusal =
  | { code: 'ALREADY_KNOWN'; hash: Hash }
  | { code: 'FEE_CAP_TOO_LOW'; maxFeePerGas: bigint; baseFeePerGas: Wei }
  | { code: 'INIT_CODE_TOO_LONG'; bytes: number; max: number }
  | { code: 'ADDRESS_RESERVED'; address: Address }
  | { code: 'EXCEEDS_BLOCK_GAS_LIMIT'; gas: bigint; limit: Gas }
  | { code: 'INTRINSIC_GAS_TOO_LOW'; gas: bigint; need: bigint }
  | { code: 'NONCE_TOO_LOW'; address: Address; want: bigint; got: bigint }
  | { code: 'NONCE_TOO_HIGH'; address: Address; want: bigint; got: bigint }
  | { code: 'REPLACEMENT_UNDERPRICED'; need: bigint; got: bigint }
  | { code: 'INSUFFICIENT_FUNDS'; address: Address; have: bigint; need: bigint }
  | { code: 'SENDER_LIMIT'; address: Address; limit: number }
  | { code: 'POOL_FULL'; limit: number };

/** Wording that ethers, viem and wallets match on (interfaces.md, "Texts are an API"). */
export function describePoolRefusal(refusal: PoolRefusal): string {
  switch (refusal.code) {
    case 'ALREADY_KNOWN':
      return 'already known';
    case 'FEE_CAP_TOO_LOW':
      return (
        'max fee per gas less than block base fee: ' +
        `maxFeePerGas: ${refusal.maxFeePerGas}, baseFee: ${refusal.baseFeePerGas}`
      );
    case 'EXCEEDS_BLOCK_GAS_LIMIT':
      return `exceeds block gas limit: gas ${refusal.gas}, limit ${refusal.limit}`;
    case 'INTRINSIC_GAS_TOO_LOW':
      return `intrinsic gas too low: gas ${refusal.gas}, minimum needed ${refusal.need}`;
    case 'INIT_CODE_TOO_LONG':
      return `max initcode size exceeded: code size ${refusal.bytes}, limit ${refusal.max}`;
    case 'ADDRESS_RESERVED':
      return `${formatAddress(refusal.address)} takes no coin`;
    case 'NONCE_TOO_LOW':
      return `nonce too low: ${nonces(refusal)}`;
    case 'NONCE_TOO_HIGH':
      return `nonce too high: ${nonces(refusal)}`;
    case 'REPLACEMENT_UNDERPRICED':
      return 'replacement transaction underpriced';
    case 'INSUFFICIENT_FUNDS':
      return (
        'insufficient funds for gas * price + value: ' +
        `address ${formatAddress(refusal.address)} have ${refusal.have} want ${refusal.need}`
      );
    case 'SENDER_LIMIT':
      return `account limit exceeded: ${refusal.limit} transactions of this sender are waiting`;
    case 'POOL_FULL':
      return `transaction pool is full: ${refusal.limit} transactions are waiting; try again soon`;
  }
}

function nonces({ address, want, got }: { address: Address; want: bigint; got: bigint }): string {
  return `address ${formatAddress(address)}, tx: ${got} state: ${want}`;
}
