import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, toBareHex } from '#src/lib/bytes.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';

/**
 * The order inside a block is a rule, not the proposer's choice: senders by
 * `keccak256(parentHash ‖ sender)`, each sender's transactions by nonce.
 */
export function orderTransactions(
  parentHash: Hash,
  transactions: readonly SignedTransaction[],
): SignedTransaction[] {
  const rank = ranking(parentHash);
  return [...transactions].sort((a, b) => compare(a, b, rank));
}

/** The index of the first transaction that stands wrong, or null. */
export function findDisorder(
  parentHash: Hash,
  transactions: readonly SignedTransaction[],
): number | null {
  const rank = ranking(parentHash);
  for (let index = 1; index < transactions.length; index++) {
    const before = transactions[index - 1];
    const here = transactions[index];
    if (before === undefined || here === undefined) continue;
    if (compare(before, here, rank) >= 0) return index;
  }
  return null;
}

function compare(
  a: SignedTransaction,
  b: SignedTransaction,
  rank: (sender: Address) => string,
): number {
  if (a.sender === b.sender) return a.nonce < b.nonce ? -1 : a.nonce > b.nonce ? 1 : 0;
  return rank(a.sender) < rank(b.sender) ? -1 : 1;
}

function ranking(parentHash: Hash): (sender: Address) => string {
  const parent = hashToBytes(parentHash);
  const ranks = new Map<Address, string>();
  return (sender) => {
    let rank = ranks.get(sender);
    if (rank === undefined) {
      rank = toBareHex(keccak256(concatBytes(parent, addressToBytes(sender))));
      ranks.set(sender, rank);
    }
    return rank;
  };
}
