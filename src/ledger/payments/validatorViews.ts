import { compareBytes } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { hashToBytes } from '#src/types/hash.ts';
import type { StateReader } from '../state/reader.ts';
import type { View } from './contract.ts';
import { activeIndices, powerOf, store } from './validatorStore.ts';

const GAS_PER_VALIDATOR = 5_000n;

/** As Besu's tools ask for them; in the order of the set. */
export function operatorsInForce({ state, spend }: View): readonly Address[] {
  const indices = activeIndices(state);
  spend(GAS_PER_VALIDATOR * BigInt(indices.length));
  const all = indices.map((index) => {
    const { operator, inForce } = store.validators(index);
    return { operator: operator.get(state), key: hashToBytes(inForce.publicKey.get(state)) };
  });
  return all.sort((a, b) => compareBytes(a.key, b.key)).map(({ operator }) => operator);
}

/** With the keys, weights and fee recipients of this epoch, in the order of the set. */
export function recordsInForce({ state, spend }: View) {
  const indices = activeIndices(state);
  spend(GAS_PER_VALIDATOR * BigInt(indices.length));
  const records = indices.map((index) => {
    const { publicKey, power, feeRecipient } = store.validators(index).inForce;
    const key = hashToBytes(publicKey.get(state));
    const inForce = { votingPower: power.get(state), feeRecipient: feeRecipient.get(state) };
    return { ...publicRecord(state, index), publicKey: key, ...inForce };
  });
  return records.sort((a, b) => compareBytes(a.publicKey, b.publicKey));
}

/** Only what is shown is read: every word has its price. */
export function publicRecord(state: StateReader, index: bigint) {
  const validator = store.validators(index);
  const weight = {
    kind: validator.kind.get(state),
    power: validator.power.get(state),
    stake: validator.stake.get(state),
  };
  return {
    index,
    memberId: validator.memberId.get(state),
    operator: validator.operator.get(state),
    publicKey: hashToBytes(validator.publicKey.get(state)),
    kind: weight.kind,
    status: validator.status.get(state),
    votingPower: powerOf(weight),
    stake: weight.stake,
    feeRecipient: validator.feeRecipient.get(state),
    ingress: validator.ingress.get(state),
    addedAtHeight: validator.addedAtHeight.get(state),
    deactivatedAtHeight: validator.deactivatedAtHeight.get(state),
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
