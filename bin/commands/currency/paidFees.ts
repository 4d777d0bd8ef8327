/** What transactions have cost: coin, or money of a currency, and whether somebody else paid. */
import { otherFeeIn } from '#src/ledger/payments/fees/otherFee.ts';
import { type Hex, hexBytes } from '#src/lib/bytes.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import type { Receipt } from '../transact.ts';

type Fee = {
  readonly amount: string;
  /** Three letters, or MPB for the coin. */
  readonly currency: string;
  readonly token: Address | null;
  /** Null where the sender did. */
  readonly paidBy: Address | null;
};

/** Of several receipts, the sums by who paid and in what. */
export function feesOf(receipts: readonly Receipt[]): readonly Fee[] {
  const sums = new Map<string, Omit<Fee, 'amount' | 'currency'> & { sum: bigint }>();
  for (const receipt of receipts) {
    const { amount, token, paidBy } = feeOf(receipt);
    const key = `${token} ${paidBy}`;
    const sum = (sums.get(key)?.sum ?? 0n) + amount;
    sums.set(key, { token, paidBy, sum });
  }
  return [...sums.values()].map(({ token, paidBy, sum }) => ({
    amount: token === null ? formatAmount(asWei(sum)) : formatTokenAmount(sum),
    currency: token === null ? 'MPB' : currencyOf(token),
    ...{ token, paidBy },
  }));
}

export function spellFees(fees: readonly Fee[]): string {
  const spelt = fees.map(({ amount, currency, paidBy }) => {
    const by = paidBy === null ? '' : ` paid by ${formatAddress(paidBy)}`;
    return `${amount} ${currency}${by}`;
  });
  return `fee ${spelt.join(' and ')}`;
}

function feeOf({ gasUsed, effectiveGasPrice, logs }: Receipt) {
  const other = otherFeeIn(
    logs.map(({ address, topics, data }) => ({
      address: address.toLowerCase() as Address,
      topics: topics as Hash[],
      data: hexBytes(data as Hex),
    })),
  );
  if (other === null) {
    const amount = BigInt(gasUsed) * BigInt(effectiveGasPrice);
    return { amount, token: null, paidBy: null };
  }
  const { amount, token, payer, isSponsored } = other;
  return { amount, token, paidBy: isSponsored ? payer : null };
}
