/**
 * What MerchantRegistry keeps, and what orders ask of it.
 *
 * Storage: 0 domainSeparator, 1 merchants, 2 byEntity, 3 byChannelCode, 4 keys, 5 channels,
 * 6 schedules, 7 fees, 8 feeLists, 9 nonces.
 */
import type { Address } from '#src/types/address.ts';
import { tokenAmountBits } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader } from '../../state/reader.ts';
import { MERCHANT_REGISTRY } from '../addresses.ts';
import {
  address,
  array,
  bool,
  bytes32,
  fixedBytes,
  mapping,
  packed,
  storage,
  string,
  struct,
  uint,
} from '../storage.ts';

export const MERCHANT = { active: 1n, suspended: 2n, closed: 3n } as const;
/** Bit mask of what a merchant's key may do. */
export const RIGHT = { order: 1n, capture: 2n, refund: 4n, admin: 8n } as const;
export const RIGHTS_ALL = 15n;

export const merchants = storage(MERCHANT_REGISTRY, {
  /** EIP-712, written with the genesis. */
  domainSeparator: bytes32,
  merchants: mapping(
    bytes32,
    struct({
      head: packed({
        settlementAccount: address,
        status: uint(8),
        autoRoute: bool,
        country: fixedBytes(2),
        mcc: uint(16),
      }),
      acquirerId: bytes32,
      legalEntityHash: bytes32,
      payerPolicyId: uint(64),
      proposed: packed({ account: address, effectiveAt: uint(48) }),
      displayName: string,
    }),
  ),
  byEntity: mapping(bytes32, bytes32),
  byChannelCode: mapping(bytes32, mapping(bytes32, bytes32)),
  keys: mapping(bytes32, mapping(address, uint(8))),
  /** By merchant and channel: how the rail calls it. */
  channels: mapping(
    bytes32,
    mapping(bytes32, struct({ merchantCode: bytes32, creditedAccountHash: bytes32 })),
  ),
  /** By merchant and channel: a number of `feeLists`; 0 is none. */
  schedules: mapping(bytes32, mapping(bytes32, uint(64))),
  feeListCount: uint(64),
  /** Never changed once they are written: open orders keep theirs. */
  feeLists: mapping(
    uint(64),
    array(
      struct({
        to: packed({ receiver: address, fixedAmount: uint(tokenAmountBits) }),
        bps: uint(16),
        kind: bytes32,
      }),
    ),
  ),
  nonces: mapping(bytes32, uint(64)),
});

export type Fee = {
  readonly receiver: Address;
  readonly bps: bigint;
  readonly fixedAmount: bigint;
  readonly kind: Hash;
};

export function hasRight(state: StateReader, merchantId: Hash, key: Address, right: bigint) {
  return (merchants.keys(merchantId)(key).get(state) & right) !== 0n;
}

/** Null where there is none. */
export function merchantHead(state: StateReader, merchantId: Hash) {
  const head = merchants.merchants(merchantId).head.get(state);
  return head.status === 0n ? null : head;
}

/** Whether the rail knows this merchant. */
export function isBound(state: StateReader, merchantId: Hash, channelId: Hash): boolean {
  return merchants.channels(merchantId)(channelId).merchantCode.get(state) !== ZERO_HASH;
}

export function feesOf(state: StateReader, list: bigint): Fee[] {
  if (list === 0n) return [];
  const items = merchants.feeLists(list);
  return Array.from({ length: items.length(state) }, (_, at) => {
    const { to, bps, kind } = items.at(at);
    return { ...to.get(state), bps: bps.get(state), kind: kind.get(state) };
  });
}
