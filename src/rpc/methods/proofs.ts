import type { ProofRefusal } from '#src/chain/pastTries.ts';
import { bytesToUint, EMPTY_BYTES, toHex } from '#src/lib/bytes.ts';
import { finalityProofToJson, transitionsMax } from '#src/types/finalityProof.ts';
import { receiptProofToJson } from '#src/types/receiptProof.ts';
import { asEpoch, type Height } from '#src/types/units.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam, limitExceeded, type RpcError } from '../errors.ts';
import { quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import { isAbsent, readAddress, readBlock, readCount, readHash, readList } from '../params.ts';
import { finalHeightOf, heightOf, pruned } from '../resolve.ts';
import { readSlot } from './state.ts';

/** What an auditor takes away, to check it without this node. */
export function proofMethods(backend: Backend, limits: RpcLimits): Methods {
  return [
    [
      'eth_getProof',
      { paramsMax: 3, run: (params) => accountProof(backend, limits, params), overlaps: true },
    ],
    [
      'mpbp_getFinalityProof',
      { paramsMax: 2, units: 10, run: (params) => finalityProof(backend, params) },
    ],
    [
      'mpbp_getReceiptProof',
      { paramsMax: 2, units: 20, run: (params) => receiptProof(backend, params) },
    ],
    ['mpbp_getEvidence', { paramsMax: 0, run: () => evidence(backend) }],
  ];
}

/** EIP-1186, as geth answers it. */
async function accountProof(
  backend: Backend,
  { proofSlotsMax }: RpcLimits,
  [addressText, keys, block]: readonly unknown[],
): Promise<unknown> {
  const address = readAddress(addressText, 0);
  const slots = readList(keys, 1, proofSlotsMax).map((key) => readSlot(key, 1));
  const height = finalHeightOf(backend, readBlock(block, 2));
  const proof = await backend.stateProof(height, address, slots);
  if (!proof.ok) throw refusedProof(backend, height, proof.refusal);
  const { account, nodes, slots: proven } = proof.value;
  const names = keys as readonly string[];
  return {
    address,
    accountProof: nodes.map(toHex),
    balance: quantity(account.balance),
    codeHash: account.codeHash,
    nonce: quantity(account.nonce),
    storageHash: account.storageRoot,
    storageProof: proven.map(({ value, nodes: slotNodes }, index) => ({
      key: keyAsAsked(names[index] ?? '', slots[index] ?? EMPTY_BYTES),
      value: quantity(bytesToUint(value)),
      proof: slotNodes.map(toHex),
    })),
  };
}

/** 32 bytes where they were given as such, else a quantity. */
function keyAsAsked(asked: string, slot: Uint8Array): string {
  return asked.length === 66 ? toHex(slot) : quantity(bytesToUint(slot));
}

function refusedProof(backend: Backend, height: Height, refusal: ProofRefusal): RpcError {
  switch (refusal.code) {
    case 'STATE_PRUNED':
      return pruned(backend, height);
    case 'PROOF_TOO_FAR':
      return limitExceeded(
        `more than ${refusal.changesMax} accounts and slots changed since: ask for a later block`,
      );
    case 'PROOFS_BUSY':
      return limitExceeded('other proofs of past blocks are being made: ask again');
  }
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

/** Of a payment; null while it is not final. The epoch as for a block. */
function receiptProof(backend: Backend, [hash, epoch]: readonly unknown[]): unknown {
  const transaction = readHash(hash, 0);
  const trusted = isAbsent(epoch) ? 0 : readCount(epoch, 1);
  if (backend.locate(transaction) === null) return null;
  const proof = backend.receiptProof(transaction, asEpoch(trusted));
  if (proof === null) {
    throw invalidParam(1, `an epoch not after the block, and at most ${transitionsMax} before it`);
  }
  return { trustedEpoch: quantity(trusted), ...receiptProofToJson(proof) };
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
