/**
 * ChannelRegistry, 0x4d5042…0021 (payments.md 2.3): the rails outside of the ledger. A result key
 * signs what a rail says, a connection brings it here, and they are two: neither alone can forge a
 * result (1.5, R4). A channel that is closed stays so, and still ends the orders that it has.
 */
import { type Address, isReservedAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader } from '../../state/reader.ts';
import { CHANNEL_REGISTRY } from '../addresses.ts';
import { type Call, defineContract } from '../contract.ts';
import { isOperatorOf, ROLE, standingOf } from '../memberStore.ts';
import { digest, RECOVERY_GAS, signerOf, structHash, typeHash } from '../tokens/signatures.ts';
import { channelAbi, fail, log } from './channelAbi.ts';
import { CHANNEL, channelHead, channels, isConnectionOf, TOKEN_CHANNEL } from './channelStore.ts';

/** Thirty days: a rail that needs longer keeps payers and merchants in doubt. */
export const slaSecondsMax = 2_592_000n;

const RESULT_KEY = typeHash('ResultKey(bytes32 channelId,address key,uint256 nonce)');

export const channelRegistry = defineContract({
  name: 'ChannelRegistry',
  address: CHANNEL_REGISTRY,
  abi: channelAbi,
  functions: {
    registerChannel: {
      gas: 10_000n,
      /** Active from now on, whatever `status` says. */
      run: (call, c) => {
        const { state } = call;
        const { channelId, memberId, kind, resultKey, connection, ackSla, resultSla } = c;
        needOperator(call, memberId);
        if (channelHead(state, channelId) !== null) throw fail('ChannelExists', channelId);
        const what = flawOf(c);
        if (what !== null) throw fail('InvalidChannel', channelId, what);
        needResultKey(resultKey, connection);
        needConnection(state, connection, resultKey);
        const record = channels.channels(channelId);
        record.head.set(state, { resultKey, status: CHANNEL.active, ackSla, resultSla });
        record.connection.set(state, connection);
        record.memberId.set(state, memberId);
        record.kind.set(state, kind);
        channels.byConnection(connection).set(state, channelId);
        call.emit(log('ChannelRegistered', channelId, memberId, kind, resultKey, connection));
      },
    },
    rotateResultKey: {
      gas: 8_000n,
      /** The new key has signed for this channel, so that no slip of the pen loses results. */
      run: (call, channelId, newKey, proof) => {
        const { state } = call;
        const { record, head } = needOwnChannel(call, channelId);
        needResultKey(newKey, record.connection.get(state));
        const { resultKey: oldKey } = head;
        if (newKey === oldKey) throw fail('InvalidAccount', newKey);
        needPossession(call, channelId, newKey, proof);
        record.head.set(state, { ...head, resultKey: newKey });
        call.emit(log('ResultKeyRotated', channelId, oldKey, newKey));
      },
    },
    setConnection: {
      gas: 8_000n,
      run: (call, channelId, connection) => {
        const { state } = call;
        const { record, head } = needOwnChannel(call, channelId);
        needConnection(state, connection, head.resultKey);
        const before = record.connection.get(state);
        channels.byConnection(before).set(state, ZERO_HASH);
        channels.byConnection(connection).set(state, channelId);
        record.connection.set(state, connection);
        call.emit(log('ConnectionChanged', channelId, before, connection));
      },
    },
    setStatus: {
      gas: 8_000n,
      run: (call, channelId, status, reasonHash) => {
        const { record, head } = needOwnChannel(call, channelId);
        if (head.status === CHANNEL.closed) throw fail('ChannelClosed', channelId);
        if (status < CHANNEL.active || status > CHANNEL.closed) throw fail('InvalidStatus', status);
        record.head.set(call.state, { ...head, status });
        call.emit(log('ChannelStatusChanged', channelId, status, reasonHash));
      },
    },
    heartbeat: {
      gas: 5_000n,
      run: (call, channelId, lastSeenBlock, openItems) => {
        const { state, sender, block, now } = call;
        if (channelHead(state, channelId) === null) throw fail('UnknownChannel', channelId);
        if (!isConnectionOf(state, sender, channelId)) throw fail('NotAuthorized', sender);
        if (lastSeenBlock > block.height) throw fail('BlockToCome', lastSeenBlock, block.height);
        channels.channels(channelId).heartbeat.set(state, { at: now, lastSeenBlock, openItems });
        call.emit(log('ChannelHeartbeat', channelId, lastSeenBlock, openItems));
      },
    },
    getChannel: {
      gas: 5_000n,
      run: ({ state }, channelId) => {
        const head = channelHead(state, channelId);
        if (head === null) throw fail('UnknownChannel', channelId);
        const record = channels.channels(channelId);
        return {
          ...{ channelId, ...head },
          memberId: record.memberId.get(state),
          kind: record.kind.get(state),
          connection: record.connection.get(state),
        };
      },
    },
    lastHeartbeat: {
      gas: 5_000n,
      run: ({ state }, channelId) => {
        const { at, lastSeenBlock, openItems } = channels.channels(channelId).heartbeat.get(state);
        return [at, lastSeenBlock, openItems] as const;
      },
    },
    signatureNonce: {
      gas: 5_000n,
      run: ({ state }, channelId) => channels.nonces(channelId).get(state),
    },
    DOMAIN_SEPARATOR: { gas: 5_000n, run: ({ state }) => channels.domainSeparator.get(state) },
  },
});

