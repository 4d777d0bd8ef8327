/**
 * The boundary of an epoch (consensus.md 2.14). Changes wait in the queue; the first block from
 * `epochBlocksMin` on after which one of them can take effect is the last of its epoch, and its
 * child is decided by the new set. Changes are taken in order of index, each only if the set stays
 * one that `checkValidatorSet` allows; the others wait on.
 *
 * A fee recipient or a peer id alone ends no epoch: it waits until who decides, with what weight or
 * key, changes as well. Else anybody could end epoch after epoch, and old evidence with them.
 */
import { bytesEqual } from '#src/lib/bytes.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import { checkValidatorSet, type Validator, type ValidatorSet } from '#src/types/validatorSet.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader, StateWriter } from '../state/reader.ts';
import type { BlockFacts } from './contract.ts';
import { setValues, valuesOf } from './storage.ts';
import {
  activeIndices,
  byNumber,
  entryInForce,
  entryWanted,
  peerIdOf,
  STATUS,
  STILL,
  settlePeers,
  setWeighty,
  store,
  type ValidatorRecord,
  validatorSetIn,
  weigh,
} from './validatorStore.ts';

/** A READY that is older says nothing about now: an absent validator would halt a small set. */
export const readyAgeMsMax = 60_000n;
export const readyAgeBlocksMax = 1_000n;

/**
 * Whether something waits that may end the epoch: blocks are then made for it. One word is read, for
 * this is asked at every change of the pool.
 */
export function hasPendingChanges(state: StateReader): boolean {
  return store.weighty.get(state) > 0n;
}

/** At the end of a block: the next epoch's set where this block is the last of its epoch. */
export function closeEpoch(state: StateWriter, block: BlockFacts): ValidatorSet | null {
  if (store.weighty.get(state) === 0n) return null;
  const epoch = store.epoch.get(state);
  const start = store.epochs(epoch).startHeight.get(state);
  if (block.height < start + store.epochBlocksMin.get(state)) return null;
  const queue = valuesOf(store.queue, state);
  const { entries, changed, light, stale, waiting } = planChanges(state, queue, block);
  for (const index of stale) store.validators(index).status.set(state, STATUS.approved);
  if (changed.size === light.length) {
    keepQueue(state, queue, [...waiting, ...light].sort(byNumber));
    for (const index of queue) weigh(state, index);
    // Nothing of it is possible now: it is tried again with the next change.
    for (const index of waiting) setWeighty(state, index, false);
    return null;
  }
  keepQueue(state, queue, waiting);
  for (const [index, entry] of changed) applyEntry(state, index, entry, { epoch, block });
  for (const index of queue) weigh(state, index);
  setValues(store.active, state, [...entries.keys()].sort(byNumber), 0n);
  const set = validatorSetIn(state);
  store.epoch.set(state, epoch + 1n);
  const beganAt = BigInt(Math.floor(block.timestampMs / 1_000));
  writeEpoch(state, epoch + 1n, { startHeight: block.height + 1n, beganAt }, set);
  return set;
}

export function writeEpoch(
  state: StateWriter,
  epoch: bigint,
  begin: { readonly startHeight: bigint; readonly beganAt: bigint },
  { hash, totalStake }: ValidatorSet,
): void {
  store.epochs(epoch).set(state, { setHash: hash, totalPower: totalStake, ...begin });
}

function keepQueue(state: StateWriter, queue: readonly bigint[], kept: readonly bigint[]): void {
  for (const index of queue) store.validators(index).isQueued.set(state, kept.includes(index));
  setValues(store.queue, state, kept, 0n);
}

type Plan = {
  /** The set after the boundary, by index. */
  readonly entries: ReadonlyMap<bigint, Validator>;
  readonly changed: ReadonlyMap<bigint, Validator | null>;
  /** Of those that change: what alone ends no epoch. */
  readonly light: readonly bigint[];
  readonly stale: readonly bigint[];
  readonly waiting: readonly bigint[];
};

