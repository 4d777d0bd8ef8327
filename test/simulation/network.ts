import type { SimMessage } from './node.ts';
import type { World } from './world.ts';

/** Links between nodes: delay, loss, duplication, reordering and cuts. */
export class SimNetwork {
  delayMin = 0.15;
  delayMax = 0.35;
  loss = 0;
  duplication = 0;
  /** Directed links that carry nothing, as `from>to`. */
  readonly #cuts = new Set<string>();
  /** Milliseconds that everything to and from a node takes longer. */
  readonly #slow = new Map<number, number>();
  readonly #world: World;
  messages = 0;
  /** What a directed schedule lets through; everything where there is none. */
  filter: ((from: number, to: number, message: SimMessage) => boolean) | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  /** Only links inside one group carry messages. */
  partition(groups: readonly (readonly number[])[]): void {
    this.heal();
    this.#world.note(-1, `partition ${groups.map((group) => group.join('')).join(' | ')}`);
    const groupOf = new Map<number, number>();
    for (const [group, members] of groups.entries()) {
      for (const member of members) groupOf.set(member, group);
    }
    for (const a of this.#world.nodes) {
      for (const b of this.#world.nodes) {
        if (groupOf.get(a.slot) !== groupOf.get(b.slot)) this.cut(a.slot, b.slot);
      }
    }
  }

  cut(from: number, to: number): void {
    this.#cuts.add(`${from}>${to}`);
  }

  slow(slot: number, ms: number): void {
    this.#slow.set(slot, ms);
  }

  /** Links that were cut are made again, and say so, as TCP does. */
  heal(): void {
    const cuts = [...this.#cuts];
    this.#cuts.clear();
    for (const cut of cuts) {
      const [from, to] = cut.split('>').map((slot) => this.#world.nodes[Number(slot)]);
      if (from !== undefined && to !== undefined) from.reconnect(to);
    }
  }

  broadcast(from: number, message: SimMessage): void {
    for (const node of this.#world.nodes) {
      if (node.slot !== from) this.send(from, node.slot, message);
    }
  }

  send(from: number, to: number, message: SimMessage): void {
    const { random, scheduler } = this.#world;
    this.messages++;
    if (this.filter !== null && !this.filter(from, to, message)) return;
    if (this.loss > 0 && random.chance(this.loss)) return;
    const copies = this.duplication > 0 && random.chance(this.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      // Each copy draws its own delay, so messages overtake each other.
      const extra = (this.#slow.get(from) ?? 0) + (this.#slow.get(to) ?? 0);
      scheduler.after(random.between(this.delayMin, this.delayMax) + extra, () => {
        if (this.#cuts.has(`${from}>${to}`)) return;
        this.#world.nodes[to]?.receive(from, message);
      });
    }
  }
}
