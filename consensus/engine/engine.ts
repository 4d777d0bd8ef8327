/**
 * Runs the core: one queue of events, one synchronous step, then its effects. The engine owns no
 * socket, disk or clock; it is handed them. What it adds to the core's rules is their order in the
 * real world: a signature is checked before the core hears of it, a vote is synced before anyone
 * else does, and blocks are written in the order in which they became final.
 */
import { Core } from '#consensus/core/core.ts';
import { makeSchedule } from '#consensus/core/schedule.ts';
import type {
  Block,
  Effect,
  Event,
  Floor,
  Message,
  Metric,
  Timing,
} from '#consensus/core/types.ts';
import type { Clock } from '#src/lib/clock.ts';
import { InvariantError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Epoch } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { answerRange, CatchUp } from './catchUp.ts';
import { decodeMessage, encodeMessage, encodeStoredBlock, type Gate, UNWANTED } from './codec.ts';
import { makeGate } from './gate.ts';
import { Journal, type RecordLog, viewOf } from './journal.ts';
import type { Ledger, Net, Signer } from './ports.ts';
import { Verifier } from './verifier.ts';

export type EngineOptions = {
  readonly networkId: Uint8Array;
  readonly epoch: Epoch;
  readonly set: ValidatorSet;
  readonly timing: Timing;
  readonly unfinalizedMax: number;
  /** Null for a node that follows and never signs. */
  readonly signer: Signer | null;
  readonly ledger: Ledger;
  readonly net: Net;
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: {
    readonly log: RecordLog;
    readonly records: readonly { seq: number; payload: Uint8Array }[];
    /** What the chain on disk knows the journal to have reached. */
    readonly seqMin: number;
  };
  onMetric(metric: Metric): void;
  /** Our own bug, a broken promise of the disk, or proof that over a third of the stake lies. */
  onFatal(error: Error): void;
};

/** A timer that fires later than this waits for the messages that came meanwhile. */
const lateTimerMs = 50;

type Cast = Extract<Effect, { t: 'cast' }>;

export class Engine {
  readonly #options: EngineOptions;
  readonly #core: Core;
  readonly #journal: Journal;
  readonly #verifier: Verifier;
  readonly #catchUp: CatchUp;
  readonly #gate: Gate;
  readonly #queue: Event[] = [];
  #running = false;
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;
  #casts: Cast[] = [];
  #journalDirty = false;
  #commits: Promise<void> = Promise.resolve();
  #signing: Promise<void> = Promise.resolve();
  #pending = false;

