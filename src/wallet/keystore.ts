/**
 * Keys at rest: Web3 Secret Storage version 3, as geth, ethers and wallets read and write it. The
 * same envelope holds a node's Ed25519 seeds, with `publicKey` in the place of `address`.
 *
 * Every limit is checked before a key is derived, because the file chooses the cost; and the key
 * that comes out has to have the address that the file names, because the MAC covers neither the
 * initialisation vector nor the address.
 */
import {
  createCipheriv,
  createDecipheriv,
  pbkdf2,
  randomBytes,
  randomUUID,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { promisify } from 'node:util';
import { ed25519PublicKey } from '#src/crypto/ed25519.ts';
import { keccak256 } from '#src/crypto/keccak.ts';
import { isPrivateKey, publicKey } from '#src/crypto/secp256k1.ts';
import { concatBytes, toBareHex } from '#src/lib/bytes.ts';
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressFromPublicKey } from '#src/types/address.ts';

/** What a key is for; a key of one kind is never taken for another. */
export type KeyKind = 'payment' | 'consensus' | 'network';

export type StoredKey = {
  readonly kind: KeyKind;
  /** secp256k1 private key or Ed25519 seed, 32 bytes. */
  readonly secret: Uint8Array;
  /** 20-byte address for a payment key, otherwise the 32-byte public key; hex without prefix. */
  readonly id: string;
};

export type KeystoreRefusal =
  | { code: 'KEYSTORE_SIZE'; bytesMax: number }
  | { code: 'KEYSTORE_JSON' }
  | { code: 'KEYSTORE_FIELD'; field: string }
  | { code: 'KEYSTORE_COST'; field: string }
  | { code: 'KEYSTORE_PASSWORD' }
  | { code: 'KEYSTORE_ADDRESS' };

export const keystoreBytesMax = 64 * 1024;
const costMin = 2 ** 12;
const costMax = 2 ** 20;
const scryptMemoryBytesMax = 512 * 1024 * 1024;
const parallelMax = 8;
const iterationsMin = 2 ** 17;
const iterationsMax = 10_000_000;

/** How a password becomes a key: scrypt's N (with r 8 and p 1), or PBKDF2's iterations. */
export type Cost =
  | { readonly kdf: 'scrypt'; readonly n: number }
  | { readonly kdf: 'pbkdf2'; readonly c: number };

/** For a password that a person chose: about half a second. */
export const passwordCost: Cost = { kdf: 'scrypt', n: 2 ** 18 };
/** The same for readers that know no scrypt; cheaper to search with a graphics card. */
export const pbkdf2Cost: Cost = { kdf: 'pbkdf2', c: 2 ** 20 };
/** For a generated password of 256 bits, which no search will find. */
export const generatedPasswordCost: Cost = { kdf: 'scrypt', n: costMin };

const deriveScrypt = promisify<
  string | Uint8Array,
  Uint8Array,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);
const derivePbkdf2 = promisify(pbkdf2);

