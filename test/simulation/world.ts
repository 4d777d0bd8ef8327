import { makeSchedule, type Schedule } from '#consensus/core/schedule.ts';
import type { CoreOptions, Timing } from '#consensus/core/types.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import type { Epoch, Stake } from '#src/types/units.ts';
import { makeValidatorSet, type ValidatorSet } from '#src/types/validatorSet.ts';
import { SimNetwork } from './network.ts';
import { type Behaviour, SimNode } from './node.ts';
import { Oracle, Violation } from './oracle.ts';
import { Scheduler } from './scheduler.ts';

export const simTiming: Timing = {
  leaderMs: 60,
  advanceMs: 120,
  retryMs: 60,
  capMs: 2_400,
  heartbeatMs: 1_000,
  minEmptyIntervalMs: 40,
  maxFutureMs: 500,
  maxPastMs: 2_000,
  fetchRetryMs: 20,
  fetchRetryMaxMs: 400,
};

export type CrashPoint = 'beforeDurable' | 'beforeSend' | 'afterSend';

/** A whole network in one process, from one seed: nothing in it knows the real time. */
export class World {
  readonly random: SeededRandom;
  readonly scheduler = new Scheduler();
  readonly set: ValidatorSet;
  readonly schedule: Schedule;
  readonly nodes: SimNode[];
  readonly network: SimNetwork;
  readonly oracle: Oracle;
  readonly #counts = new Map<string, number>();
  readonly #clockOffsets: number[];
  readonly #options: readonly CoreOptions[];
  /** Chance, at each vote, to crash at one of the three places around its durability. */
  crashChance = 0;
  /** Chance that a timer fires late, as after a long garbage collection. */
  stallChance = 0;

  constructor(seed: number, stakes: readonly bigint[], timing: Timing = simTiming) {
    this.random = new SeededRandom(seed);
    this.set = simValidators(stakes);
    this.schedule = makeSchedule(this.set, 0 as Epoch, new Uint8Array(32).fill(seed & 0xff));
    this.#clockOffsets = stakes.map(() => this.random.between(-100, 100));
    this.#options = stakes.map((_, me) => ({
      epoch: 0 as Epoch,
      set: this.set,
      schedule: this.schedule,
      me,
      timing,
      unfinalizedMax: 4,
      record: 'sound',
    }));
    this.oracle = new Oracle(
      this.set.validators.map((validator) => validator.stake),
      (index) => this.nodes[index]?.behaviour === 'honest',
    );
    this.network = new SimNetwork(this);
    this.nodes = stakes.map((_, index) => new SimNode(this, index));
  }

  optionsFor(index: number): CoreOptions {
    const options = this.#options[index];
    if (options === undefined) throw new RangeError('no such validator');
    return options;
  }

  wallOf(index: number): number {
    return 1_000_000 + this.scheduler.now + (this.#clockOffsets[index] ?? 0);
  }

  behave(index: number, behaviour: Behaviour): void {
    const node = this.nodes[index];
    if (node !== undefined) node.behaviour = behaviour;
  }

  startAll(): void {
    for (const node of this.nodes) if (!node.up) node.start();
  }

  /** How late a timer fires; real ones are also up to a millisecond early. */
  timerError(): number {
    if (this.stallChance > 0 && this.random.chance(this.stallChance)) {
      return this.random.between(10, 200);
    }
    return this.random.between(-0.9, 1.5);
  }

  crashPoint(_index: number): CrashPoint | null {
    if (this.crashChance === 0 || !this.random.chance(this.crashChance)) return null;
    return this.random.pick(['beforeDurable', 'beforeSend', 'afterSend'] as const);
  }

  crashAndRestart(index: number): void {
    const node = this.nodes[index];
    if (node === undefined) return;
    node.crash();
    this.count('crash');
    this.scheduler.after(this.random.between(1, 300), () => {
      if (!node.up) node.start();
    });
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  fail(why: string): never {
    throw new Violation(why);
  }
}

function simValidators(stakes: readonly bigint[]): ValidatorSet {
  return makeValidatorSet(
    stakes.map((stake, index) => {
      const consensusKey = new Uint8Array(32);
      consensusKey[0] = index;
      const address = `0x${index.toString(16).padStart(40, '0')}` as Address;
      return {
        consensusKey,
        peerId: `v${index}`,
        stake: stake as Stake,
        memberId: `member-${index}`,
        operator: address,
        feeRecipient: address,
      };
    }),
  );
}
