import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { chainOf } from '#src/chain/genesisChain.ts';
import { isDamage } from '#src/lib/failure.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { refuseLocked } from '#storage/levelErrors.ts';
import { LevelShelf, markPath } from '#storage/levelShelf.ts';
import { refuseRunning } from '../adminServer.ts';
import { type DataDir, mendDataDir, readText, resolveDataDir } from '../dataDir.ts';
import { checkDatabase } from '../dbCheck.ts';
import { damagedJournals, lastSeqOf } from '../journals.ts';
import { makeOutput } from '../output.ts';
import { Progress } from '../progress.ts';
import { createChain } from './init.ts';

type Options = { genesis?: string; json: boolean };

export function resyncCommand(): Command {
  return new Command('resync')
    .description('set aside what is damaged; the node fetches the chain again from its peers')
    .argument('<datadir>', 'a data directory of a node that is stopped')
    .option('--genesis <file>', "another member's genesis.json, in the place of a damaged one")
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp db resync ./node1\n\n' +
        'Keys stay. Where nothing is damaged, the chain is set aside all the same.\n' +
        'A network of one validator has no peers: restore a backup after it (mpbp db restore).',
    )
    .action(resync);
}

async function resync(text: string, options: Options): Promise<void> {
  const path = resolveDataDir(text);
  const genesis = options.genesis === undefined ? null : readText(options.genesis);
  refuseLocked(join(path, 'chain'));
  await refuseRunning(path);
  const { dir, mended } = mendDataDir(path, genesis);
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const aside: string[] = [];
  const setAside = (from: string) => {
    const to = `${from}.damaged-${stamp}`;
    renameSync(from, to);
    aside.push(to);
  };
  const journals = damagedJournals(dir);
  const chainDamage = await damageOf(dir);
  // What the chain knew of the journal goes with it: an older journal is then no longer noticed.
  const isJournalOld = (await journalSeqOf(dir)) > lastSeqOf(dir.consensus);
  const paths = new Set(journals.map((journal) => journal.path));
  const isAsked = journals.length === 0 && mended.length === 0;
  const isChainLost = chainDamage !== null || isAsked;
  if (isChainLost && isJournalOld && existsSync(dir.consensus)) paths.add(dir.consensus);
  for (const journal of paths) setAside(journal);
  if (isChainLost) {
    if (existsSync(dir.chain)) setAside(dir.chain);
    rmSync(markPath(dir.chain), { force: true });
    await createChain(dir);
  }
  await new AuditLog(path).append('resync', { mended, aside, isChainLost });
  const found = [...mended, ...journals.map(({ what }) => what), ...(chainDamage ?? [])];
  const lines = [
    ...(found.length === 0 ? ['nothing was damaged'] : found.map((what) => `damaged: ${what}`)),
    ...aside.map((name) => `set aside: ${name}`),
    isChainLost ? 'the chain is empty and will catch up from the peers' : 'the chain is kept',
    `start it: mpbp start --data-dir ${path}`,
  ];
  makeOutput(options.json).result({ damaged: found, aside, isChainLost }, lines.join('\n'));
}

async function damageOf(dir: DataDir): Promise<string[] | null> {
  const progress = new Progress('check {stage} |{bar}| {value}/{total}');
  try {
    await checkDatabase(dir.chain, chainOf(dir.genesis), (...at) => progress.at(...at));
    return null;
  } catch (error) {
    // What a newer program wrote is not damaged: it is not thrown away.
    if (!isDamage(error)) throw error;
    return [error.message];
  } finally {
    progress.stop();
  }
}

/** How far the journal had come by the chain; 0 where that cannot be read any more. */
async function journalSeqOf(dir: DataDir): Promise<number> {
  let shelf: LevelShelf;
  try {
    shelf = await LevelShelf.open(dir.chain);
  } catch {
    return 0;
  }
  try {
    return (await ShelfChainStore.open(shelf)).head?.journalSeq ?? 0;
  } catch {
    return 0;
  } finally {
    await shelf.close();
  }
}
