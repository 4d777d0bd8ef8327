import { compareBytes } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { hashToBytes } from '#src/types/hash.ts';
import type { StateReader } from '../state/reader.ts';
import type { View } from './contract.ts';
import { activeIndices, powerOf, store, validatorSetIn } from './validatorStore.ts';

const GAS_PER_VALIDATOR = 5_000n;

/** As Besu's tools ask for them; in the order of the set. */
export function operatorsInForce({ state, spend }: View): readonly Address[] {
  const { validators } = validatorSetIn(state);
  spend(GAS_PER_VALIDATOR * BigInt(validators.length));
  return validators.map(({ operator }) => operator);
}

/** With the keys, weights and fee recipients of this epoch, in the order of the set. */
export function recordsInForce({ state, spend }: View) {
  const indices = activeIndices(state);
  spend(GAS_PER_VALIDATOR * BigInt(indices.length));
  const records = indices.map((index) => {
    const { publicKey, power, feeRecipient } = store.validators(index).inForce.get(state);
    const key = hashToBytes(publicKey);
    return { ...publicRecord(state, index), publicKey: key, votingPower: power, feeRecipient };
  });
  return records.sort((a, b) => compareBytes(a.publicKey, b.publicKey));
}

export function publicRecord(state: StateReader, index: bigint) {
  const record = store.validators(index).get(state);
  const { memberId, operator, kind, status, stake, feeRecipient, ingress } = record;
  const { addedAtHeight, deactivatedAtHeight } = record;
  return {
    ...{ index, memberId, operator, publicKey: hashToBytes(record.publicKey), kind, status },
    ...{ votingPower: powerOf(record), stake, feeRecipient, ingress },
    ...{ addedAtHeight, deactivatedAtHeight },
  };
}

/** By halves: the starts of the epochs rise. Heights to come count to the current epoch. */
export function epochAt({ state }: View, height: bigint) {
  let low = 0n;
  let high = store.epoch.get(state);
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (store.epochs(middle).startHeight.get(state) <= height) low = middle;
    else high = middle - 1n;
  }
  const { setHash, totalPower } = store.epochs(low).get(state);
  return [low, setHash, totalPower] as const;
}
