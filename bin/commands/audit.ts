import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import type { CurrencyReport } from '#src/audit/currencies.ts';
import { describeDivergence } from '#src/audit/divergence.ts';
import { replay } from '#src/audit/replay.ts';
import { chainOf } from '#src/chain/genesisChain.ts';
import { EXIT } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { formatTokenAmount } from '#src/types/currency.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { DamageError } from '#storage/shelf.ts';
import { openDataDir, resolveDataDir } from '../dataDir.ts';
import { makeOutput, table } from '../output.ts';
import { auditLogCommand } from './auditLog.ts';
import { proofCommand, verifyCommand } from './proof.ts';

export function auditCommand(): Command {
  const audit = new Command('audit').description('check the record without trusting anybody');
  audit
    .command('replay')
    .description('execute the chain again from genesis and compare everything')
    .argument('<datadir>', 'a data directory of a node that is stopped, or a copy of one')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp audit replay ./node1\n\n' +
        'Exit code 0: the record is sound. 65: it is not, and the first divergence is printed.',
    )
    .action(auditReplay);
  audit.addCommand(auditLogCommand());
  audit.addCommand(proofCommand());
  audit.addCommand(verifyCommand());
  return audit;
}

/** Held money is not there to pay with, and belongs to somebody all the same. */
function currencyRow({ currency, token, available, held, supply }: CurrencyReport) {
  const [free, kept, all] = [available, held, supply].map(formatTokenAmount);
  const sum = `${all} issued and not burned: ${free} available, ${kept} held`;
  return [currency, `${sum} (${formatAddress(token)})`];
}

async function auditReplay(text: string, options: { json: boolean }): Promise<void> {
  const dir = openDataDir(resolveDataDir(text));
  const params = chainOf(dir.genesis);
  const output = makeOutput(options.json);
  const bar = new SingleBar({
    format: 'replay |{bar}| {value}/{total} blocks, {rate} payments/s',
    clearOnComplete: true,
    noTTYOutput: false,
    stream: process.stderr,
  });
  const started = performance.now();
  const rateOf = (count: number) => Math.round(count / ((performance.now() - started) / 1_000));
  let shelf: LevelShelf | null = null;
  try {
    shelf = await LevelShelf.open(dir.chain);
    const store = await ShelfChainStore.open(shelf);
    const top = store.head?.height ?? 0n;
    if (process.stderr.isTTY) bar.start(Number(top), 0, { rate: 0 });
    const result = await replay(params, store, (height, _of, transactions) => {
      bar.update(Number(height), { rate: rateOf(transactions) });
    });
    bar.stop();
    if (!result.ok) {
      output.result(
        { sound: false, divergence: result.refusal },
        describeDivergence(result.refusal),
      );
      process.exitCode = EXIT.badData;
      return;
    }
    const report = result.value;
    const seconds = (performance.now() - started) / 1_000;
    const rows = [
      ['the record is sound', ''],
      ['network', params.networkId],
      ['blocks', `${report.blocks} to height ${report.height}`],
      ['payments', `${report.transactions}, ${rateOf(report.transactions)} a second`],
      ['certificates', `${report.certificates}`],
      ['accounts', `${report.accounts}`],
      ['coin', `${formatAmount(asWei(report.supply))} MPB, as issued`],
      ...report.currencies.map(currencyRow),
      ['head', report.headHash],
      ['state root', report.stateRoot],
      ['time', `${seconds.toFixed(1)} s`],
    ];
    output.result({ sound: true, ...report, networkId: params.networkId, seconds }, table(rows));
  } catch (error) {
    bar.stop();
    if (!(error instanceof DamageError)) throw error;
    const text = [
      'the record is NOT sound: the database is damaged',
      `  found       ${error.message}`,
      `  mend it     mpbp db resync ${dir.path}`,
    ].join('\n');
    output.result({ sound: false, damage: error.message }, text);
    process.exitCode = EXIT.badData;
  } finally {
    await shelf?.close();
  }
}
