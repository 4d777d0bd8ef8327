/** What goes between the node and the threads that run contracts for those who ask. */
import type { Question } from '#src/ledger/evm/simulate.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';

/** What a caller would have of an account; null leaves it as it is. */
export type Override = {
  readonly nonce: bigint | null;
  readonly balance: bigint | null;
  readonly code: Uint8Array | null;
  /** In place of all storage, or of some slots of it; by bare hex of 32 bytes. */
  readonly state: ReadonlyMap<string, Uint8Array> | null;
  readonly stateDiff: ReadonlyMap<string, Uint8Array> | null;
};

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

export type ViewRequest = {
  readonly kind: 'call' | 'estimate' | 'accessList';
  readonly question: Question;
  readonly gasMax: bigint;
  /** The state after this final block. */
  readonly height: bigint;
  readonly block: ViewBlock;
  readonly overrides: ReadonlyMap<Address, Override>;
};

export type ViewAnswer =
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
  /** A bug, or state that went away: in the log, not to the caller. */
  | { readonly t: 'broken'; readonly reason: string };

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
