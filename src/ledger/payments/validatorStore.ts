/**
 * What ValidatorRegistry keeps. A validator has what was *asked* for it (`validators`), and what is
 * *in force* in this epoch (`inForce`, `active`). The queue names those whose two may differ; the
 * boundary of an epoch makes them one (validatorChanges.ts).
 *
 * Storage: 0 validators, 1 count, epoch and settings, 2 networkId, 3 active, 4 queue, 5 epochs,
 * 6 keyOwners, 7 peerOwners, 8 keySpans, 9 punished, 10 unbondings, 11 registrations.
 */
import { utf8 } from '#src/lib/bytes.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import { parseIngress } from '#src/types/peerId.ts';
import type { Stake } from '#src/types/units.ts';
import { makeValidatorSet, type Validator, type ValidatorSet } from '#src/types/validatorSet.ts';
import type { StateReader, StateWriter } from '../state/reader.ts';
import { VALIDATOR_REGISTRY } from './addresses.ts';
import { hashKey } from './contract.ts';
import {
  address,
  array,
  bool,
  bytes32,
  mapping,
  storage,
  string,
  struct,
  uint,
  valuesOf,
} from './storage.ts';

/** 10^18 wei of stake are one vote. */
export const WEI_PER_POWER = 10n ** 18n;
export const POWER_END = 1n << 63n;

export const KIND = { stake: 0n, authority: 1n } as const;

export const STATUS = {
  registered: 1n,
  /** By governance; READY is missing. */
  approved: 2n,
  /** Joins at the next boundary. */
  ready: 3n,
  active: 4n,
  /** Leaves at the next boundary. */
  leaving: 5n,
  inactive: 6n,
  /** Out for a proven fault, until it has another key and governance activates it anew. */
  slashed: 7n,
} as const;

export const store = storage(VALIDATOR_REGISTRY, {
  validators: mapping(
    uint(64),
    struct({
      memberId: bytes32,
      operator: address,
      kind: uint(8),
      status: uint(8),
      /** Of kind 1; that of kind 0 follows the stake. */
      power: uint(64),
      isQueued: bool,
      /** What waits for it is more than its fee recipient and its peer id. */
      isWeighty: bool,
      feeRecipient: address,
      addedAtHeight: uint(64),
      deactivatedAtHeight: uint(64),
      readyHeight: uint(64),
      readyAtMs: uint(64),
      publicKey: bytes32,
      stake: uint(256),
      readyHash: bytes32,
      ingress: string,
      /** Power 0: not in the set. */
      inForce: struct({
        publicKey: bytes32,
        power: uint(64),
        feeRecipient: address,
        peerId: string,
      }),
    }),
  ),
  count: uint(64),
  epoch: uint(64),
  unbondingSeconds: uint(48),
  epochBlocksMin: uint(32),
  slashBps: uint(16),
  /** How many validators are weighty: blocks are made until their epoch ends. */
  weighty: uint(32),
  networkId: bytes32,
  active: array(uint(64)),
  queue: array(uint(64)),
  epochs: mapping(
    uint(64),
    struct({
      setHash: bytes32,
      startHeight: uint(64),
      totalPower: uint(64),
      /** Unix seconds of the block that ended the epoch before. */
      beganAt: uint(48),
    }),
  ),
  /** Index + 1 of whoever had this key first; nobody else ever gets it. */
  keyOwners: mapping(bytes32, uint(64)),
  /** Index + 1 of the admitted validator that has it, by keccak256 of the peer id's text. */
  peerOwners: mapping(bytes32, uint(64)),
  /** The keys that a validator signed with, and in which epochs, the last one included. */
  keySpans: mapping(
    uint(64),
    array(struct({ publicKey: bytes32, fromEpoch: uint(64), toEpoch: uint(64) })),
  ),
  punished: mapping(bytes32, mapping(uint(64), bool)),
  unbondings: mapping(uint(64), array(struct({ amount: uint(256), withdrawableAt: uint(48) }))),
  registrations: mapping(bytes32, uint(64)),
});

/** `toEpoch` of a key that is in use. */
export const STILL = (1n << 64n) - 1n;

export type ValidatorView = ReturnType<typeof store.validators>;
export type ValidatorRecord = ReturnType<ValidatorView['get']>;
export type Weight = Pick<ValidatorRecord, 'kind' | 'power' | 'stake'>;

export function powerOf({ kind, power, stake }: Weight): bigint {
  return kind === KIND.stake ? stake / WEI_PER_POWER : power;
}

export function peerIdOf({ ingress }: { readonly ingress: string }): string {
  return parseIngress(ingress)?.peerId ?? '';
}

export function peerKey(peerId: string) {
  return hashKey(utf8(peerId));
}

/** The set in force for the child of the block after which the state is this. */
export function validatorSetIn(state: StateReader): ValidatorSet {
  return makeValidatorSet(activeIndices(state).map((index) => entryInForce(state, index)));
}

