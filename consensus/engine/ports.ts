import type { Block, BuildOutcome, Effect, Floor } from '#consensus/core/types.ts';
import type { Verdict } from '#src/lib/failure.ts';
import type { Soon } from '#src/lib/steps.ts';
import type { Certificate, VerifiedVotes } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';

/** What the engine asks of the chain. Blocks travel as bytes; agreement never looks inside. */
export type Ledger = {
  /** Newest block on disk, with the certificate that made it final (null at genesis). */
  readonly floor: Floor;
  readonly floorCertificate: Certificate | null;
  /** Who decides on the next block. */
  readonly electorate: { readonly epoch: Epoch; readonly set: ValidatorSet };
  /** What made the last block of an epoch final; null where that epoch has not ended here. */
  transition(epoch: Epoch): Certificate | null;
  encode(block: Block): Uint8Array;
  /** Structure and payment signatures; the code of the refusal says what is wrong. */
  decode(bytes: Uint8Array): Verdict<Block, { code: string }>;
  /** This block will be decoded soon: what other threads can do for it may begin. */
  decodeSoon(bytes: Uint8Array): Promise<void>;
  /** At once, or behind a promise where contracts have to run. */
  build(request: BuildRequest): Soon<BuildOutcome>;
  /** The block that will probably be asked for next may be built now. */
  prepare(request: PrepareRequest): Soon<void>;
  /** Null when valid, otherwise what is wrong. The outcome is kept for the commit. */
  execute(block: Block): Soon<string | null>;
  /** Writes final blocks, in order, with everything that belongs to them, in one synced batch. */
  commit(
    blocks: readonly Block[],
    certificate: Certificate,
    journalSeq: number,
    known: VerifiedVotes,
  ): Promise<void>;
  /**
   * Seen after the first of these blocks whose state is known: whether a payment waits, and whether
   * a change of the validators does.
   */
  waiting(tips: readonly Hash[]): Waiting;
  /** What the header of encoded bytes says, without the body; null where there is none. */
  headerOf(bytes: Uint8Array): BlockHead | null;
  /** A stored final block's bytes. */
  finalBlock(hash: Hash): Uint8Array | null;
  /** Consecutive final blocks from a height on, ending with a certified one; null past the head. */
  finalRange(from: bigint, blocksMax: number, bytesMax: number): FinalRange | null;
};

export type BlockHead = Omit<Block, 'proposer' | 'timestampMs' | 'transactions' | 'content'>;

export type Waiting = { readonly has: boolean; readonly boundary: boolean };

export type BuildRequest = Omit<Extract<Effect, { t: 'build' }>, 't'> & {
  readonly proposer: number;
};

export type PrepareRequest = Omit<BuildRequest, 'mayBeEmpty' | 'withPayments'>;

export type FinalRange = {
  readonly blocks: readonly Uint8Array[];
  readonly certificate: Uint8Array;
};

/** What the engine asks of the network. */
export type Net = {
  send(peer: string, message: Uint8Array): void;
  broadcast(message: Uint8Array): void;
  /** Null when refused, late or disconnected. */
  request(peer: string, message: Uint8Array, timeoutMs: number): Promise<Uint8Array | null>;
  penalize(peer: string, penalty: 'drop' | 'disconnect' | 'ban', reason: string): void;
  connected(): readonly string[];
  /** Waiting payments to these peers; `again` when what was sent may be lost. */
  pushPending(peers: readonly string[]): void;
};

/** Signs consensus statements. It may live in another process. */
export type Signer = {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Promise<Uint8Array>;
};

/** Agreement as an operator sees it. */
export type EngineStatus = {
  readonly view: number;
  readonly floor: Floor;
  readonly epoch: Epoch;
  readonly leader: number;
  readonly validator: number | null;
  /** Whether it waits for peers to say which of its votes they hold. */
  readonly recalling: boolean;
  readonly armed: boolean;
  readonly suspects: readonly number[];
  readonly unfinalized: number;
  /** Final blocks that are on their way here, as many as the last answer proved. */
  readonly behind: number;
};
