import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { chainOf } from '#src/chain/genesisChain.ts';
import { EXIT, isDamage } from '#src/lib/failure.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { openDataDir, resolveDataDir, withRemedy } from '../dataDir.ts';
import { type CheckReport, checkDatabase } from '../dbCheck.ts';
import { damagedJournals } from '../journals.ts';
import { makeOutput, table } from '../output.ts';
import { Progress } from '../progress.ts';
import { backupCommand, restoreCommand } from './dbBackup.ts';
import { resyncCommand } from './dbResync.ts';

const STOPPED = 'a data directory of a node that is stopped, or a copy of one';

export function dbCommand(): Command {
  const db = new Command('db').description("a node's data on disk: check, back up, mend");
  db.command('check')
    .description('verify every file, value, link, index and the whole state')
    .argument('<datadir>', STOPPED)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp db check ./node1\n\n' +
        'Exit code 0: all is as it was written. 65: it is not, and it is said what mends it.\n' +
        '`mpbp audit replay` executes every block, too, and compares the histories.',
    )
    .action(check);
  db.command('compact')
    .description('rewrite the database without what was replaced or deleted')
    .argument('<datadir>', STOPPED)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp db compact ./node1')
    .action(compact);
  db.addCommand(backupCommand());
  db.addCommand(restoreCommand());
  db.addCommand(resyncCommand());
  return db;
}

async function check(text: string, options: { json: boolean }): Promise<void> {
  const path = resolveDataDir(text);
  const dir = openDataDir(path);
  const progress = new Progress('check {stage} |{bar}| {value}/{total}');
  const wrong: string[] = [];
  let report: CheckReport | null = null;
  try {
    report = await checkDatabase(dir.chain, chainOf(dir.genesis), (...at) => progress.at(...at));
  } catch (error) {
    if (!isDamage(error)) throw error;
    wrong.push(error.message);
  } finally {
    progress.stop();
  }
  wrong.push(...damagedJournals(dir).map(({ what }) => what));
  const output = makeOutput(options.json);
  if (report !== null && wrong.length === 0) {
    const rows = Object.entries(report).map(([name, value]) => [name, `${value}`]);
    output.result({ sound: true, ...report }, table([['all is sound', ''], ...rows]));
    return;
  }
  const remedy = `mpbp db resync ${path}`;
  const lines = [...wrong.map((what) => `damaged: ${what}`), `mend it: ${remedy}`];
  output.result({ sound: false, damage: wrong, remedy }, lines.join('\n'));
  process.exitCode = EXIT.badData;
}

async function compact(text: string, options: { json: boolean }): Promise<void> {
  const path = resolveDataDir(text);
  const dir = openDataDir(path);
  const bytesBefore = sizeOf(dir.chain);
  try {
    const shelf = await LevelShelf.open(dir.chain);
    await shelf.compact();
    await shelf.close();
  } catch (error) {
    throw withRemedy(path, error);
  }
  const bytesAfter = sizeOf(dir.chain);
  const rows = [
    ['before', `${bytesBefore} bytes`],
    ['after', `${bytesAfter} bytes`],
  ];
  makeOutput(options.json).result({ bytesBefore, bytesAfter }, table(rows));
}

function sizeOf(dir: string): number {
  return readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
}
