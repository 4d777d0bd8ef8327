import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { journalBegin } from '#consensus/engine/journal.ts';
import { ed25519PublicKey, generateSeed } from '#src/crypto/ed25519.ts';
import { type Hex, toBareHex, toHex } from '#src/lib/bytes.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import {
  describeKeystoreRefusal,
  generatedPasswordCost,
  type KeyKind,
  openKey,
  sealKey,
} from '#src/wallet/keystore.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { journalDir, makeDir } from './dataDir.ts';
import { readPassword, readSecretFile } from './secrets.ts';

/**
 * A node's own keys. With a consensus key it signs for its validator, in each epoch with the one
 * that the set of the epoch names: the first is the validator's own, others are to come, or were.
 * The network key is its identity.
 */
export type NodeKeys = {
  readonly consensusSeeds: readonly Uint8Array[];
  readonly networkSeed: Uint8Array;
};

/** What others need to know of them. */
export type PublicKeys = { readonly consensusKey: Hex; readonly peerId: string };

const FILES = { consensus: 'consensus.json', network: 'network.json' } as const;
/** Made by a rotation, and the validator's own once the set names it. */
const NEXT_FILE = 'consensus-next.json';
const PASSWORD_FILE = 'password';

export function keysDir(dataDir: string): string {
  return join(dataDir, 'keys');
}

/**
 * Makes both keys. Without a password of the operator's own, one of 256 bits is generated and kept
 * beside them, so that the node starts unattended; whoever can read that file can read the keys.
 */
export async function createNodeKeys(
  dataDir: string,
  password: string | null,
): Promise<PublicKeys> {
  const keys = { consensusSeeds: [generateSeed()], networkSeed: generateSeed() };
  const made = await writeNodeKeys(dataDir, password, keys);
  // With the key and at no other time: where it is missing, what the key has signed is not known.
  const { log } = AppendLog.open(journalDir(dataDir));
  log.append(journalBegin);
  await log.close();
  return made;
}

/**
 * Writes keys that come from elsewhere, the validator's own first. Not their journal: a validator
 * that has none does not vote until the next epoch.
 */
export async function writeNodeKeys(
  dataDir: string,
  password: string | null,
  keys: NodeKeys,
): Promise<PublicKeys> {
  const dir = keysDir(dataDir);
  makeDir(dir);
  for (const name of Object.values(FILES)) {
    if (existsSync(join(dir, name))) {
      throw new UserError(EXIT.cannotCreate, `${join(dir, name)} is there already; kept as it is`);
    }
  }
  const generated = password === null;
  const secret = password ?? randomBytes(32).toString('base64url');
  const cost = generated ? generatedPasswordCost : undefined;
  if (generated) writePrivate(join(dir, PASSWORD_FILE), `${secret}\n`);
  const { consensusSeeds, networkSeed } = keys;
  const files = [
    ...consensusSeeds.map((seed, at) => ['consensus', seed, at === 0 ? null : seed] as const),
    ['network', networkSeed, null] as const,
  ];
  for (const [kind, seed, old] of files) {
    const name = old === null ? FILES[kind] : oldName(old);
    writePrivate(join(dir, name), await sealKey(kind, seed, secret, cost));
  }
  return publicKeysOf(keys);
}

/**
 * Reads all keys, or the network's alone where another process signs; the password comes from a
 * file, the environment, a prompt or beside the keys.
 */
export async function openNodeKeys(
  dataDir: string,
  passwordFile: string | null,
  which: 'all' | 'network' = 'all',
): Promise<NodeKeys> {
  const password = await passwordOf(dataDir, passwordFile);
  const [networkSeed, ...consensusSeeds] = await Promise.all([
    openNodeKey(join(keysDir(dataDir), FILES.network), 'network', password),
    ...(which === 'all' ? consensusFiles(dataDir) : []).map((path) =>
      openNodeKey(path, 'consensus', password),
    ),
  ]);
  return { consensusSeeds, networkSeed };
}

export async function publicKeysOf({ consensusSeeds, networkSeed }: NodeKeys): Promise<PublicKeys> {
  // Loaded here, because the network's libraries take longer than all the rest of the command line.
  const { peerIdFromSeed } = await import('#p2p/network.ts');
  const [own] = consensusSeeds;
  assert(own !== undefined, 'a node has a consensus key');
  return { consensusKey: toHex(ed25519PublicKey(own)), peerId: peerIdFromSeed(networkSeed) };
}

// --- rotation ------------------------------------------------------------------------------------

/** The key that a rotation has made and the set may not name yet; null where there is none. */
export async function openNextKey(
  dataDir: string,
  passwordFile: string | null,
): Promise<Uint8Array | null> {
  const path = join(keysDir(dataDir), NEXT_FILE);
  if (!existsSync(path)) return null;
  return openNodeKey(path, 'consensus', await passwordOf(dataDir, passwordFile));
}

/** Beside the first and under the same password, which has to open that one. */
export async function createNextKey(
  dataDir: string,
  passwordFile: string | null,
): Promise<Uint8Array> {
  const dir = keysDir(dataDir);
  const password = await passwordOf(dataDir, passwordFile);
  await openNodeKey(join(dir, FILES.consensus), 'consensus', password);
  const isGenerated = passwordFile === null && existsSync(join(dir, PASSWORD_FILE));
  const seed = generateSeed();
  const cost = isGenerated ? generatedPasswordCost : undefined;
  writePrivate(join(dir, NEXT_FILE), await sealKey('consensus', seed, password, cost));
  return seed;
}

/** The next key becomes the validator's own; the one before stays, under another name. */
export function promoteNextKey(dataDir: string, before: Uint8Array): string {
  const dir = keysDir(dataDir);
  const old = join(dir, oldName(before));
  // A crash between the two leaves no key without a file; the next run finishes.
  if (existsSync(join(dir, FILES.consensus))) renameSync(join(dir, FILES.consensus), old);
  renameSync(join(dir, NEXT_FILE), join(dir, FILES.consensus));
  return old;
}

function oldName(seed: Uint8Array): string {
  return `consensus-old-${toBareHex(ed25519PublicKey(seed)).slice(0, 8)}.json`;
}

export function hasNodeKeys(dataDir: string): boolean {
  return existsSync(join(keysDir(dataDir), FILES.consensus));
}

/** The validator's own first: after it, in any order, those of rotations. */
function consensusFiles(dataDir: string): string[] {
  const dir = keysDir(dataDir);
  const names = existsSync(dir) ? readdirSync(dir).sort() : [];
  const others = names.filter((name) => /^consensus-.*\.json$/.test(name));
  const own = names.includes(FILES.consensus) || others.length === 0 ? [FILES.consensus] : [];
  return [...own, ...others].map((name) => join(dir, name));
}

async function passwordOf(dataDir: string, passwordFile: string | null): Promise<string> {
  const beside = join(keysDir(dataDir), PASSWORD_FILE);
  const file = passwordFile ?? (existsSync(beside) ? beside : null);
  return readPassword({ file, prompt: 'password of the node keys' });
}

async function openNodeKey(
  path: string,
  kind: Exclude<KeyKind, 'payment'>,
  password: string,
): Promise<Uint8Array> {
  const opened = await openKey(readSecretFile(path), kind, password);
  if (opened.ok) return opened.value.secret;
  throw new UserError(EXIT.badData, `${path}: ${describeKeystoreRefusal(opened.refusal)}`);
}

export function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
}
