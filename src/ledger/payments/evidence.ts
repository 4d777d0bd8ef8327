/**
 * Proven faults (consensus.md 2.13): two votes of one validator for one view of one epoch that no
 * correct validator makes. NULLIFY beside NOTARIZE, and NOTARIZE of one block beside FINALIZE of
 * another, are legal; two signatures over the same bytes prove nothing.
 *
 * A vote is the 105 bytes of its statement and 64 of its signature.
 */
import { ed25519Verify } from '#src/crypto/ed25519.ts';
import { bytesEqual, concatBytes } from '#src/lib/bytes.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { decodeStatement, STATEMENT_BYTES, type Statement, VoteKind } from '#src/types/vote.ts';
import type { StateReader } from '../state/reader.ts';
import { GOVERNANCE } from './addresses.ts';
import { type Call, hashKey, type View } from './contract.ts';
import { fail, log } from './validatorAbi.ts';
import {
  enqueue,
  isWanted,
  peerIdOf,
  powerOf,
  STATUS,
  settlePeers,
  store,
  wantedPowers,
} from './validatorStore.ts';

const SIGNATURE_BYTES = 64;
const BPS = 10_000n;
/** Evidence of an epoch counts while any of these is not over; see `isInTime`. */
const evidenceSecondsMin = 14n * 86_400n;
const evidenceEpochsMin = 8n;

/** The faults that are proven by two votes; null for none. */
export function faultOf(first: VoteKind, second: VoteKind): bigint | null {
  const { Notarize, Nullify, Finalize } = VoteKind;
  if (first === Notarize && second === Notarize) return 1n;
  if (first === Finalize && second === Finalize) return 2n;
  const kinds = [first, second];
  return kinds.includes(Nullify) && kinds.includes(Finalize) ? 3n : null;
}

export function judge(call: Call, index: bigint, first: Uint8Array, second: Uint8Array): void {
  const { state } = call;
  const one = readVote(state, first);
  const other = readVote(state, second);
  const [a, b] = [one.statement, other.statement];
  if (a.epoch !== b.epoch || a.view !== b.view) {
    const places = [a.epoch, a.view, b.epoch, b.view].map(BigInt);
    const [firstEpoch = 0n, firstView = 0n, secondEpoch = 0n, secondView = 0n] = places;
    throw fail('VotesApart', firstEpoch, firstView, secondEpoch, secondView);
  }
  const fault = bytesEqual(one.signed, other.signed) ? null : faultOf(a.kind, b.kind);
  if (fault === null) throw fail('NoFault', BigInt(a.kind), BigInt(b.kind));
  const epoch = BigInt(a.epoch);
  const current = store.epoch.get(state);
  if (!isInTime(call, epoch, current)) {
    throw fail('EvidenceOutOfTime', epoch, current);
  }
  const key = keyIn(state, index, epoch);
  for (const vote of [one, other]) {
    const isSigned = key !== null && ed25519Verify(hashToBytes(key), vote.signed, vote.signature);
    if (!isSigned) throw fail('BadSignature', vote.bytes);
  }
  if (key === null) return;
  const punished = store.punished(key)(epoch);
  if (punished.get(state)) throw fail('AlreadyPunished', index, epoch);
  punished.set(state, true);
  const amount = slash(call, index);
  expel(call, index);
  const evidenceHash = hashKey(concatBytes(first, second));
  call.emit(log('ValidatorSlashed', index, fault, amount, evidenceHash));
}

type SignedVote = {
  readonly bytes: Uint8Array;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly statement: Statement;
};

function readVote(state: StateReader, bytes: Uint8Array): SignedVote {
  const signed = bytes.subarray(0, STATEMENT_BYTES);
  const signature = bytes.subarray(STATEMENT_BYTES);
  const decoded = decodeStatement(signed);
  if (decoded === null || signature.length !== SIGNATURE_BYTES) throw fail('MalformedVote', bytes);
  const networkId = hashFromBytes(decoded.networkId);
  if (networkId !== store.networkId.get(state)) throw fail('WrongNetwork', networkId);
  return { bytes, signed, signature, statement: decoded.statement };
}

/**
 * As long as stake that was bonded in that epoch may still wait to be withdrawn. Measured in time,
 * for epochs are as short as their changes come.
 */
function isInTime({ state, now }: View, epoch: bigint, current: bigint): boolean {
  if (epoch > current) return false;
  if (epoch + evidenceEpochsMin >= current) return true;
  const unbonding = store.unbondingSeconds.get(state);
  const seconds = unbonding > evidenceSecondsMin ? unbonding : evidenceSecondsMin;
  return now - store.epochs(epoch + 1n).beganAt.get(state) <= seconds;
}

/** The key that a validator signed with in an epoch; null where it was not in the set. */
function keyIn(state: StateReader, index: bigint, epoch: bigint): Hash | null {
  const spans = store.keySpans(index);
  // By halves, the last that began by then: a validator may have had thousands of keys.
  let low = 0;
  let high = spans.length(state);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans.at(middle).fromEpoch.get(state) <= epoch) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return null;
  const { publicKey, toEpoch } = spans.at(low - 1).get(state);
  return toEpoch < epoch ? null : publicKey;
}

/** Coin that waits to be withdrawn answers for the fault like the stake that it was. */
function slash({ state, pay }: Call, index: bigint): bigint {
  const bps = store.slashBps.get(state);
  const { stake } = store.validators(index);
  const cut = (amount: bigint) => (amount * bps) / BPS;
  let sum = cut(stake.get(state));
  stake.set(state, stake.get(state) - sum);
  const unbondings = store.unbondings(index);
  for (let at = 0; at < unbondings.length(state); at++) {
    const { amount } = unbondings.at(at);
    const part = cut(amount.get(state));
    amount.set(state, amount.get(state) - part);
    sum += part;
  }
  pay(GOVERNANCE, sum);
  return sum;
}

/**
 * Out of the set at the next boundary. The last validator stays for what it has left, for without
 * it nothing ends; where it has nothing left it goes when there is another.
 */
function expel({ state }: Call, index: bigint): void {
  const validator = store.validators(index);
  const { status, ingress } = validator;
  const before = status.get(state);
  status.set(state, STATUS.slashed);
  const couldStay = isWanted(before) && powerOf(validator.get(state)) >= 1n;
  if (couldStay && wantedPowers(state).size === 0) status.set(state, before);
  enqueue(state, index);
  settlePeers(state, index, peerIdOf({ ingress: ingress.get(state) }));
}
