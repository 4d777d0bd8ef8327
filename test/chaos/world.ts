/** One network with its payers, its witness and its observer: what a scenario is played on. */
import { SeededRandom } from '#src/lib/random.ts';
import { auditAll, checkAll, until } from './checks.ts';
import { Cluster } from './cluster.ts';
import { Observer, observerId } from './observer.ts';
import { Payments } from './payments.ts';
import type { Disk } from './powerCut.ts';
import { call, Witness } from './witness.ts';

export type WorldOptions = {
  readonly validators: number;
  readonly seed: number;
  readonly perSecond: number;
  /** Makes the disk under a data directory, where it is not the machine's own. */
  readonly disk?: (dir: string, index: number) => Disk;
  /** Added to a validator's environment whenever it is started. */
  readonly environment?: (index: number, dir: string) => Readonly<Record<string, string>>;
};

export class World {
  readonly cluster: Cluster;
  readonly observer: Observer;
  readonly witness: Witness;
  readonly payments: Payments;
  readonly random: SeededRandom;
  readonly #disks: Map<number, Disk>;
  readonly #perSecond: number;
  /** Blocks below are compared on all nodes already. */
  checkedHeight = 0;

  private constructor(
    cluster: Cluster,
    observer: Observer,
    disks: Map<number, Disk>,
    options: WorldOptions,
  ) {
    this.#disks = disks;
    this.cluster = cluster;
    this.observer = observer;
    this.random = new SeededRandom(options.seed);
    this.witness = new Witness(() => cluster.live);
    this.payments = new Payments(
      () => cluster.trusted,
      (hash) => this.witness.mined.has(hash),
      new SeededRandom(options.seed + 1),
    );
    this.#perSecond = options.perSecond;
  }

  /** Everybody up, paid and listened to. */
  static async open(options: WorldOptions): Promise<World> {
    const { validators, disk } = options;
    const disks = new Map<number, Disk>();
    const environment = (index: number, dir: string) => {
      const added = options.environment?.(index, dir) ?? {};
      if (disk === undefined) return added;
      const under = disks.get(index) ?? disk(dir, index);
      disks.set(index, under);
      return { ...under.environment, ...added };
    };
    const cluster = await Cluster.create({ validators, observer: observerId, environment });
    const observer = await Observer.open(cluster);
    const world = new World(cluster, observer, disks, options);
    try {
      cluster.startAll();
      await world.ready();
    } catch (error) {
      await world.close();
      throw error;
    }
    world.witness.start();
    return world;
  }

  async ready(): Promise<void> {
    const { cluster, observer } = this;
    for (const { rpc, state } of cluster.members) {
      if (state !== 'up') continue;
      await until(`${rpc} is ready`, async () => (await fetch(`${rpc}/readyz`)).ok);
      await until(`${rpc} has a block`, async () => {
        return Number(await call<string>(rpc, 'eth_blockNumber', [])) >= 1;
      });
    }
    const up = cluster.members.filter(({ state }) => state === 'up').length;
    await until('the observer hears all', async () => observer.listening >= up);
  }

  pay(): void {
    this.witness.forgive();
    this.payments.start(this.#perSecond);
  }

  /** Payments stop, everything settles, everything is checked; payments go on where asked. */
  async settle(goOn: boolean): Promise<void> {
    await this.payments.stop();
    const { worstStallMs } = this.witness;
    await checkAll(this);
    this.witness.worstStallMs = worstStallMs;
    if (goOn) this.pay();
  }

  disk(index: number): Disk {
    const disk = this.#disks.get(index);
    if (disk === undefined) throw new Error(`validator ${index} has the machine's own disk`);
    return disk;
  }

  /** Of validators that are down. */
  cutPower(...indexes: readonly number[]): void {
    for (const index of indexes) this.disk(index).cut(this.random);
  }

  get lostBytes(): number {
    return [...this.#disks.values()].reduce((sum, { lostBytes }) => sum + lostBytes, 0);
  }

  /** Reads the journal before the validator starts again. */
  async restart(...indexes: readonly number[]): Promise<void> {
    for (const index of indexes) {
      await this.observer.readJournal(this.cluster.members[index]?.dir ?? '');
      this.cluster.start(index);
    }
  }

  /** Stops everybody, reads the journals, and has the chains audited. */
  async finish(): Promise<void> {
    await this.payments.stop();
    await this.witness.stop();
    await this.cluster.stop(...this.cluster.members.keys());
    for (const { dir } of this.cluster.members) await this.observer.readJournal(dir);
    if (this.observer.signatures.conflicts.length > 0)
      throw new Error(this.observer.signatures.conflicts.join('\n'));
    await auditAll(this);
  }

  async close(keep = false): Promise<void> {
    await this.payments.stop();
    await this.witness.stop();
    await this.observer.close();
    await this.cluster.destroy(keep);
  }
}
