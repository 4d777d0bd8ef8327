import type { BlockRecord, ChainStore, EpochRecord, Head, Undo } from '#src/chain/store.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { decodeHistoryEntry, encodeHistoryEntry, type HistoryEntry } from '#src/history/history.ts';
import { type Account, decodeAccount } from '#src/ledger/state/account.ts';
import type { SlotKey } from '#src/ledger/state/reader.ts';
import type { TrieNode } from '#src/ledger/state/trieNode.ts';
import { bytesEqual, concatBytes, EMPTY_BYTES, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes, keccakHash } from '#src/types/hash.ts';
import type { Nibbles } from '#src/types/nibbles.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import { asHeight, type Epoch, type Height } from '#src/types/units.ts';
import { type Change, DamageError, type Entry, type Shelf } from './shelf.ts';
import { StateCache } from './stateCache.ts';
import { stateRows } from './stateRows.ts';
import { StateTables } from './stateTables.ts';
import { bytesOf, listOf } from './stored.ts';
import { SCHEMA_VERSION } from './tables.ts';
import { decodeUndo, encodeUndo } from './undo.ts';

/** Final blocks whose earlier state can still be asked for. */
export const undoBlocksMax = 128;
/** Commit records that are walked when the store is opened. */
export const linksWalkedMax = 1_024n;

const countedAtOnce = 4_096;

const SCHEMA_KEY = utf8('schema');
const HEAD_KEY = utf8('head');
const NO_COMMIT = new Uint8Array(32);

/** The chain's tables on a shelf. */
export class ShelfChainStore implements ChainStore {
  readonly #shelf: Shelf;
  readonly #state: StateCache;
  #head: Head | null;
  /** Of the newest commit record, to which the next one is linked. */
  #link: Uint8Array;

  private constructor(shelf: Shelf, head: Head | null, link: Uint8Array) {
    this.#shelf = shelf;
    this.#state = new StateCache(new StateTables(shelf));
    this.#head = head;
    this.#link = link;
  }

  static async open(shelf: Shelf): Promise<ShelfChainStore> {
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
    return store;
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
    let link = this.#link;
    for (const record of records) {
      this.#blockChanges(record, changes);
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
    await this.#shelf.write(changes);
    for (const record of records) this.#state.settle(record.changes);
    this.#head = head;
    this.#link = link;
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
    const bytes = this.#shelf.get('undo', heightKey(height));
    return bytes === null ? null : decodeUndo(bytes);
  }

  async history(
    account: Address,
    cursor: string | null,
    limit: number,
  ): Promise<{ entries: HistoryEntry[]; cursor: string | null } | null> {
    const from = addressToBytes(account);
    let to = concatBytes(from, new Uint8Array(14).fill(0xff));
    if (cursor !== null) {
      if (!/^[0-9a-f]{26}$/.test(cursor)) return null;
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

  async count(index: 'heights' | 'transactions' | 'history'): Promise<number> {
    let count = 0;
    let from: Uint8Array = EMPTY_BYTES;
    for (;;) {
      const page = await this.#shelf.range(index, { from, limit: countedAtOnce });
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

  #blockChanges(record: BlockRecord, out: Change[]): void {
    const { height, changes } = record;
    const at = heightKey(height);
    out.push({ table: 'blocks', key: at, value: record.block });
    out.push({ table: 'senders', key: at, value: record.senders });
    out.push({ table: 'heights', key: hashToBytes(record.hash), value: at });
    out.push({ table: 'receipts', key: at, value: encodeRlp(record.receipts) });
    for (const [index, hash] of record.transactions.entries()) {
      const place = placeOf(height, index);
      out.push({ table: 'transactions', key: hashToBytes(hash), value: place });
    }
    const seen = new Map<string, number>();
    for (const entry of record.history) {
      // One account may have two entries of one transaction, as the proposer that pays has.
      const place = `${entry.account}.${entry.index}`;
      const nth = seen.get(place) ?? 0;
      seen.set(place, nth + 1);
      out.push({ table: 'history', key: historyKey(entry, nth), value: encodeHistoryEntry(entry) });
    }
    stateRows(changes, out);
    if (record.nextEpoch !== null) {
      const { epoch, boundary, validators } = record.nextEpoch;
      const value = concatBytes(heightKey(boundary), validators);
      out.push({ table: 'epochs', key: uintToBytes(BigInt(epoch), 8), value });
    }
    out.push({ table: 'undo', key: at, value: encodeUndo(changes.before) });
  }
}

// --- keys and small codecs
// ------------------------------------------------------------------------

function heightKey(height: bigint): Uint8Array {
  const key = new Uint8Array(8);
  viewOf(key).setBigUint64(0, height);
  return key;
}

function placeOf(height: bigint, index: number): Uint8Array {
  const place = new Uint8Array(12);
  viewOf(place).setBigUint64(0, height);
  viewOf(place).setUint32(8, index);
  return place;
}

/** The least key after this one. */
function following(key: Uint8Array): Uint8Array {
  return concatBytes(key, Uint8Array.of(0));
}

function historyKey(entry: HistoryEntry, nth: number): Uint8Array {
  return concatBytes(
    addressToBytes(entry.account),
    placeOf(entry.height, entry.index),
    Uint8Array.of(nth),
  );
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
