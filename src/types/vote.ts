import { bytesEqual, fromHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Hash, hashFromBytes } from './hash.ts';
import { asEpoch, asView, type Epoch, type View } from './units.ts';

/**
 * What a validator may sign: it saw a valid block, it gave the view up, it saw the block notarized.
 */
export const VoteKind = { Notarize: 1, Nullify: 2, Finalize: 3 } as const;
export type VoteKind = (typeof VoteKind)[keyof typeof VoteKind];

export const ZERO_HASH = `0x${'00'.repeat(32)}` as Hash;

/** The signed content of a vote. In a nullification `parentView` is 0 and `blockHash` is zero. */
export type Statement = {
  readonly kind: VoteKind;
  readonly epoch: Epoch;
  readonly view: View;
  readonly parentView: View;
  readonly blockHash: Hash;
};

export type Vote = {
  readonly statement: Statement;
  /** Position in the validator set of the statement's epoch. */
  readonly signer: number;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
};

/** Domain separation and version; other uses of the key have other 16-byte prefixes. */
const DOMAIN = new TextEncoder().encode('MPBP-CONSENSUS-1');
export const STATEMENT_BYTES = 105;

/**
 * The 105 bytes that a consensus signature covers: domain 16, network id 32, kind 1, epoch 8,
 * view 8, parent view 8, block hash 32, all big-endian.
 */
export function encodeStatement(statement: Statement, networkId: Uint8Array): Uint8Array {
  assert(networkId.length === 32, 'network id is 32 bytes');
  const out = new Uint8Array(STATEMENT_BYTES);
  const words = new DataView(out.buffer);
  out.set(DOMAIN, 0);
  out.set(networkId, 16);
  out[48] = statement.kind;
  words.setBigUint64(49, BigInt(statement.epoch));
  words.setBigUint64(57, BigInt(statement.view));
  words.setBigUint64(65, BigInt(statement.parentView));
  const hash = fromHex(statement.blockHash);
  assert(hash?.length === 32, 'block hash is 32 bytes');
  out.set(hash, 73);
  return out;
}

/** Exactly what `encodeStatement` writes for some statement; null for all else. */
export function decodeStatement(
  bytes: Uint8Array,
): { statement: Statement; networkId: Uint8Array } | null {
  if (bytes.length !== STATEMENT_BYTES || !bytesEqual(bytes.subarray(0, 16), DOMAIN)) return null;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = Object.values(VoteKind).find((known) => known === bytes[48]);
  const numbers = [49, 57, 65].map((at) => Number(words.getBigUint64(at)));
  const [epoch, view, parentView] = numbers;
  if (kind === undefined || !numbers.every(Number.isSafeInteger)) return null;
  const statement: Statement = {
    kind,
    epoch: asEpoch(epoch ?? 0),
    view: asView(view ?? 0),
    parentView: asView(parentView ?? 0),
    blockHash: hashFromBytes(bytes.subarray(73)),
  };
  const isBlank = statement.parentView === 0 && statement.blockHash === ZERO_HASH;
  if (kind === VoteKind.Nullify && !isBlank) return null;
  return { statement, networkId: bytes.slice(16, 48) };
}

/** Identity of a statement within one network: equal keys, equal signed bytes. */
export function statementKey(statement: Statement): string {
  const { kind, epoch, view, parentView, blockHash } = statement;
  return `${kind}.${epoch}.${view}.${parentView}.${blockHash}`;
}
