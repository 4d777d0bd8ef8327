/**
 * The judge of a simulated network. It watches every honest act of every incarnation and states the
 * invariants of design/consensus.md 3.1 in arithmetic of its own: it shares no predicate with the
 * core.
 */
import type { Block } from '#consensus/core/types.ts';
import type { Certificate } from '#src/types/certificate.ts';
import { type Statement, VoteKind } from '#src/types/vote.ts';
import {
  applyPayments,
  contentOf,
  genesis,
  genesisState,
  keyOf,
  type Member,
  type Payment,
  type SimState,
} from './ledger.ts';
import { findLoss } from './money.ts';

export class Violation extends Error {}

type ChainEntry = { readonly block: Block; readonly certificate: Certificate | null };

export class Oracle {
  readonly #isHonest: (identity: number) => boolean;
  /** Of each epoch that has begun, sorted as signers are numbered. */
  readonly #sets: Member[][] = [];
  readonly #genesisMembers: readonly Member[];
  #state: SimState;
  readonly #finalAt = new Map<bigint, Block>();
  readonly #heights = new Map<number, bigint>();
  readonly #committedBy = new Map<number, Set<Payment>>();
  readonly #certified = new Map<string, string>();
  readonly #cast = new Set<string>();
  readonly #honestVotes = new Map<string, string>();
  readonly #positions = new Map<number, { epoch: number; view: number }>();
  readonly #blocks = new Map<string, Block>();
  readonly #paid = new Set<Payment>();
  readonly #lies = new Set<string>();
  #log = 0;
  heights = 0n;

  constructor(members: readonly Member[], isHonest: (identity: number) => boolean) {
    this.#isHonest = isHonest;
    this.#genesisMembers = members;
    this.#state = genesisState(members);
    this.#sets.push(sorted(members));
  }

  /** Equal seeds give equal digests (S16). */
  get digest(): number {
    return this.#log;
  }

  get epoch(): number {
    return this.#state.epoch;
  }

  /** Changes of the validators that are final and have not taken effect. */
  get pendingChanges(): number {
    return this.#state.pending.length;
  }

  sawBlock(block: Block): void {
    this.#blocks.set(block.hash, block);
  }

  /** Who stands behind a position in the set of an epoch. */
  memberAt(epoch: number, signer: number): Member | null {
    return this.#sets[epoch]?.[signer] ?? null;
  }

  /** A vote that exists: the registry against which certificates are held (S9). */
  created(identity: number, statement: Statement): void {
    this.#cast.add(`${identity}:${spell(statement)}`);
  }

  /** A block that breaks a rule of validity: no honest validator may speak for it. */
  lied(hash: string): void {
    this.#lies.add(hash);
  }

  /** What stands for a signature check. */
  exists(signer: number, statement: Statement): boolean {
    const member = this.memberAt(statement.epoch, signer);
    return member !== null && this.#cast.has(`${member.identity}:${spell(statement)}`);
  }

  /**
   * S7, S13: over all incarnations of one honest validator. Called when the vote becomes durable;
   * `epochOnDisk` is the epoch that follows from the chain on the validator's own disk then.
   */
  honestVote(identity: number, statement: Statement, epochOnDisk: number): void {
    this.#note(`${identity}${spell(statement)}`);
    const { epoch, view, kind, blockHash } = statement;
    if (epoch > epochOnDisk) {
      throw new Violation(`S13: validator ${identity} votes in ${epoch}, has ${epochOnDisk} final`);
    }
    if (this.#lies.has(blockHash)) {
      throw new Violation(`S11: validator ${identity} voted for a lie: ${spell(statement)}`);
    }
    const key = `${identity}:${epoch}:${view}`;
    const before = this.#honestVotes.get(`${key}:${kind}`);
    if (before !== undefined && before !== spell(statement)) {
      throw new Violation(`S7: validator ${identity}: ${before} and ${spell(statement)}`);
    }
    this.#honestVotes.set(`${key}:${kind}`, spell(statement));
    const finalized = this.#honestVotes.has(`${key}:${VoteKind.Finalize}`);
    const nullified = this.#honestVotes.has(`${key}:${VoteKind.Nullify}`);
    if (finalized && nullified) {
      throw new Violation(`S7: validator ${identity} finalized and nullified ${epoch}/${view}`);
    }
  }

  /** Whose operator answers for a lost journal: earlier votes that nobody holds are not known. */
  forgive(identity: number): void {
    for (const key of this.#honestVotes.keys()) {
      if (key.startsWith(`${identity}:`)) this.#honestVotes.delete(key);
    }
  }

