import type {
  BlockRecord,
  ChainStore,
  EpochRecord,
  Head,
  HeldStore,
  Undo,
} from '#src/chain/store.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { decodeHistoryEntry, type HistoryEntry } from '#src/history/history.ts';
import { type Account, decodeAccount } from '#src/ledger/state/account.ts';
import type { SlotKey, StateReader } from '#src/ledger/state/reader.ts';
import type { TrieNode } from '#src/ledger/state/trieNode.ts';
import { bytesEqual, concatBytes, EMPTY_BYTES, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes, keccakHash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { asHeight, type Epoch, type Height } from '#src/types/units.ts';
import { Archivist, valueAfter } from './archive.ts';
import { blockRows, heightKey } from './blockRows.ts';
import { type Change, DamageError, type Entry, type Shelf } from './shelf.ts';
import { StateCache } from './stateCache.ts';
import { StateTables } from './stateTables.ts';
import { bytesOf, listOf } from './stored.ts';
import { SCHEMA_VERSION } from './tables.ts';
import { decodeUndo } from './undo.ts';

/** Final blocks whose earlier state can still be asked for. */
export const undoBlocksMax = 128;
/** Commit records that are walked when the store is opened. */
export const linksWalkedMax = 1_024n;

const countedAtOnce = 4_096;

const SCHEMA_KEY = utf8('schema');
const HEAD_KEY = utf8('head');
const ARCHIVE_KEY = utf8('archive');
const NO_COMMIT = new Uint8Array(32);

/** The chain's tables on a shelf. */
export class ShelfChainStore implements ChainStore {
  readonly #shelf: Shelf;
  readonly #state: StateCache;
  /** Where the state is read: while a batch is on its way, what was stored before it. */
  #settled: Pick<Shelf, 'get'>;
  #head: Head | null;
  /** Of the newest commit record, to which the next one is linked. */
  #link: Uint8Array;
  /** The first block whose state the archive has; null where none is kept. */
  #archiveFrom: bigint | null = null;

  private constructor(shelf: Shelf, head: Head | null, link: Uint8Array) {
    this.#shelf = shelf;
    this.#settled = shelf;
    const settled = { get: (...of: Parameters<Shelf['get']>) => this.#settled.get(...of) };
    this.#state = new StateCache(new StateTables(settled));
    this.#head = head;
    this.#link = link;
  }

  /**
   * `archive` switches the archive on, from the head on, or off; null leaves it as it was.
   * Throws UserError where the database is another program's.
   */
  static async open(shelf: Shelf, archive: boolean | null = null): Promise<ShelfChainStore> {
    const schema = shelf.get('meta', SCHEMA_KEY);
    if (schema === null) {
      await shelf.write([{ table: 'meta', key: SCHEMA_KEY, value: Uint8Array.of(SCHEMA_VERSION) }]);
    } else if (schema[0] !== SCHEMA_VERSION) {
      throw new UserError(
        EXIT.badData,
        `the database has schema ${schema[0]}, this program knows ${SCHEMA_VERSION}: use the ` +
          'program that wrote it, or a newer one',
      );
    }
    const bytes = shelf.get('meta', HEAD_KEY);
    const head = bytes === null ? null : decodeHead(bytes);
    const store = new ShelfChainStore(shelf, head, NO_COMMIT);
    if (head !== null) store.#link = store.#commitAt(head.height);
    const from = shelf.get('meta', ARCHIVE_KEY);
    store.#archiveFrom = from === null ? null : readUint(from, 0);
    if (archive !== null) await store.#switchArchive(archive);
    return store;
  }

  async #switchArchive(on: boolean): Promise<void> {
    if (on === (this.#archiveFrom !== null)) return;
    const from = on ? (this.#head?.height ?? 0n) : null;
    const value = from === null ? null : heightKey(from);
    await this.#shelf.write([{ table: 'meta', key: ARCHIVE_KEY, value }]);
    this.#archiveFrom = from;
  }

  get head(): Head | null {
    return this.#head;
  }

  async commit(
    records: readonly BlockRecord[],
    certificate: Uint8Array | null,
    journalSeq: number,
  ): Promise<void> {
    const last = records.at(-1);
    if (last === undefined) return;
    const changes: Change[] = [];
    const archivist = this.#archiveFrom === null ? null : new Archivist(this.#shelf);
    let link = this.#link;
    for (const record of records) {
      const rows = blockRows(record);
      for (const row of rows) changes.push(row);
      archivist?.record(record.height, rows, changes);
      link = nextLink(link, record);
      changes.push({ table: 'commits', key: heightKey(record.height), value: link });
      const old = record.height - BigInt(undoBlocksMax);
      if (old >= 0n) changes.push({ table: 'undo', key: heightKey(old), value: null });
    }
    if (certificate !== null) {
      changes.push({ table: 'certificates', key: heightKey(last.height), value: certificate });
    }
    // It never falls: a node that lost its journal must not forget that it did.
    const seq = Math.max(journalSeq, this.#head?.journalSeq ?? 0);
    const head: Head = { height: last.height, hash: last.hash, journalSeq: seq };
    changes.push({ table: 'meta', key: HEAD_KEY, value: encodeHead(head) });
    await this.#writeBehind(changes, () => {
      for (const record of records) this.#state.settle(record.changes);
      this.#head = head;
      this.#link = link;
    });
  }

  /** Until the batch is on disk, and where it fails, readers see the state before it; then all of it. */
  async #writeBehind(changes: readonly Change[], settle: () => void): Promise<void> {
    const before = this.#shelf.view();
    this.#settled = before;
    try {
      await this.#shelf.write(changes);
      settle();
    } finally {
      this.#settled = this.#shelf;
      before.close();
    }
  }

  // --- the state at the head --------------------------------------------------------------------

  account(address: Address): Account | null {
    return this.#state.account(address);
  }

  slot(address: Address, key: SlotKey): Uint8Array {
    return this.#state.slot(address, key);
  }

  code(hash: Hash): Uint8Array | null {
    return this.#state.code(hash);
  }

  trieNode(owner: Address | null, path: Nibbles): TrieNode | null {
    return this.#state.trieNode(owner, path);
  }

  // --- the past ---------------------------------------------------------------------------------

  block(height: Height): Uint8Array | null {
    return this.#shelf.get('blocks', heightKey(height));
  }

  senders(height: Height): Uint8Array | null {
    return this.#shelf.get('senders', heightKey(height));
  }

  heightOf(hash: Hash): Height | null {
    const bytes = this.#shelf.get('heights', hashToBytes(hash));
    return bytes === null ? null : asHeight(readUint(bytes, 0));
  }

  receipts(height: Height): readonly Uint8Array[] | null {
    const bytes = this.#shelf.get('receipts', heightKey(height));
    if (bytes === null) return null;
    return listOf(bytes).map((item) => bytesOf(item));
  }

  certificate(height: Height): Uint8Array | null {
    return this.#shelf.get('certificates', heightKey(height));
  }

  epoch(epoch: Epoch): EpochRecord | null {
    const bytes = this.#shelf.get('epochs', uintToBytes(BigInt(epoch), 8));
    if (bytes === null) return null;
    return { epoch, boundary: asHeight(readUint(bytes, 0)), validators: bytes.slice(8) };
  }

  locate(transaction: Hash): { height: Height; index: number } | null {
    const bytes = this.#shelf.get('transactions', hashToBytes(transaction));
    if (bytes === null) return null;
    return { height: asHeight(readUint(bytes, 0)), index: viewOf(bytes).getUint32(8) };
  }

  undo(height: Height): Undo | null {
    return undoIn(this.#shelf, height);
  }

  archived(height: Height): StateReader | null {
    return archivedIn(this.#shelf, height);
  }

  hold(): HeldStore {
    const view = this.#shelf.view();
    const head = view.get('meta', HEAD_KEY);
    assert(head !== null, 'a chain has a head');
    return {
      height: decodeHead(head).height,
      state: new StateTables(view),
      undo: (height) => undoIn(view, height),
      archived: (height) => archivedIn(view, height),
      close: () => view.close(),
    };
  }

  async history(
    account: Address,
    cursor: string | null,
    limit: number,
  ): Promise<{ entries: HistoryEntry[]; cursor: string | null } | null> {
    const from = addressToBytes(account);
    let to = concatBytes(from, new Uint8Array(16).fill(0xff));
    if (cursor !== null) {
      if (!/^[0-9a-f]{32}$/.test(cursor)) return null;
      to = concatBytes(from, new Uint8Array(Buffer.from(cursor, 'hex')));
    }
    const found = await this.#shelf.range('history', { from, to, reverse: true, limit });
    const entries = found.map((entry) => historyEntry(account, entry));
    const last = found.at(-1);
    const more = last !== undefined && found.length === limit;
    return {
      entries,
      cursor: more ? Buffer.from(last.key.subarray(20)).toString('hex') : null,
    };
  }

  async historyBeside(
    account: Address,
    side: 'below' | 'above',
    height: Height,
    limit: number,
  ): Promise<HistoryEntry[]> {
    const owner = addressToBytes(account);
    const isBelow = side === 'below';
    const range = isBelow
      ? { from: owner, to: concatBytes(owner, heightKey(height)) }
      : {
          from: concatBytes(owner, heightKey(height + 1n)),
          to: concatBytes(owner, new Uint8Array(16).fill(0xff)),
        };
    const found = await this.#shelf.range('history', { ...range, reverse: isBelow, limit });
    return found.map((entry) => historyEntry(account, entry));
  }

  async accountsAfter(
    after: Address | null,
    limit: number,
  ): Promise<{ address: Address; account: Account }[]> {
    const from = after === null ? EMPTY_BYTES : following(addressToBytes(after));
    const found = await this.#shelf.range('accounts', { from, limit });
    return found.map(({ key, value }) => ({
      address: addressFromBytes(key),
      account: decodeAccount(value),
    }));
  }

  async count(table: 'heights' | 'transactions' | 'history' | 'slots'): Promise<number> {
    let count = 0;
    let from: Uint8Array = EMPTY_BYTES;
    for (;;) {
      const page = await this.#shelf.range(table, { from, limit: countedAtOnce });
      count += page.length;
      const last = page.at(-1);
      if (last === undefined || page.length < countedAtOnce) return count;
      from = following(last.key);
    }
  }

  checkLinks(): void {
    const head = this.#head;
    if (head === null) return;
    const lowest = head.height > linksWalkedMax ? head.height - linksWalkedMax : 0n;
    let link = lowest === 0n ? NO_COMMIT : this.#commitAt(asHeight(lowest - 1n));
    let parent: Hash | null = null;
    for (let height = lowest; height <= head.height; height++) {
      const bytes = this.block(asHeight(height));
      if (bytes === null) throw new DamageError(`block ${height} is missing`);
      const stored = this.#commitAt(asHeight(height));
      link = linkOver(link, height, sha256(bytes));
      if (!bytesEqual(link, stored)) {
        throw new DamageError(`the commit record of block ${height} does not link`);
      }
      parent = this.#hashAt(asHeight(height), parent);
    }
    if (parent !== head.hash) throw new DamageError('the head is not the newest block');
  }

  async close(): Promise<void> {
    await this.#shelf.close();
  }

  /** The block's hash by the index that leads back to its height. */
  #hashAt(height: Height, parent: Hash | null): Hash {
    const header = listOf(listOf(this.block(height) ?? EMPTY_BYTES)[0] ?? EMPTY_BYTES);
    const parentHash = hashFromBytes(bytesOf(header[0] ?? EMPTY_BYTES));
    if (parent !== null && parentHash !== parent) {
      throw new DamageError(`block ${height} does not follow the one before`);
    }
    const hash = keccakHash(encodeRlp(header));
    if (this.heightOf(hash) !== height) throw new DamageError(`block ${height} is not indexed`);
    return hash;
  }

  #commitAt(height: Height): Uint8Array {
    const link = this.#shelf.get('commits', heightKey(height));
    if (link === null) throw new DamageError(`the commit record of block ${height} is missing`);
    return link;
  }
}

function undoIn(shelf: Pick<Shelf, 'get'>, height: Height): Undo | null {
  const bytes = shelf.get('undo', heightKey(height));
  return bytes === null ? null : decodeUndo(bytes);
}

function archivedIn(shelf: Pick<Shelf, 'get'>, height: Height): StateReader | null {
  const from = shelf.get('meta', ARCHIVE_KEY);
  if (from === null || height < readUint(from, 0)) return null;
  return new StateTables({ get: (table, key) => valueAfter(shelf, height, table, key) });
}

/** The least key after this one. */
function following(key: Uint8Array): Uint8Array {
  return concatBytes(key, Uint8Array.of(0));
}

function historyEntry(account: Address, { key, value }: Entry): HistoryEntry {
  const words = viewOf(key);
  const height = asHeight(words.getBigUint64(20));
  return decodeHistoryEntry(value, { account, height, index: words.getUint32(28) });
}

/** Linked by hash: a lost batch in the middle shows, which LevelDB alone would not tell. */
function nextLink(link: Uint8Array, record: BlockRecord): Uint8Array {
  return linkOver(link, record.height, sha256(record.block));
}

function linkOver(link: Uint8Array, height: bigint, blockDigest: Uint8Array): Uint8Array {
  return sha256(concatBytes(link, heightKey(height), blockDigest));
}

function encodeHead({ height, hash, journalSeq }: Head): Uint8Array {
  return concatBytes(heightKey(height), hashToBytes(hash), uintToBytes(BigInt(journalSeq), 8));
}

function decodeHead(bytes: Uint8Array): Head {
  return {
    height: asHeight(readUint(bytes, 0)),
    hash: hashFromBytes(bytes.slice(8, 40)),
    journalSeq: Number(readUint(bytes, 40)),
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readUint(bytes: Uint8Array, at: number): bigint {
  return viewOf(bytes).getBigUint64(at);
}
