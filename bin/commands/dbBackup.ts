import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { chainOf } from '#src/chain/genesisChain.ts';
import { assert, EXIT, isDamage, UserError } from '#src/lib/failure.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf, markPath } from '#storage/levelShelf.ts';
import { SCHEMA_VERSION } from '#storage/tables.ts';
import { adminSocket, isRunning } from '../adminServer.ts';
import { type BackupEnd, readBackup, writeBackup } from '../backup.ts';
import { type DataDir, openDataDir, resolveDataDir, withRemedy } from '../dataDir.ts';
import { checkShelf } from '../dbCheck.ts';
import { makeOutput, table } from '../output.ts';
import { Progress } from '../progress.ts';

export function backupCommand(): Command {
  return new Command('backup')
    .description('one verified file with the whole database, of a node that runs or is stopped')
    .argument('<datadir>', 'the data directory')
    .requiredOption('--out <file>', 'the new backup')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp db backup ./node1 --out node1.backup\n\n' +
        'Keys and the record of what they signed are NOT in it: back the keys up by themselves,\n' +
        'and that record never (docs/consensus.md).',
    )
    .action(backup);
}

export function restoreCommand(): Command {
  return new Command('restore')
    .description('fill a data directory that has no chain yet from a backup')
    .argument('<backup>', 'what mpbp db backup made')
    .requiredOption('--data-dir <dir>', 'what mpbp init made, or mpbp db resync left')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp db restore node1.backup --data-dir ./node1')
    .action(restore);
}

async function backup(text: string, options: { out: string; json: boolean }): Promise<void> {
  const path = resolveDataDir(text);
  const dir = openDataDir(path);
  const out = resolve(options.out);
  if (existsSync(out)) throw new UserError(EXIT.cannotCreate, `${out} is there already`);
  const part = `${out}.part`;
  try {
    const isRunningNode = await isRunning(path);
    const chunks = isRunningNode ? fromNode(path) : fromStopped(dir);
    await writeFile(part, chunks, 'backup');
    // Read back from the disk: what does not come out again is no backup.
    const end = await verify(part, out);
    renameSync(part, out);
    syncDir(dirname(out));
    const { size } = statSync(out);
    // A node that runs has written it down itself.
    if (!isRunningNode) await new AuditLog(path).append('backup', { file: out, bytes: size });
    const rows = [
      ['backup', out],
      ['height', end.height],
      ['state root', end.stateRoot],
      ['values', `${end.entries}`],
      ['bytes', `${size}`],
      ['without', 'keys and the record of what they signed'],
    ];
    makeOutput(options.json).result({ backup: out, ...end, bytes: size }, table(rows));
  } catch (error) {
    throw withRemedy(path, error);
  } finally {
    rmSync(part, { force: true });
  }
}

/** Reads all of it. */
async function verify(path: string, name: string): Promise<BackupEnd> {
  const ends: BackupEnd[] = [];
  const onEnd = (end: BackupEnd) => ends.push(end);
  const pages = readBackup(createReadStream(path), name, { onHead: () => {}, onEnd });
  while (!(await pages.next()).done);
  const [end] = ends;
  assert(end !== undefined, 'a whole backup has an end');
  return end;
}

async function* fromStopped(dir: DataDir): AsyncGenerator<Uint8Array> {
  const shelf = await LevelShelf.open(dir.chain);
  try {
    yield* writeBackup(shelf, dir.networkId);
  } finally {
    await shelf.close();
  }
}

async function* fromNode(path: string): AsyncGenerator<Uint8Array> {
  const socket = connect(adminSocket(path));
  socket.write('backup\n');
  try {
    for await (const chunk of socket) yield chunk as Uint8Array;
  } catch (error) {
    const { code } = error as { code?: string };
    throw new UserError(
      EXIT.unavailable,
      `${adminSocket(path)}: the node that runs there gave no backup (${code})`,
      { cause: error },
    );
  }
}

async function writeFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  stage: string,
): Promise<void> {
  const progress = new Progress('{stage} |{bar}| {value} bytes');
  // A new file: what lies there may be a link that somebody else put there.
  rmSync(path, { force: true });
  const file = openSync(path, 'wx', 0o600);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at);
      bytes += chunk.length;
      progress.at(stage, bytes, null);
    }
    fsyncSync(file);
  } finally {
    progress.stop();
    closeSync(file);
  }
}

async function restore(text: string, options: { dataDir: string; json: boolean }): Promise<void> {
  const path = resolveDataDir(options.dataDir);
  const dir = openDataDir(path);
  await refuseChain(path, dir);
  const fresh = `${dir.chain}.restoring`;
  const remove = () => {
    for (const name of [fresh, markPath(fresh)]) rmSync(name, { recursive: true, force: true });
  };
  remove();
  const progress = new Progress('{stage} |{bar}| {value}/{total}');
  try {
    const shelf = await LevelShelf.create(fresh);
    const report = await fill(shelf, text, dir, progress).finally(() => shelf.close());
    rmSync(dir.chain, { recursive: true, force: true });
    rmSync(markPath(dir.chain), { force: true });
    renameSync(fresh, dir.chain);
    renameSync(markPath(fresh), markPath(dir.chain));
    syncDir(path);
    const { height, stateRoot } = report;
    await new AuditLog(path).append('restore', { file: text, height: `${height}`, stateRoot });
    const rows = [
      ['restored', path],
      ['height', `${height}`],
      ['state root', stateRoot],
      ['start it', `mpbp start --data-dir ${path}`],
    ];
    makeOutput(options.json).result({ dataDir: path, height, stateRoot }, table(rows));
  } catch (error) {
    if (!isDamage(error)) throw error;
    throw new UserError(EXIT.badData, `${text}: ${error.message}`, { cause: error });
  } finally {
    progress.stop();
    remove();
  }
}

async function fill(shelf: LevelShelf, place: string, dir: DataDir, progress: Progress) {
  const bad = (what: string) => new UserError(EXIT.badData, `${place}: ${what}`);
  if (!existsSync(place)) throw bad('no such file');
  let values = 0;
  let promised = '';
  const pages = readBackup(createReadStream(place), place, {
    onHead: ({ networkId, schema }) => {
      if (networkId !== dir.networkId) throw bad(`is of network ${networkId}`);
      if (schema !== SCHEMA_VERSION) throw bad(`has schema ${schema}, not ${SCHEMA_VERSION}`);
    },
    onEnd: (end) => {
      promised = end.stateRoot;
    },
  });
  for await (const page of pages) {
    await shelf.writeSealed(page);
    values += page.length;
    progress.at('restore', values, null);
  }
  const report = await checkShelf(shelf, chainOf(dir.genesis), (...at) => progress.at(...at));
  if (report.stateRoot !== promised) throw bad('has another state than it says');
  return report;
}

/** What `mpbp init` and `mpbp db resync` make holds block 0 alone. */
async function refuseChain(path: string, dir: DataDir): Promise<void> {
  if (!existsSync(dir.chain)) return;
  try {
    const shelf = await LevelShelf.open(dir.chain);
    const head = await ShelfChainStore.open(shelf)
      .then((store) => store.head)
      .finally(() => shelf.close());
    if (head === null || head.height === 0n) return;
    const what = `${path} holds a chain of height ${head.height}`;
    throw new UserError(EXIT.cannotCreate, `${what}; set it aside: mpbp db resync ${path}`);
  } catch (error) {
    throw withRemedy(path, error);
  }
}

function syncDir(path: string): void {
  const dir = openSync(path, 'r');
  fsyncSync(dir);
  closeSync(dir);
}