type Described = {
  readonly channelId: Hash;
  readonly kind: Hash;
  readonly ackSla: bigint;
  readonly resultSla: bigint;
};

/** In words what of a new channel cannot be. */
function flawOf({ channelId, kind, ackSla, resultSla }: Described) {
  if (channelId === ZERO_HASH || channelId === TOKEN_CHANNEL) return 'channelId';
  if (kind === ZERO_HASH) return 'kind';
  if (ackSla === 0n || ackSla > slaSecondsMax) return 'ackSla';
  return resultSla === 0n || resultSla > slaSecondsMax ? 'resultSla' : null;
}

/** The caller acts for the member that the channel is of. */
function needOwnChannel(call: Call, channelId: Hash) {
  const head = channelHead(call.state, channelId);
  if (head === null) throw fail('UnknownChannel', channelId);
  const record = channels.channels(channelId);
  needOperator(call, record.memberId.get(call.state));
  return { record, head };
}

function needOperator({ state, sender }: Call, memberId: Hash): void {
  if (!isOperatorOf(state, sender, memberId, ROLE.channel)) throw fail('NotAuthorized', sender);
}

function needResultKey(key: Address, connection: Address): void {
  const isNobody = key === ZERO_ADDRESS || isReservedAddress(key);
  if (isNobody || key === connection) throw fail('InvalidAccount', key);
}

/** An account of a member with the role CONNECTION that works for no channel yet. */
function needConnection(state: StateReader, account: Address, resultKey: Address): void {
  const isOne = (standingOf(state, account).roles & ROLE.connection) !== 0n;
  if (!isOne || account === resultKey) throw fail('InvalidAccount', account);
  const taken = channels.byConnection(account).get(state);
  if (taken !== ZERO_HASH) throw fail('ConnectionTaken', account, taken);
}

/** Each proof is good once. */
function needPossession(call: Call, channelId: Hash, key: Address, proof: Uint8Array): void {
  const { state, spend } = call;
  const nonces = channels.nonces(channelId);
  const nonce = nonces.get(state);
  spend(RECOVERY_GAS);
  const terms = structHash(RESULT_KEY, channelId, key, nonce);
  const signed = digest(channels.domainSeparator.get(state), terms);
  if (signerOf(signed, proof) !== key) throw fail('InvalidSignature', key);
  nonces.set(state, nonce + 1n);
}
