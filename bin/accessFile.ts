/** `access.json` in a data directory: who may use the node's JSON-RPC. It knows hashes, no keys. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { AccessKey } from '#src/rpc/access/access.ts';

const keysMax = 10_000;
const methodsMax = 256;
const KEY_BYTES = 32;

const name = z.string().regex(/^[\w.-]{1,64}$/, 'letters, digits, dot, dash, underscore');
const method = z.string().regex(/^[A-Za-z]\w{0,63}(\.\w+)?\*?$/, 'a method, or a beginning and *');

const keyShape = z.strictObject({
  name,
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hex'),
  role: z.enum(['user', 'operator']),
  methods: z.array(method).max(methodsMax).nullable(),
  unitsPerSecond: z.int().min(1).max(1_000_000_000).nullable(),
  createdAt: z.iso.datetime(),
});

const fileShape = z.strictObject({
  format: z.literal(1),
  keys: z.array(keyShape).max(keysMax),
});

export type StoredKey = AccessKey & { readonly createdAt: string };

export function accessPath(dataDir: string): string {
  return join(dataDir, 'access.json');
}

/** None where there is no file. Throws a {@link UserError} that names the place in it. */
export function readAccess(dataDir: string): readonly StoredKey[] {
  const path = accessPath(dataDir);
  if (!existsSync(path)) return [];
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(EXIT.badData, `${path}: ${(error as Error).message}`);
  }
  const parsed = fileShape.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue?.path.join('.') ?? '';
    throw new UserError(EXIT.badData, `${path}: ${place}: ${issue?.message ?? 'not readable'}`);
  }
  const { keys } = parsed.data;
  for (const field of ['name', 'sha256'] as const) {
    const twice = keys.find((key, at) => keys.findIndex((k) => k[field] === key[field]) !== at);
    if (twice !== undefined) {
      throw new UserError(EXIT.badData, `${path}: two keys have the ${field} ${twice[field]}`);
    }
  }
  return keys;
}

/** Whole or not at all: a node may read it at any moment. */
export function writeAccess(dataDir: string, keys: readonly StoredKey[]): void {
  const path = accessPath(dataDir);
  const text = JSON.stringify({ format: 1, keys }, null, 2);
  writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** The key is shown to its holder and kept nowhere. */
export function makeKey(fields: Omit<StoredKey, 'sha256' | 'createdAt'>): {
  key: string;
  stored: StoredKey;
} {
  const key = `mpbp_${randomBytes(KEY_BYTES).toString('base64url')}`;
  const sha256 = createHash('sha256').update(key).digest('hex');
  const stored = { ...fields, sha256, createdAt: new Date().toISOString() };
  const checked = keyShape.safeParse(stored);
  if (checked.success) return { key, stored };
  const [issue] = checked.error.issues;
  throw new UserError(EXIT.usage, `${issue?.path.join('.')}: ${issue?.message}`);
}
