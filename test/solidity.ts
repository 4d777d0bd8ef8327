import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Abi, Hex } from 'viem';
import { assert } from '#src/lib/failure.ts';

export type Compiled = { readonly abi: Abi; readonly bytecode: Hex };

type Output = {
  readonly errors?: readonly { severity: string; formattedMessage: string }[];
  readonly contracts?: Record<string, Record<string, Contract>>;
};
type Contract = { readonly abi: Abi; readonly evm: { readonly bytecode: { object: string } } };

/** The compiler is one large script that is compiled when it is first wanted. */
let compiler: { compile(input: string): string } | null = null;

/** One contract of a file of this repository, by today's solc with its optimizer. */
export function compile(file: string, name: string): Compiled {
  compiler ??= createRequire(import.meta.url)('solc') as { compile(input: string): string };
  const content = readFileSync(join(import.meta.dirname, '..', file), 'utf8');
  const settings = {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: 'osaka',
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
  };
  const input = { language: 'Solidity', sources: { [file]: { content } }, settings };
  const { errors = [], contracts } = JSON.parse(compiler.compile(JSON.stringify(input))) as Output;
  const wrong = errors.filter(({ severity }) => severity === 'error');
  assert(wrong.length === 0, wrong.map(({ formattedMessage }) => formattedMessage).join('\n'));
  const contract = contracts?.[file]?.[name];
  assert(contract !== undefined, `${file} has a contract ${name}`);
  return { abi: contract.abi, bytecode: `0x${contract.evm.bytecode.object}` };
}
