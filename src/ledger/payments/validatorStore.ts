/**
 * What ValidatorRegistry keeps. A validator has what was *asked* for it (`validators`), and what is
 * *in force* in this epoch (`inForce`, `active`). The queue names those whose two may differ; the
 * boundary of an epoch makes them one (validatorChanges.ts).
 *
 * Storage: 0 validators, 1 count, epoch and settings, 2 networkId, 3 active, 4 queue, 5 epochs,
 * 6 keyOwners, 7 peerOwners, 8 keySpans, 9 punished, 10 unbondings, 11 registrations.
 */
import { utf8 } from '#src/lib/bytes.ts';
import { hashToBytes } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import { parseIngress, peerIdOfKey } from '#src/types/peerId.ts';
import type { Stake } from '#src/types/units.ts';
import { makeValidatorSet, type Validator, type ValidatorSet } from '#src/types/validatorSet.ts';
import type { Overlay } from '../state/overlay.ts';
import type { StateReader } from '../state/reader.ts';
import { VALIDATOR_REGISTRY } from './addresses.ts';
import { allowedNodes } from './consortiumRegistry.ts';
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
  networkId: bytes32,
  active: array(uint(64)),
  queue: array(uint(64)),
  epochs: mapping(
    uint(64),
    struct({ setHash: bytes32, startHeight: uint(64), totalPower: uint(64) }),
  ),
  /** Index + 1 of whoever had this key first; nobody else ever gets it. */
  keyOwners: mapping(bytes32, uint(64)),
  /** By keccak256 of the peer id's text. */
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

export function powerOf({ kind, power, stake }: ValidatorRecord): bigint {
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
  if (status !== STATUS.ready && status !== STATUS.active) return null;
  if (powerOf(record) < 1n) return null;
  return {
    consensusKey: hashToBytes(publicKey),
    stake: powerOf(record) as Stake,
    memberId: memberText(memberId),
    peerId: peerIdOf(record),
    ...{ operator, feeRecipient },
  };
}

/** The set as it shall be once all that waits has taken effect, by index. */
export function wantedEntries(state: StateReader): Map<bigint, Validator> {
  const indices = new Set([...activeIndices(state), ...valuesOf(store.queue, state)]);
  const entries = new Map<bigint, Validator>();
  for (const index of [...indices].sort(byNumber)) {
    const entry = entryWanted(store.validators(index).get(state));
    if (entry !== null) entries.set(index, entry);
  }
  return entries;
}

/** The next boundary will look at this validator. */
export function enqueue(state: Overlay, index: bigint): void {
  const { isQueued } = store.validators(index);
  if (isQueued.get(state)) return;
  isQueued.set(state, true);
  store.queue.push(state).set(state, index);
}

/** Epochs after which a validator that left is no longer let in; evidence counts as long. */
export const epochsRemembered = 8n;

/**
 * Whom to let in: validators, candidates, those that left a little while ago and may still have to
 * hand out blocks, and the nodes that members have named.
 */
export function nodeDirectory(
  state: StateReader,
): { readonly peerId: string; readonly addresses: readonly string[] }[] {
  const found = new Map<string, readonly string[]>();
  const epoch = store.epoch.get(state);
  for (let index = 0n; index < store.count.get(state); index++) {
    const record = store.validators(index).get(state);
    const { status, inForce } = record;
    const isOut = status === STATUS.inactive || status === STATUS.slashed;
    if (isOut && inForce.power === 0n && !signedSince(state, index, epoch)) continue;
    const ingress = parseIngress(record.ingress);
    if (ingress !== null) found.set(ingress.peerId, ingress.addresses);
    if (inForce.power > 0n && !found.has(inForce.peerId)) found.set(inForce.peerId, []);
  }
  for (const key of allowedNodes(state)) {
    const peerId = peerIdOfKey(hashToBytes(key));
    if (!found.has(peerId)) found.set(peerId, []);
  }
  return [...found].map(([peerId, addresses]) => ({ peerId, addresses }));
}

function signedSince(state: StateReader, index: bigint, epoch: bigint): boolean {
  const spans = store.keySpans(index);
  const count = spans.length(state);
  return count > 0 && spans.at(count - 1).toEpoch.get(state) + epochsRemembered >= epoch;
}

export function byNumber(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
