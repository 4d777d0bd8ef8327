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
import { checkValidatorSet } from '#src/types/validatorSet.ts';
import { decodeStatement, STATEMENT_BYTES, type Statement, VoteKind } from '#src/types/vote.ts';
import type { StateReader } from '../state/reader.ts';
import { GOVERNANCE } from './addresses.ts';
import { type Call, hashKey } from './contract.ts';
import { fail, log } from './validatorAbi.ts';
import { enqueue, epochsRemembered, STATUS, store, wantedEntries } from './validatorStore.ts';

const SIGNATURE_BYTES = 64;
const BPS = 10_000n;

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
  if (epoch > current || epoch + epochsRemembered < current) {
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

/** The key that a validator signed with in an epoch; null where it was not in the set. */
function keyIn(state: StateReader, index: bigint, epoch: bigint): Hash | null {
  const spans = store.keySpans(index);
  for (let at = spans.length(state) - 1; at >= 0; at--) {
    const { publicKey, fromEpoch, toEpoch } = spans.at(at).get(state);
    if (toEpoch < epoch) return null;
    if (fromEpoch <= epoch) return publicKey;
  }
  return null;
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

/** Out of the set at the next boundary; the last validator stays, for without it nothing ends. */
function expel({ state }: Call, index: bigint): void {
  const { status } = store.validators(index);
  const before = status.get(state);
  status.set(state, STATUS.slashed);
  const wanted = [...wantedEntries(state).values()];
  if (checkValidatorSet(wanted)?.code === 'SET_EMPTY') status.set(state, before);
  enqueue(state, index);
}
