/**
 * Replays a chain from genesis on a fresh state, and believes nothing that is stored: every block
 * is executed again, every certificate and signature checked, every root, receipt and index
 * compared. The first thing that differs is named exactly.
 */
import { provenFinal } from '#src/chain/final.ts';
import { contextAfter, findHeaderDifference, makeHeader } from '#src/chain/headerRules.ts';
import type { ChainParams } from '#src/chain/params.ts';
import type { ChainStore } from '#src/chain/store.ts';
import { keccak256 } from '#src/crypto/keccak.ts';
import { executeBlock, type Outcome } from '#src/ledger/execute.ts';
import { type Account, encodeAccount } from '#src/ledger/state/account.ts';
import { readTrie, StateDamagedError } from '#src/ledger/state/trie.ts';
import { bytesEqual, toBareHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import { type Block, decodeBlock } from '#src/types/block.ts';
import { decodeCertificate } from '#src/types/certificate.ts';
import { type Electorate, encodeValidators } from '#src/types/electorate.ts';
import type { Hash } from '#src/types/hash.ts';
import { asEpoch, asHeight, type Epoch, type Height } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { Currencies, type CurrencyReport } from './currencies.ts';
import { type Divergence, differs, refused } from './divergence.ts';
import { Histories, spellEntry } from './histories.ts';
import { ReplayedState } from './replayedState.ts';

export type ReplayReport = {
  readonly height: bigint;
  readonly headHash: Hash;
  readonly stateRoot: Hash;
  readonly blocks: number;
  readonly transactions: number;
  readonly certificates: number;
  readonly accounts: number;
  readonly supply: bigint;
  readonly currencies: readonly CurrencyReport[];
};

const pageAccounts = 1_000;
/** BLOCKHASH reaches back this far (yellow paper, appendix H). */
const blockHashesKept = 256n;

export type ReplayProgress = (height: bigint, of: bigint, transactions: number) => void;

/** Reads the store only; asynchronous so that progress can be drawn between blocks. */
export async function replay(
  params: ChainParams,
  store: ChainStore,
  progress: ReplayProgress,
): Promise<Verdict<ReplayReport, Divergence>> {
  const run = new Replay(params, store);
  const top = store.head?.height ?? asHeight(0n);
  let refusal = run.genesis();
  for (let height = 1n; height <= top && refusal === null; height++) {
    refusal = await run.block(asHeight(height));
    if (height % 64n === 0n || height === top) {
      progress(height, top, run.transactions);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  refusal ??= await run.end(top);
  return refusal === null ? accept(run.report(top)) : refuse(refusal);
}

class Replay {
  readonly #params: ChainParams;
  readonly #store: ChainStore;
  readonly #state = new ReplayedState();
  readonly #histories = new Histories();
  readonly #currencies = new Currencies();
  readonly #seen = new Set<Hash>();
  #parent: Block;
  /** Of the replayed blocks that code may ask for. */
  readonly #hashes = new Map<Height, Hash>();
  /** Blocks since the last certificate: the next one has to cover them. */
  #uncertified: Block[] = [];
  /** Who decides on the next block. */
  #electorate: Electorate;
  #nextSet: ValidatorSet | null = null;
  #certificates = 0;
  #blocks = 1;
  transactions = 0;

  constructor(params: ChainParams, store: ChainStore) {
    this.#params = params;
    this.#store = store;
    this.#electorate = params.electorate;
    this.#parent = params.genesis.block;
    this.#hashes.set(asHeight(0n), params.genesis.block.hash);
  }

  genesis(): Divergence | null {
    const { block, changes, history } = this.#params.genesis;
    const stored = this.#store.heightOf(block.hash);
    if (stored !== 0n) {
      return differs('GENESIS', 0n, block.hash, stored === null ? 'another chain' : `${stored}`);
    }
    this.#state.apply(changes);
    for (const entry of history) this.#histories.add(entry);
    this.#currencies.begin(history);
    return null;
  }

  async block(height: Height): Promise<Divergence | null> {
    const bytes = this.#store.block(height);
    if (bytes === null) return differs('BLOCK_MISSING', height, 'a block', 'nothing');
    // Senders are recovered from the signatures, whatever the store says they are.
    const decoded = decodeBlock(bytes, { chainId: this.#params.chainId });
    if (!decoded.ok) {
      const { refusal } = decoded;
      const code = refusal.code.startsWith('BLOCK_') ? refusal.code : 'BLOCK_MALFORMED';
      return refused(code, height, 'a block', refusal);
    }
    const block = decoded.value;
    return (
      this.#links(block, height) ??
      this.#repeats(block, height) ??
      (await this.#executes(block, height)) ??
      this.#certified(block, height)
    );
  }

  async end(top: Height): Promise<Divergence | null> {
    if (this.#uncertified.length > 0) {
      return differs('CERTIFICATE_MISSING', top, 'a finality certificate', 'nothing');
    }
    const head = this.#store.head?.hash ?? 'nothing';
    if (head !== this.#parent.hash) return differs('HEAD', top, this.#parent.hash, head);
    // Contracts that never had coin have no history, and an account all the same.
    const addresses = [...this.#histories.addresses(), ...this.#state.accounts.keys()];
    for (const address of new Set(addresses)) {
      const account = this.#state.account(address);
      const balance = account?.balance ?? 0n;
      const byHand = this.#histories.balance(address);
      const difference =
        this.#compare('ACCOUNT_STORED', top, address, account, this.#store.account(address)) ??
        (byHand === balance
          ? null
          : differs('CONSERVATION', top, `${byHand}`, `${balance}`, address)) ??
        this.#inTrie(top, address, account) ??
        (await this.#history(top, address));
      if (difference !== null) return difference;
    }
    const supply = this.#histories.supply();
    const issued = [...this.#params.genesis.changes.accounts.values()].reduce(
      (sum, account) => sum + (account?.balance ?? 0n),
      0n,
    );
    if (supply !== issued) return differs('SUPPLY', top, `${issued}`, `${supply}`);
    return (
      this.#currencies.findDifference(top, this.#state, this.#store) ??
      this.#slots(top) ??
      (await this.#nobodyElse(top)) ??
      (await this.#nothingElse(top))
    );
  }

  report(top: Height): ReplayReport {
    return {
      height: top,
      headHash: this.#parent.hash,
      stateRoot: this.#parent.header.stateRoot,
      blocks: this.#blocks,
      transactions: this.transactions,
      certificates: this.#certificates,
      accounts: this.#state.accounts.size,
      supply: this.#histories.supply(),
      currencies: this.#currencies.report(this.#state),
    };
  }

  // --- one rule each ----------------------------------------------------------------------------

  #links(block: Block, height: Height): Divergence | null {
    const { parentHash, height: number, consensus } = block.header;
    if (number !== height) return differs('BLOCK_HEIGHT', height, `${height}`, `${number}`);
    if (parentHash !== this.#parent.hash) {
      return differs('BLOCK_PARENT', height, this.#parent.hash, parentHash);
    }
    if (consensus.timestampMs <= this.#parent.header.consensus.timestampMs) {
      const after = `later than ${this.#parent.header.consensus.timestampMs}`;
      return differs('BLOCK_TIME', height, after, `${consensus.timestampMs}`);
    }
    const indexed = this.#store.heightOf(block.hash);
    return indexed === height ? null : differs('BLOCK_INDEX', height, `${height}`, `${indexed}`);
  }

  #repeats(block: Block, height: Height): Divergence | null {
    for (const [index, { hash }] of block.transactions.entries()) {
      if (this.#seen.has(hash)) {
        return { ...differs('TRANSACTION_REPEATED', height, 'once', 'again'), transaction: hash };
      }
      this.#seen.add(hash);
      const place = this.#store.locate(hash);
      if (place?.height !== height || place.index !== index) {
        const found = place === null ? 'nothing' : `${place.height}/${place.index}`;
        const expected = `${height}/${index}`;
        return { ...differs('TRANSACTION_INDEX', height, expected, found), transaction: hash };
      }
    }
    return null;
  }

  async #executes(block: Block, height: Height): Promise<Divergence | null> {
    const params = this.#params;
    const { view, parentView, proposerIndex, timestampMs } = block.header.consensus;
    const fields = { view, parentView, proposerIndex, timestampMs };
    const hashes = (at: Height) => this.#hashes.get(at) ?? null;
    const context = contextAfter(this.#parent, fields, this.#electorate, params, hashes);
    const executed = await executeBlock(this.#state, context, block.transactions);
    if (!executed.ok) {
      const { refusal } = executed;
      const transaction = block.transactions[refusal.index];
      return {
        ...refused(refusal.code, height, 'a valid block', refusal),
        transaction: transaction?.hash ?? null,
        account: transaction?.sender ?? null,
      };
    }
    const outcome = executed.value;
    const root = block.header.transactionsRoot;
    const want = makeHeader(this.#parent, fields, root, outcome, this.#electorate, params);
    const difference = findHeaderDifference(block.header, want);
    if (difference !== null) {
      const code = `HEADER_${difference.field}`;
      return differs(code, height, difference.want, difference.got);
    }
    const stored = this.#receipts(block, outcome, height) ?? this.#senders(block, height);
    if (stored !== null) return stored;
    this.#state.apply(outcome.changes);
    const { receipts, movements } = outcome;
    this.#histories.addBlock(block, receipts, movements);
    this.#currencies.addBlock(receipts);
    this.#parent = block;
    this.#hashes.set(height, block.hash);
    if (height >= blockHashesKept) this.#hashes.delete(asHeight(height - blockHashesKept));
    this.#nextSet = outcome.nextSet;
    this.#blocks++;
    this.transactions += block.transactions.length;
    return null;
  }

  #receipts(block: Block, outcome: Outcome, height: Height): Divergence | null {
    const stored = this.#store.receipts(height);
    for (const [index, want] of outcome.receiptBytes.entries()) {
      const got = stored?.[index];
      if (got !== undefined && bytesEqual(got, want)) continue;
      const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').slice(0, 80);
      const found = got === undefined ? 'nothing' : hex(got);
      const transaction = block.transactions[index]?.hash ?? null;
      return { ...differs('RECEIPT_STORED', height, hex(want), found), transaction };
    }
    const [want, got] = [outcome.receiptBytes.length, stored?.length ?? 0];
    return want === got ? null : differs('RECEIPT_STORED', height, `${want}`, `${got}`);
  }

  #senders(block: Block, height: Height): Divergence | null {
    const stored = this.#store.senders(height);
    for (const [index, { sender, hash }] of block.transactions.entries()) {
      const bytes = stored?.slice(20 * index, 20 * index + 20);
      const found = bytes?.length === 20 ? addressFromBytes(bytes) : null;
      if (found === sender) continue;
      const divergence = differs('SENDER_STORED', height, sender, found ?? 'nothing', sender);
      return { ...divergence, transaction: hash };
    }
    const [want, got] = [20 * block.transactions.length, stored?.length ?? 0];
    return want === got ? null : differs('SENDER_STORED', height, `${want} bytes`, `${got} bytes`);
  }

  #certified(block: Block, height: Height): Divergence | null {
    this.#uncertified.push(block);
    const bytes = this.#store.certificate(height);
    if (bytes === null) return null;
    const certificate = decodeCertificate(bytes);
    if (!certificate.ok) {
      return differs('CERTIFICATE_MALFORMED', height, 'a certificate', certificate.refusal.code);
    }
    const proven = provenFinal(this.#uncertified, certificate.value, this.#electorate);
    if (!proven.ok) {
      const { refusal } = proven;
      return refused(refusal.code, height, 'signatures of two thirds of the stake', refusal);
    }
    this.#certificates++;
    this.#uncertified = [];
    if (this.#nextSet === null) return null;
    const epoch = asEpoch(this.#electorate.epoch + 1);
    this.#electorate = { ...this.#electorate, epoch, set: this.#nextSet };
    return this.#epochStored(epoch, height);
  }

  #epochStored(epoch: Epoch, boundary: Height): Divergence | null {
    const stored = this.#store.epoch(epoch);
    const validators = encodeValidators(this.#electorate.set);
    const isRight = stored?.boundary === boundary && bytesEqual(stored.validators, validators);
    if (isRight) return null;
    const found = stored === null ? 'nothing' : `another set, or from ${stored.boundary}`;
    return differs('EPOCH_STORED', boundary, this.#electorate.set.hash, found);
  }

  /** The stored trie, node by node from the root that the head's header has. */
  #inTrie(top: bigint, address: Address, account: Account | null): Divergence | null {
    const path = toBareHex(keccak256(addressToBytes(address)));
    const want = account === null ? null : toBareHex(encodeAccount(account));
    const { stateRoot } = this.#parent.header;
    let found: string | null;
    try {
      const value = readTrie((at) => this.#store.trieNode(null, at), stateRoot, path);
      found = value === null ? null : toBareHex(value);
    } catch (error) {
      if (!(error instanceof StateDamagedError)) throw error;
      found = error.message;
    }
    if (found === want) return null;
    return differs('TRIE_STORED', top, want ?? 'nothing', found ?? 'nothing', address);
  }

  async #history(top: bigint, address: Address): Promise<Divergence | null> {
    if (await this.#histories.isStored(this.#store, address)) return null;
    const { want, got } = await this.#histories.findDifference(this.#params, this.#store, address);
    const entry = want ?? got;
    const [expected, found] = [spellEntry(want), spellEntry(got)];
    return {
      ...differs('HISTORY_STORED', entry?.height ?? top, expected, found, address),
      transaction: entry?.transactionHash ?? null,
    };
  }

  /** An account that no block ever touched holds nothing. */
  async #nobodyElse(top: bigint): Promise<Divergence | null> {
    let after: Address | null = null;
    do {
      const page: Awaited<ReturnType<ChainStore['accountsAfter']>> =
        await this.#store.accountsAfter(after, pageAccounts);
      for (const { address, account } of page) {
        const want = this.#state.account(address);
        const difference = this.#compare('ACCOUNT_STORED', top, address, want, account);
        if (difference !== null) return difference;
      }
      after = page.length < pageAccounts ? null : (page.at(-1)?.address ?? null);
    } while (after !== null);
    return null;
  }

  /** What contracts keep; a word that no block wrote shows in the number of them. */
  #slots(top: bigint): Divergence | null {
    for (const { address, key, value } of this.#state.slots()) {
      const found = this.#store.slot(address, key);
      if (bytesEqual(found, value)) continue;
      const [want, got] = [value, found].map((word) => `0x${key}: 0x${toBareHex(word)}`);
      return differs('SLOT_STORED', top, want ?? '', got ?? '', address);
    }
    return null;
  }

  /** The indices hold what the blocks gave, and no entry beyond that. */
  async #nothingElse(top: bigint): Promise<Divergence | null> {
    const want = {
      heights: this.#blocks,
      transactions: this.transactions,
      history: this.#histories.entries,
      slots: this.#state.slotCount,
    };
    for (const index of ['heights', 'transactions', 'history', 'slots'] as const) {
      const found = await this.#store.count(index);
      if (found === want[index]) continue;
      return differs('INDEX_ENTRIES', top, `${want[index]} ${index}`, `${found} ${index}`);
    }
    return null;
  }

  #compare(
    code: string,
    height: bigint,
    address: Address,
    want: Account | null,
    got: Account | null,
  ): Divergence | null {
    const spell = (account: Account | null) =>
      account === null ? 'nothing' : `balance ${account.balance}, nonce ${account.nonce}`;
    return spell(want) === spell(got) && want?.storageRoot === got?.storageRoot
      ? null
      : differs(code, height, spell(want), spell(got), address);
  }
}