  /** S8: called for every vote that leaves a node, with what its disk held then. */
  sent(identity: number, statement: Statement, durable: boolean): void {
    if (durable) return;
    throw new Violation(`S8: validator ${identity} sent ${spell(statement)} too early`);
  }

  /** S14: called for every pair of contradicting votes that an honest node reports. */
  accused(epoch: number, signer: number): void {
    const member = this.memberAt(epoch, signer);
    if (member !== null && this.#isHonest(member.identity)) {
      throw new Violation(`S14: validator ${member.identity} is honest and is accused`);
    }
  }

  /** S2, S3, S4, S9, S13: called for every certificate that an honest node accepts. */
  accepted(certificate: Certificate): void {
    const { statement, signers } = certificate;
    const { kind, epoch, view, blockHash } = statement;
    this.#weigh(certificate);
    const key = `${epoch}:${view}`;
    const known = this.#certified.get(`${kind}:${key}`);
    if (known !== undefined && known !== blockHash) {
      throw new Violation(`S2/S3: two blocks certified in ${key}`);
    }
    this.#certified.set(`${kind}:${key}`, blockHash);
    if (this.#certified.has(`3:${key}`) && this.#certified.has(`2:${key}`)) {
      throw new Violation(`S4: ${key} both finalized and nullified`);
    }
    if (new Set(signers).size !== signers.length) throw new Violation('S9: a signer counted twice');
    if (kind !== VoteKind.Notarize) return;
    const block = this.#blocks.get(blockHash);
    const parent = block === undefined ? undefined : this.#blocks.get(block.parentHash);
    if (block !== undefined && parent?.epochEnd && parent.epoch === block.epoch) {
      throw new Violation('S13: a child of the last block of its epoch is notarized');
    }
    if (block !== undefined && block.view !== view && !block.epochEnd) {
      throw new Violation('S13: a block that ends no epoch is notarized again');
    }
  }

