import type { Block, JournalRecord } from '#consensus/core/types.ts';
import { concatBytes, uintToBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Certificate, decodeCertificate, encodeCertificate } from '#src/types/certificate.ts';
import { hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { asEpoch, asView, type Epoch, type View } from '#src/types/units.ts';
import type { VoteKind } from '#src/types/vote.ts';
import type { BlockCodec } from './codec.ts';

/** An append-only log whose `sync` is a promise about the disk. */
export type RecordLog = {
  readonly lastSeq: number;
  readonly syncedSeq: number;
  append(payload: Uint8Array): number;
  sync(): Promise<void>;
  prune(seq: number): void;
  /** Throws away what it holds and goes on with this record, on disk, under this number. */
  restartAt(seq: number, payload: Uint8Array): void;
  close(): Promise<void>;
};

const VOTE = 1;
const CERTIFICATE = 2;
const ABSTENTION = 3;
const BEGIN = 4;
/**
 * The first record, written when the key is made: a log without any record is one that was lost,
 * whatever made its file.
 */
export const journalBegin: Uint8Array = Uint8Array.of(BEGIN);
/** In the place of an epoch: it is not known yet in which one peers will answer. */
const UNTIL_RECALLED = 0xffff_ffff_ffff_ffffn;
const VOTE_HEAD_BYTES = 1 + 1 + 8 + 8 + 8 + 32 + 2 + 64;

/**
 * What this validator signed, with the blocks that it signed for. A vote record is
 * `u8 1, u8 kind, u64 epoch, u64 view, u64 parentView, 32 blockHash, u16 signer, 64 signature,
 * block`; a certificate record is `u8 2, certificate`; an abstention is `u8 3, u64 last epoch in
 * which nothing is signed`, all ones while that epoch is not known; the first is `u8 4`.
 */
export class Journal {
  readonly #log: RecordLog;
  readonly #blocks: BlockCodec;
  /** First sequence number of a record about each view, to know what may be cut. */
  readonly #firstOf = new Map<string, { at: Position; seq: number }>();
  #abstention: { seq: number; through: Abstention } | null = null;
  /** Where the log begins, and the first view that it tells of. */
  #start: { readonly seq: number; readonly at: Position } | null = null;

  constructor(log: RecordLog, blocks: BlockCodec) {
    this.#log = log;
    this.#blocks = blocks;
  }

  get lastSeq(): number {
    return this.#log.lastSeq;
  }

  /**
   * Decodes what the log held about views after this one. A record passed its checksum, so a bad one
   * is damage or our bug.
   */
  read(
    records: readonly { seq: number; payload: Uint8Array }[],
    after: Position | null = null,
  ): JournalRecord[] {
    const first = records.find(({ payload }) => payload[0] === VOTE || payload[0] === CERTIFICATE);
    const seq = records[0]?.seq ?? 1;
    this.#start = first === undefined ? null : { seq, at: positionIn(first.payload) };
    return records.flatMap(({ seq, payload }) => {
      if (payload[0] === BEGIN) {
        this.#abstention = null;
        return [];
      }
      if (payload[0] === ABSTENTION) {
        this.#abstention = { seq, through: decodeAbstention(payload) };
        return [];
      }
      // Of what is final the log still has much, and its blocks would be dear to decode.
      if (after !== null && !isAfter(positionIn(payload), after)) return [];
      const record = decodeRecord(payload, this.#blocks);
      this.#mark(record, seq);
      return [record];
    });
  }

  /** In which epochs this node signs nothing, because its record of them may be incomplete. */
  get abstention(): Abstention | null {
    return this.#abstention?.through ?? null;
  }

  /**
   * The first view of an epoch in which a vote cannot contradict one that was cut off, for a chain
   * that knows the journal up to `chainSeq`: any, unless it was put back to before the cut.
   */
  signFrom(epoch: Epoch, chainSeq: number): View {
    if (this.#start === null || chainSeq >= this.#start.seq - 1) return asView(0);
    const { at } = this.#start;
    if (at.epoch < epoch) return asView(0);
    // Of its first view the log may tell a part.
    return at.epoch > epoch ? asView(Number.MAX_SAFE_INTEGER) : asView(at.view + 1);
  }

  async abstain(through: Abstention): Promise<void> {
    this.#abstention = { seq: this.#log.append(encodeAbstention(through)), through };
    await this.#log.sync();
  }

  /** The operator ends an abstention; what is recorded stays. */
  signAgain(): void {
    if (this.#abstention === null) return;
    this.#abstention = null;
    this.#log.append(journalBegin);
  }

  /**
   * The log is missing, or older than the chain that was written beside it: it begins again, with
   * an abstention until peers have answered; or without, where the operator answers for it.
   */
  beginAfterLoss(chainSeq: number, isAccepted: boolean): void {
    this.#firstOf.clear();
    const through = 'until recalled';
    const seq = Math.max(chainSeq, this.#log.lastSeq) + 1;
    this.#log.restartAt(seq, isAccepted ? journalBegin : encodeAbstention(through));
    this.#abstention = isAccepted ? null : { seq, through };
  }

  /** What the disk holds for certain; certificates behind it may be lost and made again. */
  get syncedSeq(): number {
    return this.#log.syncedSeq;
  }

  append(record: JournalRecord): number {
    const seq = this.#log.append(encodeRecord(record, this.#blocks));
    this.#mark(record, seq);
    return seq;
  }

  sync(): Promise<void> {
    return this.#log.sync();
  }

  /** Forgets views that the chain on disk has made final. */
  pruneThrough(floor: Position): void {
    let keepFrom = this.#log.lastSeq + 1;
    if (this.#abstention !== null && mattersIn(this.#abstention.through, floor.epoch)) {
      keepFrom = this.#abstention.seq;
    }
    for (const [key, { at, seq }] of this.#firstOf) {
      if (!isAfter(at, floor)) this.#firstOf.delete(key);
      else keepFrom = Math.min(keepFrom, seq);
    }
    this.#log.prune(keepFrom);
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #mark(record: JournalRecord, seq: number): void {
    const at = positionOf(record);
    const key = `${at.epoch}.${at.view}`;
    if (!this.#firstOf.has(key)) this.#firstOf.set(key, { at, seq });
  }
}

/** The last epoch without a signature; unknown until peers have answered in one. */
export type Abstention = Epoch | 'until recalled';

export function mattersIn(through: Abstention, epoch: Epoch): boolean {
  return through === 'until recalled' || through >= epoch;
}

/** Views begin again in each epoch. */
export type Position = { readonly epoch: Epoch; readonly view: View };

export function positionOf(record: JournalRecord): Position {
  return record.t === 'vote' ? record.vote.statement : record.certificate.statement;
}

export function isAfter(a: Position, b: Position): boolean {
  return a.epoch === b.epoch ? a.view > b.view : a.epoch > b.epoch;
}

function encodeRecord(record: JournalRecord, blocks: BlockCodec): Uint8Array {
  if (record.t === 'certificate') {
    return concatBytes(Uint8Array.of(CERTIFICATE), encodeCertificate(record.certificate));
  }
  const { statement, signer, signature } = record.vote;
  return concatBytes(
    Uint8Array.of(VOTE, statement.kind),
    uintToBytes(BigInt(statement.epoch), 8),
    uintToBytes(BigInt(statement.view), 8),
    uintToBytes(BigInt(statement.parentView), 8),
    hashToBytes(statement.blockHash),
    uintToBytes(BigInt(signer), 2),
    signature,
    record.block === null ? new Uint8Array(0) : blocks.encode(record.block),
  );
}

function encodeAbstention(through: Abstention): Uint8Array {
  const epoch = through === 'until recalled' ? UNTIL_RECALLED : BigInt(through);
  return concatBytes(Uint8Array.of(ABSTENTION), uintToBytes(epoch, 8));
}

function decodeAbstention(payload: Uint8Array): Abstention {
  assert(payload.length === 9, 'an abstention in the journal has an epoch');
  const words = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const epoch = words.getBigUint64(1);
  return epoch === UNTIL_RECALLED ? 'until recalled' : asEpoch(Number(epoch));
}

function decodeKeptCertificate(payload: Uint8Array): Certificate {
  const certificate = decodeCertificate(payload.subarray(1));
  assert(certificate.ok, 'a certificate in the journal is well formed');
  return certificate.value;
}

function wordsOfVote(payload: Uint8Array): DataView {
  assert(payload[0] === VOTE && payload.length >= VOTE_HEAD_BYTES, 'a journal record has a type');
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
}

function positionIn(payload: Uint8Array): Position {
  if (payload[0] === CERTIFICATE) return decodeKeptCertificate(payload).statement;
  const words = wordsOfVote(payload);
  return {
    epoch: asEpoch(Number(words.getBigUint64(2))),
    view: asView(Number(words.getBigUint64(10))),
  };
}

function decodeRecord(payload: Uint8Array, blocks: BlockCodec): JournalRecord {
  if (payload[0] === CERTIFICATE) {
    return { t: 'certificate', certificate: decodeKeptCertificate(payload) };
  }
  const words = wordsOfVote(payload);
  const blockBytes = payload.subarray(VOTE_HEAD_BYTES);
  let block: Block | null = null;
  if (blockBytes.length > 0) {
    const decoded = blocks.decode(blockBytes);
    assert(decoded.ok, 'a block in the journal is well formed');
    block = decoded.value;
  }
  const statement = {
    kind: words.getUint8(1) as VoteKind,
    ...positionIn(payload),
    parentView: asView(Number(words.getBigUint64(18))),
    blockHash: hashFromBytes(payload.slice(26, 58)),
  };
  const vote = { statement, signer: words.getUint16(58), signature: payload.slice(60, 124) };
  return { t: 'vote', vote, block };
}
