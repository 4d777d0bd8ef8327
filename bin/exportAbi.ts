/**
 * `npm run abi`: the interfaces of the native contracts as the package's `mpbp/abi`. Node strips no
 * types below node_modules, so whoever installs the package gets plain JavaScript, with types that
 * keep each name: viem infers arguments and results from them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { formatAddress } from '#src/types/address.ts';

const folder = join(import.meta.dirname, '..', 'dist');

const exported: readonly (readonly [string, unknown])[] = [
  ...contracts.map(({ name, abi }) => [`${camelCase(name)}Abi`, abi] as const),
  ['paymentTokenAbi', tokenAbi],
  ['addresses', Object.fromEntries(contracts.map(addressOf))],
];

mkdirSync(folder, { recursive: true });
write('abi.js', ([name, value]) => `export const ${name} = ${JSON.stringify(value, null, 2)};\n`);
write('abi.d.ts', ([name, value]) => `export declare const ${name}: ${typeOf(value)};\n`);

function write(file: string, text: (one: readonly [string, unknown]) => string): void {
  writeFileSync(join(folder, file), exported.map(text).join('\n'));
}

/** The type that has this one value. */
function typeOf(value: unknown): string {
  if (Array.isArray(value)) return `readonly [${value.map(typeOf).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, of]) => `readonly ${name}: ${typeOf(of)}`);
  return `{ ${fields.join('; ')} }`;
}

function addressOf({ name, address }: (typeof contracts)[number]): [string, string] {
  return [camelCase(name), formatAddress(address)];
}

function camelCase(name: string): string {
  return `${name.charAt(0).toLowerCase()}${name.slice(1)}`;
}
