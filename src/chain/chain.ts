/**
 * The one door. Blocks are built and checked into overlays in memory; `commit` is the only way to
 * the disk, and takes only blocks that are proven final. What was executed once, by the proposer or
 * by a check, is what is written.
 */
import { historyOf } from '#src/history/history.ts';
import {
  assembleBlock,
  type BlockContext,
  type ExecutionRefusal,
  executeBlock,
  type Outcome,
} from '#src/ledger/execute.ts';
import type { Account } from '#src/ledger/state/account.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import type { Verdict } from '#src/lib/failure.ts';
import { assert, DamageError } from '#src/lib/failure.ts';
import { type Soon, type Steps, wait, walk } from '#src/lib/steps.ts';
import type { Address } from '#src/types/address.ts';
import {
  type Block,
  type BlockRefusal,
  decodeBlock,
  makeBlock,
  transactionsRoot,
} from '#src/types/block.ts';
import { type Certificate, decodeCertificate, encodeCertificate } from '#src/types/certificate.ts';
import type { Electorate } from '#src/types/electorate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import type { Receipt } from '#src/types/receipt.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import type { Height } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { ancestorHashes } from './ancestors.ts';
import { DecodedBlocks } from './decodedBlocks.ts';
import { Electorates } from './electorates.ts';
import type { FinalBlocks } from './final.ts';
import {
  contextAfter,
  findHeaderDifference,
  makeHeader,
  type ProposerFields,
} from './headerRules.ts';
import type { ChainParams } from './params.ts';
import { stateAfter } from './pastState.ts';
import { nextEpochOf, recordOf } from './records.ts';
import { StateProofs } from './stateProofs.ts';
import type { BlockRecord, ChainStore, Undo } from './store.ts';

/** A block that is final and on disk. */
export type FinalEvent = {
  readonly block: Block;
  readonly receipts: readonly Receipt[];
  /** Whose nonce or balance changed, senders and others. */
  readonly accounts: Iterable<Address>;
};

export type CheckRefusal =
  | ExecutionRefusal
  | { code: 'PARENT_UNKNOWN'; parentHash: Hash }
  | { code: 'BLOCK_HEADER'; field: string; want: string; got: string };

export type ChainOptions = {
  readonly params: ChainParams;
  readonly store: ChainStore;
  /** Payments that were decoded before, so that it is not done again. */
  readonly known: (hash: Hash) => SignedTransaction | null;
  onFinal(event: FinalEvent): void;
};

/** What a block is made of. */
export type Work = {
  candidates(state: StateReader): Iterable<SignedTransaction>;
  /** Else nothing is built where nothing can be included. */
  readonly mayBeEmpty: boolean;
  goOn?(): boolean;
  /** Candidates that their senders cannot pay for on this parent. */
  onUnpaid?(transactions: readonly SignedTransaction[]): void;
};

/** What recent blocks changed, kept decoded for views of the past. */
const undosMax = 256;

type Parent = {
  readonly block: Block;
  readonly state: StateReader;
  /** Of a block that is not on disk yet and ends its epoch. */
  readonly nextSet: ValidatorSet | null;
};
type Executed = { readonly block: Block; readonly outcome: Outcome };

export class Chain {
  readonly params: ChainParams;
  readonly electorates: Electorates;
  readonly proofs: StateProofs;
  readonly #store: ChainStore;
  readonly #options: ChainOptions;
  readonly #executed = new Map<Hash, Executed>();
  /** Under way. */
  readonly #checks = new Map<Hash, Promise<CheckRefusal | null>>();
  readonly #decoded: DecodedBlocks;
  readonly #undo = new Map<Height, Undo>();
  #head: Block;
  #certificate: Certificate | null;

