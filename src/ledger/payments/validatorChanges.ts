/**
 * The boundary of an epoch (consensus.md 2.14). Changes wait in the queue; the first block from
 * `epochBlocksMin` on after which one of them can take effect is the last of its epoch, and its
 * child is decided by the new set. Changes are taken in order of index, each only if the set stays
 * one that `checkValidatorSet` allows; the others wait on.
 */
import { bytesEqual } from '#src/lib/bytes.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import { checkValidatorSet, type Validator, type ValidatorSet } from '#src/types/validatorSet.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Overlay } from '../state/overlay.ts';
import type { StateReader } from '../state/reader.ts';
import type { BlockFacts } from './contract.ts';
import { setValues, valuesOf } from './storage.ts';
import {
  activeIndices,
  byNumber,
  entryInForce,
  entryWanted,
  STATUS,
  STILL,
  store,
  type ValidatorRecord,
  validatorSetIn,
} from './validatorStore.ts';

/** A READY that is older says nothing about now: an absent validator would halt a small set. */
export const readyAgeMsMax = 60_000n;
export const readyAgeBlocksMax = 1_000n;

/** Whether something waits for a boundary that could take effect: blocks are then made for it. */
export function hasPendingChanges(state: StateReader): boolean {
  return store.queue.length(state) > 0 && planChanges(state, null).changed.size > 0;
}

/** At the end of a block: the next epoch's set where this block is the last of its epoch. */
export function closeEpoch(state: Overlay, block: BlockFacts): ValidatorSet | null {
  if (store.queue.length(state) === 0) return null;
  const epoch = store.epoch.get(state);
  const start = store.epochs(epoch).startHeight.get(state);
  if (block.height < start + store.epochBlocksMin.get(state)) return null;
  const { entries, changed, stale, waiting } = planChanges(state, block);
  for (const index of valuesOf(store.queue, state)) {
    store.validators(index).isQueued.set(state, waiting.includes(index));
  }
  setValues(store.queue, state, waiting, 0n);
  for (const index of stale) store.validators(index).status.set(state, STATUS.approved);
  if (changed.size === 0) return null;
  for (const [index, entry] of changed) applyEntry(state, index, entry, { epoch, block });
  setValues(store.active, state, [...entries.keys()].sort(byNumber), 0n);
  const set = validatorSetIn(state);
  store.epoch.set(state, epoch + 1n);
  writeEpoch(state, epoch + 1n, block.height + 1n, set);
  return set;
}

export function writeEpoch(
  state: Overlay,
  epoch: bigint,
  startHeight: bigint,
  { hash, totalStake }: ValidatorSet,
): void {
  store.epochs(epoch).set(state, { setHash: hash, startHeight, totalPower: totalStake });
}

type Plan = {
  /** The set after the boundary, by index. */
  readonly entries: ReadonlyMap<bigint, Validator>;
  readonly changed: ReadonlyMap<bigint, Validator | null>;
  readonly stale: readonly bigint[];
  readonly waiting: readonly bigint[];
};

/** Without a block nothing is stale. */
function planChanges(state: StateReader, block: BlockFacts | null): Plan {
  let entries = new Map(
    activeIndices(state).map((index) => [index, entryInForce(state, index)] as const),
  );
  const changed = new Map<bigint, Validator | null>();
  const stale: bigint[] = [];
  const waiting: bigint[] = [];
  for (const index of valuesOf(store.queue, state).sort(byNumber)) {
    const record = store.validators(index).get(state);
    const tooOld = record.status === STATUS.ready && block !== null && isStale(record, block);
    if (tooOld) stale.push(index);
    const wanted = tooOld ? null : entryWanted(record);
    if (sameEntry(wanted, entries.get(index) ?? null)) {
      continue;
    }
    const next = new Map(entries);
    if (wanted === null) next.delete(index);
    else next.set(index, wanted);
    if (checkValidatorSet([...next.values()]) !== null) waiting.push(index);
    else {
      entries = next;
      changed.set(index, wanted);
    }
  }
  return { entries, changed, stale, waiting };
}

function isStale({ readyAtMs, readyHeight }: ValidatorRecord, block: BlockFacts): boolean {
  const age = BigInt(block.timestampMs) - readyAtMs;
  return age > readyAgeMsMax || block.height - readyHeight > readyAgeBlocksMax;
}

function applyEntry(
  state: Overlay,
  index: bigint,
  entry: Validator | null,
  { epoch, block }: { epoch: bigint; block: BlockFacts },
): void {
  const validator = store.validators(index);
  const before = validator.inForce.publicKey.get(state);
  if (entry === null) {
    const none = { publicKey: ZERO_HASH, power: 0n, feeRecipient: ZERO_ADDRESS, peerId: '' };
    validator.inForce.set(state, none);
    endSpan(state, index, epoch);
    validator.deactivatedAtHeight.set(state, block.height);
    const status = validator.status.get(state);
    const isDone = status === STATUS.leaving || status === STATUS.active;
    if (isDone) validator.status.set(state, STATUS.inactive);
    return;
  }
  putInForce(state, index, entry);
  validator.status.set(state, STATUS.active);
  if (validator.inForce.publicKey.get(state) === before) return;
  if (before !== ZERO_HASH) endSpan(state, index, epoch);
  beginSpan(state, index, epoch + 1n);
}

export function putInForce(state: Overlay, index: bigint, entry: Validator): void {
  const { consensusKey, stake, feeRecipient, peerId } = entry;
  const publicKey = hashFromBytes(consensusKey);
  store.validators(index).inForce.set(state, { publicKey, power: stake, feeRecipient, peerId });
}

export function beginSpan(state: Overlay, index: bigint, fromEpoch: bigint): void {
  const publicKey = store.validators(index).inForce.publicKey.get(state);
  store.keySpans(index).push(state).set(state, { publicKey, fromEpoch, toEpoch: STILL });
}

function endSpan(state: Overlay, index: bigint, toEpoch: bigint): void {
  const spans = store.keySpans(index);
  spans.at(spans.length(state) - 1).toEpoch.set(state, toEpoch);
}

function sameEntry(a: Validator | null, b: Validator | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    bytesEqual(a.consensusKey, b.consensusKey) &&
    a.stake === b.stake &&
    a.peerId === b.peerId &&
    a.feeRecipient === b.feeRecipient
  );
}
