import { Core } from '#consensus/core/core.ts';
import type {
  Block,
  Effect,
  Event,
  Floor,
  JournalRecord,
  Message,
  Proposal,
} from '#consensus/core/types.ts';
import { type Certificate, verifyCertificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import { type Statement, statementKey, VoteKind } from '#src/types/vote.ts';
import { contentOf, genesis, genesisRoot, makeBlock, nextRoot, type Payment } from './ledger.ts';
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

/** What survives a crash. */
type Disk = {
  journal: JournalRecord[];
  signed: Set<string>;
  chain: { block: Block; certificate: Certificate | null }[];
  /** Payments that this node told a client it accepted. */
  accepted: Set<Payment>;
};

export type Behaviour =
  | 'honest'
  | 'equivocator'
  | 'silent'
  | 'doubleVoter'
  | 'staleParent'
  | 'forger'
  | 'liar';

const paymentsPerBlockMax = 20;
const finalizedAnswerMax = 64;
const signature = new Uint8Array(64);
const networkId = new Uint8Array(32);

function certificatesIn(message: Message): readonly Certificate[] {
  if (message.t === 'certificate') return [message.certificate];
  if (message.t === 'certificates') return message.certificates;
  if (message.t === 'proposal') return message.proposal.justify;
  return message.t === 'status' && message.certificate !== null ? [message.certificate] : [];
}

/** One validator: the real core, a toy ledger, a disk that loses what was not synced. */
export class SimNode {
  readonly index: number;
  readonly peer: string;
  behaviour: Behaviour = 'honest';
  readonly disk: Disk = { journal: [], signed: new Set(), chain: [], accepted: new Set() };
  /** Counts lives; callbacks of an earlier one find that they are late. */
  #life = 0;
  #core: Core | null = null;
  #pool = new Set<Payment>();
  /** Final blocks by height - 1: what this life believes, on disk or about to be. */
  #chain: { block: Block; certificate: Certificate | null }[] = [];
  #paid = new Set<Payment>();
  #roots = new Map<Hash, string>();
  #hadPending = false;
  #wakeId = 0;
  /** What an adversary proposed before: parents that nobody certified. */
  readonly #proposed: Block[] = [];
  readonly #world: World;

  constructor(world: World, index: number) {
    this.#world = world;
    this.index = index;
    this.peer = world.set.validators[index]?.peerId ?? '';
  }

  get up(): boolean {
    return this.#core !== null;
  }
  get core(): Core | null {
    return this.#core;
  }

  start(): void {
    this.#life++;
    this.#chain = [...this.disk.chain];
    this.#pool = new Set(this.disk.accepted);
    this.#roots = new Map([[genesis.hash, genesisRoot]]);
    this.#paid = new Set();
    for (const { block } of this.#chain) {
      this.#roots.set(block.hash, contentOf(block).stateRoot);
      for (const payment of contentOf(block).payments) {
        this.#paid.add(payment);
        this.#pool.delete(payment);
      }
    }
    this.#hadPending = false;
    const { floor, certificate } = this.#durableFloor();
    if (this.behaviour === 'honest') this.#world.oracle.restarted(this.index, floor.height);
    const core = new Core(this.#world.optionsFor(this.index), floor, certificate);
    for (const record of this.disk.journal) {
      const view =
        record.t === 'vote' ? record.vote.statement.view : record.certificate.statement.view;
      if (view > floor.view) core.restore(record);
    }
    this.#core = core;
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
  }

  /** A client's payment. True once it is accepted, which is a promise. */
  submit(payment: Payment): boolean {
    if (!this.up) return false;
    this.disk.accepted.add(payment);
    this.#addPayments([payment]);
    this.#world.network.broadcast(this.index, { t: 'payments', payments: [payment] });
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
        if (final !== undefined) {
          return this.#world.network.send(this.index, from, { t: 'block', block: final.block });
        }
      }
    }
    // The engine's verifier stands before the core; here too, with the real judge of certificates.
    if (!certificatesIn(message).every((certificate) => this.#isProven(certificate))) return;
    const peer = this.#world.nodes[from]?.peer ?? '';
    this.feed({ t: 'message', from: peer, message });
  }

  feed(event: Event): void {
    const core = this.#core;
    if (core === null) return;
    const now = this.#world.scheduler.now;
    const effects = core.step({ now, wall: this.#world.wallOf(this.index), event });
    if (this.behaviour === 'honest') this.#world.oracle.moved(this.index, core.view);
    for (const effect of effects) {
      if (this.#core !== core) return;
      this.#run(effect, core);
    }
  }

  // --- effects ----------------------------------------------------------------------------------

  #run(effect: Effect, core: Core): void {
    switch (effect.t) {
      case 'cast':
        return this.#cast(effect.seq, effect.statement, effect.block);
      case 'keep':
        if (this.behaviour === 'honest') this.#world.oracle.accepted(effect.certificate);
        this.disk.journal.push({ t: 'certificate', certificate: effect.certificate });
        return;
      case 'send':
        return this.#send(effect.to, effect.message);
      case 'build':
        return this.#later(this.#world.random.between(0.1, 0.5), () => this.#build(effect));
      case 'execute':
        return this.#later(this.#world.random.between(0.1, 0.5), () => this.#execute(effect.block));
      case 'commit':
        return this.#commit(effect.blocks, effect.certificate);
      case 'catchUp': {
        const peer = this.#world.random.below(this.#world.nodes.length);
        const from = effect.fromHeight as bigint;
        if (peer !== this.index)
          this.#world.network.send(this.index, peer, { t: 'getFinalized', from });
        return;
      }
      case 'lookForPending':
        this.#hadPending = true;
        return this.#later(0, () => this.#tellPending());
      case 'pushPending': {
        const payments = [...this.#pool].slice(0, 100);
        for (const to of effect.to) this.#send(to, { t: 'payments', payments });
        return;
      }
      case 'wake': {
        const id = ++this.#wakeId;
        if (!Number.isFinite(effect.at)) return;
        const life = this.#life;
        this.#world.scheduler.at(effect.at + this.#world.timerError(), () => {
          if (id === this.#wakeId && life === this.#life) this.feed({ t: 'tick' });
        });
        return;
      }
      case 'report':
        return this.#world.count(effect.metric.t);
      case 'fatal':
        if (core.options.me !== null && this.behaviour === 'honest') {
          this.#world.fail(`validator ${this.index} stopped: ${effect.why}`);
        }
    }
  }

  /** Three places to crash: before the vote is durable, before it leaves, after it left. */
  #cast(seq: number, statement: Statement, block: Block | null): void {
    const world = this.#world;
    if (block !== null) world.oracle.sawBlock(block);
    const speaksOfBlock = statement.kind !== VoteKind.Nullify;
    if (this.behaviour === 'honest' && speaksOfBlock && !this.#roots.has(statement.blockHash)) {
      world.fail(`R4, R5: validator ${this.index} votes for a block it has not executed`);
    }
    const point = world.crashPoint(this.index);
    this.#later(world.random.between(0.2, 0.4), () => {
      if (point === 'beforeDurable') return world.crashAndRestart(this.index);
      const vote = { statement, signer: this.index, signature };
      this.disk.journal.push({ t: 'vote', vote, block });
      this.disk.signed.add(statementKey(statement));
      world.oracle.created(this.index, statement);
      if (this.behaviour === 'honest') world.oracle.honestVote(this.index, statement);
      if (point === 'beforeSend') return world.crashAndRestart(this.index);
      this.feed({ t: 'durable', seq, signature });
      if (point === 'afterSend') world.crashAndRestart(this.index);
    });
  }

  #send(to: string, message: SimMessage): void {
    const { network, nodes, oracle } = this.#world;
    if (this.behaviour === 'silent' && message.t !== 'payments') return;
    if (this.behaviour === 'honest') {
      const vote = message.t === 'vote' ? message.vote : null;
      const own = message.t === 'proposal' ? message.proposal.vote : vote;
      if (own !== null && own.signer === this.index) {
        oracle.sent(this.index, own.statement, this.disk.signed.has(statementKey(own.statement)));
      }
    }
    if (this.behaviour === 'equivocator' && message.t === 'proposal' && to === 'all') {
      return this.#equivocate(message.proposal);
    }
    if (this.behaviour === 'staleParent' && message.t === 'proposal' && to === 'all') {
      return this.#proposeOnAnything(message.proposal);
    }
    if (this.behaviour === 'liar' && message.t === 'proposal' && to === 'all') {
      return this.#lie(message.proposal);
    }
    if (this.behaviour === 'forger' && message.t === 'vote' && to === 'all') {
      this.#forge(message.vote.statement);
    }
    if (this.behaviour === 'doubleVoter' && message.t === 'vote' && to === 'all') {
      this.#voteTwice(message.vote.statement);
    }
    if (to === 'all') return network.broadcast(this.index, message);
    const target = nodes.findIndex((node) => node.peer === to);
    if (target >= 0 && target !== this.index) network.send(this.index, target, message);
  }

  // --- the toy ledger ---------------------------------------------------------------------------

  #addPayments(payments: readonly Payment[]): void {
    for (const payment of payments) if (!this.#paid.has(payment)) this.#pool.add(payment);
    this.#tellPending();
  }

  #tellPending(): void {
    const core = this.#core;
    if (core === null) return;
    const held = new Set(core.unfinalizedChain().flatMap((block) => contentOf(block).payments));
    let has = false;
    for (const payment of this.#pool) {
      if (held.has(payment)) continue;
      has = true;
      break;
    }
    if (has || this.#hadPending) this.feed({ t: 'pending', has, boundary: false });
    this.#hadPending = has;
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
    const parentRoot = this.#roots.get(parent.hash);
    const event = { t: 'built', view, parentHash: parent.hash } as const;
    if (parentRoot === undefined) return this.feed({ ...event, outcome: { t: 'failed' } });
    if (payments.length === 0 && !effect.mayBeEmpty) {
      return this.feed({ ...event, outcome: { t: 'nothing' } });
    }
    const block = makeBlock({
      parent,
      view,
      parentView,
      proposer: this.index,
      timestampMs,
      payments: payments.slice(0, paymentsPerBlockMax),
      parentRoot,
    });
    this.#roots.set(block.hash, contentOf(block).stateRoot);
    this.feed({ ...event, outcome: { t: 'block', block } });
    this.#tellPending();
  }

  #execute(block: Block): void {
    this.feed({ t: 'executed', hash: block.hash, valid: this.#isValid(block) });
    this.#tellPending();
  }

  #isValid(block: Block): boolean {
    const { payments, stateRoot } = contentOf(block);
    const parentRoot = this.#roots.get(block.parentHash);
    if (parentRoot === undefined) throw new Error('executed before its parent');
    if (nextRoot(parentRoot, payments) !== stateRoot) return false;
    const held = this.#ancestry(block.parentHash);
    if (payments.some((payment) => held.has(payment) || this.#paid.has(payment))) return false;
    this.#roots.set(block.hash, stateRoot);
    return true;
  }

  #commit(blocks: readonly Block[], certificate: Certificate): void {
    for (const block of blocks) {
      const last = block === blocks.at(-1);
      this.#chain.push({ block, certificate: last ? certificate : null });
      for (const payment of contentOf(block).payments) {
        this.#paid.add(payment);
        this.#pool.delete(payment);
      }
      if (this.behaviour === 'honest') this.#world.oracle.committed(this.index, block);
    }
    const whole = [...this.#chain];
    this.#later(this.#world.random.between(0.2, 2), () => {
      if (whole.length > this.disk.chain.length) this.disk.chain = whole;
      this.#pruneJournal();
    });
    this.#tellPending();
  }

  /** The journal is cut only below what the chain on disk makes unnecessary. */
  #pruneJournal(): void {
    const { floor } = this.#durableFloor();
    if (this.disk.journal.length < 64) return;
    this.disk.journal = this.disk.journal.filter(
      (record) =>
        (record.t === 'vote' ? record.vote.statement : record.certificate.statement).view >
        floor.view,
    );
  }

  #durableFloor(): { floor: Floor; certificate: Certificate | null } {
    for (let at = this.disk.chain.length - 1; at >= 0; at--) {
      const entry = this.disk.chain[at];
      if (entry === undefined || entry.certificate === null) continue;
      const { hash, height, timestampMs } = entry.block;
      const { view } = entry.certificate.statement;
      return { floor: { view, hash, height, timestampMs }, certificate: entry.certificate };
    }
    return { floor: genesis, certificate: null };
  }

  #answerRange(to: number, from: bigint): void {
    const answer: Block[] = [];
    let end = 0;
    let certificate: Certificate | null = null;
    for (const entry of this.#chain.slice(Number(from) - 1)) {
      if (answer.length >= finalizedAnswerMax && certificate !== null) break;
      answer.push(entry.block);
      if (entry.certificate === null) continue;
      end = answer.length;
      certificate = entry.certificate;
    }
    if (certificate === null) return;
    const blocks = answer.slice(0, end);
    this.#world.network.send(this.index, to, { t: 'finalized', blocks, certificate });
  }

  #takeRange(blocks: readonly Block[], certificate: Certificate): void {
    const core = this.#core;
    const last = blocks.at(-1);
    if (core === null || last === undefined || !this.#isProven(certificate)) return;
    if (last.hash !== certificate.statement.blockHash) return;
    const fresh = blocks.filter((block) => block.height > core.floor.height);
    if (fresh.length === 0 || fresh[0]?.parentHash !== core.floor.hash) return;
    for (const block of fresh) this.#roots.set(block.hash, contentOf(block).stateRoot);
    this.#commit(fresh, certificate);
    const { hash, height, timestampMs } = last;
    const floor = { view: certificate.statement.view, hash, height, timestampMs };
    this.feed({ t: 'synced', floor, certificate });
    this.#tellPending();
  }

  // --- adversaries ------------------------------------------------------------------------------

  /** Two blocks in one view, each shown to a part of the network, sometimes both to some. */
  #equivocate(proposal: Proposal): void {
    const { random, network, nodes, oracle } = this.#world;
    const parent = { ...proposal.block, hash: proposal.block.parentHash };
    const parentRoot = this.#roots.get(proposal.block.parentHash) ?? genesisRoot;
    const other = makeBlock({
      parent: { ...parent, height: (proposal.block.height - 1n) as Block['height'] },
      view: proposal.view,
      parentView: proposal.block.parentView,
      proposer: this.index,
      timestampMs: proposal.block.timestampMs + 1,
      payments: contentOf(proposal.block).payments.slice(1),
      parentRoot,
    });
    const statement = { ...proposal.vote.statement, blockHash: other.hash };
    oracle.created(this.index, statement);
    const twin: Proposal = { ...proposal, block: other, vote: { ...proposal.vote, statement } };
    for (const node of nodes) {
      if (node === this) continue;
      const choice = random.below(10);
      if (choice < 5) network.send(this.index, node.index, { t: 'proposal', proposal });
      if (choice > 3) network.send(this.index, node.index, { t: 'proposal', proposal: twin });
    }
  }

  /** A valid block, but on a parent of its choice: the floor, an older tip, or one that failed. */
  #proposeOnAnything(proposal: Proposal): void {
    const core = this.#core;
    if (core === null) return;
    const { random } = this.#world;
    const parents: (Block | Floor)[] = [core.floor, ...this.#proposed.slice(-2)];
    for (let at = core.block(proposal.block.parentHash); at !== null; ) {
      parents.push(at);
      at = core.block(at.parentHash);
    }
    const parent = random.pick(parents);
    const parentRoot = this.#roots.get(parent.hash);
    if (parentRoot === undefined || parent.view >= proposal.view) return;
    const block = makeBlock({
      parent,
      view: proposal.view,
      parentView: parent.view,
      proposer: this.index,
      timestampMs: proposal.block.timestampMs,
      payments: [`stale-${this.index}-${proposal.view}`],
      parentRoot,
    });
    this.#roots.set(block.hash, contentOf(block).stateRoot);
    this.#proposed.push(block);
    this.#sendInstead(proposal, block);
  }

  /** A block that breaks one rule of validity, in its own turn. */
  #lie(proposal: Proposal): void {
    const { random } = this.#world;
    const { block } = proposal;
    const content = contentOf(block);
    const parent = this.#core?.block(block.parentHash) ?? this.#core?.floor;
    const { timestampMs } = parent ?? block;
    const lies: Partial<Block>[] = [
      { content: { ...content, stateRoot: `${content.stateRoot}!` } },
      { content: { ...content, payments: [...content.payments, 'forged'] } },
      { timestampMs },
      { timestampMs: timestampMs - 1 },
      { timestampMs: timestampMs + 1, transactions: 0 },
      { height: (block.height + 1n) as Block['height'] },
      { proposer: (block.proposer + 1) % this.#world.nodes.length },
    ];
    const hash = `0x${random
      .below(2 ** 31)
      .toString(16)
      .padStart(64, '1')}` as Hash;
    const lie: Block = { ...block, ...random.pick(lies), hash };
    this.#world.oracle.lied(hash);
    this.#sendInstead(proposal, lie);
  }

  /** To some at once, to some when they have given the view up. */
  #sendInstead(proposal: Proposal, block: Block): void {
    const { random, network, nodes, oracle, scheduler } = this.#world;
    const { hash, parentView } = block;
    oracle.sawBlock(block);
    const statement = { ...proposal.vote.statement, parentView, blockHash: hash };
    oracle.created(this.index, statement);
    const vote = { ...proposal.vote, statement };
    const message: SimMessage = { t: 'proposal', proposal: { ...proposal, block, vote } };
    const late = random.chance(0.5);
    for (const node of nodes) {
      if (node === this) continue;
      const wait = late && random.chance(0.5) ? random.between(100, 200) : 0;
      scheduler.after(wait, () => network.send(this.index, node.index, message));
    }
  }

  /** Certificates over what a quorum never signed, each wrong in one way. */
  #forge(statement: Statement): void {
    const { random, network, set, oracle } = this.#world;
    const kind = random.pick([VoteKind.Notarize, VoteKind.Nullify, VoteKind.Finalize]);
    const nullifies = kind === VoteKind.Nullify;
    const blockHash = (nullifies ? `0x${'00'.repeat(32)}` : `0x${'ab'.repeat(32)}`) as Hash;
    const parentView = (nullifies ? 0 : statement.parentView) as View;
    const forged: Statement = { ...statement, kind, parentView, blockHash };
    oracle.created(this.index, forged);
    const all = set.validators.map((_, index) => index);
    const signers = random.pick([
      all, // who never signed
      all.map(() => this.index), // itself as often as it takes
      [this.index], // too few
    ]);
    const signatures = signers.map(() => signature);
    const certificate = { statement: forged, setSize: all.length, signers, signatures };
    network.broadcast(this.index, { t: 'certificate', certificate });
  }

  #isProven(certificate: Certificate): boolean {
    const { set, oracle } = this.#world;
    const epoch = certificate.statement.epoch;
    return verifyCertificate(certificate, set, epoch, networkId, (statement, signer) =>
      oracle.exists(signer, statement),
    ).ok;
  }

  /** With each vote also the one that contradicts it. */
  #voteTwice(statement: Statement): void {
    const { oracle, network, random } = this.#world;
    const kinds = [VoteKind.Notarize, VoteKind.Nullify, VoteKind.Finalize];
    const kind = random.pick(kinds);
    const nullifies = kind === VoteKind.Nullify;
    const other: Statement = nullifies
      ? {
          ...statement,
          kind,
          parentView: 0 as View,
          blockHash: `0x${'00'.repeat(32)}` as Hash,
        }
      : { ...statement, kind };
    if (!nullifies && statement.kind === VoteKind.Nullify) return;
    oracle.created(this.index, other);
    const vote = { statement: other, signer: this.index, signature };
    network.broadcast(this.index, { t: 'vote', vote });
  }

  #later(ms: number, run: () => void): void {
    const life = this.#life;
    this.#world.scheduler.after(ms, () => {
      if (life === this.#life && this.#core !== null) run();
    });
  }
}