function planChanges(state: StateReader, queue: readonly bigint[], block: BlockFacts): Plan {
  let entries = new Map(
    activeIndices(state).map((index) => [index, entryInForce(state, index)] as const),
  );
  const changed = new Map<bigint, Validator | null>();
  const light: bigint[] = [];
  const stale: bigint[] = [];
  const waiting: bigint[] = [];
  for (const index of [...queue].sort(byNumber)) {
    const record = store.validators(index).get(state);
    const tooOld = record.status === STATUS.ready && isStale(record, block);
    if (tooOld) stale.push(index);
    const wanted = tooOld ? null : entryWanted(record);
    const before = entries.get(index) ?? null;
    if (sameEntry(wanted, before)) continue;
    const next = new Map(entries);
    if (wanted === null) next.delete(index);
    else next.set(index, wanted);
    // A set that differs in fees only is one.
    const isLight = wanted !== null && before !== null && sameVoter(wanted, before);
    if (isLight) light.push(index);
    else if (checkValidatorSet([...next.values()]) !== null) {
      waiting.push(index);
      continue;
    }
    entries = next;
    changed.set(index, wanted);
  }
  return { entries, changed, light, stale, waiting };
}

function isStale({ readyAtMs, readyHeight }: ValidatorRecord, block: BlockFacts): boolean {
  const age = BigInt(block.timestampMs) - readyAtMs;
  return age > readyAgeMsMax || block.height - readyHeight > readyAgeBlocksMax;
}

function applyEntry(
  state: StateWriter,
  index: bigint,
  entry: Validator | null,
  { epoch, block }: { epoch: bigint; block: BlockFacts },
): void {
  const validator = store.validators(index);
  const before = validator.inForce.publicKey.get(state);
  const peerIds = [
    validator.inForce.peerId.get(state),
    peerIdOf({ ingress: validator.ingress.get(state) }),
  ];
  if (entry === null) {
    const none = { publicKey: ZERO_HASH, power: 0n, feeRecipient: ZERO_ADDRESS, peerId: '' };
    validator.inForce.set(state, none);
    endSpan(state, index, epoch);
    validator.deactivatedAtHeight.set(state, block.height);
    const status = validator.status.get(state);
    const isDone = status === STATUS.leaving || status === STATUS.active;
    if (isDone) validator.status.set(state, STATUS.inactive);
    settlePeers(state, index, ...peerIds);
    return;
  }
  putInForce(state, index, entry);
  validator.status.set(state, STATUS.active);
  settlePeers(state, index, ...peerIds);
  if (validator.inForce.publicKey.get(state) === before) return;
  if (before !== ZERO_HASH) endSpan(state, index, epoch);
  beginSpan(state, index, epoch + 1n);
}

export function putInForce(state: StateWriter, index: bigint, entry: Validator): void {
  const { consensusKey, stake, feeRecipient, peerId } = entry;
  const publicKey = hashFromBytes(consensusKey);
  store.validators(index).inForce.set(state, { publicKey, power: stake, feeRecipient, peerId });
}

export function beginSpan(state: StateWriter, index: bigint, fromEpoch: bigint): void {
  const publicKey = store.validators(index).inForce.publicKey.get(state);
  store.keySpans(index).push(state).set(state, { publicKey, fromEpoch, toEpoch: STILL });
}

function endSpan(state: StateWriter, index: bigint, toEpoch: bigint): void {
  const spans = store.keySpans(index);
  spans.at(spans.length(state) - 1).toEpoch.set(state, toEpoch);
}

function sameEntry(a: Validator | null, b: Validator | null): boolean {
  if (a === null || b === null) return a === b;
  return sameVoter(a, b) && a.feeRecipient === b.feeRecipient;
}

/** By the peer id too: under another one the others would not know it again after a restart. */
function sameVoter(a: Validator, b: Validator): boolean {
  const isSameKey = bytesEqual(a.consensusKey, b.consensusKey);
  return isSameKey && a.stake === b.stake && a.peerId === b.peerId;
}