export function activeIndices(state: StateReader): bigint[] {
  return valuesOf(store.active, state);
}

export function entryInForce(state: StateReader, index: bigint): Validator {
  const { memberId, operator, inForce } = store.validators(index).get(state);
  const { publicKey, power, feeRecipient, peerId } = inForce;
  return {
    consensusKey: hashToBytes(publicKey),
    stake: power as Stake,
    memberId: memberText(memberId),
    ...{ peerId, operator, feeRecipient },
  };
}

/** As it shall be; null for one that shall not be in the set, or has lost its weight to a fault. */
export function entryWanted(record: ValidatorRecord): Validator | null {
  const { status, memberId, operator, publicKey, feeRecipient } = record;
  if (!isWanted(status)) return null;
  if (powerOf(record) < 1n) return null;
  return {
    consensusKey: hashToBytes(publicKey),
    stake: powerOf(record) as Stake,
    memberId: memberText(memberId),
    peerId: peerIdOf(record),
    ...{ operator, feeRecipient },
  };
}

/** The votes that a validator asks for; 0 for one that shall not be in the set. */
function powerWanted(state: StateReader, index: bigint): bigint {
  const { status, kind, power, stake } = store.validators(index);
  if (!isWanted(status.get(state))) return 0n;
  return powerOf({ kind: kind.get(state), power: power.get(state), stake: stake.get(state) });
}

/** The votes of the set as it shall be once all that waits has taken effect, by index. */
export function wantedPowers(state: StateReader): Map<bigint, Stake> {
  const indices = new Set([...activeIndices(state), ...valuesOf(store.queue, state)]);
  const powers = new Map<bigint, Stake>();
  for (const index of [...indices].sort(byNumber)) {
    const power = powerWanted(state, index);
    if (power > 0n) powers.set(index, power as Stake);
  }
  return powers;
}

export function isWanted(status: bigint): boolean {
  return status === STATUS.ready || status === STATUS.active;
}

/** The members have said yes to it, and it is not out again. */
export function isAdmitted(status: bigint, isInForce: boolean): boolean {
  const { approved, ready, active, leaving } = STATUS;
  return isInForce || [approved, ready, active, leaving].some((one) => one === status);
}

// --- the queue -----------------------------------------------------------------------------------

/** The next boundary will look at this validator. */
export function enqueue(state: StateWriter, index: bigint): void {
  const { isQueued } = store.validators(index);
  if (!isQueued.get(state)) {
    isQueued.set(state, true);
    store.queue.push(state).set(state, index);
  }
  weigh(state, index);
}

/** After every change of what is asked or in force: whether it is worth the end of an epoch. */
export function weigh(state: StateWriter, index: bigint): void {
  const { inForce, publicKey, ingress } = store.validators(index);
  const wanted = powerWanted(state, index);
  const rotates = wanted > 0n && publicKey.get(state) !== inForce.publicKey.get(state);
  const moves =
    wanted > 0n && peerIdOf({ ingress: ingress.get(state) }) !== inForce.peerId.get(state);
  setWeighty(state, index, wanted !== inForce.power.get(state) || rotates || moves);
}

export function setWeighty(state: StateWriter, index: bigint, is: boolean): void {
  const { isWeighty } = store.validators(index);
  if (isWeighty.get(state) === is) return;
  isWeighty.set(state, is);
  store.weighty.set(state, store.weighty.get(state) + (is ? 1n : -1n));
}

// --- peer ids ------------------------------------------------------------------------------------

/** Index of the admitted validator that has this peer id; null where it is free. */
export function ownerOfPeer(state: StateReader, peerId: string): bigint | null {
  const owner = store.peerOwners(peerKey(peerId)).get(state);
  return owner === 0n ? null : owner - 1n;
}

export function memberOfPeer(state: StateReader, peerId: string): Hash | null {
  const owner = ownerOfPeer(state, peerId);
  return owner === null ? null : store.validators(owner).memberId.get(state);
}

/**
 * An admitted validator has the peer id that it asks for and the one that it has in this epoch, and
 * nobody has any other. After every change, for each peer id that it may concern.
 */
export function settlePeers(state: StateWriter, index: bigint, ...peerIds: string[]): void {
  const { status, inForce, ingress } = store.validators(index);
  const isInForce = inForce.power.get(state) > 0n;
  const isIn = isAdmitted(status.get(state), isInForce);
  const asked = isIn ? peerIdOf({ ingress: ingress.get(state) }) : '';
  const current = isInForce ? inForce.peerId.get(state) : '';
  for (const peerId of peerIds) {
    if (peerId === '') continue;
    const owner = store.peerOwners(peerKey(peerId));
    if (peerId === asked || peerId === current) owner.set(state, index + 1n);
    else if (owner.get(state) === index + 1n) owner.set(state, 0n);
  }
}

export function byNumber(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
