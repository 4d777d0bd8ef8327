/** What the JSON-RPC methods ask of a node. Everything here is cheap and bounded, or paged. */
import type { ProofRefusal } from '#src/chain/pastTries.ts';
import type { AccountProof } from '#src/chain/stateProofs.ts';
import type { HistoryEntry } from '#src/history/history.ts';
import type { LedgerRules } from '#src/ledger/rules.ts';
import type { Verdict } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { FinalityProof } from '#src/types/finalityProof.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import type { Receipt } from '#src/types/receipt.ts';
import type { ReceiptProof } from '#src/types/receiptProof.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import type { Epoch, Gas, Height, Wei } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';

/** A code, geth's wording, and the fields that a program wants (interfaces.md). */
export type SubmitRefusal = { readonly code: string; readonly message: string };

export type Location = { readonly height: Height; readonly index: number };

export type AccountState = {
  readonly nonce: bigint;
  readonly balance: bigint;
  readonly codeHash: Hash;
};

export type PastState = {
  account(address: Address): AccountState | null;
  /** 32 bytes. */
  slot(address: Address, key: Uint8Array): Uint8Array;
  code(codeHash: Hash): Uint8Array;
};

export type HistoryPage = {
  readonly entries: readonly HistoryEntry[];
  /** For the next, older page; null at the end. */
  readonly cursor: string | null;
};

export type PoolView = {
  readonly executable: number;
  readonly gapped: number;
  /** With the nonce that decides whether it is executable. */
  entries(): Iterable<{ transaction: SignedTransaction; executable: boolean }>;
  get(hash: Hash): SignedTransaction | null;
  nextNonce(address: Address): bigint;
};

export type PeerStatus = {
  readonly peerId: string;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  readonly connectedSinceMs: number;
  readonly validator: number | null;
};

export type NodeStatus = {
  readonly version: string;
  readonly peerId: string;
  /** Position in the validator set, or null for a node that only follows. */
  readonly validator: number | null;
  /** Those that it can sign with, in the set or not. */
  readonly consensusKeys: readonly Uint8Array[];
  /** Whether it still asks its peers which of its votes they hold, and signs nothing meanwhile. */
  readonly recalling: boolean;
  readonly epoch: number;
  readonly height: Height;
  readonly view: number;
  readonly finalizedView: number;
  readonly leader: number;
  readonly suspects: readonly number[];
  readonly unfinalizedBlocks: number;
  /** Final elsewhere, proven, and on their way here: as many as the last answer brought. */
  readonly blocksBehind: number;
  readonly poolTransactions: number;
  /** Why nothing is written, votes and payments neither, and what to do; null where there is room. */
  readonly diskFull: string | null;
  readonly peers: readonly PeerStatus[];
  readonly cryptoBackend: string;
  readonly uptimeMs: number;
};

/** Two votes of one key that contradict each other: 105 bytes that were signed, 64 of signature. */
export type Evidence = {
  readonly epoch: Epoch;
  readonly consensusKey: Uint8Array;
  readonly firstVote: Uint8Array;
  readonly secondVote: Uint8Array;
};

export type Backend = {
  readonly clientVersion: string;
  readonly chainId: bigint;
  readonly networkId: Hash;
  readonly baseFeePerGas: Wei;
  /** What the contracts of a block may use, and so each of them. */
  readonly evmGasLimit: Gas;
  /** For blocks that are run again. */
  readonly rules: LedgerRules;
  /** Who decides on the next block. */
  readonly electorate: { readonly epoch: Epoch; readonly set: ValidatorSet };
  /** Null for an epoch that has not begun. */
  electorateOf(epoch: Epoch): { readonly set: ValidatorSet } | null;
  readonly head: Block;
  readonly pool: PoolView;
  blockAt(height: Height): Block | null;
  /** For searches over many blocks, which must not read the bodies. */
  headerAt(height: Height): Header | null;
  heightOf(hash: Hash): Height | null;
  receiptsAt(height: Height): readonly Receipt[] | null;
  locate(transaction: Hash): Location | null;
  /** The certificate that made the block final: its own, or that of a descendant soon after. */
  certificateFor(height: Height): { certificate: Certificate; height: Height } | null;
  /** Null where the block is older than the kept window. */
  stateAt(height: Height): PastState | null;
  /** Of the account and of these slots, 32 bytes each, after a final block. */
  stateProof(
    height: Height,
    address: Address,
    slots: readonly Uint8Array[],
  ): Promise<Verdict<AccountProof, ProofRefusal>>;
  history(address: Address, cursor: string | null, limit: number): Promise<HistoryPage | null>;
  /** Of heights below this one, the newest first, or above it, the oldest first. */
  historyBeside(
    address: Address,
    side: 'below' | 'above',
    height: Height,
    limit: number,
  ): Promise<readonly HistoryEntry[]>;
  /** Resolves when the transaction is kept so that a crash of this node does not lose it. */
  submit(raw: Uint8Array): Promise<Verdict<Hash, SubmitRefusal>>;
  /** Null where the block is not final, or the trusted epoch is after it. */
  finalityProof(height: Height, trusted: Epoch): FinalityProof | null;
  /** Null where the transaction is not final, or the trusted epoch is after its block's. */
  receiptProof(transaction: Hash, trusted: Epoch): ReceiptProof | null;
  evidence(): readonly Evidence[];
  status(): NodeStatus;
  /** After the block is on disk. The function ends the subscription. */
  onFinal(listener: (block: Block, receipts: readonly Receipt[]) => void): () => void;
  onPending(listener: (transaction: SignedTransaction) => void): () => void;
};
