/**
 * The judge of a simulated network. It watches every honest act of every incarnation and states the
 * invariants of design/consensus.md 3.1 in arithmetic of its own: it shares no predicate with the
 * core.
 */
import type { Block } from '#consensus/core/types.ts';
import type { Certificate } from '#src/types/certificate.ts';
import { type Statement, VoteKind } from '#src/types/vote.ts';
import { contentOf, genesis, genesisRoot, nextRoot, type Payment } from './ledger.ts';

export class Violation extends Error {}

export class Oracle {
  readonly #stakes: readonly bigint[];
  readonly #honest: (index: number) => boolean;
  readonly #finalAt = new Map<bigint, Block>();
  readonly #heights = new Map<number, bigint>();
  readonly #committedBy = new Map<number, Set<Payment>>();
  readonly #certified = new Map<string, string>();
  readonly #cast = new Set<string>();
  readonly #honestVotes = new Map<string, string>();
  readonly #views = new Map<number, number>();
  readonly #blocks = new Map<string, Block>();
  #log = 0;
  heights = 0n;

  constructor(stakes: readonly bigint[], honest: (index: number) => boolean) {
    this.#stakes = stakes;
    this.#honest = honest;
  }

  /** Equal seeds give equal digests (S16). */
  get digest(): number {
    return this.#log;
  }

  sawBlock(block: Block): void {
    this.#blocks.set(block.hash, block);
  }

  /** A vote that exists: the registry against which certificates are held (S9). */
  created(index: number, statement: Statement): void {
    this.#cast.add(`${index}:${spell(statement)}`);
  }

  /** A block that breaks a rule of validity: no honest validator may speak for it. */
  lied(hash: string): void {
    this.#lies.add(hash);
  }

  /** What stands for a signature check. */
  exists(index: number, statement: Statement): boolean {
    return this.#cast.has(`${index}:${spell(statement)}`);
  }

  /** S7: over all incarnations of one honest validator. Called when the vote becomes durable. */
  honestVote(index: number, statement: Statement): void {
    this.#note(`${index}${spell(statement)}`);
    const { view, kind, blockHash } = statement;
    if (this.#lies.has(blockHash)) {
      throw new Violation(
        `S11: validator ${index} voted for an invalid block: ${spell(statement)}`,
      );
    }
    const key = `${index}:${view}:${kind}`;
    const before = this.#honestVotes.get(key);
    if (before !== undefined && before !== spell(statement)) {
      throw new Violation(`S7: validator ${index} voted twice: ${before} and ${spell(statement)}`);
    }
    this.#honestVotes.set(key, spell(statement));
    const finalized = this.#honestVotes.has(`${index}:${view}:${VoteKind.Finalize}`);
    const nullified = this.#honestVotes.has(`${index}:${view}:${VoteKind.Nullify}`);
    if (finalized && nullified) {
      throw new Violation(`S7: validator ${index} finalized and nullified view ${view}`);
    }
  }

  /** S8: called for every vote that leaves a node, with what its disk held then. */
  sent(index: number, statement: Statement, durable: boolean): void {
    if (!durable) throw new Violation(`S8: validator ${index} sent ${spell(statement)} too early`);
  }

