import type { Certificate } from '#src/types/certificate.ts';
import type { View } from '#src/types/units.ts';
import { isQuorum, type ValidatorSet } from '#src/types/validatorSet.ts';
import { type Statement, statementKey, type Vote, VoteKind } from '#src/types/vote.ts';
import type { Block, Proposal } from './types.ts';

/** A vote of ours: it gates further signatures at once, and counts only when it is durable. */
export type OwnVote = { readonly statement: Statement; readonly seq: number; vote: Vote | null };

/** Everything known about one view that is not below the newest final one. */
export class ViewRecord {
  readonly view: View;
  proposal: Proposal | null = null;
  /** Unix milliseconds at which the proposal came. */
  receivedWall = 0;
  /** What this node built as the leader, until its vote is durable. */
  ownBlock: Block | null = null;
  equivocated = false;
  leaderNullified = false;
  /** Its block was judged and refused here; the view is given up. */
  refused = false;
  readonly certificates: { 1: Certificate | null; 2: Certificate | null; 3: Certificate | null } = {
    1: null,
    2: null,
    3: null,
  };
  readonly own: { 1: OwnVote | null; 2: OwnVote | null; 3: OwnVote | null } = {
    1: null,
    2: null,
    3: null,
  };
  readonly #tallies = new Map<string, Tally>();
  /** Votes by `signer.kind`: two at most, the second is proof of a fault. */
  readonly #votes = new Map<string, Vote[]>();

  constructor(view: View) {
    this.view = view;
  }

  get notarized(): Certificate | null {
    return this.certificates[VoteKind.Notarize];
  }
  get nullified(): Certificate | null {
    return this.certificates[VoteKind.Nullify];
  }
  get finalized(): Certificate | null {
    return this.certificates[VoteKind.Finalize];
  }

  /** Counts a verified vote once; false where it was counted before, or is one too many. */
  add(vote: Vote, set: ValidatorSet): boolean {
    const key = statementKey(vote.statement);
    const slot = `${vote.signer}.${vote.statement.kind}`;
    const seen = this.#votes.get(slot) ?? [];
    if (seen.length >= 2 || seen.some(({ statement }) => statementKey(statement) === key)) {
      return false;
    }
    this.#votes.set(slot, [...seen, vote]);
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      tally = { statement: vote.statement, weight: 0n, votes: [] };
      this.#tallies.set(key, tally);
    }
    tally.votes.push(vote);
    tally.weight += set.validators[vote.signer]?.stake ?? 0n;
    return true;
  }

  /**
   * An earlier vote that no honest validator could have cast beside this one (design 2.13): another
   * NOTARIZE, another FINALIZE, or one of NULLIFY and FINALIZE beside the other.
   */
  contradicts({ statement, signer }: Vote): Vote | null {
    const { kind } = statement;
    const [same] = this.#votes.get(`${signer}.${kind}`) ?? [];
    if (same !== undefined && statementKey(same.statement) !== statementKey(statement)) return same;
    if (kind === VoteKind.Notarize) return null;
    const other = kind === VoteKind.Nullify ? VoteKind.Finalize : VoteKind.Nullify;
    return this.#votes.get(`${signer}.${other}`)?.[0] ?? null;
  }

  votesOf(signer: number): Vote[] {
    return [1, 2, 3].flatMap((kind) => this.#votes.get(`${signer}.${kind}`) ?? []);
  }

  /** The certificate for this statement, once its signers are a quorum. */
  certificateOf(statement: Statement, set: ValidatorSet): Certificate | null {
    const tally = this.#tallies.get(statementKey(statement));
    if (tally === undefined || !isQuorum(tally.weight, set)) return null;
    const votes = [...tally.votes].sort((a, b) => a.signer - b.signer);
    return {
      statement,
      setSize: set.validators.length,
      signers: votes.map((vote) => vote.signer),
      signatures: votes.map((vote) => vote.signature),
    };
  }

  /** The greatest stake behind any one statement of this kind. */
  weightOf(kind: VoteKind): bigint {
    let most = 0n;
    for (const { statement, weight } of this.#tallies.values()) {
      if (statement.kind === kind && weight > most) most = weight;
    }
    return most;
  }
}

type Tally = { readonly statement: Statement; weight: bigint; votes: Vote[] };
