import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { EXIT, isDamage, UserError } from '#src/lib/failure.ts';
import { type Genesis, genesisNetworkId, parseGenesis } from '#src/types/genesis.ts';
import type { Hash } from '#src/types/hash.ts';
import { genesisBytesMax } from '#src/types/limits.ts';

/** Where the parts of a node's data directory are. */
export type DataDir = {
  readonly path: string;
  readonly genesis: Genesis;
  readonly networkId: Hash;
  readonly chain: string;
  readonly consensus: string;
  readonly pool: string;
  /** Votes by which validators contradicted themselves. */
  readonly evidence: string;
};

/** What stands outside the database and says which chain the directory belongs to. */
type Identity = { readonly networkId: string; readonly createdAt: string };

const FORMAT = 1;
const IDENTITY = 'identity.json';

export function resolveDataDir(text: string): string {
  if (text === '' || text.includes('\0')) {
    throw new UserError(EXIT.usage, '--data-dir: a folder is needed');
  }
  const path = resolve(text);
  if (path === '/') throw new UserError(EXIT.cannotCreate, '--data-dir: not the root folder');
  return path;
}

/** Writes the genesis into a directory that holds no chain; `sealDataDir` comes last. */
export function createDataDir(path: string, genesisText: string, place = 'genesis.json'): DataDir {
  if (existsSync(join(path, IDENTITY))) {
    throw new UserError(
      EXIT.cannotCreate,
      `${path} is a data directory already; start it with: mpbp start --data-dir ${path}`,
    );
  }
  const genesis = readGenesis(genesisText, place);
  const dir = layout(path, genesis, genesisNetworkId(genesis));
  if (existsSync(dir.chain)) {
    throw new UserError(
      EXIT.cannotCreate,
      `${path} holds a database without its ${IDENTITY}; mend it: ${resync(path)}`,
    );
  }
  makeDir(path);
  writeDurable(join(path, 'genesis.json'), genesisText);
  return dir;
}

/** Says which chain the directory belongs to. Until then it is not one, and can be made again. */
export function sealDataDir({ path, networkId }: DataDir): void {
  const createdAt = new Date().toISOString();
  const identity: Identity & { format: number } = { format: FORMAT, networkId, createdAt };
  writeDurable(join(path, IDENTITY), `${JSON.stringify(identity, null, 2)}\n`);
}

export function openDataDir(path: string): DataDir {
  const identityPath = join(path, IDENTITY);
  if (!existsSync(identityPath)) {
    if (existsSync(join(path, 'chain'))) {
      throw new UserError(EXIT.badData, `${identityPath}: missing; mend it: ${resync(path)}`);
    }
    throw new UserError(
      EXIT.badData,
      `${path} is not a data directory; make it with: ` +
        `mpbp init --genesis genesis.json --data-dir ${path}`,
    );
  }
  const identity = parseIdentity(readText(identityPath), identityPath, path);
  const genesisPath = join(path, 'genesis.json');
  const genesis = ownGenesis(path, genesisPath);
  const networkId = genesisNetworkId(genesis);
  if (identity.networkId !== networkId) {
    throw new UserError(
      EXIT.badData,
      `${path}: data directory belongs to chain ${identity.networkId}, ` +
        `but its genesis.json is that of ${networkId}; put the right genesis.json back: ` +
        `${resync(path)} --genesis FILE`,
    );
  }
  return layout(path, genesis, networkId);
}

/**
 * Puts right what says which chain the directory belongs to: the genesis from the text, where one
 * is given, and the identity from the genesis. Names what was wrong.
 */
export function mendDataDir(
  path: string,
  genesisText: string | null,
): { dir: DataDir; mended: string[] } {
  const mended: string[] = [];
  const [identityPath, genesisPath] = [join(path, IDENTITY), join(path, 'genesis.json')];
  if (!existsSync(identityPath) && !existsSync(join(path, 'chain'))) openDataDir(path);
  const identity = readIdentity(identityPath, path);
  const genesis =
    genesisText === null ? ownGenesis(path, genesisPath) : readGenesis(genesisText, '--genesis');
  const networkId = genesisNetworkId(genesis);
  if (identity !== null && identity.networkId !== networkId) {
    if (genesisText === null) openDataDir(path);
    throw new UserError(EXIT.usage, `--genesis is of ${networkId}, not ${identity.networkId}`);
  }
  if (genesisText !== null && genesisText !== textOf(genesisPath)) {
    writeDurable(genesisPath, genesisText);
    mended.push(genesisPath);
  }
  const dir = layout(path, genesis, networkId);
  if (identity === null) {
    sealDataDir(dir);
    mended.push(identityPath);
  }
  return { dir, mended };
}

/** Null where it is missing or damaged. */
function readIdentity(place: string, path: string): Identity | null {
  try {
    return parseIdentity(readText(place), place, path);
  } catch {
    return null;
  }
}

function textOf(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

/** What a command or a node that met damage says: the file or key, and what mends it. */
export function withRemedy(path: string, error: unknown): unknown {
  if (!isDamage(error)) return error;
  return new UserError(EXIT.badData, `damaged: ${error.message}; mend it: ${resync(path)}`, {
    cause: error,
  });
}

function resync(path: string): string {
  return `mpbp db resync ${path}`;
}

export function readGenesis(text: string, place: string): Genesis {
  const parsed = parseGenesis(text);
  if (parsed.ok) return parsed.value;
  const { path, message } = parsed.refusal;
  throw new UserError(EXIT.badData, `${place}: ${path}: ${message}`);
}

function ownGenesis(path: string, place: string): Genesis {
  try {
    return readGenesis(readText(place), place);
  } catch (error) {
    if (!(error instanceof UserError) || error.exitCode !== EXIT.badData) throw error;
    const remedy = `mend it with another member's: ${resync(path)} --genesis FILE`;
    throw new UserError(EXIT.badData, `${error.message}; ${remedy}`, { cause: error });
  }
}

export function readText(path: string): string {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) throw new UserError(EXIT.badData, `${path}: not a plain file`);
    if (stat.size > genesisBytesMax) {
      throw new UserError(EXIT.badData, `${path}: larger than ${genesisBytesMax} bytes`);
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as { code?: string };
    if (code === 'EACCES') throw new UserError(EXIT.permission, `${path}: permission denied`);
    throw new UserError(EXIT.badData, `${path}: ${code === 'ENOENT' ? 'no such file' : code}`);
  }
}

/** What the validator's key has signed. */
export function journalDir(path: string): string {
  return join(path, 'consensus');
}

export function isEmptyDir(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}

export function makeDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as { code?: string };
    const exit = code === 'EACCES' || code === 'EPERM' ? EXIT.permission : EXIT.cannotCreate;
    throw new UserError(exit, `${path}: the folder cannot be made (${code})`, { cause: error });
  }
}

function layout(path: string, genesis: Genesis, networkId: Hash): DataDir {
  return {
    path,
    genesis,
    networkId,
    chain: join(path, 'chain'),
    consensus: journalDir(path),
    pool: join(path, 'pool'),
    evidence: join(path, 'evidence'),
  };
}

function parseIdentity(text: string, place: string, path: string): Identity {
  try {
    const { format, networkId, createdAt } = JSON.parse(text) as Record<string, unknown>;
    if (format === FORMAT && typeof networkId === 'string' && typeof createdAt === 'string') {
      return { networkId, createdAt };
    }
  } catch {
    // Reported below, with the remedy.
  }
  throw new UserError(
    EXIT.badData,
    `${place}: damaged, or written by a newer program; mend it: ${resync(path)}`,
  );
}

function writeDurable(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
}
