/**
 * Agreement: Simplex (Chan & Pass, TCC 2023) weighted by stake, for a network that loses messages.
 *
 * A view has one leader. It proposes a block on a certified parent; validators that find it valid
 * vote NOTARIZE, those whose time is up vote NULLIFY. A certificate of either kind (more than two
 * thirds of the stake) takes everybody to the next view; nothing else does, never a timer. Who sees
 * a block notarized and did not nullify its view votes FINALIZE; that certificate makes the block
 * and its ancestors final. Three message delays to finality, two between blocks.
 *
 * Rules, by the numbers of design/consensus.md 2.4; each method below names its own.
 *   R1  enter a view only on a certificate of an earlier one
 *   R2  the parent is the newest certified block with nullified views only in between
 *   R3  a leader proposes once, when there is work
 *   R4  NOTARIZE once a view, for a valid block whose ancestry is covered (also after own NULLIFY)
 *   R5  FINALIZE what is notarized and valid here, never after own NULLIFY
 *   R6  NULLIFY when time is up or the leader failed, never after own FINALIZE
 *   R7  own votes count only when they are durable
 *   R8  a finalization commits a block with its ancestors
 *   R10 the last block of an epoch is proposed again until it is final; nothing else extends it
 *   R9  stale traffic is answered with the newest finalization
 *   R11 at a standstill, certificates and own votes are sent again, boundedly
 *
 * Safe because (1) two quorums share an honest validator and that one notarizes once a view, so one
 * block at most is notarized in it; (2) R5 and R6 exclude each other, so a view is finalized or
 * nullified, never both; (3) a later block can skip a finalized view only over its nullification,
 * which by (2) does not exist. `own` gates every signature and mirrors the journal; in views before
 * `signFrom`, of which the journal was cut, nothing is signed.
 */
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import type { Statement } from '#src/types/vote.ts';
import { arm } from './arming.ts';
import { addCertificate, addVote, enterHighest } from './certificates.ts';
import { proposalsAheadMax, viewsAheadMax } from './limits.ts';
import { onBuilt, onDurable, onMessage } from './messages.ts';
import { report, scheduleWake, sendStatus } from './output.ts';
import { propose } from './propose.ts';
import { recall } from './recall.ts';
import { retry } from './standstill.ts';
import { leaderOf, makeState, nextEpoch, recordOf, type State } from './state.ts';
import { advance, commitFinal, findParent } from './tree.ts';
import type { Block, CoreOptions, Effect, Event, Floor, Input, JournalRecord } from './types.ts';
import { followNotarized, giveUp, notarize } from './vote.ts';

export class Core {
  #state: State;
  #started = false;
  /** Records of epochs that have not begun here. */
  #later: JournalRecord[] = [];

  constructor(options: CoreOptions, floor: Floor, floorCertificate: Certificate | null) {
    this.#state = makeState(options, floor, floorCertificate);
  }

