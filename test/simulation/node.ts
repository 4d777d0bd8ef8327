import { Core } from '#consensus/core/core.ts';
import { isProposable } from '#consensus/core/messages.ts';
import { makeSchedule } from '#consensus/core/schedule.ts';
import type { Block, CoreOptions, Effect, Event, Floor, Message } from '#consensus/core/types.ts';
import { isAfter, type Position } from '#consensus/engine/journal.ts';
import { epochOf, OtherEpochs } from '#consensus/engine/otherEpochs.ts';
import { mustVerify, withoutWaste } from '#consensus/engine/waste.ts';
import { type Certificate, verifyCertificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, View } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { type Statement, statementKey, type Vote, VoteKind } from '#src/types/vote.ts';
import { type Behaviour, speakAs } from './byzantine.ts';
import { type ChainEntry, floorOf, SimDisk, statesOf } from './disk.ts';
import {
  applyPayments,
  contentOf,
  genesis,
  genesisState,
  makeBlock,
  type Payment,
  type SimState,
  setOf,
} from './ledger.ts';
import type { World } from './world.ts';

/** What travels in the simulation besides agreement's own messages. */
export type SimMessage =
  | Message
  | { readonly t: 'payments'; readonly payments: readonly Payment[] }
  | { readonly t: 'getFinalized'; readonly from: bigint }
  | {
      readonly t: 'finalized';
      readonly blocks: readonly Block[];
      readonly certificate: Certificate;
    };

const paymentsPerBlockMax = 20;
const finalizedAnswerMax = 64;
const signature = new Uint8Array(64);
const networkId = new Uint8Array(32);

/** `N`, `X` or `F`, epoch/view, on the view of its parent, and the block. */
export function spellStatement(statement: Statement): string {
  const { kind, epoch, view, parentView, blockHash } = statement;
  return `${'?NXF'[kind]} ${epoch}/${view} on ${parentView} ${blockHash.slice(0, 10)}`;
}

type Frame = { readonly length: number; readonly message: Message };

/** One node: the real core, a toy ledger, a disk that loses what was not synced. */
export class SimNode {
  /** Which node of the world; two of them may be the same validator (twins). */
  readonly slot: number;
  readonly identity: number;
  readonly peer: string;
  behaviour: Behaviour = 'honest';
  disk = new SimDisk();
  /** Its operator answers for a journal that was lost. */
  isAccepted = false;
  /** What an adversary proposed before: parents that nobody certified. */
  readonly proposed: Block[] = [];
  /** What an adversary heard, to be said again when it is old. */
  readonly overheard: SimMessage[] = [];
  /** Counts lives; callbacks of an earlier one find that they are late. */
  #life = 0;
  #core: Core | null = null;
  #others: OtherEpochs<Frame>;
  #pool = new Set<Payment>();
  /** Final blocks by height - 1: what this life believes, on disk or about to be. */
  #chain: ChainEntry[] = [];
  #paid = new Set<Payment>();
  #states = new Map<string, SimState>();
  #sets = new Map<number, ValidatorSet>();
  #told = { has: false, boundary: false };
  #wakeId = 0;
  #target: Position | null = null;
  readonly #world: World;

  constructor(world: World, slot: number, identity: number) {
    this.#world = world;
    this.slot = slot;
    this.identity = identity;
    this.peer = `v${identity}`;
    this.#others = this.#makeOthers();
  }

  get up(): boolean {
    return this.#core !== null;
  }
  get core(): Core | null {
    return this.#core;
  }
  get isHonest(): boolean {
    return this.behaviour === 'honest';
  }

  stateAfter(hash: Hash): SimState | null {
    return this.#states.get(hash) ?? null;
  }

  learnState(hash: Hash, state: SimState): void {
    this.#states.set(hash, state);
  }

