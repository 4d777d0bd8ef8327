/**
 * What ChannelRegistry keeps, and what merchants and orders ask of it.
 *
 * Storage: 0 domainSeparator, 1 channels, 2 byConnection, 3 nonces.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import { CHANNEL_REGISTRY } from '../addresses.ts';
import { memberHasRole, ROLE, standingOf } from '../memberStore.ts';
import { address, bytes32, mapping, packed, storage, struct, uint } from '../storage.ts';

export const CHANNEL = { active: 1n, suspended: 2n, closed: 3n } as const;

/** The channel of the ledger's own tokens: always there, nobody's, and in no registry. */
export const TOKEN_CHANNEL = `0x${Buffer.from('TOKEN').toString('hex').padEnd(64, '0')}` as Hash;

export const channels = storage(CHANNEL_REGISTRY, {
  /** EIP-712, written with the genesis. */
  domainSeparator: bytes32,
  channels: mapping(
    bytes32,
    struct({
      /** Service times in seconds: to acknowledge an order, and from then on to its result. */
      head: packed({
        ...{ resultKey: address, status: uint(8) },
        ...{ ackSla: uint(32), resultSla: uint(32) },
      }),
      connection: address,
      memberId: bytes32,
      kind: bytes32,
      /** The last one. */
      heartbeat: packed({ at: uint(48), lastSeenBlock: uint(64), openItems: uint(32) }),
    }),
  ),
  /** A connection works for one channel. */
  byConnection: mapping(address, bytes32),
  nonces: mapping(bytes32, uint(64)),
});

/** Null where there is none. */
export function channelHead(state: StateReader, channelId: Hash) {
  const head = channels.channels(channelId).head.get(state);
  return head.status === 0n ? null : head;
}

/** Whether orders may be routed to it: it is active, and its member may still run channels. */
export function isOpenChannel(state: StateReader, channelId: Hash): boolean {
  if (channelHead(state, channelId)?.status !== CHANNEL.active) return false;
  const { memberId } = channels.channels(channelId);
  return memberHasRole(state, memberId.get(state), ROLE.channel);
}

/** Whether this account speaks for the channel, and its member may still run connections. */
export function isConnectionOf(state: StateReader, account: Address, channelId: Hash): boolean {
  if (channels.channels(channelId).connection.get(state) !== account) return false;
  return (standingOf(state, account).roles & ROLE.connection) !== 0n;
}
