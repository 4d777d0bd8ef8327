import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ed25519PublicKey, generateSeed } from '#src/crypto/ed25519.ts';
import { type Hex, toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
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

/** A node's own keys: one signs for the validator, the other is its identity on the network. */
export type NodeKeys = { readonly consensusSeed: Uint8Array; readonly networkSeed: Uint8Array };

/** What others need to know of them. */
export type PublicKeys = { readonly consensusKey: Hex; readonly peerId: string };

const FILES = { consensus: 'consensus.json', network: 'network.json' } as const;
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
  const seeds: NodeKeys = { consensusSeed: generateSeed(), networkSeed: generateSeed() };
  const files = [
    ['consensus', seeds.consensusSeed],
    ['network', seeds.networkSeed],
  ] as const;
  for (const [kind, seed] of files) {
    writePrivate(join(dir, FILES[kind]), await sealKey(kind, seed, secret, cost));
  }
  // With the key and at no other time: where it is missing, what the key has signed is not known.
  await AppendLog.open(journalDir(dataDir)).log.close();
  return publicKeysOf(seeds);
}

/**
 * Reads both keys; the password comes from a file, the environment, a prompt or beside the keys.
 */
export async function openNodeKeys(
  dataDir: string,
  passwordFile: string | null,
): Promise<NodeKeys> {
  const beside = join(keysDir(dataDir), PASSWORD_FILE);
  const file = passwordFile ?? (existsSync(beside) ? beside : null);
  const password = await readPassword({ file, prompt: 'password of the node keys' });
  const [consensusSeed, networkSeed] = await Promise.all([
    openNodeKey(dataDir, 'consensus', password),
    openNodeKey(dataDir, 'network', password),
  ]);
  return { consensusSeed, networkSeed };
}

export async function publicKeysOf({ consensusSeed, networkSeed }: NodeKeys): Promise<PublicKeys> {
  // Loaded here, because the network's libraries take longer than all the rest of the command line.
  const { peerIdFromSeed } = await import('#p2p/network.ts');
  return {
    consensusKey: toHex(ed25519PublicKey(consensusSeed)),
    peerId: peerIdFromSeed(networkSeed),
  };
}

export function hasNodeKeys(dataDir: string): boolean {
  return existsSync(join(keysDir(dataDir), FILES.consensus));
}

async function openNodeKey(
  dataDir: string,
  kind: Exclude<KeyKind, 'payment'>,
  password: string,
): Promise<Uint8Array> {
  const path = join(keysDir(dataDir), FILES[kind]);
  const opened = await openKey(readSecretFile(path), kind, password);
  if (opened.ok) return opened.value.secret;
  throw new UserError(EXIT.badData, `${path}: ${describeKeystoreRefusal(opened.refusal)}`);
}

export function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
}
