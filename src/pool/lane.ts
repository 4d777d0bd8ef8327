/** The payments of one sender that wait for a block, and what they may cost. */
import type { SignedTransaction } from '#src/types/transaction.ts';

export type Entry = {
  readonly transaction: SignedTransaction;
  /** What it may take of the sender's coin. */
  readonly cost: bigint;
  /** Its fee, where that is not among the cost. */
  readonly covered: bigint;
  readonly addedAt: number;
  /** Accepted from a client of this node, which was promised that it is kept. */
  readonly own: boolean;
};

/** Every nonce of `[first, next)` is here, `next` is not, and nothing is below `first`. */
export type Lane = {
  readonly byNonce: Map<bigint, Entry>;
  /** What all of them together may take from the account. */
  cost: bigint;
  /** Their fees that are not among that. */
  covered: bigint;
  /** The account's nonce when it was last looked at. */
  first: bigint;
  next: bigint;
};

export function advance(lane: Lane): void {
  while (lane.byNonce.has(lane.next)) lane.next++;
}

export function gappedIn({ byNonce, first, next }: Lane): number {
  return byNonce.size - Number(next - first);
}

/** Of the sender's coin, at the most. */
export function costOf(
  { gasLimit, maxFeePerGas, value }: SignedTransaction,
  covered: bigint,
): bigint {
  return covered > 0n ? value : gasLimit * maxFeePerGas + value;
}
