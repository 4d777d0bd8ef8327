import { assert } from '#src/lib/failure.ts';
import { type FinalityProof, type Transition, transitionsMax } from '#src/types/finalityProof.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import { proveListItem } from '#src/types/listRoot.ts';
import { encodeReceipt } from '#src/types/receipt.ts';
import type { ReceiptProof } from '#src/types/receiptProof.ts';
import { asEpoch, asHeight, type Epoch, type Height } from '#src/types/units.ts';
import type { Chain } from './chain.ts';

/**
 * The proof for a final block, for somebody who trusts the validators of an epoch not after it;
 * null for a height that is not final here, or an epoch that is not before it or too long ago.
 */
export function makeFinalityProof(
  chain: Chain,
  height: Height,
  trusted: Epoch,
): FinalityProof | null {
  const header = chain.headerAt(height);
  // Genesis is what is trusted: there is nothing to prove.
  if (header === null || height === 0n || height > chain.head.header.height) return null;
  const { epoch } = header.consensus;
  if (trusted > epoch || epoch - trusted > transitionsMax) return null;
  const transitions: Transition[] = [];
  for (let at = trusted; at < epoch; at = asEpoch(at + 1)) transitions.push(transition(chain, at));
  const headers: Header[] = [header];
  for (let at = height; ; at = asHeight(at + 1n)) {
    const certificate = chain.certificateAt(at);
    if (certificate !== null) return { transitions, headers, certificate };
    const next = chain.headerAt(asHeight(at + 1n));
    assert(next !== null, 'the newest final block has a certificate');
    headers.push(next);
  }
}

/** The proof of a payment that is final here; null for another. `trusted`: as above. */
export function makeReceiptProof(
  chain: Chain,
  transaction: Hash,
  trusted: Epoch,
): ReceiptProof | null {
  const place = chain.locate(transaction);
  if (place === null) return null;
  const height = asHeight(place.height);
  const { index } = place;
  const block = chain.blockAt(height);
  const receipts = chain.receiptsAt(height);
  const finality = makeFinalityProof(chain, height, trusted);
  if (block === null || receipts === null || finality === null) return null;
  const raws = block.transactions.map(({ raw }) => raw);
  return {
    index,
    transactionNodes: proveListItem(raws, index),
    receiptNodes: proveListItem(receipts.map(encodeReceipt), index),
    finality,
  };
}

function transition(chain: Chain, epoch: Epoch): Transition {
  const boundary = chain.electorates.boundaryOf(epoch);
  assert(boundary !== null, 'an epoch before the block has ended');
  const header = chain.headerAt(boundary);
  const certificate = chain.certificateAt(boundary);
  const next = chain.electorates.of(asEpoch(epoch + 1));
  assert(header !== null && certificate !== null && next !== null, 'the end of an epoch is stored');
  return { header, certificate, nextSet: next.set };
}
