/** Native contracts from outside: calls encoded, errors and events decoded, by the same ABI. */
import type { Abi } from 'abitype';
import { AbiError, type Param, ParamsCodec, selectorOf } from '#src/ledger/payments/abi.ts';
import { consortiumRegistry } from '#src/ledger/payments/consortiumRegistry.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { contractAt, contracts } from '#src/ledger/payments/contracts.ts';
import { governance } from '#src/ledger/payments/governance.ts';
import { validatorRegistry } from '#src/ledger/payments/validatorRegistry.ts';
import { concatBytes, fromHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { keccakHash } from '#src/types/hash.ts';
import type { Client } from '../../client.ts';
import type { Receipt } from '../transact.ts';

export const registry = validatorRegistry;
export const council = governance;
export const consortium = consortiumRegistry;

export type Decoded = { readonly name: string; readonly values: readonly unknown[] };

export function encodeCall(
  contract: NativeContract,
  name: string,
  ...values: readonly unknown[]
): Uint8Array {
  const found = [...contract.functions].find(([, own]) => own.name === name);
  assert(found !== undefined, `${contract.name} has ${name}`);
  const [selector, { inputs }] = found;
  return concatBytes(fromHex(selector) ?? new Uint8Array(0), inputs.encode(values));
}

export async function view(
  client: Client,
  contract: NativeContract,
  name: string,
  ...values: readonly unknown[]
): Promise<readonly unknown[]> {
  const data = toHex(encodeCall(contract, name, ...values));
  const answer = await client.call<string>('eth_call', { to: contract.address, data }, 'latest');
  const own = [...contract.functions.values()].find((item) => item.name === name);
  return own?.outputs.decode(fromHex(answer) ?? new Uint8Array(0)) ?? [];
}

/** What a call to a system contract would do; null where it is none. */
export function decodeCall(to: Address, data: string): (Decoded & { contract: string }) | null {
  const contract = contractAt(to);
  const own = contract?.functions.get(data.slice(0, 10) as `0x${string}`);
  if (contract === null || own === undefined) return null;
  const values = attempt(() => own.inputs.decode(bytesAfterSelector(data)));
  return values === null ? null : { contract: contract.name, name: own.name, values };
}

/** An error of any system contract. */
export function decodeError(data: string): Decoded | null {
  for (const { abi } of contracts) {
    for (const item of abi as Abi) {
      if (item.type !== 'error') continue;
      const codec = new ParamsCodec(item.inputs);
      if (selectorOf(`${item.name}${codec.signature}`) !== data.slice(0, 10)) continue;
      const values = attempt(() => codec.decode(bytesAfterSelector(data)));
      if (values !== null) return { name: item.name, values };
    }
  }
  return null;
}

/** A contract's event of that name in a receipt, by the names of its parameters. */
export function findEvent(
  receipt: Receipt,
  contract: NativeContract,
  name: string,
): EventValues | null {
  return findEvents(receipt, contract, name)[0] ?? null;
}

export type EventValues = Readonly<Record<string, unknown>>;

/** All of them, in order. */
export function findEvents(
  { logs }: Receipt,
  contract: NativeContract,
  name: string,
): EventValues[] {
  const item = contract.abi.find((one) => one.type === 'event' && one.name === name);
  assert(item?.type === 'event', `${contract.name} has ${name}`);
  const inputs = item.inputs as readonly (Param & { indexed?: boolean })[];
  const topic = keccakHash(utf8(`${name}${new ParamsCodec(inputs).signature}`));
  const indexed = inputs.filter((input) => input.indexed === true);
  const plain = inputs.filter((input) => input.indexed !== true);
  const rest = new ParamsCodec(plain);
  return logs
    .filter(({ address, topics }) => {
      return address.toLowerCase() === contract.address && topics[0] === topic;
    })
    .map(({ topics, data }) => {
      const values = rest.decode(fromHex(data) ?? new Uint8Array(0));
      return Object.fromEntries([
        ...indexed.map((input, at) => [input.name ?? '', bytesOf(topics[at + 1] ?? '0x', input)]),
        ...plain.map((input, at) => [input.name ?? '', values[at]]),
      ]);
    });
}

function bytesOf(topic: string, input: Param): unknown {
  return new ParamsCodec([input]).decode(fromHex(topic) ?? new Uint8Array(0))[0];
}

function bytesAfterSelector(data: string): Uint8Array {
  return fromHex(`0x${data.slice(10)}`) ?? new Uint8Array(0);
}

function attempt<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof AbiError) return null;
    throw error;
  }
}
