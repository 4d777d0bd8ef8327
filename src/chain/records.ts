import type { Outcome } from '#src/ledger/execute.ts';
import { concatBytes } from '#src/lib/bytes.ts';
import { addressToBytes } from '#src/types/address.ts';
import { type Block, encodeBlock } from '#src/types/block.ts';
import { encodeValidators } from '#src/types/electorate.ts';
import { asEpoch } from '#src/types/units.ts';
import type { BlockRecord, EpochRecord } from './store.ts';

/** What of a block is stored as it is. */
export function recordOf(
  block: Block,
  receipts: readonly Uint8Array[],
): Omit<BlockRecord, 'changes' | 'history' | 'nextEpoch'> {
  return {
    height: block.header.height,
    hash: block.hash,
    parentHash: block.header.parentHash,
    block: encodeBlock(block),
    senders: concatBytes(...block.transactions.map(({ sender }) => addressToBytes(sender))),
    receipts,
    transactions: block.transactions.map(({ hash }) => hash),
  };
}

/** Null where the block does not end its epoch. */
export function nextEpochOf({ header }: Block, { nextSet }: Outcome): EpochRecord | null {
  if (nextSet === null) return null;
  const epoch = asEpoch(header.consensus.epoch + 1);
  return { epoch, boundary: header.height, validators: encodeValidators(nextSet) };
}
