import { toHex } from '#src/lib/bytes.ts';
import { finalityProofToJson, transitionsMax } from '#src/types/finalityProof.ts';
import { asEpoch } from '#src/types/units.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import { quantity } from '../formats.ts';
import { isAbsent, readBlock, readCount } from '../params.ts';
import { heightOf } from '../resolve.ts';

/** What an auditor takes away, to check it without this node. */
export function proofMethods(backend: Backend): Methods {
  return [
    ['mpbp_getFinalityProof', { paramsMax: 2, run: (params) => finalityProof(backend, params) }],
    ['mpbp_getEvidence', { paramsMax: 0, run: () => evidence(backend) }],
  ];
}

/** Of a block, for somebody who trusts the validators of an epoch (genesis' where none is named). */
function finalityProof(backend: Backend, [block, epoch]: readonly unknown[]): unknown {
  const height = heightOf(backend, readBlock(block, 0));
  const trusted = isAbsent(epoch) ? 0 : readCount(epoch, 1);
  if (height === null) return null;
  if (height === 0n) throw invalidParam(0, 'genesis is what is trusted: it needs no proof');
  const proof = backend.finalityProof(height, asEpoch(trusted));
  if (proof === null) {
    throw invalidParam(1, `an epoch not after the block, and at most ${transitionsMax} before it`);
  }
  return { trustedEpoch: quantity(trusted), ...finalityProofToJson(proof) };
}

/** Votes by which validators contradicted themselves, as `submitEvidence` takes them. */
function evidence(backend: Backend): unknown {
  return backend.evidence().map(({ epoch, consensusKey, firstVote, secondVote }) => ({
    epoch: quantity(epoch),
    consensusKey: toHex(consensusKey),
    firstVote: toHex(firstVote),
    secondVote: toHex(secondVote),
  }));
}
