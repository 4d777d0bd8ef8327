import { ed25519Verify } from '#src/crypto/ed25519.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';
import type { Hash } from './hash.ts';
import type { Epoch, View } from './units.ts';
import { isQuorum, type ValidatorSet, validatorsMax } from './validatorSet.ts';
import { encodeStatement, type Statement, VoteKind, ZERO_HASH } from './vote.ts';

/**
 * Votes of more than two thirds of the stake for one statement. Two nodes may hold different signer
 * subsets for the same statement: never compare certificates by bytes, never hash one into a block.
 */
export type Certificate = {
  readonly statement: Statement;
  /** How many validators the epoch's set has: the width of the bitmap. */
  readonly setSize: number;
  /** Positions in the epoch's validator set, ascending. */
  readonly signers: readonly number[];
  /** One 64-byte Ed25519 signature for each signer, in the same order. */
  readonly signatures: readonly Uint8Array[];
};

export type CertificateRefusal =
  | { code: 'CERTIFICATE_LENGTH'; length: number }
  | { code: 'CERTIFICATE_VERSION'; version: number }
  | { code: 'CERTIFICATE_SCHEME'; scheme: number }
  | { code: 'CERTIFICATE_KIND'; kind: number }
  | { code: 'CERTIFICATE_NUMBER' }
  | { code: 'CERTIFICATE_SET_SIZE'; want: number; got: number }
  | { code: 'CERTIFICATE_BITMAP' }
  | { code: 'CERTIFICATE_EPOCH'; want: number; got: number }
  | { code: 'CERTIFICATE_NO_QUORUM'; weight: bigint; total: bigint }
  | { code: 'CERTIFICATE_SIGNATURE'; signer: number };

const VERSION = 1;
const SCHEME_ED25519 = 1;
const HEAD_BYTES = 61;
const SIGNATURE_BYTES = 64;
export const certificateBytesMax = HEAD_BYTES + validatorsMax / 8 + validatorsMax * SIGNATURE_BYTES;

/**
 * `u8 version, u8 scheme, u8 kind, u64 epoch, u64 view, u64 parentView, 32 blockHash, u16 n,
 * bitmap ceil(n/8) with the least significant bit first, 64-byte signatures by ascending index`.
 */
export function encodeCertificate(certificate: Certificate): Uint8Array {
  const { statement, setSize, signers, signatures } = certificate;
  const bitmapBytes = Math.ceil(setSize / 8);
  const out = new Uint8Array(HEAD_BYTES + bitmapBytes + signers.length * SIGNATURE_BYTES);
  const words = new DataView(out.buffer);
  out[0] = VERSION;
  out[1] = SCHEME_ED25519;
  out[2] = statement.kind;
  words.setBigUint64(3, BigInt(statement.epoch));
  words.setBigUint64(11, BigInt(statement.view));
  words.setBigUint64(19, BigInt(statement.parentView));
  out.set(fromHex(statement.blockHash) ?? [], 27);
  words.setUint16(59, setSize);
  for (const [position, signer] of signers.entries()) {
    assert(signer < setSize, 'signer within the set');
    const byte = HEAD_BYTES + (signer >> 3);
    out[byte] = (out[byte] ?? 0) | (1 << (signer & 7));
    const signature = signatures[position];
    assert(signature?.length === SIGNATURE_BYTES, 'one signature for each signer');
    out.set(signature, HEAD_BYTES + bitmapBytes + position * SIGNATURE_BYTES);
  }
  return out;
}

