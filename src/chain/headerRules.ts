import type { BlockContext, Outcome } from '#src/ledger/execute.ts';
import { blockGasLimit } from '#src/ledger/rules.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Electorate } from '#src/types/electorate.ts';
import { type Hash, hashToBytes, keccakHash } from '#src/types/hash.ts';
import { encodeHeader, type Header, hashHeader } from '#src/types/header.ts';
import { asHeight, type Height, type View } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import type { ChainParams } from './params.ts';

/**
 * What a proposer may choose; everything else in a header follows from the parent and the rules.
 */
export type ProposerFields = {
  readonly view: View;
  readonly parentView: View;
  readonly proposerIndex: number;
  readonly timestampMs: number;
};

/**
 * What is fixed for a block on this parent before any of its transactions runs. `blockHash` knows
 * the parent and its ancestors.
 */
export function contextAfter(
  parent: { readonly hash: Hash; readonly header: Header },
  { proposerIndex, timestampMs }: ProposerFields,
  { set, epoch }: Electorate,
  { rules }: ChainParams,
  blockHash: (height: Height) => Hash | null,
): BlockContext {
  return {
    parentHash: parent.hash,
    parentStateRoot: parent.header.stateRoot,
    coinbase: coinbaseOf(proposerIndex, set),
    rules,
    height: asHeight(parent.header.height + 1n),
    epoch,
    timestampMs,
    prevRandao: prevRandaoAfter(parent.hash),
    blockHash,
  };
}

/** The header that a block with these transactions has to have on this parent. */
export function makeHeader(
  parent: { readonly hash: Hash; readonly header: Header },
  fields: ProposerFields,
  transactionsRoot: Hash,
  outcome: Outcome,
  { set, epoch }: Electorate,
  { rules, networkId, paramsHash }: ChainParams,
): Header {
  return {
    parentHash: parent.hash,
    coinbase: coinbaseOf(fields.proposerIndex, set),
    stateRoot: outcome.stateRoot,
    transactionsRoot,
    receiptsRoot: outcome.receiptsRoot,
    logsBloom: outcome.logsBloom,
    height: asHeight(parent.header.height + 1n),
    gasLimit: blockGasLimit(rules),
    gasUsed: outcome.gasUsed,
    prevRandao: prevRandaoAfter(parent.hash),
    baseFeePerGas: rules.baseFeePerGas,
    consensus: {
      ...fields,
      networkId,
      epoch,
      epochEnd: outcome.nextSet !== null,
      validatorsHash: set.hash,
      nextValidatorsHash: outcome.nextSet?.hash ?? set.hash,
      paramsHash,
    },
  };
}

/** The first field in which a header is not what it has to be, with both values; null if none. */
export function findHeaderDifference(
  got: Header,
  want: Header,
): { field: string; want: string; got: string } | null {
  if (hashHeader(got) === hashHeader(want)) return null;
  const flat = ({ consensus, ...rest }: Header) => Object.entries({ ...rest, ...consensus });
  const wanted = new Map(flat(want));
  for (const [field, value] of flat(got)) {
    const other = wanted.get(field);
    if (text(value) !== text(other)) return { field, want: text(other), got: text(value) };
  }
  return { field: 'encoding', want: text(encodeHeader(want)), got: text(encodeHeader(got)) };
}

/** Where the fees of a proposer's block go; the zero address for one that does not exist. */
function coinbaseOf(proposerIndex: number, { validators }: ValidatorSet): Address {
  const validator = validators[proposerIndex];
  return validator?.feeRecipient ?? (`0x${'00'.repeat(20)}` as Address);
}

/** Known to everyone in advance: no lottery may rely on it. */
function prevRandaoAfter(parentHash: Hash): Hash {
  return keccakHash(concatBytes(hashToBytes(parentHash), utf8('prevRandao')));
}

function text(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);
}
