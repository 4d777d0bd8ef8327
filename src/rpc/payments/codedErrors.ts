/** Errors of native contracts, by the name that their ABI gives them. */
import { AbiError, ParamsCodec, selectorOf } from '#src/ledger/payments/abi.ts';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { toHex } from '#src/lib/bytes.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { quantity } from '../formats.ts';
import { STATE_NAMES } from './orderView.ts';

export type CodedError = {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
};

/** Null where it is the error of no native contract. */
export function codedError(output: Uint8Array): CodedError | null {
  const selector = toHex(output.subarray(0, 4));
  const known = ERRORS.get(selector);
  if (known === undefined) return null;
  const values = decode(known.codec, output.subarray(4));
  if (values === null) return null;
  const { name, fields } = known;
  const spelled = fields.map(
    (field, at) => [field.name, spell(selector, field, values[at])] as const,
  );
  return { name, arguments: Object.fromEntries(spelled) };
}

/** Of an order. */
const WRONG_STATE = selectorOf('WrongState(bytes32,uint8)');

type Field = { readonly name: string; readonly type: string };
type Known = {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly codec: ParamsCodec;
};

const ERRORS: ReadonlyMap<string, Known> = new Map(
  [...contracts.map(({ abi }) => abi), tokenAbi].flatMap((abi) =>
    abi.flatMap((item) => {
      if (item.type !== 'error') return [];
      const { name, inputs } = item;
      const codec = new ParamsCodec(inputs);
      const fields = inputs.map((input) => ({ name: input.name ?? '', type: input.type }));
      return [[selectorOf(`${name}${codec.signature}`), { name, fields, codec }] as const];
    }),
  ),
);

function decode(codec: ParamsCodec, bytes: Uint8Array): readonly unknown[] | null {
  try {
    return codec.decode(bytes);
  } catch (error) {
    if (error instanceof AbiError) return null;
    throw error;
  }
}

/** An item's own error inside that of its batch (Payouts) is told in the same way. */
function spell(selector: string, { name, type }: Field, value: unknown): unknown {
  if (value instanceof Uint8Array) return codedError(value) ?? toHex(value);
  if (type === 'address') return formatAddress(value as Address);
  if (typeof value !== 'bigint') return value;
  const isState = selector === WRONG_STATE && name === 'state';
  return (isState ? STATE_NAMES.get(value) : undefined) ?? quantity(value);
}