  /** S2, S3, S4, S9: called for every certificate that an honest node accepts. */
  accepted(certificate: Certificate): void {
    const { statement, signers } = certificate;
    if (new Set(signers).size !== signers.length) throw new Violation('S9: a signer counted twice');
    let weight = 0n;
    let total = 0n;
    for (const stake of this.#stakes) total += stake;
    for (const signer of signers) {
      weight += this.#stakes[signer] ?? 0n;
      if (!this.#cast.has(`${signer}:${spell(statement)}`)) {
        throw new Violation(`S9: validator ${signer} never signed ${spell(statement)}`);
      }
    }
    if (weight * 3n <= total * 2n) throw new Violation('S9: a certificate without a quorum');
    const key = `${statement.kind}:${statement.view}`;
    const known = this.#certified.get(key);
    if (known !== undefined && known !== statement.blockHash) {
      throw new Violation(`S2/S3: two blocks certified in view ${statement.view}`);
    }
    this.#certified.set(key, statement.blockHash);
    const view = statement.view;
    if (this.#certified.has(`3:${view}`) && this.#certified.has(`2:${view}`)) {
      throw new Violation(`S4: view ${view} both finalized and nullified`);
    }
  }

  /** S1, S5, S6, S10, S11: called for each block that an honest node commits, in its order. */
  committed(index: number, block: Block): void {
    this.#note(`${index}+${block.hash}`);
    const height = this.#heights.get(index) ?? 0n;
    if (block.height !== height + 1n) {
      throw new Violation(`S10: validator ${index} committed ${block.height} after ${height}`);
    }
    this.#heights.set(index, block.height);
    const known = this.#finalAt.get(block.height);
    if (known !== undefined) {
      if (known.hash !== block.hash) throw new Violation(`S1: two final blocks at ${block.height}`);
    } else {
      this.#firstCommit(block);
    }
    const mine = this.#committedBy.get(index) ?? new Set();
    for (const payment of contentOf(block).payments) mine.add(payment);
    this.#committedBy.set(index, mine);
  }

  #firstCommit(block: Block): void {
    const parent = block.height === 1n ? null : this.#finalAt.get(block.height - 1n);
    if (parent === undefined) throw new Violation('S10: a gap in the final chain');
    const parentHash = parent?.hash ?? genesis.hash;
    if (block.parentHash !== parentHash) throw new Violation('S1: a final block on another parent');
    if (block.timestampMs <= (parent?.timestampMs ?? 0)) throw new Violation('S10: timestamps');
    const parentView = parent?.view ?? 0;
    if (block.parentView !== parentView) throw new Violation('S6: the parent view is wrong');
    for (let view = parentView + 1; view < block.view; view++) {
      if (!this.#certified.has(`2:${view}`)) throw new Violation(`S6: view ${view} was skipped`);
    }
    if (this.#certified.get(`1:${block.view}`) !== block.hash) {
      throw new Violation('S5: final without notarization');
    }
    const { payments, stateRoot } = contentOf(block);
    const parentRoot = parent === null ? genesisRoot : contentOf(parent).stateRoot;
    if (nextRoot(parentRoot, payments) !== stateRoot) throw new Violation('S11: state root');
    for (const payment of payments) {
      if (this.#paid.has(payment)) throw new Violation(`S10: ${payment} committed twice`);
      this.#paid.add(payment);
    }
    this.#finalAt.set(block.height, block);
    this.heights = block.height;
  }

  /** S12, within one incarnation; `reset` when a node restarts at what its disk kept. */
  moved(index: number, view: number): void {
    if (view < (this.#views.get(index) ?? 0)) throw new Violation(`S12: view of ${index} fell`);
    this.#views.set(index, view);
  }

  restarted(index: number, height: bigint): void {
    this.#views.set(index, 0);
    this.#heights.set(index, height);
    const mine = new Set<Payment>();
    for (let h = 1n; h <= height; h++) {
      const block = this.#finalAt.get(h);
      if (block === undefined) throw new Violation('S12: a restart above the final chain');
      for (const payment of contentOf(block).payments) mine.add(payment);
    }
    this.#committedBy.set(index, mine);
  }

  hasCommitted(index: number, payment: Payment): boolean {
    return this.#committedBy.get(index)?.has(payment) ?? false;
  }

  heightOf(index: number): bigint {
    return this.#heights.get(index) ?? 0n;
  }

  isHonest(index: number): boolean {
    return this.#honest(index);
  }

  readonly #paid = new Set<Payment>();
  readonly #lies = new Set<string>();

  #note(text: string): void {
    for (let i = 0; i < text.length; i++) {
      this.#log = (Math.imul(this.#log, 31) + text.charCodeAt(i)) | 0;
    }
  }
}

function spell(statement: Statement): string {
  const { kind, view, parentView, blockHash } = statement;
  return `${'?NXF'[kind]}(${view}<-${parentView},${blockHash.slice(0, 18)})`;
}
