import type { Brand } from '#src/lib/brand.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import type { Block } from '#src/types/block.ts';
import {
  type Certificate,
  type CertificateRefusal,
  type VerifiedVotes,
  verifyCertificate,
} from '#src/types/certificate.ts';
import type { Electorate } from '#src/types/electorate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, View } from '#src/types/units.ts';
import { VoteKind } from '#src/types/vote.ts';

/**
 * Consecutive blocks of which the last is finalized by a certificate, and with it the others. Only
 * {@link provenFinal} makes one, so that a commit without a proof does not compile.
 */
export type FinalBlocks = Brand<
  { readonly blocks: readonly Block[]; readonly certificate: Certificate },
  'FinalBlocks'
>;

export type FinalityRefusal =
  | CertificateRefusal
  | { code: 'FINALITY_EMPTY' }
  | { code: 'FINALITY_KIND'; kind: number }
  | { code: 'FINALITY_LINK'; height: bigint; want: Hash; got: Hash }
  | { code: 'FINALITY_HASH'; want: Hash; got: Hash }
  | { code: 'FINALITY_VIEW'; want: View; got: View }
  | { code: 'FINALITY_EPOCH'; height: bigint; want: Epoch; got: Epoch }
  | { code: 'FINALITY_AFTER_END'; height: bigint };

export function provenFinal(
  blocks: readonly Block[],
  certificate: Certificate,
  electorate: Electorate,
  known?: VerifiedVotes,
): Verdict<FinalBlocks, FinalityRefusal> {
  const last = blocks.at(-1);
  if (last === undefined) return refuse({ code: 'FINALITY_EMPTY' });
  const { kind, blockHash, view } = certificate.statement;
  if (kind !== VoteKind.Finalize) return refuse({ code: 'FINALITY_KIND', kind });
  if (last.hash !== blockHash) {
    return refuse({ code: 'FINALITY_HASH', want: blockHash, got: last.hash });
  }
  const { view: want, epochEnd } = last.header.consensus;
  // The last block of an epoch is proposed again in later views until one of them makes it final.
  const isOfView = epochEnd ? view >= want : view === want;
  if (!isOfView) return refuse({ code: 'FINALITY_VIEW', want, got: view });
  for (const [index, block] of blocks.entries()) {
    const parent = blocks[index - 1];
    const { parentHash, height, consensus } = block.header;
    if (consensus.epoch !== electorate.epoch) {
      const { epoch: want } = electorate;
      return refuse({ code: 'FINALITY_EPOCH', height, want, got: consensus.epoch });
    }
    if (parent === undefined) continue;
    if (parent.header.consensus.epochEnd) return refuse({ code: 'FINALITY_AFTER_END', height });
    if (parentHash !== parent.hash || height !== parent.header.height + 1n) {
      return refuse({ code: 'FINALITY_LINK', height, want: parent.hash, got: parentHash });
    }
  }
  const { set, epoch, networkId } = electorate;
  const verdict = verifyCertificate(certificate, set, epoch, networkId, known);
  if (!verdict.ok) return verdict;
  return accept({ blocks, certificate } as unknown as FinalBlocks);
}