  get options(): CoreOptions {
    return this.#state.options;
  }
  /** Own position in the set; null while this node does not sign, in this epoch or at all. */
  get me(): number | null {
    return this.#state.me;
  }
  /** Whether peers still have to say which of this node's votes they hold. */
  get isRecalling(): boolean {
    return this.#state.recall !== null;
  }
  /** The epoch's last block is final; the next epoch waits for its block to be on disk. */
  get hasEnded(): boolean {
    return this.#state.ended;
  }
  get view(): View {
    return this.#state.view;
  }
  get floor(): Floor {
    return this.#state.floor;
  }
  get leader(): number {
    return leaderOf(this.#state);
  }
  get armedAt(): number | null {
    return this.#state.armedAt;
  }
  /** Views above the floor of which something is remembered. */
  get keptViews(): number {
    return this.#state.views.size;
  }
  get suspects(): ReadonlySet<number> {
    return this.#state.suspects;
  }

  /** A block that is known but not final. */
  block(hash: Hash): Block | null {
    return this.#state.blocks.get(hash) ?? null;
  }

  /** The blocks between the floor and the newest certified one here, newest first. */
  unfinalizedChain(): Block[] {
    const { blocks, view } = this.#state;
    const parent = findParent(this.#state, view);
    const chain: Block[] = [];
    let block = parent.t === 'missing' ? undefined : blocks.get(parent.hash);
    while (block !== undefined) {
      chain.push(block);
      block = blocks.get(block.parentHash);
    }
    return chain;
  }

  /** Whether a vote could matter: lets the caller skip the signature check of one that cannot. */
  wantsVote({ epoch, view }: Statement): boolean {
    const s = this.#state;
    return epoch === s.options.epoch && view > s.floor.view && view <= s.view + viewsAheadMax;
  }

  /** What the leader of a view signed as far as it is known; `enough` where no more is of use. */
  proposalOf(view: View): Statement | 'enough' | null {
    const s = this.#state;
    if (view > s.view + proposalsAheadMax) return 'enough';
    const at = s.views.get(view);
    if (at === undefined) return null;
    return at.equivocated ? 'enough' : (at.proposal?.vote.statement ?? null);
  }

  /** Whether a certificate could tell anything: a known or a stale one need not be verified. */
  wantsCertificate({ statement }: Certificate): boolean {
    const s = this.#state;
    const { epoch, view, kind, blockHash } = statement;
    if (epoch !== s.options.epoch || view <= s.floor.view) return false;
    return s.views.get(view)?.certificates[kind]?.statement.blockHash !== blockHash;
  }

  /** Whether this block was asked for: any other is not worth decoding. */
  wantsBlock(hash: Hash): boolean {
    return this.#state.fetches.has(`block:${hash}`);
  }

  /** Replays one journal record; only before the first `step`. There is no second code path. */
  restore(record: JournalRecord): void {
    const { epoch } = record.t === 'vote' ? record.vote.statement : record.certificate.statement;
    // The chain may be an older copy than the journal: what was signed later gates later.
    if (epoch > this.#state.options.epoch) this.#later.push(record);
    else this.#restore(record);
  }

  #restore(record: JournalRecord): void {
    const s = this.#state;
    if (record.t === 'certificate') {
      addCertificate(s, record.certificate, false);
      // The journal has it: nothing to keep again.
      s.effects = s.effects.filter(({ t }) => t !== 'keep');
      return;
    }
    const { vote, block } = record;
    const { view, kind, epoch, parentView } = vote.statement;
    if (epoch !== s.options.epoch || view <= s.floor.view || s.me === null) return;
    const at = recordOf(s, view);
    at.own[kind] = { statement: vote.statement, seq: 0, vote };
    if (block !== null) {
      s.blocks.set(block.hash, block);
      const leads = s.options.schedule.leaderOf(view) === s.me;
      if (leads) at.proposal = { view, parentView, block, vote, justify: [] };
    }
    addVote(s, vote);
  }

  step(input: Input): Effect[] {
    if (this.#state.halted) return [];
    if (input.event.t === 'epoch') this.#beginEpoch(input.event);
    const s = this.#state;
    s.now = input.now;
    s.wall = input.wall;
    if (!this.#started) {
      this.#started = true;
      s.enteredAt = input.now;
    }
    on(s, input);
    evaluate(s);
    const { effects } = s;
    s.effects = [];
    return effects;
  }

  #beginEpoch(event: Extract<Event, { t: 'epoch' }>): void {
    this.#state = nextEpoch(this.#state, event);
    const later = this.#later;
    this.#later = [];
    for (const record of later) this.restore(record);
  }
}

function on(s: State, { event }: Input): void {
  switch (event.t) {
    case 'tick':
      // Whoever woke us may have been early: ask again, even for the same time.
      s.wakeSent = Number.POSITIVE_INFINITY;
      return;
    case 'message':
      return onMessage(s, event.from, event.message);
    case 'connected':
      return sendStatus(s, event.peer);
    case 'durable':
      return onDurable(s, event.seq, event.signature);
    case 'built':
      return onBuilt(s, event.view, event.parentHash, event.outcome);
    case 'executed':
      if (s.execution.get(event.hash) === 'pending') {
        s.execution.set(event.hash, event.valid ? 'valid' : 'invalid');
      }
      return;
    case 'pending':
      s.pending = event.has;
      s.boundary = event.boundary;
      return;
    case 'synced':
      if (event.floor.view > s.floor.view) advance(s, event.floor, event.certificate);
      return;
    case 'epoch':
      s.enteredAt = s.now;
      s.effects.push({ t: 'lookForPending' });
      report(s, { t: 'view', view: s.view });
      return sendStatus(s, 'all');
    case 'stop':
      s.stopping = true;
      return;
  }
}

/** Every duty is looked at after every event, in the order in which one can enable the next. */
function evaluate(s: State): void {
  s.wakeAt = Number.POSITIVE_INFINITY;
  s.wanted = new Set();
  if (!s.ended) commitFinal(s);
  if (!s.ended) {
    enterHighest(s);
    recall(s);
    followNotarized(s);
    arm(s);
    propose(s);
    notarize(s);
    giveUp(s);
  }
  retry(s);
  s.fetches.keepOnly(s.wanted);
  scheduleWake(s);
}
