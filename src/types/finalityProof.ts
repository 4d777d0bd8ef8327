import { fromHex, toHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import {
  type Certificate,
  type CertificateRefusal,
  decodeCertificate,
  encodeCertificate,
  verifyCertificate,
} from './certificate.ts';
import { decodeValidators, type Electorate, encodeValidators } from './electorate.ts';
import type { Hash } from './hash.ts';
import { decodeHeader, encodeHeader, type Header, hashHeader } from './header.ts';
import { asEpoch, type Epoch } from './units.ts';
import type { ValidatorSet } from './validatorSet.ts';
import { VoteKind } from './vote.ts';

/** How an epoch ended: its last block, what made that final, and who decides after it. */
export type Transition = {
  readonly header: Header;
  readonly certificate: Certificate;
  readonly nextSet: ValidatorSet;
};

/**
 * That a block is final, for somebody who trusts one set of validators (genesis', or a later one
 * that was proven before) and nothing else. Clock and network play no part. Who holds old keys of
 * two thirds of an old set can sign another history from there: pin genesis and the newest
 * transition you have seen (long-range attack).
 */
export type FinalityProof = {
  /** From the trusted epoch on, one for each epoch that ended before the block's. */
  readonly transitions: readonly Transition[];
  /** The block's, and those after it up to the one that the certificate is for. */
  readonly headers: readonly Header[];
  readonly certificate: Certificate;
};

export type FinalityProofRefusal =
  | { code: 'PROOF_FORMAT'; path: string }
  | { code: 'PROOF_EMPTY' }
  | { code: 'PROOF_EPOCH'; at: number; want: Epoch; got: Epoch }
  | { code: 'PROOF_NETWORK'; at: number }
  | { code: 'PROOF_NOT_THE_END'; at: number }
  | { code: 'PROOF_NEXT_SET'; at: number; want: Hash; got: Hash }
  | { code: 'PROOF_SET'; at: number; want: Hash; got: Hash }
  | { code: 'PROOF_LINK'; at: number; want: Hash; got: Hash }
  | { code: 'PROOF_CERTIFICATE'; at: number; refusal: CertificateRefusal }
  | { code: 'PROOF_CERTIFICATE_BLOCK'; at: number; want: Hash; got: Hash };

export type ProvenBlock = {
  readonly header: Header;
  readonly hash: Hash;
  /** Who decided on it: what one may trust from now on. */
  readonly electorate: Electorate;
};

/** Epochs that one proof bridges; further ones take a proof of a block between. */
export const transitionsMax = 4_096;
const headersMax = 4_096;

/** Design 2.6, rules 1 to 3; `at` in a refusal counts transitions, then headers. */
export function verifyFinalityProof(
  { transitions, headers, certificate }: FinalityProof,
  trusted: Electorate,
): Verdict<ProvenBlock, FinalityProofRefusal> {
  let electorate = trusted;
  for (const [at, { header, certificate: end, nextSet }] of transitions.entries()) {
    const wrong = judgeHeader(header, electorate, at) ?? judgeFinal(header, end, electorate, at);
    if (wrong !== null) return refuse(wrong);
    const { epochEnd, nextValidatorsHash: want } = header.consensus;
    if (!epochEnd) return refuse({ code: 'PROOF_NOT_THE_END', at });
    if (nextSet.hash !== want) {
      return refuse({ code: 'PROOF_NEXT_SET', at, want, got: nextSet.hash });
    }
    electorate = { ...electorate, epoch: asEpoch(electorate.epoch + 1), set: nextSet };
  }
  const [first] = headers;
  const last = headers.at(-1);
  if (first === undefined || last === undefined) return refuse({ code: 'PROOF_EMPTY' });
  for (const [index, header] of headers.entries()) {
    const at = transitions.length + index;
    const wrong = judgeHeader(header, electorate, at);
    if (wrong !== null) return refuse(wrong);
    const before = headers[index - 1];
    if (before === undefined) continue;
    const want = hashHeader(before);
    const follows = header.parentHash === want && header.height === before.height + 1n;
    if (!follows) return refuse({ code: 'PROOF_LINK', at, want, got: header.parentHash });
  }
  const at = transitions.length + headers.length - 1;
  const wrong = judgeFinal(last, certificate, electorate, at);
  if (wrong !== null) return refuse(wrong);
  return accept({ header: first, hash: hashHeader(first), electorate });
}

function judgeHeader(
  { consensus }: Header,
  { set, epoch, networkId }: Electorate,
  at: number,
): FinalityProofRefusal | null {
  if (consensus.networkId !== toHex(networkId)) return { code: 'PROOF_NETWORK', at };
  if (consensus.epoch !== epoch) {
    return { code: 'PROOF_EPOCH', at, want: epoch, got: consensus.epoch };
  }
  const { validatorsHash: got } = consensus;
  return got === set.hash ? null : { code: 'PROOF_SET', at, want: set.hash, got };
}

function judgeFinal(
  header: Header,
  certificate: Certificate,
  { set, epoch, networkId }: Electorate,
  at: number,
): FinalityProofRefusal | null {
  const { kind, blockHash: got } = certificate.statement;
  const want = hashHeader(header);
  if (kind !== VoteKind.Finalize || got !== want) {
    return { code: 'PROOF_CERTIFICATE_BLOCK', at, want, got };
  }
  const verdict = verifyCertificate(certificate, set, epoch, networkId);
  return verdict.ok ? null : { code: 'PROOF_CERTIFICATE', at, refusal: verdict.refusal };
}

// --- as JSON: every part is 0x and its bytes -----------------------------------------------------

export function finalityProofToJson(proof: FinalityProof): Record<string, unknown> {
  return {
    transitions: proof.transitions.map(({ header, certificate, nextSet }) => ({
      header: toHex(encodeHeader(header)),
      certificate: toHex(encodeCertificate(certificate)),
      validators: toHex(encodeValidators(nextSet)),
    })),
    headers: proof.headers.map((header) => toHex(encodeHeader(header))),
    certificate: toHex(encodeCertificate(proof.certificate)),
  };
}

/** Structure only; from anybody. */
export function parseFinalityProof(json: unknown): Verdict<FinalityProof, FinalityProofRefusal> {
  const { transitions, headers, certificate } = fieldsOf(json);
  if (!Array.isArray(transitions) || transitions.length > transitionsMax) {
    return refuse({ code: 'PROOF_FORMAT', path: 'transitions' });
  }
  if (!Array.isArray(headers) || headers.length > headersMax) {
    return refuse({ code: 'PROOF_FORMAT', path: 'headers' });
  }
  const steps: Transition[] = [];
  for (const [at, item] of transitions.entries()) {
    const fields = fieldsOf(item);
    const header = headerFrom(fields.header);
    const end = certificateFrom(fields.certificate);
    const bytes = bytesFrom(fields.validators);
    const set = bytes === null ? null : decodeValidators(bytes);
    if (header === null || end === null || set === null || !set.ok) {
      return refuse({ code: 'PROOF_FORMAT', path: `transitions[${at}]` });
    }
    steps.push({ header, certificate: end, nextSet: set.value });
  }
  const parsed: Header[] = [];
  for (const [at, item] of headers.entries()) {
    const header = headerFrom(item);
    if (header === null) return refuse({ code: 'PROOF_FORMAT', path: `headers[${at}]` });
    parsed.push(header);
  }
  const end = certificateFrom(certificate);
  if (end === null) return refuse({ code: 'PROOF_FORMAT', path: 'certificate' });
  return accept({ transitions: steps, headers: parsed, certificate: end });
}

function fieldsOf(json: unknown): Record<string, unknown> {
  return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
}

function bytesFrom(value: unknown): Uint8Array | null {
  return typeof value === 'string' ? fromHex(value) : null;
}

function headerFrom(value: unknown): Header | null {
  const bytes = bytesFrom(value);
  const header = bytes === null ? null : decodeHeader(bytes);
  return header?.ok ? header.value : null;
}

function certificateFrom(value: unknown): Certificate | null {
  const bytes = bytesFrom(value);
  const certificate = bytes === null ? null : decodeCertificate(bytes);
  return certificate?.ok ? certificate.value : null;
}
