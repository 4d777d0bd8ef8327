import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type AuditRecord, readAuditLog } from '#storage/auditLog.ts';
import { wholeNumber } from '../arguments.ts';
import { makeOutput, printable } from '../output.ts';

type Options = { limit?: number; json: boolean };

export function auditLogCommand(): Command {
  return new Command('log')
    .description('the record of privileged acts: verify its chain and print it')
    .argument('<dir>', 'a data directory, or a folder of wallet files')
    .option('--limit <n>', 'print only the newest', wholeNumber(0, 1_000_000_000))
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp audit log ./node1 --limit 20\n\n' +
        'Exit code 0: every line follows from the one before it. 65: the first that does not is\n' +
        'named. Lines that were cut off the end show only beside a hash that was kept elsewhere.',
    )
    .action(auditLog);
}

function auditLog(dir: string, options: Options): void {
  if (!existsSync(join(dir, 'audit.log'))) {
    throw new UserError(EXIT.badData, `${dir}: no audit.log there`);
  }
  const records: AuditRecord[] = [];
  const report = readAuditLog(dir, (record) => records.push(record));
  const shown = records.slice(Math.max(0, records.length - (options.limit ?? records.length)));
  const { broken, tornBytes, lastHash } = report;
  const end = `${report.records} acts, the newest ${lastHash}`;
  const torn = tornBytes === 0 ? [] : [`its last ${tornBytes} bytes are half a line: a crash`];
  const verdict =
    broken === null
      ? [`the chain is whole: ${end}`, ...torn]
      : [`BROKEN at ${broken.file}, line ${broken.line}: ${broken.why}`, `before it ${end}`];
  makeOutput(options.json).result(
    { whole: broken === null, ...report, acts: shown },
    [...shown.map(line), ...verdict].join('\n'),
  );
  if (broken !== null) process.exitCode = EXIT.badData;
}

function line({ seq, time, act, by, detail }: AuditRecord): string {
  const fields = Object.entries(detail).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return printable(`${seq}  ${time}  ${act}  (${by})  ${fields.join(' ')}`, 1_000);
}
