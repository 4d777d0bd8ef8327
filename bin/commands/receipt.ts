import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { chainOf } from '#src/chain/genesisChain.ts';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import {
  type ProvenPayment,
  parseReceiptProof,
  verifyReceiptProof,
} from '#src/types/receiptProof.ts';
import { formatAmount } from '#src/types/units.ts';
import { Client, defaultRpc } from '../client.ts';
import { readGenesis, readText } from '../dataDir.ts';
import { makeOutput, table } from '../output.ts';
import { describeProofRefusal, parseProofFile } from './proof.ts';

export function receiptCommand(): Command {
  const receipt = new Command('receipt').description(
    'receipts of payments that anybody can check, without a node',
  );
  receipt
    .command('get')
    .description('fetch the receipt of a final payment with its proof')
    .argument('<hash>', 'of the transaction')
    .option('--out <file>', 'where to write it; without it, to the terminal')
    .option('--rpc <url>', 'a node', defaultRpc)
    .addHelpText('after', '\nExample:\n  $ mpbp receipt get 0x6f… --out receipt.json')
    .action(get);
  receipt
    .command('verify')
    .description('check a receipt with nothing but the genesis')
    .argument('<receipt>', 'a file that `mpbp receipt get` wrote')
    .requiredOption('--genesis <file>', 'the genesis that you trust')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp receipt verify receipt.json --genesis genesis.json\n\n' +
        'Exit code 0: it was paid, and is final. 65: this does not prove it, or it failed.',
    )
    .action(verify);
  return receipt;
}

async function get(hash: string, options: { out?: string; rpc: string }): Promise<void> {
  if (!/^0x[0-9a-fA-F]{64}$/.test(hash)) {
    throw new UserError(EXIT.usage, `a transaction's hash is 0x and 64 hex digits, not "${hash}"`);
  }
  const proof = await new Client(options.rpc).call('mpbp_getReceiptProof', hash);
  if (proof === null) throw new UserError(EXIT.badData, `${hash} is not final there`);
  const text = `${JSON.stringify(proof, null, 2)}\n`;
  if (options.out === undefined) process.stdout.write(text);
  else writeFileSync(options.out, text);
}

function verify(file: string, options: { genesis: string; json: boolean }): void {
  const genesis = readGenesis(readText(options.genesis), options.genesis);
  const { electorate } = chainOf(genesis);
  const output = makeOutput(options.json);
  const parsed = parseReceiptProof(parseProofFile(file));
  const { chainId } = genesis.config;
  const verdict = parsed.ok ? verifyReceiptProof(parsed.value, electorate, chainId) : parsed;
  if (!verdict.ok) {
    output.result(
      { proven: false, refusal: verdict.refusal },
      describeProofRefusal(verdict.refusal),
    );
    process.exitCode = EXIT.badData;
    return;
  }
  show(verdict.value, output);
}

function show(
  { block, transaction, receipt }: ProvenPayment,
  output: ReturnType<typeof makeOutput>,
): void {
  const { hash, sender, to, value, data } = transaction;
  const { succeeded } = receipt;
  const { height, consensus } = block.header;
  const time = new Date(consensus.timestampMs).toISOString();
  const memo = new TextDecoder().decode(data);
  const isText = data.length > 0 && /^[\p{L}\p{N}\p{P}\p{S}\p{Zs}]*$/u.test(memo);
  const rows = [
    [succeeded ? 'paid, and final' : 'FAILED, and final: nothing was paid', ''],
    ['from', formatAddress(sender)],
    ['to', to === null ? 'a new contract' : formatAddress(to)],
    ['amount', `${formatAmount(value)} MPB`],
    ...(data.length === 0 ? [] : [[isText ? 'memo' : 'data', isText ? memo : toHex(data)]]),
    ['transaction', hash],
    ['block', `${height}  ${block.hash}`],
    ['time', time],
  ];
  const json = {
    ...{ proven: true, succeeded, hash, from: sender, to, value, data: toHex(data) },
    ...{ height, blockHash: block.hash, time },
  };
  output.result(json, table(rows));
  if (!succeeded) process.exitCode = EXIT.badData;
}
