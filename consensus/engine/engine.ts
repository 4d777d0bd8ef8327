/**
 * Runs the core: one queue of events, one synchronous step, then its effects. The engine owns no
 * socket, disk or clock; it is handed them. What it adds to the core's rules is their order in the
 * real world: a signature is checked before the core hears of it, a vote is synced before anyone
 * else does, and blocks are written in the order in which they became final.
 */
import { Core } from '#consensus/core/core.ts';
import type {
  AbstainReason,
  CoreOptions,
  Effect,
  Event,
  Message,
  Metric,
  Timing,
} from '#consensus/core/types.ts';
import type { Clock } from '#src/lib/clock.ts';
import { InvariantError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { asEpoch } from '#src/types/units.ts';
import { Alarm } from './alarm.ts';
import { answerRange, CatchUp } from './catchUp.ts';
import { decodeMessage, encodeMessage, encodeStoredBlock, type Gate, UNWANTED } from './codec.ts';
import { Commits } from './commits.ts';
import { Execution } from './execution.ts';
import { makeGate } from './gate.ts';
import { Journal, type Position, type RecordLog } from './journal.ts';
import { membershipOf, warnOfAbstention, warnOfLostJournal } from './membership.ts';
import { epochOf, OtherEpochs } from './otherEpochs.ts';
import type { EngineStatus, Ledger, Net, Signer } from './ports.ts';
import { Verifier } from './verifier.ts';
import { mustVerify, withoutWaste } from './waste.ts';

export type EngineOptions = {
  readonly networkId: Uint8Array;
  readonly timing: Timing;
  readonly unfinalizedMax: number;
  /** One for each key that this node may sign with; none where it follows and never signs. */
  readonly signers: readonly Signer[];
  readonly ledger: Ledger;
  readonly net: Net;
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: {
    readonly log: RecordLog;
    readonly records: readonly { seq: number; payload: Uint8Array }[];
    /** The operator answers for it that no signature is missing in a journal that seems lost. */
    readonly isAccepted: boolean;
    /** What the chain on disk knows the journal to have reached. */
    readonly seqMin: number;
  };
  /** The disk takes nothing: no input is looked at until `start` is called again. */
  isStalled(): boolean;
  onMetric(metric: Metric): void;
  /** Our own bug, a broken promise of the disk, or proof that over a third of the stake lies. */
  onFatal(error: Error): void;
};

type Cast = Extract<Effect, { t: 'cast' }>;

export class Engine {
  readonly #options: EngineOptions;
  readonly #core: Core;
  readonly #journal: Journal;
  #verifier: Verifier;
  readonly #others: OtherEpochs;
  readonly #catchUp: CatchUp;
  readonly #gate: Gate;
  readonly #queue: Event[] = [];
  #running = false;
  #stopped = false;
  readonly #alarm: Alarm;
  #casts: Cast[] = [];
  #journalDirty = false;
  readonly #commits: Commits;
  readonly #execution: Execution;
  #signing: Promise<void> = Promise.resolve();
  #signer: Signer | null = null;

  constructor(options: EngineOptions) {
    const { networkId, ledger, journal, log } = options;
    this.#options = options;
    this.#alarm = new Alarm(options.clock, () => this.#push({ t: 'tick' }));
    this.#journal = new Journal(journal.log, ledger);
    const { epoch, set } = ledger.electorate;
    const floor = { epoch, view: ledger.floor.view };
    const records = this.#journal.read(journal.records, floor);
    const { seqMin, isAccepted } = journal;
    const isLost = journal.records.length === 0 || this.#journal.lastSeq < seqMin;
    if (isLost && options.signers.length > 0) {
      if (!isAccepted) warnOfLostJournal(log, this.#journal.lastSeq, seqMin);
      this.#journal.beginAfterLoss(seqMin, isAccepted);
    } else if (isAccepted) this.#journal.signAgain();
    this.#verifier = new Verifier(set, epoch, networkId);
    this.#core = new Core(this.#coreOptions(), ledger.floor, ledger.floorCertificate);
    this.#execution = new Execution({
      ...{ core: this.#core, ledger, clock: options.clock, log, isStalled: options.isStalled },
      queue: (event) => this.#queue.push(event),
      drain: () => this.#drain(),
      onFailed: (error) => this.#fail(error),
    });
    this.#gate = makeGate(this.#core, () => this.#verifier, ledger);
    this.#catchUp = new CatchUp({
      ledger,
      net: options.net,
      judge: (certificate) => this.#verifier.judge({ t: 'certificate', certificate }),
      log,
      importRange: (blocks, certificate) => this.#commits.importRange(blocks, certificate),
    });
    this.#commits = new Commits({
      ledger,
      journalSeq: () => this.#journal.syncedSeq,
      known: (statement, signer, signature) => this.#verifier.known(statement, signer, signature),
      onCommitted: () => this.#afterCommit(),
      onImported: (floor, certificate) => this.#push({ t: 'synced', floor, certificate }),
      onFailed: (error) => this.#fail(error),
    });
    this.#others = new OtherEpochs({
      ledger,
      clock: options.clock,
      here: () => this.#core.options.epoch,
      send: (peer, message) => this.#send(peer, message),
      tellStatus: (peer) => this.#push({ t: 'connected', peer }),
      catchUp: (to) => this.#fetchTo(to),
      pass: (from, message) => this.#push({ t: 'message', from, message }),
    });
    for (const record of records) this.#core.restore(record);
  }

  /** Begins, or goes on after a stall; whoever is connected is then told anew. */
  start(): void {
    this.#push({ t: 'tick' });
    this.poolChanged();
  }

  /** Gives up a turn that is running, then stops signing and waits for what is being written. */
  async stop(): Promise<void> {
    this.#push({ t: 'stop' });
    await this.#signing;
    this.#stopped = true;
    this.#execution.stop();
    this.#alarm.stop();
    await this.#commits.close();
    await this.#journal.close();
  }

  get status(): EngineStatus {
    const core = this.#core;
    return {
      view: core.view,
      floor: core.floor,
      epoch: core.options.epoch,
      leader: core.leader,
      validator: core.me,
      recalling: core.isRecalling,
      armed: core.armedAt !== null,
      suspects: [...core.suspects],
      unfinalized: core.unfinalizedChain().length,
      behind: this.#catchUp.behind,
    };
  }

  peerConnected(peer: string): void {
    if (!this.#options.isStalled()) this.#push({ t: 'connected', peer });
  }

  /** Whether something waits for a block may have changed. */
  poolChanged(): void {
    if (this.#options.isStalled()) return;
    this.#execution.poolChanged();
    this.#drain();
  }

  receive(peer: string, bytes: Uint8Array): void {
    const { net, ledger, isStalled } = this.#options;
    if (this.#stopped || isStalled()) return;
    const decoded = decodeMessage(bytes, ledger, this.#gate);
    if (!decoded.ok) {
      const { refusal } = decoded;
      if (refusal.code === UNWANTED) return;
      if ('vote' in refusal) {
        return this.#push({ t: 'message', from: peer, message: { t: 'vote', vote: refusal.vote } });
      }
      if ('epoch' in refusal) return this.#others.receive(peer, bytes, refusal.epoch, null);
      return net.penalize(peer, 'ban', refusal.code);
    }
    const message = withoutWaste(decoded.value, peer, this.#core);
    if (message === null) return;
    const epoch = epochOf(message);
    if (epoch !== null && epoch !== this.#core.options.epoch) {
      return this.#others.receive(peer, bytes, epoch, message);
    }
    if (message.t === 'getBlock') {
      const stored = ledger.finalBlock(message.hash);
      if (stored !== null) return net.send(peer, encodeStoredBlock(stored));
    }
    if (mustVerify(message, this.#core)) {
      const wrong = this.#verifier.judge(message);
      if (wrong !== null) return net.penalize(peer, 'ban', wrong);
    }
    this.#push({ t: 'message', from: peer, message });
  }

  /** Serves a range of final blocks. */
  async answer(request: Uint8Array): Promise<Uint8Array | null> {
    return this.#stopped ? null : answerRange(request, this.#options.ledger);
  }

  // --- the loop ---------------------------------------------------------------------------------

  #push(event: Event): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    this.#drain();
  }

  #drain(): void {
    if (this.#stopped || this.#running || this.#options.isStalled()) return;
    this.#running = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#step(next);
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#running = false;
    }
  }

  #step(event: Event): void {
    const { clock } = this.#options;
    const effects = this.#core.step({ now: clock.now(), wall: clock.wall(), event });
    for (const effect of effects) this.#run(effect);
    if (this.#casts.length > 0) {
      const casts = this.#casts;
      this.#casts = [];
      this.#signing = this.#sign(casts).catch((error: unknown) => this.#fail(error));
    } else if (this.#journalDirty && event.t === 'tick') {
      this.#journalDirty = false;
      this.#journal.sync().catch((error: unknown) => this.#fail(error));
    }
  }

  #run(effect: Effect): void {
    const { net, onMetric } = this.#options;
    switch (effect.t) {
      case 'cast':
        this.#casts.push(effect);
        return;
      case 'keep':
        // Who does not sign has nothing to prove by a journal.
        if (this.#core.me === null) return;
        this.#journal.append({ t: 'certificate', certificate: effect.certificate });
        this.#journalDirty = true;
        return;
      case 'adopt':
        this.#journal.append({ t: 'vote', vote: effect.vote, block: null });
        this.#journalDirty = true;
        return;
      case 'send':
        return this.#send(effect.to, effect.message);
      case 'build':
        return this.#execution.build(effect);
      case 'execute':
        return this.#execution.execute(effect.block);
      case 'commit':
        return this.#commits.commit(effect.blocks, effect.certificate);
      case 'catchUp':
        this.#catchUp
          .run(effect.certificate.statement)
          .catch((error: unknown) => this.#fail(error));
        return;
      case 'lookForPending':
        return this.#execution.tellPending();
      case 'pushPending':
        return net.pushPending(effect.to);
      case 'wake':
        return this.#alarm.set(effect.at);
      case 'report':
        if (effect.metric.t === 'abstain') this.#abstain(effect.metric.why);
        return onMetric(effect.metric);
      case 'fatal':
        throw new InvariantError(effect.why);
    }
  }

  /** Sign, write, sync; only then does the vote exist for anyone, this node included. */
  async #sign(casts: readonly Cast[]): Promise<void> {
    // Those of this epoch: the next one may begin while the disk is written.
    const verifier = this.#verifier;
    const signer = this.#signer;
    const { me } = this.#core;
    if (signer === null || me === null) return;
    const signed: { seq: number; signature: Uint8Array }[] = [];
    for (const { seq, statement, block } of casts) {
      const signature = await signer.sign(verifier.bytesOf(statement));
      const vote = { statement, signer: me, signature };
      verifier.remember(vote);
      this.#journal.append({ t: 'vote', vote, block });
      signed.push({ seq, signature });
    }
    this.#journalDirty = false;
    await this.#journal.sync();
    for (const { seq, signature } of signed) this.#push({ t: 'durable', seq, signature });
  }

  #afterCommit(): void {
    const { ledger } = this.#options;
    const { epoch } = ledger.electorate;
    const { view } = ledger.floor;
    this.#journal.pruneThrough({ epoch, view });
    this.#beginEpoch();
    this.#verifier.forgetThrough(view);
    this.poolChanged();
  }

  /** Once the boundary block is on disk, and not before: what signs for the next set is then known. */
  #beginEpoch(): void {
    const { ledger, networkId, log } = this.#options;
    const { epoch, set } = ledger.electorate;
    if (epoch === this.#core.options.epoch || this.#stopped) return;
    const { floor, floorCertificate: certificate } = ledger;
    if (certificate === null) throw new InvariantError('an epoch ends with a certificate');
    this.#verifier = new Verifier(set, epoch, networkId);
    this.#push({ t: 'epoch', options: this.#coreOptions(), floor, certificate });
    const { validators, hash } = set;
    log.info('epoch begins', { epoch, height: floor.height, validators: validators.length, hash });
    for (const { peer, bytes } of this.#others.release()) this.receive(peer, bytes);
  }

  /** Kept on disk: a restart in the same epoch changes nothing about it. */
  #abstain(why: AbstainReason): void {
    const { epoch } = this.#core.options;
    warnOfAbstention(this.#options.log, why, epoch);
    // One of our own votes may already be in the next epoch, whose beginning its peers had not seen.
    const through = asEpoch(epoch + 1);
    this.#journal.abstain(through).catch((error: unknown) => this.#fail(error));
  }

  #coreOptions(): CoreOptions {
    const { ledger } = this.#options;
    const { core, signer } = membershipOf(ledger.electorate, this.#options, this.#journal);
    this.#signer = signer;
    return core;
  }

  #fetchTo(place: Position): void {
    this.#catchUp.run(place).catch((error: unknown) => this.#fail(error));
  }

  #send(to: string, message: Message): void {
    const { net, ledger } = this.#options;
    const bytes = encodeMessage(message, ledger);
    if (to === 'all') net.broadcast(bytes);
    else net.send(to, bytes);
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#execution.stop();
    this.#alarm.stop();
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}
