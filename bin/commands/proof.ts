import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { chainOf } from '#src/chain/genesisChain.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { parseFinalityProof, verifyFinalityProof } from '#src/types/finalityProof.ts';
import { Client, defaultRpc } from '../client.ts';
import { readGenesis, readText } from '../dataDir.ts';
import { makeOutput, table } from '../output.ts';

/** `mpbp audit proof`: takes the proof of a block from a node. */
export function proofCommand(): Command {
  return new Command('proof')
    .description('fetch the proof that a block is final, from genesis on')
    .argument('<block>', 'a number, or "latest"')
    .option('--out <file>', 'where to write it; without it, to the terminal')
    .option('--rpc <url>', 'a node', defaultRpc)
    .addHelpText('after', '\nExample:\n  $ mpbp audit proof latest --out proof.json')
    .action(async (block: string, options: { out?: string; rpc: string }) => {
      if (block !== 'latest' && !/^\d{1,18}$/.test(block)) {
        throw new UserError(EXIT.usage, `a block number or "latest", not "${block}"`);
      }
      const at = block === 'latest' ? block : `0x${BigInt(block).toString(16)}`;
      const proof = await new Client(options.rpc).call('mpbp_getFinalityProof', at);
      if (proof === null) throw new UserError(EXIT.badData, `block ${block} is not final there`);
      const text = `${JSON.stringify(proof, null, 2)}\n`;
      if (options.out === undefined) process.stdout.write(text);
      else writeFileSync(options.out, text);
    });
}

/** `mpbp audit verify`: needs the proof and the genesis, and no node. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('check a proof of finality with nothing but the genesis')
    .argument('<proof>', 'a file that `mpbp audit proof` wrote')
    .requiredOption('--genesis <file>', 'the genesis that you trust')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp audit verify proof.json --genesis genesis.json\n\n' +
        'Exit code 0: the block is final. 65: the proof does not prove it, and why not is printed.',
    )
    .action((file: string, options: { genesis: string; json: boolean }) => verify(file, options));
}

function verify(file: string, options: { genesis: string; json: boolean }): void {
  const { electorate, networkId } = chainOf(
    readGenesis(readText(options.genesis), options.genesis),
  );
  const output = makeOutput(options.json);
  const parsed = parseFinalityProof(parseProofFile(file));
  const verdict = parsed.ok ? verifyFinalityProof(parsed.value, electorate) : parsed;
  if (!verdict.ok) {
    output.result(
      { final: false, refusal: verdict.refusal },
      describeProofRefusal(verdict.refusal),
    );
    process.exitCode = EXIT.badData;
    return;
  }
  const { header, hash, electorate: deciding } = verdict.value;
  const { epoch, set } = deciding;
  const { height } = header;
  const rows = [
    ['the block is final', ''],
    ['network', networkId],
    ['block', `${height}`],
    ['hash', hash],
    ['state root', header.stateRoot],
    ['epoch', `${epoch}, of ${set.validators.length} validators`],
    ['their set', `${set.hash}  (pin it: it is what you may trust from now on)`],
  ];
  const data = { final: true, height, hash, stateRoot: header.stateRoot, epoch, set: set.hash };
  output.result(data, table(rows));
}

export function describeProofRefusal(refusal: { readonly code: string }): string {
  const { code, ...rest } = refusal;
  const spelled = JSON.stringify(rest, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
  return `NOT proven: ${code} ${spelled}`;
}

export function parseProofFile(path: string): unknown {
  try {
    return JSON.parse(readText(path));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(EXIT.badData, `${path}: not a JSON document`);
  }
}
