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

/** Sorts and hashes. The members' values have been checked by whoever decoded them. */
export function makeValidatorSet(members: readonly Validator[]): ValidatorSet {
  assert(members.length >= 1 && members.length <= validatorsMax, 'between 1 and 128 validators');
  const validators = [...members].sort((a, b) => compareBytes(a.consensusKey, b.consensusKey));
  let total = 0n;
  for (const [index, validator] of validators.entries()) {
    const before = validators[index - 1];
    assert(validator.stake >= 1n, 'a validator has stake');
    assert(
      before === undefined || compareBytes(before.consensusKey, validator.consensusKey) !== 0,
      'validator keys differ',
    );
    total += validator.stake;
  }
  assert(total < 1n << 63n, 'total stake below 2^63');
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
