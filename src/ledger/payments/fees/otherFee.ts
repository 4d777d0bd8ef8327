/** What a receipt tells of a fee that was not paid in the sender's coin. */
import { bytesToUint, utf8 } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import { FEE_MANAGER } from '../addresses.ts';

const TRANSACTION_FEE = keccakHash(utf8('TransactionFee(address,address,address,uint256)'));

export type OtherFee = {
  readonly payer: Address;
  /** Whether that is somebody else than the sender. */
  readonly isSponsored: boolean;
  /** Null: the coin. */
  readonly token: Address | null;
  readonly amount: bigint;
};

/** Null: the sender paid it in coin. It is told last. */
export function otherFeeIn(logs: readonly Log[]): OtherFee | null {
  const last = logs.at(-1);
  return last !== undefined && isFeeLog(last) ? readFee(last) : null;
}

export function isFeeLog({ address, topics }: Log): boolean {
  return address === FEE_MANAGER && topics[0] === TRANSACTION_FEE;
}

function readFee({ topics, data }: Log): OtherFee {
  const [sender, token, sponsor] = topics.slice(1).map(addressIn);
  const isSponsored = sponsor !== ZERO_ADDRESS;
  return {
    payer: (isSponsored ? sponsor : sender) ?? ZERO_ADDRESS,
    isSponsored,
    token: token === ZERO_ADDRESS ? null : (token ?? null),
    amount: bytesToUint(data),
  };
}

function addressIn(topic: Hash): Address {
  return `0x${topic.slice(26)}` as Address;
}
