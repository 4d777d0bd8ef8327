import { type Address, formatAddress } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';

/** Where the record differs from what the rules give. */
export type Divergence = {
  readonly code: string;
  readonly height: bigint;
  readonly transaction: Hash | null;
  readonly account: Address | null;
  readonly expected: string;
  readonly found: string;
};

export function describeDivergence(divergence: Divergence): string {
  const { code, height, transaction, account, expected, found } = divergence;
  return [
    `the record is NOT sound: ${code} at block ${height}`,
    ...(transaction === null ? [] : [`  transaction ${transaction}`]),
    ...(account === null ? [] : [`  account     ${formatAddress(account)}`]),
    `  expected    ${expected}`,
    `  found       ${found}`,
  ].join('\n');
}

export function differs(
  code: string,
  height: bigint,
  expected: string,
  found: string,
  account: Address | null = null,
): Divergence {
  return { code, height, transaction: null, account, expected, found };
}

/** Both values where the refusal has them, else all that it says. */
export function refused(
  code: string,
  height: bigint,
  expected: string,
  refusal: { code: string; want?: unknown; got?: unknown },
): Divergence {
  const { want, got } = refusal;
  if (want !== undefined) return differs(code, height, `${want}`, `${got}`);
  return differs(code, height, expected, JSON.stringify(refusal, bigintText));
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