export async function sealKey(
  kind: KeyKind,
  secret: Uint8Array,
  password: string,
  cost: Cost = passwordCost,
): Promise<string> {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const kdfparams = { ...paramsOf(cost), salt: salt.toString('hex') };
  const derive = parseDerivation(cost.kdf, kdfparams);
  assert(derive.ok, 'a cost of our own is within the limits');
  const derived = await derive.value(password.normalize('NFKC'));
  const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
  const ciphertext = Buffer.concat([cipher.update(secret), cipher.final()]);
  const id = idOf(kind, secret);
  const document = {
    version: 3,
    id: randomUUID(),
    ...(kind === 'payment' ? { address: id } : { kind, publicKey: id }),
    crypto: {
      cipher: 'aes-128-ctr',
      cipherparams: { iv: iv.toString('hex') },
      ciphertext: ciphertext.toString('hex'),
      kdf: cost.kdf,
      kdfparams,
      mac: toBareHex(macOf(derived, ciphertext)),
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

export async function openKey(
  text: string,
  kind: KeyKind,
  password: string,
): Promise<Verdict<StoredKey, KeystoreRefusal>> {
  const parsed = parseKeystore(text, kind);
  if (!parsed.ok) return parsed;
  const { derive, mac, iv, ciphertext, id } = parsed.value;
  const derived = await firstThatFits(password, async (spelling) => {
    const candidate = await derive(spelling);
    return timingSafeEqual(macOf(candidate, ciphertext), mac) ? candidate : null;
  });
  if (derived === null) return refuse({ code: 'KEYSTORE_PASSWORD' });
  const decipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
  const secret = new Uint8Array(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
  if (kind === 'payment' && !isPrivateKey(secret)) return refuse({ code: 'KEYSTORE_ADDRESS' });
  const actual = idOf(kind, secret);
  if (id !== null && id !== actual) return refuse({ code: 'KEYSTORE_ADDRESS' });
  return accept({ kind, secret, id: actual });
}

/** The address or public key that the file names, without opening it; null where it names none. */
export function keystoreId(text: string, kind: KeyKind): Verdict<string | null, KeystoreRefusal> {
  const parsed = parseKeystore(text, kind);
  return parsed.ok ? accept(parsed.value.id) : parsed;
}

export function describeKeystoreRefusal(refusal: KeystoreRefusal): string {
  switch (refusal.code) {
    case 'KEYSTORE_SIZE':
      return `keystore: larger than ${refusal.bytesMax} bytes`;
    case 'KEYSTORE_JSON':
      return 'keystore: not a JSON object';
    case 'KEYSTORE_FIELD':
      return `keystore: ${refusal.field} is missing or not as version 3 has it`;
    case 'KEYSTORE_COST':
      return `keystore: ${refusal.field} is outside the accepted cost`;
    case 'KEYSTORE_PASSWORD':
      return 'wrong password or damaged keystore';
    case 'KEYSTORE_ADDRESS':
      return 'keystore: the key inside does not belong to the address that the file names';
  }
}

export function addressOfKey(secret: Uint8Array): Address {
  return addressFromPublicKey(publicKey(secret));
}

/** ethers and we normalise a password before use, geth takes it as it was typed. */
async function firstThatFits(
  password: string,
  attempt: (spelling: string) => Promise<Buffer | null>,
): Promise<Buffer | null> {
  for (const spelling of new Set([password.normalize('NFKC'), password])) {
    const derived = await attempt(spelling);
    if (derived !== null) return derived;
  }
  return null;
}

function paramsOf(cost: Cost): Readonly<Record<string, unknown>> {
  return cost.kdf === 'scrypt'
    ? { dklen: 32, n: cost.n, r: 8, p: 1 }
    : { dklen: 32, c: cost.c, prf: 'hmac-sha256' };
}

type Parsed = {
  readonly derive: (password: string) => Promise<Buffer>;
  readonly mac: Buffer;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly id: string | null;
};

function parseKeystore(text: string, kind: KeyKind): Verdict<Parsed, KeystoreRefusal> {
  if (text.length > keystoreBytesMax) {
    return refuse({ code: 'KEYSTORE_SIZE', bytesMax: keystoreBytesMax });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse({ code: 'KEYSTORE_JSON' });
  }
  const root = recordOf(json);
  if (root === null) return refuse({ code: 'KEYSTORE_JSON' });
  if (root.version !== 3) return refuse({ code: 'KEYSTORE_FIELD', field: 'version' });
  // Old geth wrote `Crypto`.
  const crypto = recordOf(root.crypto ?? root.Crypto);
  if (crypto === null) return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto' });
  if (crypto.cipher !== 'aes-128-ctr') {
    return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.cipher' });
  }
  const iv = hexOf(recordOf(crypto.cipherparams)?.iv, 16);
  if (iv === null) return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.cipherparams.iv' });
  const ciphertext = hexOf(crypto.ciphertext, 32);
  if (ciphertext === null) return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.ciphertext' });
  const mac = hexOf(crypto.mac, 32);
  if (mac === null) return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.mac' });
  const derive = parseDerivation(crypto.kdf, recordOf(crypto.kdfparams));
  if (!derive.ok) return derive;
  const id = parseId(root, kind);
  if (!id.ok) return id;
  return accept({ derive: derive.value, mac, iv, ciphertext, id: id.value });
}

function parseId(
  root: Readonly<Record<string, unknown>>,
  kind: KeyKind,
): Verdict<string | null, KeystoreRefusal> {
  if (kind !== 'payment') {
    if (root.kind !== kind) return refuse({ code: 'KEYSTORE_FIELD', field: 'kind' });
    const key = hexOf(root.publicKey, 32);
    return key === null
      ? refuse({ code: 'KEYSTORE_FIELD', field: 'publicKey' })
      : accept(key.toString('hex'));
  }
  if (root.kind !== undefined) return refuse({ code: 'KEYSTORE_FIELD', field: 'kind' });
  if (root.address === undefined) return accept(null);
  const address = hexOf(root.address, 20);
  return address === null
    ? refuse({ code: 'KEYSTORE_FIELD', field: 'address' })
    : accept(address.toString('hex'));
}

function parseDerivation(
  kdf: unknown,
  params: Readonly<Record<string, unknown>> | null,
): Verdict<Parsed['derive'], KeystoreRefusal> {
  if (params === null) return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.kdfparams' });
  const salt = hexOf(params.salt, null);
  if (salt === null || salt.length > 128) {
    return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.kdfparams.salt' });
  }
  const cost = (field: string) =>
    refuse({ code: 'KEYSTORE_COST', field: `crypto.kdfparams.${field}` } as const);
  const whole = (field: string) =>
    Number.isSafeInteger(params[field]) ? Number(params[field]) : 0;
  if (whole('dklen') !== 32) return cost('dklen');
  if (kdf === 'scrypt') {
    const [N, r, p] = [whole('n'), whole('r'), whole('p')];
    if (N < costMin || N > costMax || (N & (N - 1)) !== 0) return cost('n');
    // RFC 7914, 2: N is below 2^(128 r / 8); the library throws at more.
    if (r < 1 || 128 * N * r > scryptMemoryBytesMax || Math.log2(N) >= 16 * r) return cost('r');
    if (p < 1 || p > parallelMax) return cost('p');
    const maxmem = 2 * scryptMemoryBytesMax;
    return accept((password) => deriveScrypt(password, salt, 32, { N, r, p, maxmem }));
  }
  if (kdf === 'pbkdf2') {
    const c = whole('c');
    if (params.prf !== 'hmac-sha256') {
      return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.kdfparams.prf' });
    }
    if (c < iterationsMin || c > iterationsMax) return cost('c');
    return accept((password) => derivePbkdf2(password, salt, c, 32, 'sha256'));
  }
  return refuse({ code: 'KEYSTORE_FIELD', field: 'crypto.kdf' });
}

function macOf(derived: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  return keccak256(concatBytes(derived.subarray(16, 32), ciphertext));
}

function idOf(kind: KeyKind, secret: Uint8Array): string {
  return kind === 'payment' ? addressOfKey(secret).slice(2) : toBareHex(ed25519PublicKey(secret));
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** Hex of this many bytes (of any number, where null), with or without a prefix. */
function hexOf(value: unknown, bytes: number | null): Buffer | null {
  if (typeof value !== 'string') return null;
  const digits = value.startsWith('0x') ? value.slice(2) : value;
  if (!/^([0-9a-fA-F]{2})+$/.test(digits)) return null;
  return bytes === null || digits.length === 2 * bytes ? Buffer.from(digits, 'hex') : null;
}