  constructor(options: EngineOptions) {
    const { set, epoch, networkId, ledger, signer, journal, log } = options;
    this.#options = options;
    this.#journal = new Journal(journal.log, ledger);
    this.#verifier = new Verifier(set, epoch, networkId);
    const records = this.#journal.read(journal.records);
    let me: number | null = null;
    if (signer !== null) {
      const index = set.validators.findIndex(({ consensusKey }) =>
        Buffer.from(consensusKey).equals(signer.publicKey),
      );
      if (index >= 0) me = index;
    }
    if (me !== null && this.#journal.lastSeq < journal.seqMin) {
      // Signing after forgetting what was signed is how honest validators double-sign.
      log.error('consensus journal older than the chain: this node follows and does not sign', {
        journal: this.#journal.lastSeq,
        chain: journal.seqMin,
        remedy: 'restore the newest consensus/ directory, or have the validator key rotated',
      });
      me = null;
    }
    this.#core = new Core(
      {
        epoch,
        set,
        me,
        timing: options.timing,
        unfinalizedMax: options.unfinalizedMax,
        schedule: makeSchedule(set, epoch, networkId),
      },
      ledger.floor,
      ledger.floorCertificate,
    );
    this.#gate = makeGate(this.#core, this.#verifier, ledger);
    this.#catchUp = new CatchUp({
      ledger,
      net: options.net,
      verifier: this.#verifier,
      log,
      importRange: (blocks, certificate) => this.#importRange(blocks, certificate),
    });
    for (const record of records) {
      if (viewOf(record) <= ledger.floor.view) continue;
      if (record.t === 'vote' && me === null) continue;
      this.#core.restore(record);
    }
  }

  start(): void {
    this.#push({ t: 'tick' });
    this.poolChanged();
  }

  /** Gives up a turn that is running, then stops signing and waits for what is being written. */
  async stop(): Promise<void> {
    this.#push({ t: 'stop' });
    await this.#signing;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#commits;
    await this.#journal.close();
  }

  get status(): {
    view: number;
    floor: Floor;
    leader: number;
    validator: number | null;
    armed: boolean;
    suspects: readonly number[];
    unfinalized: number;
  } {
    const core = this.#core;
    return {
      view: core.view,
      floor: core.floor,
      leader: core.leader,
      validator: core.options.me,
      armed: core.armedAt !== null,
      suspects: [...core.suspects],
      unfinalized: core.unfinalizedChain().length,
    };
  }

  peerConnected(peer: string): void {
    this.#push({ t: 'connected', peer });
  }

  /** Whether something waits for a block may have changed. */
  poolChanged(): void {
    const has = this.#hasPending();
    if (!has && !this.#pending) return;
    this.#pending = has;
    this.#push({ t: 'pending', has });
  }

  receive(peer: string, bytes: Uint8Array): void {
    if (this.#stopped) return;
    const { net, ledger } = this.#options;
    const decoded = decodeMessage(bytes, ledger, this.#gate);
    if (!decoded.ok) {
      if (decoded.refusal.code === UNWANTED) return;
      return net.penalize(peer, 'ban', decoded.refusal.code);
    }
    const message = decoded.value;
    if (message.t === 'getBlock') {
      const stored = ledger.finalBlock(message.hash);
      if (stored !== null) return net.send(peer, encodeStoredBlock(stored));
    }
    // A vote that cannot count any more is answered, not verified.
    const stale = message.t === 'vote' && !this.#core.wantsVote(message.vote.statement);
    if (!stale) {
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
    if (this.#running) return;
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
    const { ledger, net, onMetric } = this.#options;
    switch (effect.t) {
      case 'cast':
        this.#casts.push(effect);
        return;
      case 'keep':
        // Who does not sign has nothing to prove by a journal.
        if (this.#core.options.me === null) return;
        this.#journal.append({ t: 'certificate', certificate: effect.certificate });
        this.#journalDirty = true;
        return;
      case 'send':
        return this.#send(effect.to, effect.message);
      case 'build':
        return this.#build(effect);
      case 'execute': {
        const wrong = ledger.execute(effect.block);
        if (wrong !== null) {
          const { height, view, proposer } = effect.block;
          this.#options.log.warn('block refused', { height, view, proposer, reason: wrong });
        }
        this.#queue.push({ t: 'executed', hash: effect.block.hash, valid: wrong === null });
        return this.#queuePending();
      }
      case 'commit':
        return this.#commit(effect.blocks, effect.certificate);
      case 'catchUp':
        this.#catchUp.run(effect.certificate).catch((error: unknown) => this.#fail(error));
        return;
      case 'lookForPending':
        this.#pending = this.#hasPending();
        this.#queue.push({ t: 'pending', has: this.#pending });
        return;
      case 'pushPending':
        return net.pushPending(effect.to);
      case 'wake':
        return this.#wake(effect.at);
      case 'report':
        return onMetric(effect.metric);
      case 'fatal':
        throw new InvariantError(effect.why);
    }
  }

  /** Sign, write, sync; only then does the vote exist for anyone, this node included. */
  async #sign(casts: readonly Cast[]): Promise<void> {
    const { signer } = this.#options;
    const me = this.#core.options.me;
    if (signer === null || me === null) return;
    const signed: { seq: number; signature: Uint8Array }[] = [];
    for (const { seq, statement, block } of casts) {
      const signature = await signer.sign(this.#verifier.bytesOf(statement));
      const vote = { statement, signer: me, signature };
      this.#verifier.remember(vote);
      this.#journal.append({ t: 'vote', vote, block });
      signed.push({ seq, signature });
    }
    this.#journalDirty = false;
    await this.#journal.sync();
    for (const { seq, signature } of signed) this.#push({ t: 'durable', seq, signature });
  }

  #build(effect: Extract<Effect, { t: 'build' }>): void {
    const proposer = this.#core.options.me;
    if (proposer === null) return;
    const outcome = this.#options.ledger.build({ ...effect, proposer });
    const { view, parent } = effect;
    this.#queue.push({ t: 'built', view, parentHash: parent.hash, outcome });
    // Not asked again before something changes: the answer would be the same.
    if (outcome.t === 'nothing') this.#pending = false;
    else this.#queuePending();
  }

  /** In the queue rather than at once: it looks at the chain as the core then sees it. */
  #queuePending(): void {
    const has = this.#hasPending();
    if (has === this.#pending) return;
    this.#pending = has;
    this.#queue.push({ t: 'pending', has });
  }

  /** Seen from the newest block that is executed: what it contains does not wait. */
  #hasPending(): boolean {
    const tips = this.#core.unfinalizedChain().map(({ hash }) => hash);
    return this.#options.ledger.hasPending([...tips, this.#core.floor.hash]);
  }

  #commit(blocks: readonly Block[], certificate: Certificate): void {
    const { ledger } = this.#options;
    this.#commits = this.#commits
      .then(async () => {
        const { height } = ledger.floor;
        const fresh = blocks.filter((block) => block.height > height);
        if (fresh.length === 0) return;
        await ledger.commit(fresh, certificate, this.#journal.syncedSeq, this.#verifier.known);
        this.#afterCommit();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #importRange(blocks: readonly Block[], certificate: Certificate): Promise<boolean> {
    const { ledger } = this.#options;
    const job = this.#commits.then(async () => {
      if (this.#stopped) return false;
      const fresh = blocks.filter((block) => block.height > ledger.floor.height);
      const first = fresh[0];
      const last = fresh.at(-1);
      if (first === undefined || last === undefined) return true;
      if (first.parentHash !== ledger.floor.hash) return false;
      for (const block of fresh) {
        const wrong = ledger.execute(block);
        // The quorum made it final, so this node's own execution is what differs.
        if (wrong !== null) throw new InvariantError(`a final block is invalid here: ${wrong}`);
      }
      await ledger.commit(fresh, certificate, this.#journal.syncedSeq, this.#verifier.known);
      const { hash, height, timestampMs } = last;
      const floor: Floor = { view: certificate.statement.view, hash, height, timestampMs };
      this.#push({ t: 'synced', floor, certificate });
      this.#afterCommit();
      return true;
    });
    this.#commits = job.then(
      () => undefined,
      (error: unknown) => this.#fail(error),
    );
    return job.catch(() => false);
  }

  #afterCommit(): void {
    const { view } = this.#options.ledger.floor;
    this.#journal.pruneThrough(view);
    this.#verifier.forgetThrough(view);
    this.poolChanged();
  }

  #send(to: string, message: Message): void {
    const { net, ledger } = this.#options;
    const bytes = encodeMessage(message, ledger);
    if (to === 'all') net.broadcast(bytes);
    else net.send(to, bytes);
  }

  #wake(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (!Number.isFinite(at) || this.#stopped) return;
    const { clock } = this.#options;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        // After a stall the proposal may already be in the socket's buffer: read first, then judge.
        if (clock.now() - at > lateTimerMs) setImmediate(() => this.#push({ t: 'tick' }));
        else this.#push({ t: 'tick' });
      },
      Math.max(0, at - clock.now()),
    );
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}
