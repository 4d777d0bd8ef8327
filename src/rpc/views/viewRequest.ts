/** What goes between the node and the threads that run contracts for those who ask. */
import type { TraceLimits } from '#src/ledger/calls.ts';
import type { Question } from '#src/ledger/evm/simulate.ts';
import type {
  SimulationOptions,
  SimulationRefusal,
  WantedBlock,
} from '#src/ledger/evm/simulateBlocks.ts';
import type { LedgerRules } from '#src/ledger/rules.ts';
import type { Override } from '#src/ledger/state/overridden.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';

/** As code sees it. */
export type ViewBlock = {
  readonly chainId: bigint;
  readonly height: bigint;
  readonly timestampMs: number;
  readonly coinbase: Address;
  readonly prevRandao: Hash;
  readonly baseFeePerGas: bigint;
  readonly gasLimit: bigint;
};

export type CallRequest = {
  readonly kind: 'call' | 'estimate' | 'accessList';
  readonly question: Question;
  readonly gasMax: bigint;
  /** The state after this final block. */
  readonly height: bigint;
  readonly block: ViewBlock;
  readonly overrides: ReadonlyMap<Address, Override>;
};

/** Blocks on top of a final one (`eth_simulateV1`). */
export type BlocksRequest = {
  readonly kind: 'blocks';
  /** Of the block that they stand on. */
  readonly height: bigint;
  readonly header: Header;
  readonly hash: Hash;
  readonly rules: LedgerRules;
  readonly wanted: readonly WantedBlock[];
  readonly options: SimulationOptions;
  /** Whether transactions are told whole. */
  readonly full: boolean;
  readonly responseBytesMax: number;
};

/** How it is told: geth's call tracer, or one of Otterscan's ways. */
export type TraceShape = 'calls' | 'entries' | 'operations' | 'error' | 'creator';

export type TraceWish = {
  readonly shape: TraceShape;
  readonly onlyTopCall: boolean;
  readonly withLog: boolean;
  /** Whose creation is looked for. */
  readonly created?: Address;
};

type Common = {
  readonly wish: TraceWish;
  readonly limits: TraceLimits;
  /** How long it may take. */
  readonly ms: number;
};

/** What a block fixed for its transactions. */
export type ReplayedBlock = {
  readonly rules: LedgerRules;
  readonly height: bigint;
  readonly timestampMs: number;
  readonly coinbase: Address;
  readonly prevRandao: Hash;
};

export type ReplayRequest = Common & {
  readonly kind: 'replay';
  /** The state after this final block: the parent. */
  readonly height: bigint;
  readonly block: ReplayedBlock;
  /** Its first transactions, one after the other, with the length of each and its sender. */
  readonly transactions: Uint8Array;
  readonly lengths: readonly number[];
  readonly senders: readonly Address[];
  /** From which on they are told of, and what the chain says came of them. */
  readonly first: number;
  readonly receipts: readonly { readonly gasUsed: bigint; readonly succeeded: boolean }[];
  /** Whether the answer is a list with the hashes, or the one transaction. */
  readonly isList: boolean;
};

export type TracedCallRequest = Common &
  Omit<CallRequest, 'kind'> & {
    readonly kind: 'tracedCall';
  };

export type TraceRequest = ReplayRequest | TracedCallRequest;

export type ViewRequest = CallRequest | BlocksRequest | TraceRequest;

export type BlocksAnswer =
  /** JSON as it goes out. */
  | { readonly t: 'blocks'; readonly json: string }
  | { readonly t: 'refused'; readonly refusal: SimulationRefusal }
  | { readonly t: 'too large' }
  | { readonly t: 'failed'; readonly reason: string }
  | Broken;

export type CallAnswer =
  | { readonly t: 'output'; readonly output: Uint8Array }
  | { readonly t: 'gas'; readonly gas: bigint }
  /** `error`: of a message that fails all the same, in words. */
  | {
      readonly t: 'accessList';
      readonly accessList: readonly AccessListEntry[];
      readonly gas: bigint;
      readonly error: ViewFailure | null;
    }
  | ViewFailure
  | Broken;

export type TraceAnswer =
  /** JSON as it goes out. */
  | { readonly t: 'traces'; readonly json: string }
  /** More than one answer may tell. */
  | { readonly t: 'too much'; readonly reason: string }
  /** Before anything was called, or as the state went away. */
  | { readonly t: 'failed'; readonly reason: string }
  | Broken;

export type ViewAnswer = BlocksAnswer | CallAnswer | TraceAnswer;
export type AnswerTo<R extends ViewRequest> = R extends BlocksRequest
  ? BlocksAnswer
  : R extends TraceRequest
    ? TraceAnswer
    : CallAnswer;

/** A bug, or state that went away: in the log, not to the caller. */
export type Broken = { readonly t: 'broken'; readonly reason: string };

export type ViewFailure =
  | { readonly t: 'reverted'; readonly output: Uint8Array }
  | { readonly t: 'failed'; readonly reason: string };

/** What a thread says first, and how long it may take until then. */
export const VIEW_READY = 'ready';

/** The thread waits for the answer of the node; `null` where the state is not kept any more. */
export type Read =
  | { readonly t: 'account'; readonly address: Address }
  | { readonly t: 'slot'; readonly address: Address; readonly key: string }
  | { readonly t: 'code'; readonly hash: Hash }
  | { readonly t: 'blockHash'; readonly height: bigint };

export type ReadAccount = { nonce: bigint; balance: bigint; codeHash: Hash };
export type ReadAnswer =
  | { readonly ok: true; readonly value: ReadAccount | Uint8Array | Hash | null }
  | { readonly ok: false };
