/**
 * The nodes that members name, by the raw Ed25519 key of which the libp2p peer id is made. Nobody
 * has to prove that a key is his: so a name holds only as long as it is used, and a validator that
 * the members have admitted has its peer id before anybody else.
 */
import { isSoundEd25519Key } from '#src/crypto/ed25519.ts';
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { peerIdOfKey } from '#src/types/peerId.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader, StateWriter } from '../state/reader.ts';
import type { Call } from './contract.ts';
import { fail, log } from './memberAbi.ts';
import { isActiveMember, MEMBER, needAdmin, statusOf, store } from './memberStore.ts';
import { memberOfPeer } from './validatorStore.ts';

/** So that a few members cannot fill the places that every node has for peers. */
const nodesPerMemberMax = 8n;

export function setNode(call: Call, memberId: Hash, nodeKey: Uint8Array, allowed: boolean): void {
  const { state } = call;
  needAdmin(call, memberId);
  if (!isSoundEd25519Key(nodeKey)) throw fail('InvalidNodeKey', nodeKey);
  const key = hashFromBytes(nodeKey);
  const validator = memberOfPeer(state, peerIdOfKey(nodeKey));
  if (validator !== null && validator !== memberId) throw fail('NodeTaken', nodeKey, validator);
  const owner = store.nodes(key).memberId.get(state);
  const isOthers = owner !== ZERO_HASH && owner !== memberId;
  const isGone = isOthers && statusOf(state, owner) === MEMBER.removed;
  if (isOthers && !isGone && validator !== memberId) throw fail('NodeTaken', nodeKey, owner);
  if (isOthers || (owner !== ZERO_HASH && !allowed)) forget(state, key, owner);
  if (allowed && owner !== memberId) name(state, key, memberId);
  call.emit(log('NodePermissionChanged', memberId, nodeKey, allowed));
}

/** In no order that means anything. */
export function allowedNodes(state: StateReader): Hash[] {
  const { nodeKeys } = store;
  const keys = Array.from({ length: nodeKeys.length(state) }, (_, at) =>
    nodeKeys.at(at).get(state),
  );
  return keys.filter((key) => isNamed(state, key));
}

export function isAllowedNode(state: StateReader, nodeKey: Uint8Array): boolean {
  return nodeKey.length === 32 && isNamed(state, hashFromBytes(nodeKey));
}

function isNamed(state: StateReader, key: Hash): boolean {
  const memberId = store.nodes(key).memberId.get(state);
  return memberId !== ZERO_HASH && isActiveMember(state, memberId);
}

function name(state: StateWriter, key: Hash, memberId: Hash): void {
  const { nodes } = store.members(memberId);
  const count = nodes.get(state);
  if (count >= nodesPerMemberMax) throw fail('TooManyNodes', nodesPerMemberMax);
  nodes.set(state, count + 1n);
  const position = BigInt(store.nodeKeys.length(state));
  store.nodeKeys.push(state).set(state, key);
  store.nodes(key).set(state, { memberId, position });
}

/** The last of the list takes its position. */
function forget(state: StateWriter, key: Hash, owner: Hash): void {
  const { nodes } = store.members(owner);
  nodes.set(state, nodes.get(state) - 1n);
  const position = store.nodes(key).position.get(state);
  const { nodeKeys } = store;
  const lastPlace = nodeKeys.at(nodeKeys.length(state) - 1);
  const last = lastPlace.get(state);
  nodeKeys.at(Number(position)).set(state, last);
  store.nodes(last).position.set(state, position);
  lastPlace.set(state, ZERO_HASH);
  nodeKeys.pop(state);
  store.nodes(key).set(state, { memberId: ZERO_HASH, position: 0n });
}
