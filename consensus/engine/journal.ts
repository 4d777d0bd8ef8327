import type { Block, JournalRecord } from '#consensus/core/types.ts';
import { concatBytes, uintToBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { decodeCertificate, encodeCertificate } from '#src/types/certificate.ts';
import { hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { asEpoch, asView } from '#src/types/units.ts';
import type { VoteKind } from '#src/types/vote.ts';
import type { BlockCodec } from './codec.ts';

/** An append-only log whose `sync` is a promise about the disk. */
export type RecordLog = {
  readonly lastSeq: number;
  readonly syncedSeq: number;
  append(payload: Uint8Array): number;
  sync(): Promise<void>;
  prune(seq: number): void;
  close(): Promise<void>;
};

const VOTE = 1;
const CERTIFICATE = 2;
const VOTE_HEAD_BYTES = 1 + 1 + 8 + 8 + 8 + 32 + 2 + 64;

/**
 * What this validator signed, with the blocks that it signed for. A vote record is
 * `u8 1, u8 kind, u64 epoch, u64 view, u64 parentView, 32 blockHash, u16 signer, 64 signature,
 * block`; a certificate record is `u8 2, certificate`.
 */
export class Journal {
  readonly #log: RecordLog;
  readonly #blocks: BlockCodec;
  /** First sequence number of a record about each view, to know what may be cut. */
  readonly #firstSeqOf = new Map<number, number>();

  constructor(log: RecordLog, blocks: BlockCodec) {
    this.#log = log;
    this.#blocks = blocks;
  }

  get lastSeq(): number {
    return this.#log.lastSeq;
  }

  /** Decodes what the log held. A record passed its checksum, so a bad one is damage or our bug. */
  read(records: readonly { seq: number; payload: Uint8Array }[]): JournalRecord[] {
    return records.map(({ seq, payload }) => {
      const record = decodeRecord(payload, this.#blocks);
      this.#mark(record, seq);
      return record;
    });
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
  pruneThrough(view: number): void {
    let keepFrom = this.#log.lastSeq + 1;
    for (const [at, seq] of this.#firstSeqOf) {
      if (at <= view) this.#firstSeqOf.delete(at);
      else keepFrom = Math.min(keepFrom, seq);
    }
    this.#log.prune(keepFrom);
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #mark(record: JournalRecord, seq: number): void {
    const view = viewOf(record);
    if (!this.#firstSeqOf.has(view)) this.#firstSeqOf.set(view, seq);
  }
}

export function viewOf(record: JournalRecord): number {
  return record.t === 'vote' ? record.vote.statement.view : record.certificate.statement.view;
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

function decodeRecord(payload: Uint8Array, blocks: BlockCodec): JournalRecord {
  if (payload[0] === CERTIFICATE) {
    const certificate = decodeCertificate(payload.subarray(1));
    assert(certificate.ok, 'a certificate in the journal is well formed');
    return { t: 'certificate', certificate: certificate.value };
  }
  assert(payload[0] === VOTE && payload.length >= VOTE_HEAD_BYTES, 'a journal record has a type');
  const words = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const blockBytes = payload.subarray(VOTE_HEAD_BYTES);
  let block: Block | null = null;
  if (blockBytes.length > 0) {
    const decoded = blocks.decode(blockBytes);
    assert(decoded.ok, 'a block in the journal is well formed');
    block = decoded.value;
  }
  const statement = {
    kind: words.getUint8(1) as VoteKind,
    epoch: asEpoch(Number(words.getBigUint64(2))),
    view: asView(Number(words.getBigUint64(10))),
    parentView: asView(Number(words.getBigUint64(18))),
    blockHash: hashFromBytes(payload.slice(26, 58)),
  };
  const vote = { statement, signer: words.getUint16(58), signature: payload.slice(60, 124) };
  return { t: 'vote', vote, block };
}
