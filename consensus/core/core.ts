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
 *   R9  stale traffic is answered with the newest finalization
 *   R11 at a standstill, certificates and own votes are sent again, boundedly
 *
 * Safe because (1) two quorums share an honest validator and that one notarizes once a view, so one
 * block at most is notarized in it; (2) R5 and R6 exclude each other, so a view is finalized or
 * nullified, never both; (3) a later block can skip a finalized view only over its nullification,
 * which by (2) does not exist. `own` gates every signature and mirrors the journal.
 */
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import { hasOneHonest } from '#src/types/validatorSet.ts';
import { type Statement, type Vote, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { Fetches } from './fetches.ts';
import type {
  Block,
  BuildOutcome,
  CoreOptions,
  Effect,
  Floor,
  Input,
  JournalRecord,
  Message,
  NullifyReason,
  Peer,
  Proposal,
} from './types.ts';
import { ViewRecord } from './views.ts';

/** Votes and proposals further ahead than this are not kept. */
export const viewsAheadMax = 64;
/** Nullifications that travel inside a proposal; the rest are fetched. */
export const justifyNullificationsMax = 32;
/** Views whose certificates are sent again at a standstill. */
export const standstillViewsMax = 16;
/** The gap, in blocks, from which a range is fetched instead of single blocks. */
const rangeGapMin = 8n;
const answerIntervalMs = 50;
const statusIntervalMs = 5_000;
/** With no more validators than this, everyone passes a new certificate on to everyone. */
const relayToAllMax = 32;

export class Core {
  readonly options: CoreOptions;
  #view: View;
  #floor: Floor;
  #floorCertificate: Certificate | null;
  #now = 0;
  #wall = 0;
  #enteredAt = 0;
  #armedAt: number | null = null;
  #retriedAt = Number.NEGATIVE_INFINITY;
  #statusAt = Number.NEGATIVE_INFINITY;
  #pending = false;
  #stopping = false;
  #halted = false;
  #started = false;
  #building: { view: View; parentHash: Hash } | null = null;
  #nextSeq = 1;
  #highestCertified: number;
  #wakeAt = Number.POSITIVE_INFINITY;
  #wakeSent = Number.POSITIVE_INFINITY;
  #effects: Effect[] = [];
  readonly #views = new Map<View, ViewRecord>();
  readonly #blocks = new Map<Hash, Block>();
  readonly #execution = new Map<Hash, 'pending' | 'valid' | 'invalid'>();
  readonly #casts = new Map<number, { view: View; kind: VoteKind }>();
  readonly #suspects = new Set<number>();
  readonly #answeredAt = new Map<Peer, number>();
  readonly #fetches: Fetches;
  #wanted = new Set<string>();

  constructor(options: CoreOptions, floor: Floor, floorCertificate: Certificate | null) {
    this.options = options;
    this.#floor = floor;
    this.#floorCertificate = floorCertificate;
    this.#view = (floor.view + 1) as View;
    this.#highestCertified = floor.view;
    const peers = options.set.validators.map((validator) => validator.peerId);
    const { fetchRetryMs, fetchRetryMaxMs } = options.timing;
    this.#fetches = new Fetches(peers, fetchRetryMs, fetchRetryMaxMs);
  }

  get view(): View {
    return this.#view;
  }
  get floor(): Floor {
    return this.#floor;
  }
  get leader(): number {
    return this.options.schedule.leaderOf(this.#view);
  }
  get halted(): boolean {
    return this.#halted;
  }
  get armedAt(): number | null {
    return this.#armedAt;
  }
  get suspects(): ReadonlySet<number> {
    return this.#suspects;
  }
  get floorCertificate(): Certificate | null {
    return this.#floorCertificate;
  }

  /** A block that is known but not final, for peers that ask and for the pool's bookkeeping. */
  block(hash: Hash): Block | null {
    return this.#blocks.get(hash) ?? null;
  }

  /** The blocks between the floor and the newest certified one here, newest first. */
  unfinalizedChain(): Block[] {
    const parent = this.#selectParent(this.#view);
    const chain: Block[] = [];
    let block = parent === null ? undefined : this.#blocks.get(parent.hash);
    while (block !== undefined) {
      chain.push(block);
      block = this.#blocks.get(block.parentHash);
    }
    return chain;
  }

  /** Whether a vote could matter: lets the caller skip the signature check of one that cannot. */
  wantsVote(statement: Statement): boolean {
    const { epoch, view } = statement;
    return (
      epoch === this.options.epoch && view > this.#floor.view && view <= this.#view + viewsAheadMax
    );
  }

  /** Replays one journal record; only before the first `step`. There is no second code path. */
  restore(record: JournalRecord): void {
    if (record.t === 'certificate') {
      const before = this.#effects.length;
      this.#addCertificate(record.certificate, false);
      this.#effects.length = before;
      return;
    }
    const { vote, block } = record;
    const { view, kind } = vote.statement;
    if (view <= this.#floor.view) return;
    const at = this.#record(view);
    at.own[kind] = { statement: vote.statement, seq: 0, vote };
    if (block !== null) {
      this.#blocks.set(block.hash, block);
      const leads = this.options.schedule.leaderOf(view) === this.options.me;
      if (leads) at.proposal = { view, block, vote, justify: [] };
    }
    this.#addVote(vote);
  }

  step(input: Input): Effect[] {
    if (this.#halted) return [];
    this.#now = input.now;
    this.#wall = input.wall;
    if (!this.#started) {
      this.#started = true;
      this.#enteredAt = input.now;
    }
    this.#on(input);
    this.#evaluate();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #on({ event }: Input): void {
    switch (event.t) {
      case 'tick':
        // Whoever woke us may have been early: ask again, even for the same time.
        this.#wakeSent = Number.POSITIVE_INFINITY;
        return;
      case 'message':
        return this.#onMessage(event.from, event.message);
      case 'connected':
        return this.#sendStatus(event.peer);
      case 'durable':
        return this.#onDurable(event.seq, event.signature);
      case 'built':
        return this.#onBuilt(event.view, event.parentHash, event.outcome);
      case 'executed':
        if (this.#execution.get(event.hash) === 'pending') {
          this.#execution.set(event.hash, event.valid ? 'valid' : 'invalid');
        }
        return;
      case 'pending':
        this.#pending = event.has;
        return;
      case 'synced':
        if (event.floor.view > this.#floor.view) this.#advance(event.floor, event.certificate);
        return;
      case 'stop':
        this.#stopping = true;
        return;
    }
  }

  #onMessage(from: Peer, message: Message): void {
    switch (message.t) {
      case 'proposal':
        return this.#onProposal(from, message.proposal);
      case 'vote':
        return this.#onVote(from, message.vote);
      case 'certificate':
        return this.#addCertificate(message.certificate, false);
      case 'certificates':
        for (const certificate of message.certificates) this.#addCertificate(certificate, false);
        return;
      case 'status':
        if (message.certificate === null) {
          // A peer at genesis: tell it where the chain is.
          if (this.#floorCertificate !== null) this.#help(from);
        } else if (message.certificate.statement.view < this.#floor.view) this.#help(from);
        else this.#addCertificate(message.certificate, false);
        return;
      case 'getCertificates':
        return this.#onGetCertificates(from, message.from, message.to);
      case 'getBlock': {
        const block = this.#blocks.get(message.hash);
        if (block !== undefined) this.#send(from, { t: 'block', block });
        return;
      }
      case 'block':
        this.#onBlock(message.block);
    }
  }

  /** Every duty is looked at after every event, in the order in which one can enable the next. */
  #evaluate(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.#wanted = new Set();
    this.#commitFinal();
    this.#enterHighest();
    this.#followNotarized();
    this.#arm();
    this.#propose();
    this.#notarize();
    this.#giveUp();
    this.#retry();
    this.#fetches.keepOnly(this.#wanted);
    this.#scheduleWake();
  }

  // --- messages ---------------------------------------------------------------------------------

  #onVote(from: Peer, vote: Vote): void {
    const { epoch, view } = vote.statement;
    if (epoch !== this.options.epoch) return;
    if (view <= this.#floor.view) return this.#help(from);
    if (view > this.#view + viewsAheadMax) return;
    this.#addVote(vote);
  }

  #addVote(vote: Vote): void {
    const { statement, signer } = vote;
    const { kind, view } = statement;
    const at = this.#record(view);
    if (view >= this.#view - 1) this.#suspects.delete(signer);
    const outcome = at.add(vote, this.options.set);
    if (outcome === 'conflict') this.#report({ t: 'equivocation', view, signer });
    if (kind === VoteKind.Nullify && signer === this.options.schedule.leaderOf(view)) {
      at.leaderNullified = true;
    }
    if (outcome === 'known' || outcome === 'refused' || at.certificates[kind] !== null) return;
    const certificate = at.certificateOf(statement, this.options.set);
    if (certificate !== null) this.#addCertificate(certificate, true);
  }

  #onProposal(from: Peer, proposal: Proposal): void {
    const { view, block, vote } = proposal;
    const { statement, signer } = vote;
    if (block.epoch !== this.options.epoch) return;
    if (view <= this.#floor.view) return this.#help(from);
    if (view > this.#view + viewsAheadMax) return;
    const leader = this.options.schedule.leaderOf(view);
    const speaksOfBlock =
      statement.kind === VoteKind.Notarize &&
      statement.epoch === block.epoch &&
      statement.view === view &&
      statement.parentView === block.parentView &&
      statement.blockHash === block.hash;
    if (signer !== leader || !speaksOfBlock) return;
    for (const certificate of proposal.justify) this.#addCertificate(certificate, false);
    if (view <= this.#floor.view) return;
    const at = this.#record(view);
    if (at.proposal === null) {
      at.proposal = proposal;
      at.receivedWall = this.#wall;
      this.#blocks.set(block.hash, block);
    } else if (at.proposal.block.hash !== block.hash && !at.equivocated) {
      at.equivocated = true;
      this.#report({ t: 'equivocation', view, signer });
    }
    this.#addVote(vote);
  }

  #onBlock(block: Block): void {
    // Unasked blocks are not kept: only a certified hash, or an ancestor of one, is ever wanted.
    if (!this.#fetches.has(`block:${block.hash}`) || block.height <= this.#floor.height) return;
    this.#blocks.set(block.hash, block);
  }

  #onGetCertificates(from: Peer, low: View, high: View): void {
    if (low <= this.#floor.view) this.#help(from);
    const found: Certificate[] = [];
    for (let v = high; v >= low && found.length < justifyNullificationsMax; v--) {
      if (v <= this.#floor.view || v > this.#view + viewsAheadMax) {
        if (v <= this.#floor.view) break;
        v = Math.min(v, this.#view + viewsAheadMax + 1) as View;
        continue;
      }
      const at = this.#views.get(v);
      const best = at?.finalized ?? at?.notarized ?? at?.nullified ?? null;
      if (best !== null) found.push(best);
      if (at?.notarized && at.nullified && best === at.notarized) found.push(at.nullified);
    }
    if (found.length > 0) this.#send(from, { t: 'certificates', certificates: found });
  }

  #onDurable(seq: number, signature: Uint8Array): void {
    const cast = this.#casts.get(seq);
    this.#casts.delete(seq);
    const me = this.options.me;
    if (cast === undefined || me === null) return;
    const at = this.#views.get(cast.view);
    const own = at?.own[cast.kind];
    if (at === undefined || own === undefined || own === null) return;
    const vote: Vote = { statement: own.statement, signer: me, signature };
    own.vote = vote;
    const block = at.ownBlock;
    if (cast.kind === VoteKind.Notarize && block !== null) {
      at.proposal = { view: at.view, block, vote, justify: [] };
      at.receivedWall = this.#wall;
      this.#sendProposal(at.proposal);
    } else {
      this.#send('all', { t: 'vote', vote });
    }
    this.#addVote(vote);
  }

  #onBuilt(view: View, parentHash: Hash, outcome: BuildOutcome): void {
    const asked = this.#building;
    if (asked === null || asked.view !== view || asked.parentHash !== parentHash) return;
    this.#building = null;
    const at = this.#record(view);
    if (view !== this.#view || at.own[1] !== null || at.own[2] !== null) return;
    if (outcome.t === 'nothing') {
      this.#pending = false;
    } else if (outcome.t === 'failed') {
      this.#nullify('build-failed');
    } else {
      const { block } = outcome;
      this.#blocks.set(block.hash, block);
      this.#execution.set(block.hash, 'valid');
      at.ownBlock = block;
      this.#cast(at, VoteKind.Notarize, block);
    }
  }

  // --- certificates and views -------------------------------------------------------------------

  #addCertificate(certificate: Certificate, formedHere: boolean): void {
    const { kind, view, epoch, blockHash } = certificate.statement;
    if (epoch !== this.options.epoch || view <= this.#floor.view) return;
    const at = this.#record(view);
    const known = at.certificates[kind];
    if (known !== null) {
      if (known.statement.blockHash !== blockHash) this.#fatal('two blocks certified in one view');
      return;
    }
    at.certificates[kind] = certificate;
    if (at.finalized !== null && at.nullified !== null) {
      return this.#fatal('a view both finalized and nullified: over a third of the stake lies');
    }
    if (view > this.#highestCertified) this.#highestCertified = view;
    this.#effects.push({ t: 'keep', certificate });
    if (formedHere) this.#relay(certificate);
  }

  #relay(certificate: Certificate): void {
    const { me, set, schedule } = this.options;
    const message: Message = { t: 'certificate', certificate };
    const n = set.validators.length;
    if (n <= relayToAllMax) return this.#send('all', message);
    const next = (certificate.statement.view + 1) as View;
    const targets = new Set([schedule.leaderOf(next)]);
    // Three more, another three at each node and view, so that a certificate spreads without a hub.
    for (let k = 1; k <= 3; k++) targets.add(((me ?? 0) + next * 7 + k * 31) % n);
    for (const index of targets) {
      const peer = set.validators[index]?.peerId;
      if (peer !== undefined && index !== me) this.#send(peer, message);
    }
  }

  /** R1. */
  #enterHighest(): void {
    if (this.#highestCertified >= this.#view) this.#enter((this.#highestCertified + 1) as View);
  }

  #enter(view: View): void {
    if (view <= this.#view) return;
    this.#view = view;
    this.#enteredAt = this.#now;
    this.#retriedAt = this.#now;
    this.#armedAt = null;
    this.#building = null;
    this.#report({ t: 'view', view });
  }

  /** R2: the newest certified block below `view`, or null where a view between is unexplained. */
  #selectParent(view: View): { view: View; hash: Hash } | null {
    for (let v = view - 1; v > this.#floor.view; v--) {
      const at = this.#views.get(v as View);
      const certified = at?.finalized ?? at?.notarized ?? null;
      if (certified !== null) return { view: v as View, hash: certified.statement.blockHash };
      if (at === undefined || at.nullified === null) {
        this.#wantCertificates((this.#floor.view + 1) as View, v as View, this.leader);
        return null;
      }
    }
    return { view: this.#floor.view, hash: this.#floor.hash };
  }

  /** R8. The highest finalization whose path to the floor is here and executed. */
  #commitFinal(): void {
    let best: Certificate | null = null;
    for (const at of this.#views.values()) {
      if (at.finalized === null) continue;
      if (best === null || at.view > best.statement.view) best = at.finalized;
    }
    if (best === null) return;
    const path = this.#pathToFloor(best);
    if (path === null) return;
    for (const block of path) {
      const status = this.#execution.get(block.hash);
      if (status === 'invalid') return this.#fatal('a final block is invalid here');
      if (status !== 'valid') return this.#ensureExecuted(block);
    }
    const tip = path.at(-1);
    if (tip === undefined) return;
    this.#effects.push({ t: 'commit', blocks: path, certificate: best });
    const { hash, height, timestampMs } = tip;
    this.#advance({ view: best.statement.view, hash, height, timestampMs }, best);
  }

  /** Blocks from above the floor to the certified one, oldest first; asks for what is missing. */
  #pathToFloor(certificate: Certificate): Block[] | null {
    const path: Block[] = [];
    let hash = certificate.statement.blockHash;
    while (hash !== this.#floor.hash) {
      const block = this.#blocks.get(hash);
      const child = path.at(-1);
      if (block === undefined) {
        const far = child !== undefined && child.height - this.#floor.height > rangeGapMin;
        this.#wantBlock(hash, this.leader, certificate, far);
        return null;
      }
      if (block.height <= this.#floor.height) {
        this.#fatal('a finalized block does not descend from the final chain');
        return null;
      }
      path.push(block);
      hash = block.parentHash;
    }
    return path.reverse();
  }

  #advance(floor: Floor, certificate: Certificate): void {
    this.#floor = floor;
    this.#floorCertificate = certificate;
    for (const view of this.#views.keys()) if (view <= floor.view) this.#views.delete(view);
    for (const [hash, block] of this.#blocks) {
      if (block.height > floor.height) continue;
      this.#blocks.delete(hash);
      this.#execution.delete(hash);
    }
    for (const [seq, cast] of this.#casts) if (cast.view <= floor.view) this.#casts.delete(seq);
    if (floor.view > this.#highestCertified) this.#highestCertified = floor.view;
  }

  // --- duties -----------------------------------------------------------------------------------

  /** R5, and the execution and fetching that it needs. */
  #followNotarized(): void {
    for (const at of this.#views.values()) {
      const certificate = at.notarized ?? at.finalized;
      if (certificate === null) continue;
      const { blockHash } = certificate.statement;
      const block = this.#blocks.get(blockHash);
      if (block === undefined) {
        this.#wantBlock(blockHash, this.options.schedule.leaderOf(at.view), at.finalized, false);
        continue;
      }
      const status = this.#execution.get(blockHash);
      if (status === undefined) this.#ensureExecuted(block);
      else if (status === 'invalid') return this.#fatal('a notarized block is invalid here');
      else if (status === 'valid' && at.notarized !== null) this.#finalize(at, at.notarized);
    }
  }

  #finalize(at: ViewRecord, certificate: Certificate): void {
    if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
    this.#cast(at, VoteKind.Finalize, null, certificate.statement);
  }

  /** Executes the oldest ancestor that is not executed; the next one follows on its result. */
  #ensureExecuted(block: Block): void {
    let next = block;
    while (next.parentHash !== this.#floor.hash) {
      const parentStatus = this.#execution.get(next.parentHash);
      if (parentStatus === 'valid') break;
      if (parentStatus !== undefined) return;
      const parent = this.#blocks.get(next.parentHash);
      if (parent === undefined) {
        if (next.height > this.#floor.height + 1n) {
          this.#wantBlock(next.parentHash, next.proposer, null, false);
        }
        return;
      }
      next = parent;
    }
    if (this.#execution.has(next.hash)) return;
    this.#execution.set(next.hash, 'pending');
    this.#effects.push({ t: 'execute', block: next });
  }

  /** Design 2.8: a view's timers run from here, so that an idle network stays silent. */
  #arm(): void {
    if (this.#armedAt !== null) return;
    const at = this.#record(this.#view);
    const armed =
      this.#pending ||
      this.#tipIsOpen() ||
      this.#heartbeatDue() ||
      at.proposal !== null ||
      at.weightOf(VoteKind.Notarize) > 0n ||
      hasOneHonest(at.weightOf(VoteKind.Nullify), this.options.set);
    if (!armed) return;
    this.#armedAt = this.#now;
    if (this.#pending) this.#pushPending();
  }

  #hasUnfinalized(): boolean {
    for (const at of this.#views.values()) if (at.notarized ?? at.finalized) return true;
    return false;
  }

  /** A notarized tip is work: without this the last payment before an idle hour stays unfinal. */
  #tipIsOpen(): boolean {
    if (!this.#hasUnfinalized()) return false;
    return this.#reached(this.#enteredAt + this.options.timing.minEmptyIntervalMs);
  }

  /** A new network makes its first block at once, so that everyone sees that it lives. */
  #heartbeatDue(): boolean {
    const { heartbeatMs, minEmptyIntervalMs } = this.options.timing;
    const isNew = this.#floor.height === 0n;
    return this.#reached(this.#enteredAt + (isNew ? minEmptyIntervalMs : heartbeatMs));
  }

  /** R3. */
  #propose(): void {
    const { me, timing } = this.options;
    if (me === null || this.leader !== me || this.#armedAt === null || this.#stopping) return;
    if (this.#building !== null) return;
    const at = this.#record(this.#view);
    if (at.own[1] !== null || at.own[2] !== null || at.own[3] !== null) return;
    const parent = this.#selectParent(this.#view);
    if (parent === null) return;
    const base = parent.hash === this.#floor.hash ? this.#floor : this.#blocks.get(parent.hash);
    if (base === undefined) return;
    if (base !== this.#floor && this.#execution.get(parent.hash) !== 'valid') return;
    const timestampMs = Math.max(this.#wall, base.timestampMs + 1);
    if (timestampMs > this.#wall + timing.maxFutureMs / 2) {
      this.#wakeIn(timestampMs - timing.maxFutureMs / 2 - this.#wall);
      return;
    }
    const deep = base.height - this.#floor.height >= BigInt(this.options.unfinalizedMax);
    const withPayments = this.#pending && !deep;
    const emptyIsDue = this.#emptyIsDue(deep, base.timestampMs, timestampMs);
    if (!withPayments && !emptyIsDue) return;
    this.#building = { view: this.#view, parentHash: parent.hash };
    this.#effects.push({
      t: 'build',
      view: this.#view,
      parent: base,
      parentView: parent.view,
      timestampMs,
      mayBeEmpty: emptyIsDue,
      withPayments,
    });
  }

  #emptyIsDue(deep: boolean, parentTimestampMs: number, timestampMs: number): boolean {
    const { timing } = this.options;
    const early = parentTimestampMs + timing.minEmptyIntervalMs - timestampMs;
    if (early > 0) {
      this.#wakeIn(early);
      return false;
    }
    if (this.#tipIsOpen() || this.#heartbeatDue()) return true;
    return deep && this.#reached((this.#armedAt ?? this.#now) + timing.leaderMs / 2);
  }

  /** R4. */
  #notarize(): void {
    const at = this.#record(this.#view);
    const proposal = at.proposal;
    if (this.options.me === null || proposal === null) return;
    if (at.own[VoteKind.Notarize] !== null || at.equivocated || at.refused) return;
    const { block } = proposal;
    if (!this.#isCovered(at, block)) return;
    const parent =
      block.parentHash === this.#floor.hash ? this.#floor : this.#blocks.get(block.parentHash);
    if (parent === undefined) return;
    if (!this.#fitsParent(at, block, parent)) {
      at.refused = true;
      return;
    }
    if (!this.#isTimely(at, block)) return;
    const status = this.#execution.get(block.hash);
    if (status === undefined) this.#ensureExecuted(block);
    else if (status === 'invalid') at.refused = true;
    else if (status === 'valid') this.#cast(at, VoteKind.Notarize, block);
  }

  /** R4 d, e: the parent is certified and every view in the open interval is nullified. */
  #isCovered(at: ViewRecord, block: Block): boolean {
    const { parentView, parentHash } = block;
    const leader = this.options.schedule.leaderOf(at.view);
    if (parentView < this.#floor.view || parentView >= at.view) {
      at.refused = true;
      return false;
    }
    if (parentView === this.#floor.view) {
      if (parentHash !== this.#floor.hash) {
        at.refused = true;
        return false;
      }
    } else {
      const parent = this.#views.get(parentView);
      const certified = parent?.finalized ?? parent?.notarized ?? null;
      if (certified === null) {
        this.#wantCertificates(parentView, parentView, leader);
        return false;
      }
      if (certified.statement.blockHash !== parentHash) {
        at.refused = true;
        return false;
      }
    }
    for (let v = at.view - 1; v > parentView; v--) {
      if (this.#views.get(v as View)?.nullified) continue;
      this.#wantCertificates((parentView + 1) as View, v as View, leader);
      return false;
    }
    return true;
  }

  /** What can be judged without executing; a failure is permanent. */
  #fitsParent(at: ViewRecord, block: Block, parent: Block | Floor): boolean {
    if (block.view !== at.view || block.proposer !== this.options.schedule.leaderOf(at.view)) {
      return false;
    }
    if (block.height !== parent.height + 1n) return false;
    if (block.timestampMs <= parent.timestampMs) return false;
    const { minEmptyIntervalMs } = this.options.timing;
    return block.transactions > 0 || block.timestampMs >= parent.timestampMs + minEmptyIntervalMs;
  }

  /** Design 2.10: a local reason not to vote yet, never one to call a block invalid. */
  #isTimely(at: ViewRecord, block: Block): boolean {
    const { maxFutureMs, maxPastMs } = this.options.timing;
    const early = block.timestampMs - maxFutureMs - this.#wall;
    if (early > 0) {
      this.#wakeIn(early);
      return false;
    }
    return block.timestampMs >= at.receivedWall - maxPastMs * this.#patience();
  }

  /** R6. */
  #giveUp(): void {
    const at = this.#record(this.#view);
    if (this.options.me === null) return;
    if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
    const why = this.#reasonToGiveUp(at);
    if (why !== null) this.#nullify(why);
  }

  #reasonToGiveUp(at: ViewRecord): NullifyReason | null {
    const leader = this.leader;
    if (at.refused) return 'invalid';
    if (at.equivocated) return 'equivocation';
    if (at.leaderNullified) return 'leader-nullified';
    if (this.#stopping && leader === this.options.me && at.own[1] === null) return 'stopping';
    if (this.#armedAt === null) return null;
    const silent = at.proposal === null && at.own[1] === null && this.#building === null;
    if (silent && this.#suspects.has(leader)) return 'suspect';
    if (silent && this.#reached(this.#armedAt + this.#timer(this.options.timing.leaderMs))) {
      if (leader !== this.options.me) this.#suspects.add(leader);
      return 'leader-timeout';
    }
    return this.#reached(this.#armedAt + this.#timer(this.options.timing.advanceMs))
      ? 'advance-timeout'
      : null;
  }

  #nullify(why: NullifyReason): void {
    const at = this.#record(this.#view);
    if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
    this.#report({ t: 'nullify', view: this.#view, leader: this.leader, why });
    this.#cast(at, VoteKind.Nullify, null);
  }

  /** The only place where a vote comes into being; the caller has checked its rule. */
  #cast(at: ViewRecord, kind: VoteKind, block: Block | null, of: Statement | null = null): void {
    const { me, epoch } = this.options;
    if (me === null || at.own[kind] !== null) return;
    const statement: Statement = {
      kind,
      epoch,
      view: at.view,
      parentView: (block?.parentView ?? of?.parentView ?? 0) as View,
      blockHash: block?.hash ?? of?.blockHash ?? ZERO_HASH,
    };
    const seq = this.#nextSeq++;
    at.own[kind] = { statement, seq, vote: null };
    this.#casts.set(seq, { view: at.view, kind });
    this.#effects.push({ t: 'cast', seq, statement, block });
  }

  /** R11, bounded: an unbounded standstill makes the congestion that prolongs it (TON 4.3). */
  #retry(): void {
    if (this.#reached(this.#statusAt + statusIntervalMs)) {
      this.#statusAt = this.#now;
      this.#sendStatus('all');
      this.#reached(this.#now + statusIntervalMs);
    }
    const at = this.#record(this.#view);
    const undecided = at.own[1] !== null || at.own[2] !== null;
    if (this.#armedAt === null && !undecided && !this.#hasUnfinalized()) return;
    if (!this.#reached(this.#retriedAt + this.options.timing.retryMs)) return;
    this.#retriedAt = this.#now;
    this.#reached(this.#now + this.options.timing.retryMs);
    this.#report({ t: 'standstill', view: this.#view });
    this.#sendStatus('all');
    const newest = [...this.#views.values()].sort((a, b) => b.view - a.view);
    const certificates: Certificate[] = [];
    for (const record of newest.slice(0, standstillViewsMax)) {
      if (record.notarized !== null) certificates.push(record.notarized);
      if (record.nullified !== null) certificates.push(record.nullified);
    }
    if (certificates.length > 0) this.#send('all', { t: 'certificates', certificates });
    for (const record of newest.slice(0, viewsAheadMax)) {
      for (const own of [record.own[1], record.own[2], record.own[3]]) {
        if (own?.vote) this.#send('all', { t: 'vote', vote: own.vote });
      }
    }
    if (at.proposal !== null && this.leader === this.options.me) this.#sendProposal(at.proposal);
    if (this.#pending) this.#pushPending();
  }

  // --- sending and timers -----------------------------------------------------------------------

  #send(to: Peer | 'all', message: Message): void {
    this.#effects.push({ t: 'send', to, message });
  }

  #sendProposal(proposal: Proposal): void {
    const { parentView } = proposal.block;
    const justify: Certificate[] = [];
    const parent = this.#views.get(parentView);
    const certified =
      parentView === this.#floor.view
        ? this.#floorCertificate
        : (parent?.finalized ?? parent?.notarized ?? null);
    if (certified !== null) justify.push(certified);
    for (let v = proposal.view - 1; v > parentView; v--) {
      if (justify.length > justifyNullificationsMax) break;
      const nullified = this.#views.get(v as View)?.nullified;
      if (nullified) justify.push(nullified);
    }
    this.#send('all', { t: 'proposal', proposal: { ...proposal, justify } });
  }

  #sendStatus(to: Peer | 'all'): void {
    const { height } = this.#floor;
    this.#send(to, { t: 'status', height, certificate: this.#floorCertificate });
  }

  /** R9, at most once in a while for each peer. */
  #help(from: Peer): void {
    const last = this.#answeredAt.get(from) ?? Number.NEGATIVE_INFINITY;
    if (this.#now - last < answerIntervalMs) return;
    this.#answeredAt.set(from, this.#now);
    this.#sendStatus(from);
  }

  /** Without this a payment known to one node makes it give up every view alone (design 2.8). */
  #pushPending(): void {
    const { schedule, set, me } = this.options;
    const to = new Set<Peer>();
    for (let ahead = 0; ahead < 3; ahead++) {
      const index = schedule.leaderOf((this.#view + ahead) as View);
      const peer = set.validators[index]?.peerId;
      if (index !== me && peer !== undefined) to.add(peer);
    }
    this.#effects.push({ t: 'pushPending', to: [...to] });
  }

  #wantBlock(hash: Hash, prefer: number, final: Certificate | null, far: boolean): void {
    const key = `block:${hash}`;
    this.#wanted.add(key);
    const repeated = this.#fetches.has(key);
    const peer = this.#fetches.due(key, this.#now, prefer);
    if (peer === null) return;
    if (final !== null && (far || repeated)) {
      const fromHeight = (this.#floor.height + 1n) as Floor['height'];
      this.#effects.push({ t: 'catchUp', fromHeight, certificate: final });
    }
    if (!far) this.#send(peer, { t: 'getBlock', hash });
  }

  #wantCertificates(from: View, to: View, prefer: number): void {
    const key = `certificates:${from}.${to}`;
    this.#wanted.add(key);
    const peer = this.#fetches.due(key, this.#now, prefer);
    if (peer === null) return;
    this.#send(peer, { t: 'getCertificates', epoch: this.options.epoch, from, to });
  }

  /** 1.5 to the number of views that failed in a row, beyond what pipelining explains. */
  #patience(): number {
    return 1.5 ** Math.max(0, this.#view - this.#floor.view - 3);
  }

  #timer(baseMs: number): number {
    return Math.min(this.options.timing.capMs, baseMs * this.#patience());
  }

  /** True once the time has come; before that it makes sure that the core is woken then. */
  #reached(at: number): boolean {
    if (this.#now >= at) return true;
    if (at < this.#wakeAt) this.#wakeAt = at;
    return false;
  }

  #wakeIn(ms: number): void {
    this.#reached(this.#now + Math.max(1, ms));
  }

  #scheduleWake(): void {
    this.#reached(Math.max(this.#now + 1, this.#fetches.nextAt()));
    if (this.#wakeAt === this.#wakeSent) return;
    this.#wakeSent = this.#wakeAt;
    this.#effects.push({ t: 'wake', at: this.#wakeAt });
  }

  #record(view: View): ViewRecord {
    let record = this.#views.get(view);
    if (record === undefined) {
      record = new ViewRecord(view);
      this.#views.set(view, record);
    }
    return record;
  }

  #report(metric: Extract<Effect, { t: 'report' }>['metric']): void {
    this.#effects.push({ t: 'report', metric });
  }

  #fatal(why: string): void {
    if (this.#halted) return;
    this.#halted = true;
    this.#effects.push({ t: 'fatal', why });
  }
}