/** Structure only; {@link verifyCertificate} judges weight and signatures. */
export function decodeCertificate(bytes: Uint8Array): Verdict<Certificate, CertificateRefusal> {
  if (bytes.length < HEAD_BYTES || bytes.length > certificateBytesMax) {
    return refuse({ code: 'CERTIFICATE_LENGTH', length: bytes.length });
  }
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = words.getUint8(0);
  if (version !== VERSION) return refuse({ code: 'CERTIFICATE_VERSION', version });
  const scheme = words.getUint8(1);
  if (scheme !== SCHEME_ED25519) return refuse({ code: 'CERTIFICATE_SCHEME', scheme });
  const statement = decodeCertificateStatement(words, bytes);
  if (!statement.ok) return statement;
  const setSize = words.getUint16(59);
  if (setSize < 1 || setSize > validatorsMax) {
    return refuse({ code: 'CERTIFICATE_SET_SIZE', want: validatorsMax, got: setSize });
  }
  const bitmapBytes = Math.ceil(setSize / 8);
  const signers: number[] = [];
  for (let bit = 0; bit < bitmapBytes * 8; bit++) {
    if (((bytes[HEAD_BYTES + (bit >> 3)] ?? 0) & (1 << (bit & 7))) === 0) continue;
    if (bit >= setSize) return refuse({ code: 'CERTIFICATE_BITMAP' });
    signers.push(bit);
  }
  const start = HEAD_BYTES + bitmapBytes;
  if (bytes.length !== start + signers.length * SIGNATURE_BYTES) {
    return refuse({ code: 'CERTIFICATE_LENGTH', length: bytes.length });
  }
  const signatures = signers.map((_, position) =>
    bytes.slice(start + position * SIGNATURE_BYTES, start + (position + 1) * SIGNATURE_BYTES),
  );
  return accept({ statement: statement.value, setSize, signers, signatures });
}

/**
 * Looks up a vote that was verified before, so that a certificate after its votes costs nothing.
 */
export type VerifiedVotes = (
  statement: Statement,
  signer: number,
  signature: Uint8Array,
) => boolean;

/**
 * RFC 8032 without the cofactor, canonical points and scalars, as OpenSSL 3 judges them: the one
 * verifier of the protocol. The weight is counted first, because it is cheap.
 */
export function verifyCertificate(
  certificate: Certificate,
  set: ValidatorSet,
  epoch: Epoch,
  networkId: Uint8Array,
  known: VerifiedVotes = () => false,
): Verdict<Certificate, CertificateRefusal> {
  const { statement, signers, signatures } = certificate;
  if (statement.epoch !== epoch) {
    return refuse({ code: 'CERTIFICATE_EPOCH', want: epoch, got: statement.epoch });
  }
  if (certificate.setSize !== set.validators.length) {
    const want = set.validators.length;
    return refuse({ code: 'CERTIFICATE_SET_SIZE', want, got: certificate.setSize });
  }
  let weight = 0n;
  let last = -1;
  for (const signer of signers) {
    const validator = set.validators[signer];
    if (validator === undefined || signer <= last) return refuse({ code: 'CERTIFICATE_BITMAP' });
    last = signer;
    weight += validator.stake;
  }
  if (!isQuorum(weight, set)) {
    return refuse({ code: 'CERTIFICATE_NO_QUORUM', weight, total: set.totalStake });
  }
  let message: Uint8Array | null = null;
  for (const [position, signer] of signers.entries()) {
    const signature = signatures[position];
    const key = set.validators[signer]?.consensusKey;
    if (signature === undefined || key === undefined) {
      return refuse({ code: 'CERTIFICATE_SIGNATURE', signer });
    }
    if (known(statement, signer, signature)) continue;
    message ??= encodeStatement(statement, networkId);
    if (!ed25519Verify(key, message, signature)) {
      return refuse({ code: 'CERTIFICATE_SIGNATURE', signer });
    }
  }
  return accept(certificate);
}

function decodeCertificateStatement(
  words: DataView,
  bytes: Uint8Array,
): Verdict<Statement, CertificateRefusal> {
  const kind = words.getUint8(2);
  if (kind !== VoteKind.Notarize && kind !== VoteKind.Nullify && kind !== VoteKind.Finalize) {
    return refuse({ code: 'CERTIFICATE_KIND', kind });
  }
  const [epoch, view, parentView] = [3, 11, 19].map((at) => Number(words.getBigUint64(at)));
  const blockHash = toHex(bytes.subarray(27, 59)) as Hash;
  const numbers = [epoch, view, parentView];
  const nullifies = kind === VoteKind.Nullify;
  if (!numbers.every(Number.isSafeInteger) || (view as number) < 1) {
    return refuse({ code: 'CERTIFICATE_NUMBER' });
  }
  if ((parentView as number) >= (view as number)) return refuse({ code: 'CERTIFICATE_NUMBER' });
  if (nullifies !== (blockHash === ZERO_HASH) || (nullifies && parentView !== 0)) {
    return refuse({ code: 'CERTIFICATE_NUMBER' });
  }
  return accept({
    kind,
    epoch: epoch as Epoch,
    view: view as View,
    parentView: parentView as View,
    blockHash,
  });
}
