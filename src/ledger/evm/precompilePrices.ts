import type { Address } from '#src/types/address.ts';

/**
 * How many times Ethereum's price each precompile costs here. A block's contracts may take a
 * quarter of a view's time at the most, whatever they do, so that none may be slower for its gas
 * than plain code is (`npm run bench:evm`). What is not in the list is switched off: its address is
 * an account without code.
 */
export const precompilePrices: ReadonlyMap<Address, bigint> = new Map([
  [at(0x01), 1n],
  [at(0x02), 1n],
  [at(0x03), 1n],
  [at(0x04), 1n],
  [at(0x05), 1n],
  [at(0x06), 1n],
  [at(0x07), 4n],
  [at(0x08), 2n],
  [at(0x09), 4n],
  [at(0x100), 3n],
]);

function at(number: number): Address {
  return `0x${number.toString(16).padStart(40, '0')}` as Address;
}
