/**
 * Everything in a stopped node's database that can be checked without executing the chain again:
 * the files as LevelDB wrote them, the checksum of every value, the links from genesis, what every
 * index says of every block, the whole state against the newest header, and that header against the
 * validators, epoch by epoch from genesis: a backup may come from anybody. No header vouches for
 * senders and histories, which `mpbp audit replay` recomputes, nor for what is kept of the past.
 */
import { provenFinal } from '#src/chain/final.ts';
import type { ChainParams } from '#src/chain/params.ts';
import { keccak256 } from '#src/crypto/keccak.ts';
import { decodeAccount, encodeAccount } from '#src/ledger/state/account.ts';
import { readTrie } from '#src/ledger/state/trie.ts';
import { bytesEqual, toBareHex } from '#src/lib/bytes.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import { type Block, decodeBlock } from '#src/types/block.ts';
import { decodeCertificate } from '#src/types/certificate.ts';
import { decodeValidators, type Electorate } from '#src/types/electorate.ts';
import type { Hash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT, listRoot, trieRoot } from '#src/types/listRoot.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { asEpoch, asHeight, type Height } from '#src/types/units.ts';
import { ShelfChainStore, undoBlocksMax } from '#storage/chainStore.ts';
import { refuseLocked } from '#storage/levelErrors.ts';
import { checkLevelFiles, checkTableFile } from '#storage/levelFiles.ts';
import { LevelShelf, type SealedEntry } from '#storage/levelShelf.ts';
import { DamageError, unseal } from '#storage/shelf.ts';
import { TABLES } from '#storage/tables.ts';

export type CheckReport = {
  readonly height: bigint;
  readonly stateRoot: Hash;
  readonly files: number;
  readonly values: number;
  readonly blocks: number;
  readonly transactions: number;
  readonly accounts: number;
  readonly slots: number;
};

export type CheckStage = 'files' | 'values' | 'blocks' | 'trie';
/** `of` is null where it is not known before the end. */
export type CheckProgress = (stage: CheckStage, done: number, of: number | null) => void;

const pageAccounts = 1_000;
const blocksAtOnce = 64n;

/** Throws a `DamageError` or `StateDamagedError` at the first thing that is wrong. */
export async function checkDatabase(
  path: string,
  params: ChainParams,
  progress: CheckProgress,
): Promise<CheckReport> {
  refuseLocked(path);
  const files = checkLevelFiles(path);
  for (const [at, file] of files.entries()) {
    checkTableFile(file);
    progress('files', at + 1, files.length);
    await breathe();
  }
  const shelf = await LevelShelf.open(path);
  try {
    return { files: files.length, ...(await checkShelf(shelf, params, progress)) };
  } finally {
    await shelf.close();
  }
}

export async function checkShelf(
  shelf: LevelShelf,
  params: ChainParams,
  progress: CheckProgress,
): Promise<Omit<CheckReport, 'files'>> {
  const store = await ShelfChainStore.open(shelf);
  const state = new FlatState();
  let values = 0;
  for await (const page of shelf.pages()) {
    for (const entry of page) state.add(entry);
    values += page.length;
    progress('values', values, null);
  }
  state.end();
  if (store.head === null || store.heightOf(params.genesis.block.hash) !== 0n) {
    throw new DamageError(`it does not hold chain ${params.networkId}`);
  }
  const top = store.head.height;
  const blocks = new Blocks(store, params);
  store.checkLinks();
  for (let height = 1n; height <= top; height++) {
    blocks.check(asHeight(height));
    if (height % blocksAtOnce !== 0n) continue;
    progress('blocks', Number(height), Number(top));
    await breathe();
  }
  await blocks.end();
  const { stateRoot } = blocks.parent.header;
  if (state.root !== stateRoot) {
    throw new DamageError(
      `the accounts and slots come to state root ${state.root}, block ${top} says ${stateRoot}`,
    );
  }
  await checkTrie(store, stateRoot, (done) => progress('trie', done, state.accounts));
  const { transactions } = blocks;
  const { accounts, slots } = state;
  return { height: top, stateRoot, values, blocks: Number(top) + 1, transactions, accounts, slots };
}

/** The state's root from the flat tables alone; entries come in the order of keys. */
class FlatState {
  accounts = 0;
  slots = 0;
  readonly #pairs: (readonly [Uint8Array, Uint8Array])[] = [];
  readonly #storageRoots = new Map<Address, Hash>();
  #owner: Address | null = null;
  #ownSlots: (readonly [Uint8Array, Uint8Array])[] = [];

