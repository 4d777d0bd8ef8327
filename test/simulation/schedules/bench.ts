import { Core } from '#consensus/core/core.ts';
import { makeSchedule } from '#consensus/core/schedule.ts';
import type {
  Block,
  CoreOptions,
  Effect,
  Event,
  JournalRecord,
  Message,
  Proposal,
} from '#consensus/core/types.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Epoch, View } from '#src/types/units.ts';
import { type Statement, type Vote, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { genesis, genesisState, makeBlock, type SimState, setOf } from '../ledger.ts';
import { simTiming } from '../world.ts';

const signature = new Uint8Array(64);
const members = [0, 1, 2, 3].map((identity) => ({ identity, generation: 0, stake: 1n }));

/** One real core of four, fed by hand; every block executes as valid unless it is said to lie. */
export class Bench {
  readonly core: Core;
  readonly options: CoreOptions;
  readonly cast: Statement[] = [];
  readonly sent: { to: string; message: Message }[] = [];
  readonly effects: Effect[] = [];
  readonly invalid = new Set<string>();
  readonly first: SimState = genesisState(members);
  /** What a vote needs to become durable; held back where a test wants to crash before. */
  autoDurable = true;
  now = 0;
  wall = 1_000_000;

  constructor(journal: readonly JournalRecord[] = [], changes: Partial<CoreOptions> = {}) {
    const set = setOf(members);
    const networkId = new Uint8Array(32);
    const schedule = makeSchedule(set, 0 as Epoch, networkId);
    this.options = {
      epoch: 0 as Epoch,
      set,
      schedule,
      me: 0,
      timing: simTiming,
      unfinalizedMax: 4,
      record: 'sound',
      signFrom: 0 as View,
      ...changes,
    };
    this.core = new Core(this.options, genesis, null);
    for (const record of journal) this.core.restore(record);
  }

  get me(): number {
    return this.options.me ?? 0;
  }

  get others(): number[] {
    return [0, 1, 2, 3].filter((index) => index !== this.me);
  }

  peer(index: number): string {
    return this.options.set.validators[index]?.peerId ?? '';
  }

  /** Peers hold no vote of this node. */
  start(): this {
    this.feed({ t: 'tick' });
    const message = { t: 'recalled', epoch: 0 as Epoch, votes: [] } as const;
    for (const index of this.others) this.say(message, index);
    return this;
  }

  feed(event: Event): void {
    const input = { now: this.now, wall: this.wall + this.now, event };
    for (const effect of this.core.step(input)) {
      this.effects.push(effect);
      if (effect.t === 'send') this.sent.push(effect);
      if (effect.t === 'execute') {
        const { hash } = effect.block;
        this.feed({ t: 'executed', hash, valid: !this.invalid.has(hash) });
      }
      if (effect.t !== 'cast') continue;
      this.cast.push(effect.statement);
      if (this.autoDurable) this.feed({ t: 'durable', seq: effect.seq, signature });
    }
  }

  say(message: Message, from = this.others[0] ?? 1): void {
    this.feed({ t: 'message', from: this.peer(from), message });
  }

  /** Lets so much time pass, waking the core every millisecond. */
  wait(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now++;
      this.feed({ t: 'tick' });
    }
  }

  statement(
    kind: VoteKind,
    view: number,
    block: Block | null = null,
    parentView?: number,
  ): Statement {
    const parent = kind === VoteKind.Nullify ? 0 : (parentView ?? block?.parentView ?? 0);
    return {
      kind,
      epoch: 0 as Epoch,
      view: view as View,
      parentView: parent as View,
      blockHash: block?.hash ?? ZERO_HASH,
    };
  }

  vote(signer: number, statement: Statement): Vote {
    return { statement, signer, signature };
  }

  certificateOf(statement: Statement, signers: readonly number[] = this.others): Certificate {
    return { statement, setSize: 4, signers, signatures: signers.map(() => signature) };
  }

  certify(kind: VoteKind, view: number, block: Block | null = null, parentView?: number): void {
    const certificate = this.certificateOf(this.statement(kind, view, block, parentView));
    this.say({ t: 'certificate', certificate });
  }

  propose(block: Block, view: number = block.view, parentView: number = block.parentView): void {
    const leader = this.options.schedule.leaderOf(view as View);
    const vote = this.vote(leader, this.statement(VoteKind.Notarize, view, block, parentView));
    const proposal: Proposal = {
      view: view as View,
      parentView: parentView as View,
      block,
      vote,
      justify: [],
    };
    this.say({ t: 'proposal', proposal });
  }

  /** A valid block on a parent, by whoever leads its view. */
  block(
    view: number,
    parent: Block | typeof genesis,
    after: SimState,
    payments: readonly string[],
    timestampMs = 1_000_000 + view,
  ): { block: Block; state: SimState } {
    return makeBlock({
      parent,
      view: view as View,
      parentView: parent.view,
      proposer: this.options.schedule.leaderOf(view as View),
      timestampMs,
      payments,
      parentState: after,
    });
  }

  /** Into epoch 1, on a boundary block that everybody has finalized. */
  beginNextEpoch(changes: Partial<CoreOptions> = {}): void {
    const { block } = this.block(1, genesis, this.first, ['boundary']);
    const { hash, height, timestampMs } = block;
    const schedule = makeSchedule(this.options.set, 1 as Epoch, new Uint8Array(32));
    const options = { ...this.options, epoch: 1 as Epoch, schedule, ...changes };
    const floor = { view: 0 as View, hash, height, timestampMs };
    const certificate = this.certificateOf(this.statement(VoteKind.Finalize, 1, block));
    this.feed({ t: 'epoch', options, floor, certificate });
  }

  has(kind: VoteKind, view: number): boolean {
    return this.cast.some((statement) => statement.kind === kind && statement.view === view);
  }

  notarized(block: Block): boolean {
    return this.cast.some(({ kind, blockHash }) => kind === 1 && blockHash === block.hash);
  }

  /** The first view from `from` on that this node leads, or does not lead. */
  viewLed(byMe: boolean, from = 1): number {
    for (let view = from; ; view++) {
      if ((this.options.schedule.leaderOf(view as View) === this.me) === byMe) return view;
    }
  }
}