  private constructor(options: ChainOptions, head: Block, certificate: Certificate | null) {
    this.params = options.params;
    this.electorates = new Electorates(options.params.electorate, options.store);
    this.#options = options;
    this.#store = options.store;
    this.#decoded = new DecodedBlocks(options.params, options.store);
    this.proofs = new StateProofs(options.store, (height) => this.#rootAt(height));
    this.#head = head;
    this.#certificate = certificate;
  }

  /** Writes the first block of a genesis into a store that is new. */
  static async create(params: ChainParams, store: ChainStore): Promise<void> {
    assert(store.head === null, 'a chain is made once');
    const { block, changes, history } = params.genesis;
    const record = { ...recordOf(block, []), changes, history, nextEpoch: null };
    await store.commit([record], null, 0);
  }

  /** Opens what `create` made: a store that lost its chain never begins again at block 0. */
  static async open(options: ChainOptions): Promise<Chain> {
    const { store, params } = options;
    const { block } = params.genesis;
    if (store.head === null) throw new DamageError('the database holds no chain');
    if (store.heightOf(block.hash) !== 0n) {
      throw new DamageError(`the database does not hold chain ${params.networkId}`);
    }
    store.checkLinks();
    const { head } = store;
    assert(head !== null, 'a chain has a head');
    if (head.height === 0n) return new Chain(options, block, null);
    const chain = new Chain(options, block, null);
    chain.#certificate = chain.certificateAt(head.height);
    const top = chain.blockAt(head.height);
    if (chain.#certificate === null || top === null) {
      throw new DamageError(`block ${head.height}: its senders or its certificate are missing`);
    }
    chain.#head = top;
    return chain;
  }

  /** The newest final block. */
  get head(): Block {
    return this.#head;
  }
  get headCertificate(): Certificate | null {
    return this.#certificate;
  }
  /** Who decides on the next block. */
  get electorate(): Electorate {
    return this.electorates.after(this.#head, null);
  }

  get journalSeq(): number {
    return this.#store.head?.journalSeq ?? 0;
  }

  // --- proposing and checking -------------------------------------------------------------------

  decode(bytes: Uint8Array): Verdict<Block, BlockRefusal> {
    const { chainId } = this.params;
    return decodeBlock(bytes, { chainId, known: this.#options.known });
  }

  /**
   * A block on this parent, with as many candidates as fit while `goOn`; null where none does, or
   * where the parent is not known any more. At once unless one of them runs code.
   */
  build(parentHash: Hash, fields: ProposerFields, work: Work): Soon<Block | null> {
    return walk(this.#building(parentHash, fields, work));
  }

  *#building(parentHash: Hash, fields: ProposerFields, work: Work): Steps<Block | null> {
    const parent = this.#parentOf(parentHash);
    if (parent === null) return null;
    const electorate = this.electorates.after(parent.block, parent.nextSet);
    const context = this.#contextOn(parent, fields, electorate);
    const { transactions, outcome, unpaid } = yield* this.#oneTurn(
      assembleBlock(parent.state, context, work.candidates(parent.state), work.goOn),
    );
    if (unpaid.length > 0) work.onUnpaid?.(unpaid);
    if (transactions.length === 0 && !work.mayBeEmpty) return null;
    const root = transactionsRoot(transactions);
    const header = makeHeader(parent.block, fields, root, outcome, electorate, this.params);
    const block = makeBlock(header, transactions);
    this.#executed.set(block.hash, { block, outcome });
    return block;
  }

  /**
   * Null when the block is valid on its parent; its outcome is then kept for the commit. At once
   * unless one of its transactions runs code; asked again meanwhile it is not executed twice.
   */
  check(block: Block): Soon<CheckRefusal | null> {
    const running = this.#checks.get(block.hash);
    if (running !== undefined) return running;
    const soon = walk(this.#checking(block));
    if (!(soon instanceof Promise)) return soon;
    const checked = soon.finally(() => this.#checks.delete(block.hash));
    this.#checks.set(block.hash, checked);
    return checked;
  }

  *#checking(block: Block): Steps<CheckRefusal | null> {
    if (this.#executed.has(block.hash)) return null;
    const { parentHash, consensus } = block.header;
    const parent = this.#parentOf(parentHash);
    if (parent === null) return { code: 'PARENT_UNKNOWN', parentHash };
    const electorate = this.electorates.after(parent.block, parent.nextSet);
    const context = this.#contextOn(parent, consensus, electorate);
    const executed = yield* this.#oneTurn(executeBlock(parent.state, context, block.transactions));
    if (!executed.ok) return executed.refusal;
    const outcome = executed.value;
    const { view, parentView, proposerIndex, timestampMs } = consensus;
    const fields = { view, parentView, proposerIndex, timestampMs };
    // The body was held against this root when the block was decoded.
    const { transactionsRoot: root } = block.header;
    const want = makeHeader(parent.block, fields, root, outcome, electorate, this.params);
    const difference = findHeaderDifference(block.header, want);
    if (difference !== null) return { code: 'BLOCK_HEADER', ...difference };
    this.#executed.set(block.hash, { block, outcome });
    return null;
  }

  /**
   * Code runs without ever leaving its turn of the event loop, so that nothing is committed while
   * it reads: what it reads would change beneath it.
   */
  *#oneTurn<T>(soon: Soon<T>): Steps<T> {
    const head = this.#head;
    const value = yield* wait(soon);
    assert(this.#head === head, 'nothing is committed while a block is executed');
    return value;
  }

  #contextOn({ block }: Parent, fields: ProposerFields, electorate: Electorate): BlockContext {
    const unfinal = (hash: Hash) => this.#executed.get(hash)?.block ?? null;
    const hashes = ancestorHashes(block, unfinal, (height) => this.headerAt(height));
    return contextAfter(block, fields, electorate, this.params, hashes);
  }

  /** The state after a block that is not final yet, or at the head. */
  stateAfter(hash: Hash): StateReader | null {
    return this.#parentOf(hash)?.state ?? null;
  }

  /** Writes proven blocks, which were checked before, and forgets what they make impossible. */
  async commit({ blocks, certificate }: FinalBlocks, journalSeq: number): Promise<void> {
    const events: FinalEvent[] = [];
    const records: BlockRecord[] = [];
    let parent = this.#head.hash;
    for (const block of blocks) {
      const executed = this.#executed.get(block.hash);
      assert(executed !== undefined, 'a block is checked before it is committed');
      assert(block.header.parentHash === parent, 'a commit continues the final chain');
      parent = block.hash;
      const { receipts, receiptBytes, changes, movements } = executed.outcome;
      const history = historyOf(block, receipts, movements);
      const nextEpoch = nextEpochOf(block, executed.outcome);
      records.push({ ...recordOf(block, receiptBytes), changes, history, nextEpoch });
      events.push({ block, receipts, accounts: changes.accounts.keys() });
    }
    await this.#store.commit(records, encodeCertificate(certificate), journalSeq);
    for (const [index, event] of events.entries()) {
      const { height } = event.block.header;
      this.#decoded.remember(event.block, event.receipts);
      const before = records[index]?.changes.before;
      if (before !== undefined) this.#remember(this.#undo, height, before);
      this.#head = event.block;
    }
    this.#certificate = certificate;
    this.#forgetImpossible();
    for (const event of events) this.#options.onFinal(event);
  }

  // --- reading ----------------------------------------------------------------------------------

  blockAt(height: Height): Block | null {
    return this.#decoded.block(height);
  }

  headerAt(height: Height): Header | null {
    return this.#decoded.header(height);
  }

  /** The bytes as they were agreed on, for peers. */
  blockBytesAt(height: Height): Uint8Array | null {
    return this.#store.block(height);
  }

  heightOf(hash: Hash): Height | null {
    return this.#store.heightOf(hash);
  }

  receiptsAt(height: Height): readonly Receipt[] | null {
    return this.#decoded.receipts(height);
  }

  certificateAt(height: Height): Certificate | null {
    const bytes = this.#store.certificate(height);
    if (bytes === null) return null;
    const certificate = decodeCertificate(bytes);
    assert(certificate.ok, 'a stored certificate decodes');
    return certificate.value;
  }

  certificateBytesAt(height: Height): Uint8Array | null {
    return this.#store.certificate(height);
  }

  locate(transaction: Hash): { height: Height; index: number } | null {
    return this.#store.locate(transaction);
  }

  history(
    account: Address,
    cursor: string | null,
    limit: number,
  ): ReturnType<ChainStore['history']> {
    return this.#store.history(account, cursor, limit);
  }

  historyBeside(
    ...asked: Parameters<ChainStore['historyBeside']>
  ): ReturnType<ChainStore['historyBeside']> {
    return this.#store.historyBeside(...asked);
  }

  account(address: Address): Account | null {
    return this.#store.account(address);
  }

  /**
   * The state after a final block; null where it is neither in the window nor in an archive. For
   * reading at once: who waits in between holds the store instead, as proofs do.
   */
  stateAt(height: Height): StateReader | null {
    const { height: top } = this.#head.header;
    const undo = (h: Height) => this.#undoOf(h);
    const archived = (h: Height) => this.#store.archived(h);
    return stateAfter({ height: top, state: this.#store, undo, archived }, height);
  }

  #rootAt(height: Height): Hash | null {
    return this.headerAt(height)?.stateRoot ?? null;
  }

  #undoOf(height: Height): Undo | null {
    const known = this.#undo.get(height);
    if (known !== undefined) return known;
    const stored = this.#store.undo(height);
    if (stored !== null) this.#remember(this.#undo, height, stored);
    return stored;
  }

  #parentOf(hash: Hash): Parent | null {
    const executed = this.#executed.get(hash);
    if (executed !== undefined) {
      const { state, nextSet } = executed.outcome;
      return { block: executed.block, state, nextSet };
    }
    const { block, state, nextSet } = { block: this.#head, state: this.#store, nextSet: null };
    return hash === block.hash ? { block, state, nextSet } : null;
  }

  #forgetImpossible(): void {
    const { height } = this.#head.header;
    for (const [hash, { block, outcome }] of this.#executed) {
      const { parentHash } = block.header;
      if (block.header.height <= height) this.#executed.delete(hash);
      else if (parentHash === this.#head.hash) outcome.state.rebase(this.#store);
      // A parent was executed before its child: one that is gone was on another branch.
      else if (!this.#executed.has(parentHash)) this.#executed.delete(hash);
    }
  }

  #remember<T>(map: Map<Height, T>, height: Height, value: T): void {
    map.set(height, value);
    if (map.size <= undosMax) return;
    for (const oldest of map.keys()) {
      map.delete(oldest);
      break;
    }
  }
}
