import { sha256 } from '#src/crypto/sha256.ts';
import { concatBytes, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import type { Epoch, View } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';

/**
 * Leaders of one epoch: a table of validator positions, in which each stands as often as its stake
 * says (largest remainder, at least once) and as evenly spread as whole slots allow (smooth
 * weighted round robin). A pure function of network, epoch and stakes; there is no priority that is
 * carried over, so nothing can be gained by joining or leaving.
 */
export type Schedule = { readonly leaderOf: (view: View) => number; readonly slots: Uint16Array };

/** The least table length; equal stakes get exactly equal slots because it is rounded up to n. */
const SLOTS_MIN = 1024;

export function makeSchedule(set: ValidatorSet, epoch: Epoch, networkId: Uint8Array): Schedule {
  const stakes = set.validators.map((validator) => validator.stake as bigint);
  const n = stakes.length;
  const length = n * Math.ceil(SLOTS_MIN / n);
  const table = spread(apportion(stakes, set.totalStake, length), length);
  const digest = sha256(
    concatBytes(utf8('leader-offset/v1'), networkId, uintToBytes(BigInt(epoch), 8)),
  );
  const offset = new DataView(digest.buffer, digest.byteOffset).getUint32(0) % length;
  return {
    slots: table,
    leaderOf: (view) => table[(view - 1 + offset) % length] as number,
  };
}

/** Largest-remainder apportionment of `length` slots, at least one each. */
function apportion(stakes: readonly bigint[], total: bigint, length: number): number[] {
  const wide = BigInt(length);
  const whole = stakes.map((stake) => Number((stake * wide) / total));
  const slots = whole.map((count) => Math.max(1, count));
  const byRemainder = stakes
    .map((stake, index) => ({ index, remainder: (stake * wide) % total }))
    .filter(({ index }) => (whole[index] as number) > 0)
    .sort((a, b) =>
      a.remainder === b.remainder ? a.index - b.index : a.remainder > b.remainder ? -1 : 1,
    );
  let sum = slots.reduce((a, b) => a + b, 0);
  for (let turn = 0; sum < length; turn++, sum++) {
    const { index } = byRemainder[turn % byRemainder.length] as { index: number };
    slots[index] = (slots[index] as number) + 1;
  }
  for (; sum > length; sum--) {
    const index = mostOverserved(slots, stakes);
    slots[index] = (slots[index] as number) - 1;
  }
  return slots;
}

/**
 * The one with the most slots for its stake; compared by cross-multiplication, lowest index first.
 */
function mostOverserved(slots: readonly number[], stakes: readonly bigint[]): number {
  let best = -1;
  for (let i = 0; i < slots.length; i++) {
    if ((slots[i] as number) <= 1) continue;
    if (best < 0) best = i;
    const mine = BigInt(slots[i] as number) * (stakes[best] as bigint);
    const theirs = BigInt(slots[best] as number) * (stakes[i] as bigint);
    if (mine > theirs) best = i;
  }
  return best;
}

/** Smooth weighted round robin (nginx's, 2012): the lowest index wins a tie. */
function spread(slots: readonly number[], length: number): Uint16Array {
  const priority = slots.map(() => 0);
  const table = new Uint16Array(length);
  for (let t = 0; t < length; t++) {
    let best = 0;
    for (let i = 0; i < slots.length; i++) {
      priority[i] = (priority[i] as number) + (slots[i] as number);
      if ((priority[i] as number) > (priority[best] as number)) best = i;
    }
    priority[best] = (priority[best] as number) - length;
    table[t] = best;
  }
  return table;
}