  #weigh({ statement, signers }: Certificate): void {
    const set = this.#sets[statement.epoch];
    if (set === undefined) throw new Violation(`S9: epoch ${statement.epoch} has not begun`);
    let weight = 0n;
    let total = 0n;
    for (const { stake } of set) total += stake;
    for (const signer of signers) {
      weight += set[signer]?.stake ?? 0n;
      if (!this.exists(signer, statement)) {
        throw new Violation(`S9: signer ${signer} never signed ${spell(statement)}`);
      }
    }
    if (weight * 3n <= total * 2n) throw new Violation('S9: a certificate without a quorum');
  }

  /** S1, S5, S6, S10, S11: called for each block that an honest node commits, in its order. */
  committed(slot: number, block: Block): void {
    this.#note(`${slot}+${block.hash}`);
    const height = this.#heights.get(slot) ?? 0n;
    if (block.height !== height + 1n) {
      throw new Violation(`S10: node ${slot} committed ${block.height} after ${height}`);
    }
    this.#heights.set(slot, block.height);
    const known = this.#finalAt.get(block.height);
    if (known !== undefined) {
      if (known.hash !== block.hash) throw new Violation(`S1: two final blocks at ${block.height}`);
    } else {
      this.#firstCommit(block);
    }
    const mine = this.#committedBy.get(slot) ?? new Set();
    for (const payment of contentOf(block).payments) mine.add(payment);
    this.#committedBy.set(slot, mine);
  }

  /** M1: called after each block that an honest node commits, with the state that it then has. */
  balanced(slot: number, block: Block, state: SimState | null): void {
    if (state === null) throw new Violation(`S10: node ${slot} has no state of ${block.height}`);
    if (!contentOf(block).payments.some((payment) => payment.includes('$'))) return;
    const loss = findLoss(state.money);
    if (loss !== null) throw new Violation(`M1: node ${slot} after ${block.height}: ${loss}`);
  }

  #firstCommit(block: Block): void {
    const parent = block.height === 1n ? null : this.#finalAt.get(block.height - 1n);
    if (parent === undefined) throw new Violation('S10: a gap in the final chain');
    const parentHash = parent?.hash ?? genesis.hash;
    if (block.parentHash !== parentHash) throw new Violation('S1: a final block on another parent');
    if (block.timestampMs <= (parent?.timestampMs ?? 0)) throw new Violation('S10: timestamps');
    if (block.epoch !== this.#state.epoch) throw new Violation('S13: a block of another epoch');
    // Views begin again after the last block of an epoch.
    const parentView = parent === null || parent.epochEnd ? 0 : parent.view;
    if (block.parentView !== parentView) throw new Violation('S6: the parent view is wrong');
    for (let view = parentView + 1; view < block.view; view++) {
      if (!this.#certified.has(`2:${block.epoch}:${view}`)) {
        throw new Violation(`S6: view ${view} was skipped`);
      }
    }
    if (this.#certified.get(`1:${block.epoch}:${block.view}`) !== block.hash) {
      throw new Violation('S5: final without notarization');
    }
    const { payments, stateRoot } = contentOf(block);
    const { state, epochEnd } = applyPayments(this.#state, block.height, payments);
    if (state.root !== stateRoot) throw new Violation('S11: state root');
    if (epochEnd !== block.epochEnd) throw new Violation('S13: the end of the epoch');
    this.#state = state;
    if (epochEnd) this.#sets.push(sorted(state.members));
    for (const payment of payments) {
      if (this.#paid.has(payment)) throw new Violation(`S10: ${payment} committed twice`);
      this.#paid.add(payment);
    }
    this.#finalAt.set(block.height, block);
    this.heights = block.height;
  }

  /** S12, within one incarnation; `restarted` when a node begins at what its disk kept. */
  moved(slot: number, epoch: number, view: number): void {
    const before = this.#positions.get(slot) ?? { epoch: 0, view: 0 };
    const fell = epoch === before.epoch ? view < before.view : epoch < before.epoch;
    if (fell) throw new Violation(`S12: the view of ${slot} fell`);
    this.#positions.set(slot, { epoch, view });
  }

  restarted(slot: number, height: bigint, epoch: number): void {
    this.#positions.set(slot, { epoch, view: 0 });
    this.#heights.set(slot, height);
    const mine = new Set<Payment>();
    for (let h = 1n; h <= height; h++) {
      const block = this.#finalAt.get(h);
      if (block === undefined) throw new Violation('S12: a restart above the final chain');
      for (const payment of contentOf(block).payments) mine.add(payment);
    }
    this.#committedBy.set(slot, mine);
  }

  /** S15: who has genesis and what a node exports, and nothing else, finds every block proven. */
  audit(slot: number, chain: readonly ChainEntry[]): void {
    let state = genesisState(this.#genesisMembers);
    let set = sorted(state.members);
    let parent: string = genesis.hash;
    let uncovered: Block[] = [];
    for (const { block, certificate } of chain) {
      const applied = applyPayments(state, block.height, contentOf(block).payments);
      const isSound =
        block.parentHash === parent &&
        block.epoch === state.epoch &&
        applied.state.root === contentOf(block).stateRoot;
      if (!isSound) throw new Violation(`S15: block ${block.height} of ${slot} is not sound`);
      state = applied.state;
      parent = block.hash;
      uncovered.push(block);
      if (certificate !== null) {
        const { statement, signers } = certificate;
        let weight = 0n;
        let total = 0n;
        for (const [index, { stake }] of set.entries()) {
          total += stake;
          if (signers.includes(index)) weight += stake;
        }
        const proves =
          statement.kind === VoteKind.Finalize &&
          statement.blockHash === block.hash &&
          statement.epoch === block.epoch &&
          weight * 3n > total * 2n;
        if (!proves) throw new Violation(`S15: certificate of block ${block.height} of ${slot}`);
        uncovered = [];
      }
      if (applied.epochEnd) {
        if (uncovered.length > 0) throw new Violation('S15: the end of an epoch is not proven');
        set = sorted(state.members);
      }
    }
    if (uncovered.length > 0) throw new Violation(`S15: the head of ${slot} is not proven`);
  }

  hasCommitted(slot: number, payment: Payment): boolean {
    return this.#committedBy.get(slot)?.has(payment) ?? false;
  }

  heightOf(slot: number): bigint {
    return this.#heights.get(slot) ?? 0n;
  }

  #note(text: string): void {
    for (let i = 0; i < text.length; i++) {
      this.#log = (Math.imul(this.#log, 31) + text.charCodeAt(i)) | 0;
    }
  }
}

function sorted(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => Buffer.compare(keyOf(a), keyOf(b)));
}

function spell(statement: Statement): string {
  const { kind, epoch, view, parentView, blockHash } = statement;
  return `${'?NXF'[kind]}(${epoch}/${view}<-${parentView},${blockHash.slice(0, 18)})`;
}
