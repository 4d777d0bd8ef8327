/** What a signer of payments is asked for, decoded, and held against its rules. */
import { fromHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, isReservedAddress, parseAddress } from '#src/types/address.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei, formatAmount, type Wei } from '#src/types/units.ts';

export type SigningRules = {
  readonly chainId: bigint;
  /** Of one payment. */
  readonly amountMax: Wei;
  /** Of one payment: gas times price. */
  readonly feeMax: Wei;
  /** Calls of contracts too: their data can move more than the amount says. */
  readonly allowsCalls: boolean;
};

export type SigningRequest = { readonly from: Address; readonly fields: TransactionFields };

export type RequestRefusal =
  | { code: 'SIGNER_FIELD'; field: string }
  | { code: 'SIGNER_ACCOUNT' }
  | { code: 'SIGNER_CHAIN'; want: bigint; got: bigint }
  | { code: 'SIGNER_CREATION' }
  | { code: 'SIGNER_AMOUNT'; max: Wei }
  | { code: 'SIGNER_FEE'; max: Wei }
  | { code: 'SIGNER_CALL' };

const FIELDS = [
  ...['from', 'to', 'chainId', 'nonce', 'gas', 'maxFeePerGas', 'maxPriorityFeePerGas'],
  ...['value', 'data', 'input', 'type'],
];

/** A request as `eth_signTransaction` has it; every field has to be there and none beside them. */
export function parseSigningRequest(
  asked: unknown,
  rules: SigningRules,
): Verdict<SigningRequest, RequestRefusal> {
  const missing = (field: string) => refuse({ code: 'SIGNER_FIELD', field } as const);
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked)) {
    return missing('the payment');
  }
  const given = asked as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(given).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) return missing(unknown.slice(0, 40));
  if (given.type !== undefined && given.type !== '0x2') return missing('type');
  const from = addressOf(given.from);
  if (from === null) return missing('from');
  if (given.to === undefined || given.to === null) return refuse({ code: 'SIGNER_CREATION' });
  const to = addressOf(given.to);
  if (to === null) return missing('to');
  const data = fromHex(String(given.data ?? given.input ?? '0x'));
  if (data === null || (given.data ?? given.input) !== (given.input ?? given.data)) {
    return missing('data');
  }
  const numbers: Record<string, bigint> = {};
  for (const name of FIELDS.slice(2, 8)) {
    const value = quantityOf(given[name], name === 'value' || name.startsWith('max') ? 64 : 16);
    if (value === null) return missing(name);
    numbers[name] = value;
  }
  const number = (name: string) => numbers[name] ?? 0n;
  const fields: TransactionFields = {
    type: 2,
    chainId: number('chainId'),
    nonce: number('nonce'),
    maxFeePerGas: asWei(number('maxFeePerGas')),
    maxPriorityFeePerGas: asWei(number('maxPriorityFeePerGas')),
    gasLimit: asGas(number('gas')),
    to,
    value: asWei(number('value')),
    data,
    accessList: [],
    authorizationList: [],
  };
  return judge({ from, fields }, rules);
}

function judge(
  request: SigningRequest,
  { chainId, amountMax, feeMax, allowsCalls }: SigningRules,
): Verdict<SigningRequest, RequestRefusal> {
  const { fields } = request;
  if (fields.chainId !== chainId) {
    return refuse({ code: 'SIGNER_CHAIN', want: chainId, got: fields.chainId });
  }
  if (fields.value > amountMax) return refuse({ code: 'SIGNER_AMOUNT', max: amountMax });
  if (fields.gasLimit * fields.maxFeePerGas > feeMax) {
    return refuse({ code: 'SIGNER_FEE', max: feeMax });
  }
  const isPlain = memoOf(fields.data) !== null && !isReservedAddress(fields.to ?? request.from);
  return isPlain || allowsCalls ? accept(request) : refuse({ code: 'SIGNER_CALL' });
}

export function describeRequestRefusal(refusal: RequestRefusal): string {
  switch (refusal.code) {
    case 'SIGNER_FIELD':
      return `${refusal.field} is missing or not as eth_signTransaction has it`;
    case 'SIGNER_ACCOUNT':
      return 'not an account of this signer';
    case 'SIGNER_CHAIN':
      return `this signer signs for chain ${refusal.want} and not for ${refusal.got}`;
    case 'SIGNER_CREATION':
      return 'contracts are not created through this signer';
    case 'SIGNER_AMOUNT':
      return `above ${formatAmount(refusal.max)} MPB, the most that it signs at once`;
    case 'SIGNER_FEE':
      return `the fee could be above ${formatAmount(refusal.max)} MPB, the most that it signs`;
    case 'SIGNER_CALL':
      return 'the data is no memo that a person reads: calls of contracts are not signed';
  }
}

/** The text of a memo; null where the bytes are none. */
export function memoOf(data: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
    return /[\p{Cc}\p{Cn}\p{Co}]/u.test(text) ? null : text;
  } catch {
    return null;
  }
}

function addressOf(value: unknown): Address | null {
  const parsed = parseAddress(typeof value === 'string' ? value : '');
  return parsed.ok ? parsed.value : null;
}

/** A QUANTITY of so many digits at most. */
function quantityOf(value: unknown, digitsMax: number): bigint | null {
  if (typeof value !== 'string' || value.length > digitsMax + 2) return null;
  return /^0x(0|[1-9a-f][0-9a-f]*)$/i.test(value) ? BigInt(value) : null;
}
