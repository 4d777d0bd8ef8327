import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, Height, View } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import type { Statement, Vote } from '#src/types/vote.ts';
import type { Schedule } from './schedule.ts';

/** A node on the network, by its peer id. */
export type Peer = string;

/** What agreement needs to know of a block; `content` is the ledger's and is never looked at. */
export type Block = {
  readonly hash: Hash;
  readonly parentHash: Hash;
  readonly height: Height;
  readonly epoch: Epoch;
  /** The view in which the block was first proposed. */
  readonly view: View;
  readonly parentView: View;
  readonly proposer: number;
  readonly timestampMs: number;
  readonly transactions: number;
  /** The last block of its epoch: its child is decided by the next set. */
  readonly epochEnd: boolean;
  readonly content: unknown;
};

/** The newest final block: what every chain of proposals starts from. */
export type Floor = {
  readonly view: View;
  readonly hash: Hash;
  readonly height: Height;
  readonly timestampMs: number;
};

/** Milliseconds on the monotonic clock, unless said otherwise. */
export type Timing = {
  readonly leaderMs: number;
  readonly advanceMs: number;
  readonly retryMs: number;
  /** No timer grows beyond this, however many views failed. */
  readonly capMs: number;
  readonly heartbeatMs: number;
  /** Between an empty block's timestamp and its parent's; a rule of validity. */
  readonly minEmptyIntervalMs: number;
  readonly maxFutureMs: number;
  readonly maxPastMs: number;
  readonly fetchRetryMs: number;
  readonly fetchRetryMaxMs: number;
};

export type CoreOptions = {
  readonly epoch: Epoch;
  readonly set: ValidatorSet;
  readonly schedule: Schedule;
  /** Own position in the set, or null for a node that observes and never signs. */
  readonly me: number | null;
  /**
   * Peers are asked which of this node's votes they hold before it signs anything: its own record
   * may be older than what it signed. `sound`: the record reaches to the last signature as far as
   * this node knows. `lost`: it does not, and nothing is signed in the epoch in which peers answer.
   * `asked`: peers answered in the epoch before; they may have been behind, so they are asked again.
   * `proven`: they answered twice, and this process has signed by the book since. `accepted`: it is
   * lost and the operator answers for it; what peers hold takes its place.
   */
  readonly record: 'proven' | 'asked' | 'sound' | 'lost' | 'accepted';
  /**
   * What was signed in views before this one is forgotten, because they were final; a chain that was
   * put back to before them passes through them without a signature.
   */
  readonly signFrom: View;
  readonly timing: Timing;
  /** A proposer stops adding payments on top of this many blocks that are not final. */
  readonly unfinalizedMax: number;
};

export type Proposal = {
  /** The view in which it is proposed, which a re-proposed block's own view is not. */
  readonly view: View;
  /** Where the certified block stands on which it is proposed: for a re-proposed one, itself. */
  readonly parentView: View;
  readonly block: Block;
  /** The leader's NOTARIZE: the proposal's authentication. */
  readonly vote: Vote;
  /** The parent's certificate and nullifications of the views between, as many as fit. */
  readonly justify: readonly Certificate[];
};

export type Message =
  | { readonly t: 'proposal'; readonly proposal: Proposal }
  | { readonly t: 'vote'; readonly vote: Vote }
  | { readonly t: 'certificate'; readonly certificate: Certificate }
  /** What the sender has as final; believed only as far as its certificate verifies. */
  | { readonly t: 'status'; readonly height: Height; readonly certificate: Certificate | null }
  | { readonly t: 'getCertificates'; readonly epoch: Epoch; readonly from: View; readonly to: View }
  | { readonly t: 'certificates'; readonly certificates: readonly Certificate[] }
  | { readonly t: 'getBlock'; readonly hash: Hash }
  | { readonly t: 'block'; readonly block: Block }
  /** Which votes of mine do you hold? */
  | { readonly t: 'recall'; readonly epoch: Epoch }
  | { readonly t: 'recalled'; readonly epoch: Epoch; readonly votes: readonly Vote[] };

/** A record of the journal, fed back through `restore`. */
export type JournalRecord =
  | { readonly t: 'vote'; readonly vote: Vote; readonly block: Block | null }
  | { readonly t: 'certificate'; readonly certificate: Certificate };