  get root(): Hash {
    return trieRoot(this.#pairs);
  }

  add({ key, sealed }: SealedEntry): void {
    if (key[0] === TABLES.accounts) {
      const value = unseal(key, sealed);
      const bytes = key.slice(1);
      const { storageRoot } = decodeAccount(value);
      if (storageRoot !== EMPTY_TRIE_ROOT) {
        this.#storageRoots.set(addressFromBytes(bytes), storageRoot);
      }
      this.#pairs.push([keccak256(bytes), value]);
      this.accounts++;
    }
    if (key[0] === TABLES.slots) {
      const owner = addressFromBytes(key.slice(1, 21));
      if (owner !== this.#owner) this.#endOwner();
      this.#owner = owner;
      this.#ownSlots.push([keccak256(key.slice(21)), encodeRlp(unseal(key, sealed))]);
      this.slots++;
    }
  }

  end(): void {
    this.#endOwner();
    for (const owner of this.#storageRoots.keys()) {
      throw new DamageError(`the slots of ${owner} are missing`);
    }
  }

  #endOwner(): void {
    const owner = this.#owner;
    if (owner === null) return;
    const want = this.#storageRoots.get(owner) ?? EMPTY_TRIE_ROOT;
    const found = trieRoot(this.#ownSlots);
    if (found !== want) {
      throw new DamageError(`the slots of ${owner} come to ${found}, its account says ${want}`);
    }
    this.#storageRoots.delete(owner);
    this.#ownSlots = [];
  }
}

/** What is stored about each block, in order. */
class Blocks {
  readonly #store: ShelfChainStore;
  readonly #params: ChainParams;
  #electorate: Electorate;
  transactions = 0;
  parent: Block;

  constructor(store: ShelfChainStore, params: ChainParams) {
    this.#store = store;
    this.#params = params;
    this.#electorate = params.electorate;
    this.parent = params.genesis.block;
  }

  check(height: Height): void {
    const store = this.#store;
    const wrong = (what: string) => new DamageError(`block ${height}: ${what}`);
    const [bytes, senders] = [store.block(height), store.senders(height)];
    const receipts = store.receipts(height);
    if (bytes === null) throw wrong('missing');
    if (senders === null || receipts === null) throw wrong('its senders or receipts are missing');
    let next = 0;
    const decoded = decodeBlock(bytes, {
      chainId: this.#params.chainId,
      senderOf: () => addressFromBytes(senders.slice(20 * next, 20 * ++next)),
    });
    if (!decoded.ok) throw wrong(`does not decode (${decoded.refusal.code})`);
    const block = decoded.value;
    const { header, transactions, hash } = block;
    if (header.parentHash !== this.parent.hash) throw wrong('does not follow the one before');
    if (store.heightOf(hash) !== height) throw wrong('is not found by its hash');
    if (senders.length !== 20 * transactions.length) throw wrong('has senders for another block');
    if (listRoot(receipts) !== header.receiptsRoot) throw wrong('has other receipts');
    for (const [index, { hash: payment }] of transactions.entries()) {
      const place = store.locate(payment);
      if (place?.height !== height || place.index !== index) {
        throw wrong(`payment ${payment} is not found by its hash`);
      }
    }
    const certificate = store.certificate(height);
    if (certificate !== null) {
      const proof = decodeCertificate(certificate);
      const isOurs = proof.ok && proof.value.statement.blockHash === hash;
      if (!isOurs) throw wrong('has the certificate of another');
      // It speaks for all before it in its epoch.
      const isLast = header.consensus.epochEnd || height === store.head?.height;
      const final = isLast ? provenFinal([block], proof.value, this.#electorate) : null;
      if (final?.ok === false) throw wrong(`nobody made it final (${final.refusal.code})`);
    }
    if (header.consensus.epochEnd) this.#epoch(block, certificate, wrong);
    this.transactions += transactions.length;
    this.parent = block;
  }

  /** What only the newest block can tell. */
  async end(): Promise<void> {
    const { height, hash } = this.#store.head ?? { height: 0n, hash: '' };
    if (this.parent.hash !== hash) throw new DamageError('the head is not the newest block');
    if (height > 0n && this.#store.certificate(asHeight(height)) === null) {
      throw new DamageError(`block ${height}: its certificate is missing`);
    }
    const kept = height < BigInt(undoBlocksMax) ? height : BigInt(undoBlocksMax);
    for (let at = height - kept + 1n; at <= height; at++) {
      if (this.#store.undo(asHeight(at)) !== null) continue;
      throw new DamageError(`block ${at}: what the state was before it is missing`);
    }
    const heights = await this.#store.count('heights');
    const found = await this.#store.count('transactions');
    if (BigInt(heights) !== height + 1n || found !== this.transactions) {
      throw new DamageError(`the indices name ${heights} blocks and ${found} payments`);
    }
  }

  #epoch(
    { header }: Block,
    certificate: Uint8Array | null,
    wrong: (what: string) => DamageError,
  ): void {
    if (certificate === null) throw wrong('ends its epoch and has no certificate');
    const record = this.#store.epoch(asEpoch(header.consensus.epoch + 1));
    if (record?.boundary !== header.height) throw wrong('the epoch after it is missing');
    const next = decodeValidators(record.validators);
    const isNamed = next.ok && next.value.hash === header.consensus.nextValidatorsHash;
    if (!isNamed) throw wrong('the epoch after it has other validators');
    this.#electorate = { ...this.#electorate, epoch: record.epoch, set: next.value };
  }
}

/** Each account under the root, node by node: the trie that the next block is executed on. */
async function checkTrie(
  store: ShelfChainStore,
  root: Hash,
  progress: (done: number) => void,
): Promise<void> {
  let after: Address | null = null;
  let done = 0;
  for (;;) {
    const page: Awaited<ReturnType<ShelfChainStore['accountsAfter']>> = await store.accountsAfter(
      after,
      pageAccounts,
    );
    for (const { address, account } of page) {
      const path = toBareHex(keccak256(addressToBytes(address)));
      const value = readTrie((at) => store.trieNode(null, at), root, path);
      if (value !== null && bytesEqual(value, encodeAccount(account))) continue;
      throw new DamageError(`the trie has another account ${address}`);
    }
    done += page.length;
    progress(done);
    after = page.at(-1)?.address ?? null;
    if (page.length < pageAccounts) return;
  }
}

/** Progress is drawn, and a signal is heard, between the pieces. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