  start(): void {
    this.#life++;
    this.#chain = [...this.disk.chain];
    this.#pool = new Set(this.disk.accepted);
    this.#states = statesOf(this.#chain, genesisState(this.#world.members));
    this.#paid = new Set(this.#chain.flatMap(({ block }) => contentOf(block).payments));
    for (const payment of this.#paid) this.#pool.delete(payment);
    this.#sets.clear();
    this.#told = { has: false, boundary: false };
    this.#target = null;
    this.#others = this.#makeOthers();
    const { floor, certificate } = floorOf(this.#chain);
    const options = this.#optionsAfter(floor.hash);
    if (this.isHonest) {
      this.#world.oracle.restarted(this.slot, floor.height, options.epoch);
    }
    const core = new Core(options, floor, certificate);
    this.#core = core;
    for (const record of this.disk.journal) {
      const at = record.t === 'vote' ? record.vote.statement : record.certificate.statement;
      if (!isAfter(at, { epoch: options.epoch, view: floor.view })) continue;
      core.restore(record);
    }
    this.#world.note(this.slot, `starts in epoch ${options.epoch} at block ${floor.height}`);
    this.feed({ t: 'tick' });
    for (const node of this.#world.nodes) {
      if (node === this || !node.up) continue;
      this.feed({ t: 'connected', peer: node.peer });
      node.feed({ t: 'connected', peer: this.peer });
    }
    this.#tellPending();
  }

  crash(): void {
    this.#life++;
    this.#core = null;
    this.disk.crash(this.#world.random);
  }

  /** As after a link was lost and made again. */
  reconnect(other: SimNode): void {
    if (!this.up || !other.up || other === this) return;
    this.feed({ t: 'connected', peer: other.peer });
    other.feed({ t: 'connected', peer: this.peer });
  }

  /** A client's payment. True once it is accepted, which is a promise. */
  submit(payment: Payment): boolean {
    if (!this.up) return false;
    this.disk.accepted.add(payment);
    this.#addPayments([payment]);
    this.#world.network.broadcast(this.slot, { t: 'payments', payments: [payment] });
    return true;
  }

  receive(from: number, message: SimMessage): void {
    const core = this.#core;
    if (core === null) return;
    switch (message.t) {
      case 'payments':
        return this.#addPayments(message.payments);
      case 'getFinalized':
        return this.#answerRange(from, message.from);
      case 'finalized':
        return this.#takeRange(message.blocks, message.certificate);
      case 'getBlock': {
        const final = this.#chain.find(({ block }) => block.hash === message.hash);
        if (final === undefined) break;
        return this.#world.network.send(this.slot, from, { t: 'block', block: final.block });
      }
    }
    const peer = this.#world.nodes[from]?.peer ?? '';
    const epoch = epochOf(message);
    if (epoch !== null && epoch !== core.options.epoch) {
      return this.#others.receive(peer, { length: 1_000, message }, epoch, message);
    }
    this.#verifyAndFeed(peer, message, core);
  }

  /** As in the engine, a verifier stands before the core; certificates meet the real judge. */
  #verifyAndFeed(from: string, said: Message, core: Core): void {
    const message = this.#asDecoded(withoutWaste(said, from, core), core);
    if (message === null) return;
    if (mustVerify(message, core) && !this.#isVerified(message)) return;
    const heard = this.behaviour === 'twin' ? this.#withoutTwin(message, core) : message;
    if (heard !== null) this.feed({ t: 'message', from, message: heard });
  }

  /** Of a second proposal in a view only the vote is looked at, as in the engine's gate. */
  #asDecoded(message: Message | null, core: Core): Message | null {
    if (message?.t !== 'proposal') return message;
    const { view, block, vote } = message.proposal;
    const known = core.proposalOf(view);
    if (known === 'enough') return null;
    if (known === null) return isProposable(block, vote.statement) ? message : null;
    return statementKey(known) === statementKey(vote.statement) ? null : { t: 'vote', vote };
  }

  feed(event: Event): void {
    const core = this.#core;
    if (core === null) return;
    const now = this.#world.scheduler.now;
    const effects = core.step({ now, wall: this.#world.wallOf(this.slot), event });
    if (this.isHonest) this.#world.oracle.moved(this.slot, core.options.epoch, core.view);
    for (const effect of effects) {
      if (this.#core !== core) return;
      this.#run(effect, core);
    }
  }

  // --- effects ----------------------------------------------------------------------------------

  #run(effect: Effect, core: Core): void {
    const { oracle } = this.#world;
    switch (effect.t) {
      case 'cast':
        return this.#cast(effect.seq, effect.statement, effect.block, core);
      case 'keep':
        if (this.isHonest) oracle.accepted(effect.certificate);
        if (core.me !== null)
          this.disk.append({ t: 'certificate', certificate: effect.certificate });
        return;
      case 'adopt':
        return this.disk.append({ t: 'vote', vote: effect.vote, block: null });
      case 'send':
        return this.#send(effect.to, effect.message);
      case 'build':
        return this.#later(this.#executionTime(), () => this.#build(effect));
      case 'execute':
        return this.#later(this.#executionTime(), () => this.#execute(effect.block));
      case 'commit':
        return this.#commit(effect.blocks, effect.certificate);
      case 'catchUp':
        return this.#fetchTo(effect.certificate.statement);
      case 'lookForPending':
        this.#told = { has: true, boundary: this.#told.boundary };
        return this.#later(0, () => this.#tellPending());
      case 'pushPending': {
        const payments = [...this.#pool].slice(0, 100);
        for (const to of effect.to) this.#send(to, { t: 'payments', payments });
        return;
      }
      case 'wake':
        return this.#wake(effect.at);
      case 'report':
        return this.#report(effect.metric, core);
      case 'fatal':
        if (core.me !== null && this.isHonest) {
          this.#world.fail(`validator ${this.identity} stopped: ${effect.why}`);
        }
    }
  }

  /** Of payments; and now and then of contracts, up to the quarter of a view that they may take. */
  #executionTime(): number {
    const { random, contractsChance, timing } = this.#world;
    const hasContracts = contractsChance > 0 && random.chance(contractsChance);
    return hasContracts ? random.between(1, timing.advanceMs / 4) : random.between(0.1, 0.5);
  }

  #report(metric: Extract<Effect, { t: 'report' }>['metric'], core: Core): void {
    this.#world.count(metric.t);
    if (metric.t === 'nullify')
      this.#world.note(this.slot, `gives up ${metric.view}: ${metric.why}`);
    if (metric.t === 'abstain') this.#world.note(this.slot, `abstains: ${metric.why}`);
    if (metric.t === 'abstain') this.disk.abstention = core.options.epoch + 1;
    if (metric.t === 'equivocation' && this.isHonest) {
      this.#world.oracle.accused(core.options.epoch, metric.signer);
    }
  }

  #wake(at: number): void {
    const id = ++this.#wakeId;
    if (!Number.isFinite(at)) return;
    const life = this.#life;
    this.#world.scheduler.at(at + this.#world.timerError(), () => {
      if (id === this.#wakeId && life === this.#life) this.feed({ t: 'tick' });
    });
  }

  /** Three places to crash: before the vote is durable, before it leaves, after it left. */
  #cast(seq: number, statement: Statement, block: Block | null, core: Core): void {
    const world = this.#world;
    const { me } = core;
    if (me === null) return world.fail('a vote without a validator');
    if (block !== null) world.oracle.sawBlock(block);
    const speaksOfBlock = statement.kind !== VoteKind.Nullify;
    if (this.isHonest && speaksOfBlock && !this.#states.has(statement.blockHash)) {
      world.fail(`R4, R5: validator ${this.identity} votes for a block it has not executed`);
    }
    const point = world.crashPoint();
    this.#later(world.syncTime(), () => {
      if (point === 'beforeDurable') return world.crashAndRestart(this.slot);
      const vote = { statement, signer: me, signature };
      this.disk.appendSynced({ t: 'vote', vote, block });
      world.oracle.created(this.identity, statement);
      world.note(this.slot, `votes ${spellStatement(statement)}`);
      if (this.isHonest) {
        const onDisk = this.#states.get(floorOf(this.disk.chain).floor.hash);
        world.oracle.honestVote(this.identity, statement, onDisk?.epoch ?? 0);
      }
      if (point === 'beforeSend') return world.crashAndRestart(this.slot);
      this.feed({ t: 'durable', seq, signature });
      if (point === 'afterSend') world.crashAndRestart(this.slot);
    });
  }

  #send(to: string, message: SimMessage): void {
    if (this.isHonest) {
      const vote = message.t === 'vote' ? message.vote : null;
      const own = message.t === 'proposal' ? message.proposal.vote : vote;
      if (own !== null && own.signer === this.#core?.me) {
        this.#world.oracle.sent(this.identity, own.statement, this.disk.holds(own.statement));
      }
    } else if (speakAs(this, this.#world, to, message)) return;
    this.say(to, message);
  }

  /** Past every adversary's ideas, straight to the network. */
  say(to: string, message: SimMessage): void {
    const { network, nodes } = this.#world;
    if (to === 'all') return network.broadcast(this.slot, message);
    for (const node of nodes) {
      if (node.peer === to && node !== this) network.send(this.slot, node.slot, message);
    }
  }

  // --- epochs -----------------------------------------------------------------------------------

  #makeOthers(): OtherEpochs<Frame> {
    return new OtherEpochs<Frame>({
      clock: { now: () => this.#world.scheduler.now, wall: () => this.#world.wallOf(this.slot) },
      ledger: { transition: (epoch) => this.#transition(epoch) },
      here: () => this.#core?.options.epoch ?? (0 as Epoch),
      send: (peer, message) => this.#send(peer, message),
      tellStatus: (peer) => this.feed({ t: 'connected', peer }),
      catchUp: (to) => this.#fetchTo(to),
      pass: (from, message) => this.feed({ t: 'message', from, message }),
    });
  }

  #transition(epoch: Epoch): Certificate | null {
    for (let at = this.disk.chain.length - 1; at >= 0; at--) {
      const entry = this.disk.chain[at];
      if (entry?.block.epoch === epoch && entry.block.epochEnd) return entry.certificate;
      if (entry !== undefined && entry.block.epoch < epoch) return null;
    }
    return null;
  }

  #optionsAfter(hash: Hash): CoreOptions {
    const state = this.#states.get(hash);
    if (state === undefined) throw new Error('an epoch begins on a known block');
    const epoch = state.epoch as Epoch;
    const set = this.#setOf(state);
    const { abstention } = this.disk;
    const abstains = typeof abstention === 'number' && abstention >= epoch;
    const index = set.validators.findIndex(({ peerId }) => peerId === this.peer);
    return {
      epoch,
      set,
      schedule: makeSchedule(set, epoch, this.#world.networkId),
      me: index < 0 || abstains ? null : index,
      timing: this.#world.timing,
      unfinalizedMax: 4,
      signFrom: 0 as View,
      record: this.isAccepted ? 'accepted' : abstention === 'until recalled' ? 'lost' : 'sound',
    };
  }

  #setOf(state: SimState): ValidatorSet {
    const known = this.#sets.get(state.epoch);
    if (known !== undefined) return known;
    const set = setOf(state.members);
    this.#sets.set(state.epoch, set);
    return set;
  }

  #beginEpoch(): void {
    const core = this.#core;
    const { floor, certificate } = floorOf(this.disk.chain);
    const epoch = this.#states.get(floor.hash)?.epoch ?? 0;
    if (core === null || certificate === null || epoch <= core.options.epoch) return;
    this.#world.count('epoch');
    this.#world.note(this.slot, `begins epoch ${epoch}`);
    this.feed({ t: 'epoch', options: this.#optionsAfter(floor.hash), floor, certificate });
    for (const { peer, bytes } of this.#others.release()) {
      const from = this.#world.nodes.findIndex((node) => node.peer === peer);
      if (from >= 0) this.receive(from, bytes.message);
    }
  }

  // --- the toy ledger ---------------------------------------------------------------------------

  #addPayments(payments: readonly Payment[]): void {
    for (const payment of payments) if (!this.#paid.has(payment)) this.#pool.add(payment);
    this.#tellPending();
  }

  #tellPending(): void {
    const core = this.#core;
    if (core === null) return;
    const chain = core.unfinalizedChain();
    const held = new Set(chain.flatMap((block) => contentOf(block).payments));
    let has = false;
    for (const payment of this.#pool) {
      if (held.has(payment)) continue;
      has = true;
      break;
    }
    const tip = chain.find(({ hash }) => this.#states.has(hash))?.hash ?? core.floor.hash;
    const boundary = (this.#states.get(tip)?.pending.length ?? 0) > 0;
    if (has || this.#told.has || boundary !== this.#told.boundary) {
      this.#told = { has, boundary };
      this.feed({ t: 'pending', has, boundary });
    }
    this.#told = { has, boundary };
  }

  #ancestry(hash: Hash): Set<Payment> {
    const held = new Set<Payment>();
    for (let block = this.#core?.block(hash) ?? null; block !== null; ) {
      for (const payment of contentOf(block).payments) held.add(payment);
      block = this.#core?.block(block.parentHash) ?? null;
    }
    return held;
  }

  #build(effect: Extract<Effect, { t: 'build' }>): void {
    const { view, parent, parentView, timestampMs } = effect;
    const held = this.#ancestry(parent.hash);
    const payments = effect.withPayments
      ? [...this.#pool].filter((p) => !held.has(p) && !this.#paid.has(p))
      : [];
    const parentState = this.#states.get(parent.hash);
    const proposer = this.#core?.me ?? null;
    const event = { t: 'built', view, parentHash: parent.hash } as const;
    const isHere = parentState?.epoch === this.#core?.options.epoch;
    if (parentState === undefined || proposer === null || !isHere) {
      return this.feed({ ...event, outcome: { t: 'failed' } });
    }
    if (payments.length === 0 && !effect.mayBeEmpty) {
      return this.feed({ ...event, outcome: { t: 'nothing' } });
    }
    const { block, state } = makeBlock({
      parent,
      view,
      parentView,
      proposer,
      timestampMs,
      payments: payments.slice(0, paymentsPerBlockMax),
      parentState,
    });
    this.#states.set(block.hash, state);
    this.feed({ ...event, outcome: { t: 'block', block } });
    this.#tellPending();
  }

  #execute(block: Block): void {
    this.feed({ t: 'executed', hash: block.hash, valid: this.#isValid(block) });
    this.#tellPending();
  }

  #isValid(block: Block): boolean {
    const { payments, stateRoot } = contentOf(block);
    const parentState = this.#states.get(block.parentHash);
    if (parentState === undefined) throw new Error('executed before its parent');
    const { state, epochEnd } = applyPayments(parentState, block.height, payments);
    if (state.root !== stateRoot || epochEnd !== block.epochEnd) return false;
    if (block.epoch !== parentState.epoch) return false;
    const held = this.#ancestry(block.parentHash);
    if (payments.some((payment) => held.has(payment) || this.#paid.has(payment))) return false;
    this.#states.set(block.hash, state);
    return true;
  }

  #commit(blocks: readonly Block[], certificate: Certificate): void {
    this.#append(blocks, certificate);
    const whole = [...this.#chain];
    const point = this.#world.crashPoint();
    this.#later(this.#world.random.between(0.2, 2), () => {
      if (point === 'beforeDurable') return this.#world.crashAndRestart(this.slot);
      this.#persist(whole);
      if (point !== null) return this.#world.crashAndRestart(this.slot);
      this.#beginEpoch();
      this.#goOnFetching();
    });
    this.#tellPending();
  }

  #append(blocks: readonly Block[], certificate: Certificate): void {
    for (const block of blocks) {
      // A range may have brought it before agreement here did.
      if (block.height <= BigInt(this.#chain.length)) continue;
      const last = block === blocks.at(-1);
      this.#chain.push({ block, certificate: last ? certificate : null });
      for (const payment of contentOf(block).payments) {
        this.#paid.add(payment);
        this.#pool.delete(payment);
      }
      this.#world.note(this.slot, `commits ${block.height} ${block.hash.slice(0, 10)}`);
      if (!this.isHonest) continue;
      this.#world.oracle.committed(this.slot, block);
      this.#world.oracle.balanced(this.slot, block, this.stateAfter(block.hash));
    }
  }

  #persist(chain: readonly ChainEntry[]): void {
    if (chain.length > this.disk.chain.length) this.disk.chain = chain;
    const { floor } = floorOf(this.disk.chain);
    this.disk.prune(floor, this.#states.get(floor.hash)?.epoch ?? 0);
  }

  // --- catching up ------------------------------------------------------------------------------

  #fetchTo(target: Position): void {
    if (this.#target === null || isAfter(target, this.#target)) this.#target = target;
    this.#goOnFetching();
  }

  #goOnFetching(): void {
    const core = this.#core;
    if (core === null || this.#target === null) return;
    const here = { epoch: core.options.epoch, view: core.floor.view };
    if (!isAfter(this.#target, here)) {
      this.#target = null;
      return;
    }
    const others = this.#world.nodes.filter((node) => node !== this);
    if (others.length === 0) return;
    // Somebody else each time, as the engine's loop does it.
    const { slot } = this.#world.random.pick(others);
    const from = BigInt(this.#chain.length) + 1n;
    this.#world.network.send(this.slot, slot, { t: 'getFinalized', from });
  }

  #answerRange(to: number, from: bigint): void {
    const answer: Block[] = [];
    let end = 0;
    let certificate: Certificate | null = null;
    for (const entry of this.disk.chain.slice(Number(from) - 1)) {
      if (answer.length >= finalizedAnswerMax && certificate !== null) break;
      answer.push(entry.block);
      if (entry.certificate === null) continue;
      end = answer.length;
      certificate = entry.certificate;
      if (entry.block.epochEnd) break;
    }
    if (certificate === null) return;
    const blocks = answer.slice(0, end);
    this.#world.network.send(this.slot, to, { t: 'finalized', blocks, certificate });
  }

  /** One step, as in the engine: written, and at once known to agreement. */
  #takeRange(blocks: readonly Block[], certificate: Certificate): void {
    const last = blocks.at(-1);
    if (this.#core === null || last === undefined || this.#core.hasEnded) return;
    if (certificate.statement.kind !== VoteKind.Finalize || !this.#isProven(certificate)) return;
    if (last.hash !== certificate.statement.blockHash) return;
    const fresh = blocks.filter((block) => block.height > BigInt(this.#chain.length));
    const tip = this.#chain.at(-1)?.block.hash ?? genesis.hash;
    if (fresh.length === 0 || fresh[0]?.parentHash !== tip) return;
    for (const block of fresh) {
      const parentState = this.#states.get(block.parentHash);
      if (parentState === undefined) throw new Error('a range continues the chain');
      const { payments } = contentOf(block);
      this.#states.set(block.hash, applyPayments(parentState, block.height, payments).state);
    }
    this.#append(fresh, certificate);
    this.#persist([...this.#chain]);
    const { hash, height, timestampMs, epochEnd } = last;
    const floor: Floor = { view: certificate.statement.view, hash, height, timestampMs };
    if (epochEnd) this.#beginEpoch();
    else this.feed({ t: 'synced', floor, certificate });
    this.#tellPending();
    this.#goOnFetching();
  }

  // --- what stands for signatures ---------------------------------------------------------------

  #isVerified(message: Message): boolean {
    switch (message.t) {
      case 'vote':
        return this.#exists(message.vote);
      case 'recalled':
        return message.votes.every((vote) => this.#exists(vote));
      case 'proposal': {
        const { vote, justify } = message.proposal;
        return this.#exists(vote) && justify.every((certificate) => this.#isProven(certificate));
      }
      case 'certificate':
        return this.#isProven(message.certificate);
      case 'certificates':
        return message.certificates.every((certificate) => this.#isProven(certificate));
      case 'status':
        return message.certificate === null || this.#isProven(message.certificate);
      default:
        return true;
    }
  }

  #exists(vote: Vote): boolean {
    const { proven, oracle } = this.#world;
    if (proven.has(vote)) return true;
    const exists = oracle.exists(vote.signer, vote.statement);
    if (exists) proven.add(vote);
    return exists;
  }

  /** Judged once for all nodes: whatever proves in an epoch goes on proving in it. */
  #isProven(certificate: Certificate): boolean {
    const core = this.#core;
    if (core === null || certificate.statement.epoch !== core.options.epoch) return false;
    const { proven, oracle } = this.#world;
    if (proven.has(certificate)) return true;
    const { set, epoch } = core.options;
    const verdict = verifyCertificate(certificate, set, epoch, networkId, (statement, signer) =>
      oracle.exists(signer, statement),
    );
    if (verdict.ok) proven.add(certificate);
    return verdict.ok;
  }

  /** A twin does not know of its other half: it hears none of what that one signed. */
  #withoutTwin(message: Message, core: Core): Message | null {
    const { me } = core;
    const strip = (certificate: Certificate): Certificate => {
      const at = certificate.signers.indexOf(me ?? -1);
      if (at < 0 || this.disk.holds(certificate.statement)) return certificate;
      const rest = <T>(items: readonly T[]) => items.filter((_, index) => index !== at);
      const { signers, signatures } = certificate;
      return { ...certificate, signers: rest(signers), signatures: rest(signatures) };
    };
    switch (message.t) {
      case 'vote':
        return message.vote.signer === me && !this.disk.holds(message.vote.statement)
          ? null
          : message;
      case 'recalled':
        return { ...message, votes: [] };
      case 'certificate':
        return { ...message, certificate: strip(message.certificate) };
      case 'certificates':
        return { ...message, certificates: message.certificates.map(strip) };
      case 'status':
        return message.certificate === null
          ? message
          : { ...message, certificate: strip(message.certificate) };
      case 'proposal': {
        const { proposal } = message;
        if (proposal.vote.signer === me) return null;
        return { ...message, proposal: { ...proposal, justify: proposal.justify.map(strip) } };
      }
      default:
        return message;
    }
  }

  #later(ms: number, run: () => void): void {
    const life = this.#life;
    this.#world.scheduler.after(ms, () => {
      if (life === this.#life && this.#core !== null) run();
    });
  }
}
