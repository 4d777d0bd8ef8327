import { sha256 } from '#src/crypto/sha256.ts';
import { compareBytes, concatBytes, toHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from './address.ts';
import type { Hash } from './hash.ts';
import type { Stake } from './units.ts';

export type Validator = {
  /** Ed25519 public key, 32 bytes. */
  readonly consensusKey: Uint8Array;
  readonly peerId: string;
  readonly stake: Stake;
  readonly memberId: string;
  readonly operator: Address;
  readonly feeRecipient: Address;
};

/** The validators of one epoch, sorted by consensus key: a position here is a signer's index. */
export type ValidatorSet = {
  readonly validators: readonly Validator[];
  readonly totalStake: Stake;
  readonly hash: Hash;
};

export const validatorsMax = 128;

export type WeightRefusal = { code: 'SET_EMPTY' | 'SET_TOO_LARGE' | 'SET_STAKE' };
export type SetRefusal = WeightRefusal | { code: 'SET_KEY_TWICE' | 'SET_PEER_TWICE' };

/**
 * Whether these can be a set at all; null where they can. The one place that says so: genesis,
 * execution and restart all ask here.
 */
export function checkValidatorSet(members: readonly Validator[]): SetRefusal | null {
  const refusal = checkWeights(members.map(({ stake }) => stake));
  if (refusal !== null) return refusal;
  const keys = new Set(members.map(({ consensusKey }) => toHex(consensusKey)));
  if (keys.size < members.length) return { code: 'SET_KEY_TWICE' };
  const peers = new Set(members.map(({ peerId }) => peerId));
  return peers.size < members.length ? { code: 'SET_PEER_TWICE' } : null;
}

/** The part of it that weights alone decide. */
export function checkWeights(stakes: readonly Stake[]): WeightRefusal | null {
  if (stakes.length < 1) return { code: 'SET_EMPTY' };
  if (stakes.length > validatorsMax) return { code: 'SET_TOO_LARGE' };
  const total = stakes.reduce((sum, stake) => sum + stake, 0n);
  const weightless = stakes.some((stake) => stake < 1n);
  return weightless || total >= 1n << 63n ? { code: 'SET_STAKE' } : null;
}

/** Sorts and hashes. Whoever decoded the members has asked `checkValidatorSet`. */
export function makeValidatorSet(members: readonly Validator[]): ValidatorSet {
  const refusal = checkValidatorSet(members);
  assert(refusal === null, `these are a validator set: ${refusal?.code}`);
  const validators = [...members].sort((a, b) => compareBytes(a.consensusKey, b.consensusKey));
  const total = validators.reduce((sum, { stake }) => sum + stake, 0n);
  return { validators, totalStake: total as Stake, hash: hashValidators(validators) };
}

/** SHA-256 over the tag and, for each member, key 32, stake 8, then length-prefixed texts. */
function hashValidators(validators: readonly Validator[]): Hash {
  const parts: Uint8Array[] = [utf8('validators/v1'), uintToBytes(BigInt(validators.length), 2)];
  for (const v of validators) {
    parts.push(v.consensusKey, uintToBytes(v.stake, 8));
    for (const text of [v.peerId, v.memberId, v.operator, v.feeRecipient]) {
      const bytes = utf8(text);
      parts.push(uintToBytes(BigInt(bytes.length), 2), bytes);
    }
  }
  return toHex(sha256(concatBytes(...parts))) as Hash;
}

/** Strictly more than two thirds of the stake; never `2f + 1` (unsafe unless n = 3f + 1). */
export function isQuorum(weight: bigint, set: ValidatorSet): boolean {
  return 3n * weight > 2n * set.totalStake;
}

/** Strictly more than one third: at least one honest validator is among them. */
export function hasOneHonest(weight: bigint, set: ValidatorSet): boolean {
  return 3n * weight > set.totalStake;
}
