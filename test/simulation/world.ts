import type { Timing } from '#consensus/core/types.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Vote } from '#src/types/vote.ts';
import type { Behaviour } from './byzantine.ts';
import type { Member } from './ledger.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
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

export type WorldOptions = {
  readonly timing?: Timing;
  /** Nodes beside the validators of genesis, which may join later. */
  readonly spares?: number;
  /** The validator that two nodes are. */
  readonly twin?: number | null;
};

/** A whole network in one process, from one seed: nothing in it knows the real time. */
export class World {
  readonly random: SeededRandom;
  readonly scheduler = new Scheduler();
  readonly members: readonly Member[];
  readonly networkId: Uint8Array;
  readonly timing: Timing;
  readonly nodes: SimNode[];
  readonly network: SimNetwork;
  readonly oracle: Oracle;
  /** Votes and certificates that some node has verified. */
  readonly proven = new WeakSet<Vote | Certificate>();
  readonly #counts = new Map<string, number>();
  readonly #clocks: { offset: number; drift: number }[];
  /** What happened, line by line, where somebody wants to read it. */
  trace: string[] | null = null;
  /** Chance, at each vote, to crash at one of the three places around its durability. */
  crashChance = 0;
  /** Chance that a timer fires late, as after a long garbage collection. */
  stallChance = 0;
  /** Chance that a sync takes as long as on a failing disk. */
  slowSyncChance = 0;
  /** Chance that a block has contracts, which may take a quarter of a view. */
  contractsChance = 0;

  constructor(seed: number, stakes: readonly bigint[], options: WorldOptions = {}) {
    const { timing = simTiming, spares = 0, twin = null } = options;
    this.random = new SeededRandom(seed);
    this.timing = timing;
    this.networkId = new Uint8Array(32).fill(seed & 0xff);
    this.members = stakes.map((stake, identity) => ({ identity, generation: 0, stake }));
    this.oracle = new Oracle(this.members, (identity) =>
      this.nodes.every((node) => node.identity !== identity || node.isHonest),
    );
    this.network = new SimNetwork(this);
    const identities = [
      ...stakes.keys(),
      ...Array.from({ length: spares }, (_, at) => stakes.length + at),
    ];
    if (twin !== null) identities.push(twin);
    this.#clocks = identities.map(() => ({ offset: this.random.between(-100, 100), drift: 1 }));
    this.nodes = identities.map((identity, slot) => new SimNode(this, slot, identity));
    if (twin !== null) {
      for (const node of this.nodes) if (node.identity === twin) node.behaviour = 'twin';
    }
  }

  wallOf(slot: number): number {
    const { offset, drift } = this.#clocks[slot] ?? { offset: 0, drift: 1 };
    return Math.floor(1_000_000 + this.scheduler.now * drift + offset);
  }

  /** Sets a node's clock wrong by so many milliseconds, running so much too fast. */
  skew(slot: number, offset: number, drift = 1): void {
    this.#clocks[slot] = { offset, drift };
  }

  behave(slot: number, behaviour: Behaviour): void {
    const node = this.nodes[slot];
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

  syncTime(): number {
    if (this.slowSyncChance > 0 && this.random.chance(this.slowSyncChance)) {
      return this.random.between(20, 300);
    }
    return this.random.between(0.2, 0.4);
  }

  crashPoint(): CrashPoint | null {
    if (this.crashChance === 0 || !this.random.chance(this.crashChance)) return null;
    return this.random.pick(['beforeDurable', 'beforeSend', 'afterSend'] as const);
  }

  crashAndRestart(slot: number): void {
    const node = this.nodes[slot];
    if (node === undefined) return;
    node.crash();
    this.count('crash');
    this.note(slot, 'crashes');
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

  note(slot: number, what: string): void {
    if (this.trace === null) return;
    const at = this.scheduler.now.toFixed(1).padStart(8);
    this.trace.push(`${at}  v${slot}  ${what}`);
  }

  fail(why: string): never {
    throw new Violation(why);
  }
}