export type BuildOutcome =
  | { readonly t: 'block'; readonly block: Block }
  /** Nothing was waiting after all. */
  | { readonly t: 'nothing' }
  | { readonly t: 'failed' };

export type Event =
  | { readonly t: 'tick' }
  /** Every signature in the message has been verified, by whoever feeds the core. */
  | { readonly t: 'message'; readonly from: Peer; readonly message: Message }
  | { readonly t: 'connected'; readonly peer: Peer }
  /** The vote cast under this sequence number is on disk, synced, with everything before it. */
  | { readonly t: 'durable'; readonly seq: number; readonly signature: Uint8Array }
  | {
      readonly t: 'built';
      readonly view: View;
      readonly parentHash: Hash;
      readonly outcome: BuildOutcome;
    }
  | { readonly t: 'executed'; readonly hash: Hash; readonly valid: boolean }
  /**
   * Whether a valid payment waits that is not in the chain of unfinalized blocks; and whether a
   * change of the validators waits for its boundary, which blocks have to reach.
   */
  | { readonly t: 'pending'; readonly has: boolean; readonly boundary: boolean }
  /** Blocks fetched with their certificate were committed without the core's help. */
  | { readonly t: 'synced'; readonly floor: Floor; readonly certificate: Certificate }
  /** The boundary block is on disk: the next epoch begins on it. */
  | {
      readonly t: 'epoch';
      readonly options: CoreOptions;
      readonly floor: Floor;
      readonly certificate: Certificate;
    }
  /** The program ends: give the turn up at once rather than let others wait. */
  | { readonly t: 'stop' };

/** Every event carries both clocks: monotonic for timers, Unix for timestamps. */
export type Input = { readonly now: number; readonly wall: number; readonly event: Event };

export type Metric =
  | { readonly t: 'view'; readonly view: View }
  | {
      readonly t: 'nullify';
      readonly view: View;
      readonly leader: number;
      readonly why: NullifyReason;
    }
  /** Two signed votes of one validator that contradict each other (design 2.13). */
  | {
      readonly t: 'equivocation';
      readonly view: View;
      readonly signer: number;
      readonly first: Vote;
      readonly second: Vote;
    }
  | { readonly t: 'abstain'; readonly why: AbstainReason }
  | { readonly t: 'recalled' }
  | { readonly t: 'standstill'; readonly view: View };

/** A vote with this node's key that it does not know of, or a record that was lost. */
export type AbstainReason = 'unknown-vote' | 'record-lost';

export type NullifyReason =
  | 'leader-timeout'
  | 'advance-timeout'
  | 'suspect'
  | 'leader-nullified'
  | 'equivocation'
  | 'invalid'
  | 'build-failed'
  | 'stopping';

export type Effect =
  /** Sign, append to the journal and sync; then answer with `durable`. The block rides along. */
  | {
      readonly t: 'cast';
      readonly seq: number;
      readonly statement: Statement;
      readonly block: Block | null;
    }
  /** Append without haste: durable votes can re-create it. */
  | { readonly t: 'keep'; readonly certificate: Certificate }
  /** Append a vote of our own that only our peers had kept. */
  | { readonly t: 'adopt'; readonly vote: Vote }
  | { readonly t: 'send'; readonly to: Peer | 'all'; readonly message: Message }
  | {
      readonly t: 'build';
      readonly view: View;
      readonly parent: Block | Floor;
      readonly parentView: View;
      readonly timestampMs: number;
      readonly mayBeEmpty: boolean;
      readonly withPayments: boolean;
    }
  | { readonly t: 'execute'; readonly block: Block }
  /** Blocks in height order, the last one certified. */
  | { readonly t: 'commit'; readonly blocks: readonly Block[]; readonly certificate: Certificate }
  /** Final blocks up to this certificate are missing here: get the range from peers. */
  | { readonly t: 'catchUp'; readonly fromHeight: Height; readonly certificate: Certificate }
  | { readonly t: 'pushPending'; readonly to: readonly Peer[] }
  /** Answer with `pending`, as things stand now. */
  | { readonly t: 'lookForPending' }
  | { readonly t: 'wake'; readonly at: number }
  | { readonly t: 'report'; readonly metric: Metric }
  | { readonly t: 'fatal'; readonly why: string };
