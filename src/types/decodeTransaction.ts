import { CURVE_ORDER, HALF_CURVE_ORDER } from '#src/crypto/secp256k1.ts';
import { accept, refuse, unreachable, type Verdict } from '#src/lib/failure.ts';
import { type Address, addressFromBytes, isReservedAddress } from './address.ts';
import { type Hash, hashFromBytes, keccakHash } from './hash.ts';
import {
  accessListEntriesMax,
  authorizationsMax,
  nonceMax,
  transactionBytesMax,
} from './limits.ts';
import { decodeRlp, isRlpList, type RlpItem, type RlpList, rlpBytes, rlpToUint } from './rlp.ts';
import {
  type AccessListEntry,
  type Authorization,
  type Envelope,
  recoverSender,
  type SignedTransaction,
  type TransactionType,
} from './transaction.ts';
import type { Gas, Wei } from './units.ts';

/** In the order in which they are checked: the cheapest first, the first failure wins. */
export type TransactionRefusal =
  | { code: 'OVERSIZED_DATA'; bytes: number; max: number }
  | { code: 'TX_TYPE_NOT_SUPPORTED'; type: number }
  | { code: 'RLP'; reason: string }
  | { code: 'INVALID_SIGNATURE'; reason: 'missing' | 'r' | 's' | 'v' | 'recovery' }
  | { code: 'UNPROTECTED' }
  | { code: 'INVALID_CHAIN_ID'; want: bigint; got: bigint }
  | { code: 'HIGH_S' }
  | { code: 'ACCESS_LIST_TOO_LONG'; entries: number; max: number }
  | { code: 'AUTHORIZATION_LIST'; reason: 'empty' | 'too long' | 'creation' }
  | { code: 'AUTHORIZATION'; index: number; reason: 'chain id' | 'reserved address' }
  | { code: 'NONCE_MAX'; nonce: bigint }
  | { code: 'TIP_ABOVE_FEE_CAP'; tip: Wei; cap: Wei }
  | { code: 'FEE_CAP_EXCEEDED'; gasLimit: Gas; cap: Wei };

export type DecodeOptions = {
  readonly chainId: bigint;
  readonly bytesMax?: number;
  /** Of the raw bytes, where the caller has computed it. */
  readonly hash?: Hash;
  /** A pool's memory: the sender of a raw transaction that it has verified, by hash. */
  readonly senderOf?: (hash: Hash) => Address | null;
  /** A pool's memory of whole transactions: what it has is not decoded again. */
  readonly known?: (hash: Hash) => SignedTransaction | null;
};

type Outcome<T> = Verdict<T, TransactionRefusal>;

/** A raw transaction as a peer or a user sent it, to one that a ledger may look at. */
export function decodeTransaction(
  bytes: Uint8Array,
  options: DecodeOptions,
): Outcome<SignedTransaction> {
  const max = options.bytesMax ?? transactionBytesMax;
  if (bytes.length > max) return refuse({ code: 'OVERSIZED_DATA', bytes: bytes.length, max });
  const hash = options.hash ?? keccakHash(bytes);
  const known = options.known?.(hash) ?? null;
  if (known !== null) return accept(known);
  const decoded = decodeEnvelope(bytes, { ...options, hash });
  if (!decoded.ok) return decoded;
  const envelope = decoded.value;
  const sender = options.senderOf?.(envelope.hash) ?? recoverSender(envelope);
  if (sender === null) return refuse({ code: 'INVALID_SIGNATURE', reason: 'recovery' });
  return accept(Object.assign(envelope, { sender }));
}

/** Everything but the sender, the dear part. */
export function decodeEnvelope(bytes: Uint8Array, options: DecodeOptions): Outcome<Envelope> {
  const max = options.bytesMax ?? transactionBytesMax;
  if (bytes.length > max) return refuse({ code: 'OVERSIZED_DATA', bytes: bytes.length, max });
  const first = bytes[0];
  if (first === undefined) return refuseRlp('unexpected end of input');
  // EIP-2718: a list's head is legacy, a small byte is a type, the rest was never a transaction.
  if (first >= 0x80 && first < 0xc0) return refuseRlp('expected a list');
  if (first < 0xc0 && first !== 1 && first !== 2 && first !== 4) {
    return refuse({ code: 'TX_TYPE_NOT_SUPPORTED', type: first });
  }
  const type: TransactionType = first === 1 || first === 2 || first === 4 ? first : 0;
  // A copy: it outlives the message that it came in, and nobody else can write to it.
  const raw = bytes.slice();
  const list = decodeRlp(type === 0 ? raw : raw.subarray(1), max);
  if (!list.ok) return list;
  if (!isRlpList(list.value)) return refuseRlp('expected a list');
  const parts = splitParts(type, list.value);
  if (!parts.ok) return parts;
  return readParts(parts.value, raw, options);
}

/** geth's words where libraries match them (interfaces.md, "Texts are an API"). */
export function describeRefusal(refusal: TransactionRefusal): string {
  switch (refusal.code) {
    case 'OVERSIZED_DATA':
      return `oversized data: transaction size ${refusal.bytes}, limit ${refusal.max}`;
    case 'TX_TYPE_NOT_SUPPORTED':
      return 'transaction type not supported';
    case 'RLP':
      return `rlp: ${refusal.reason}`;
    case 'INVALID_SIGNATURE':
      return `invalid signature: ${refusal.reason}`;
    case 'UNPROTECTED':
      return 'only replay-protected (EIP-155) transactions allowed over RPC';
    case 'INVALID_CHAIN_ID':
      return `invalid chain id: have ${refusal.got} want ${refusal.want}`;
    case 'HIGH_S':
      return 'invalid signature: s';
    case 'ACCESS_LIST_TOO_LONG':
      return `access list too long: ${refusal.entries} entries, limit ${refusal.max}`;
    case 'AUTHORIZATION_LIST':
      return `EIP-7702 transaction: its authorization list is wrong: ${refusal.reason}`;
    case 'AUTHORIZATION':
      return `EIP-7702 transaction: authorization ${refusal.index} is refused: ${refusal.reason}`;
    case 'NONCE_MAX':
      return 'nonce has max value';
    case 'TIP_ABOVE_FEE_CAP':
      return (
        `max priority fee per gas higher than max fee per gas: ` +
        `maxPriorityFeePerGas: ${refusal.tip}, maxFeePerGas: ${refusal.cap}`
      );
    case 'FEE_CAP_EXCEEDED':
      return `fee cap exceeded: gas ${refusal.gasLimit} * price ${refusal.cap} is over 256 bits`;
    default:
      return unreachable(refusal);
  }
}

/** The fields of each type by name, in the order of their types' layouts. */
type Parts = {
  readonly type: TransactionType;
  readonly chainId: RlpItem | undefined;
  readonly nonce: RlpItem | undefined;
  readonly tip: RlpItem | undefined;
  readonly cap: RlpItem | undefined;
  readonly gasLimit: RlpItem | undefined;
  readonly to: RlpItem | undefined;
  readonly value: RlpItem | undefined;
  readonly data: RlpItem | undefined;
  readonly accessList: RlpItem | undefined;
  readonly authorizations: RlpItem | undefined;
  readonly v: RlpItem | undefined;
  readonly r: RlpItem | undefined;
  readonly s: RlpItem | undefined;
};

const FIELDS = { 0: 9, 1: 11, 2: 12, 4: 13 } as const;

function splitParts(type: TransactionType, list: RlpList): Outcome<Parts> {
  if (list.length === FIELDS[type] - 3) {
    return refuse({ code: 'INVALID_SIGNATURE', reason: 'missing' });
  }
  if (list.length !== FIELDS[type]) return refuseRlp(`${list.length} fields`);
  if (type === 0) {
    const [nonce, cap, gasLimit, to, value, data, v, r, s] = list;
    const parts = { nonce, tip: cap, cap, gasLimit, to, value, data, v, r, s };
    const absent = { chainId: undefined, accessList: undefined, authorizations: undefined };
    return accept({ ...parts, ...absent, type });
  }
  if (type === 1) {
    const [chainId, nonce, cap, gasLimit, to, value, data, accessList, v, r, s] = list;
    const parts = { chainId, nonce, tip: cap, cap, gasLimit, to, value, data, accessList, v, r, s };
    return accept({ ...parts, type, authorizations: undefined });
  }
  const [chainId, nonce, tip, cap, gasLimit, to, value, data, accessList, ...rest] = list;
  const [authorizations, [v, r, s]] = type === 4 ? [rest[0], rest.slice(1)] : [undefined, rest];
  const signature = { authorizations, v, r, s };
  return accept({
    ...{ type, chainId, nonce, tip, cap, gasLimit, to, value, data, accessList, ...signature },
  });
}

function readParts(
  parts: Parts,
  raw: Uint8Array,
  { chainId, hash }: DecodeOptions,
): Outcome<Envelope> {
  const nonce = rlpToUint(parts.nonce, 8);
  if (nonce === null) return refuseRlp('bad nonce');
  const tip = rlpToUint(parts.tip, 32);
  if (tip === null) return refuseRlp('bad max priority fee per gas');
  const cap = rlpToUint(parts.cap, 32);
  if (cap === null) return refuseRlp('bad max fee per gas');
  const gasLimit = rlpToUint(parts.gasLimit, 8);
  if (gasLimit === null) return refuseRlp('bad gas limit');
  const to = readTo(parts.to);
  if (to === undefined) return refuseRlp('bad recipient');
  const value = rlpToUint(parts.value, 32);
  if (value === null) return refuseRlp('bad value');
  if (!(parts.data instanceof Uint8Array)) return refuseRlp('bad data');
  const accessList = parts.type === 0 ? [] : readAccessList(parts.accessList);
  if (accessList === null) return refuseRlp('bad access list');
  const authorizationList = parts.type === 4 ? readAuthorizations(parts.authorizations) : [];
  if (authorizationList === null) return refuseRlp('bad authorization list');
  const signature = readSignature(parts, chainId);
  if (!signature.ok) return signature;

  const entries = accessList.reduce((sum, entry) => sum + 1 + entry.storageKeys.length, 0);
  if (entries > accessListEntriesMax) {
    return refuse({ code: 'ACCESS_LIST_TOO_LONG', entries, max: accessListEntriesMax });
  }
  if (parts.type === 4) {
    const wrong = judgeAuthorizations(authorizationList, to, chainId);
    if (wrong !== null) return refuse(wrong);
  }
  if (nonce >= nonceMax) return refuse({ code: 'NONCE_MAX', nonce });
  const fees = { cap: cap as Wei, tip: tip as Wei };
  if (tip > cap) return refuse({ code: 'TIP_ABOVE_FEE_CAP', ...fees });
  if ((gasLimit * cap) >> 256n !== 0n) {
    return refuse({ code: 'FEE_CAP_EXCEEDED', gasLimit: gasLimit as Gas, cap: fees.cap });
  }
  return accept({
    type: parts.type,
    chainId,
    nonce,
    maxFeePerGas: fees.cap,
    maxPriorityFeePerGas: fees.tip,
    gasLimit: gasLimit as Gas,
    to,
    value: value as Wei,
    data: parts.data,
    accessList,
    authorizationList,
    ...signature.value,
    hash: hash ?? keccakHash(raw),
    raw,
  });
}

type Signature = Pick<Envelope, 'yParity' | 'v' | 'r' | 's'>;

function readSignature(parts: Parts, chainId: bigint): Outcome<Signature> {
  const v = rlpToUint(parts.v, 32);
  if (v === null) return refuseRlp('bad v');
  const r = rlpToUint(parts.r, 32);
  if (r === null) return refuseRlp('bad r');
  const s = rlpToUint(parts.s, 32);
  if (s === null) return refuseRlp('bad s');
  if (r === 0n && s === 0n) return refuse({ code: 'INVALID_SIGNATURE', reason: 'missing' });
  const parity = parts.type === 0 ? legacyParity(v, chainId) : typedParity(parts, v, chainId);
  if (!parity.ok) return parity;
  if (r === 0n || r >= CURVE_ORDER) return refuse({ code: 'INVALID_SIGNATURE', reason: 'r' });
  if (s === 0n || s >= CURVE_ORDER) return refuse({ code: 'INVALID_SIGNATURE', reason: 's' });
  // EIP-2: else anybody could make a second hash of the same payment.
  if (s > HALF_CURVE_ORDER) return refuse({ code: 'HIGH_S' });
  return accept({ yParity: parity.value, v, r, s });
}

function legacyParity(v: bigint, chainId: bigint): Outcome<0 | 1> {
  if (v === 27n || v === 28n) return refuse({ code: 'UNPROTECTED' });
  if (v < 35n) return refuse({ code: 'INVALID_SIGNATURE', reason: 'v' });
  const got = (v - 35n) >> 1n;
  if (got !== chainId) return refuse({ code: 'INVALID_CHAIN_ID', want: chainId, got });
  return accept((v & 1n) === 1n ? 0 : 1);
}

function typedParity(parts: Parts, v: bigint, chainId: bigint): Outcome<0 | 1> {
  const got = rlpToUint(parts.chainId, 32);
  if (got === null) return refuseRlp('bad chain id');
  if (got !== chainId) return refuse({ code: 'INVALID_CHAIN_ID', want: chainId, got });
  if (v !== 0n && v !== 1n) return refuse({ code: 'INVALID_SIGNATURE', reason: 'v' });
  return accept(v === 0n ? 0 : 1);
}

/** Undefined where it is neither an address nor empty; null is a creation. */
function readTo(item: RlpItem | undefined): Address | null | undefined {
  if (item instanceof Uint8Array && item.length === 0) return null;
  const bytes = rlpBytes(item, 20);
  return bytes === null ? undefined : addressFromBytes(bytes);
}

function readAccessList(item: RlpItem | undefined): AccessListEntry[] | null {
  if (!isRlpList(item)) return null;
  const entries: AccessListEntry[] = [];
  for (const pair of item) {
    if (!isRlpList(pair) || pair.length !== 2) return null;
    const address = rlpBytes(pair[0], 20);
    const keys = pair[1];
    if (address === null || !isRlpList(keys)) return null;
    const storageKeys: Hash[] = [];
    for (const key of keys) {
      const bytes = rlpBytes(key, 32);
      if (bytes === null) return null;
      storageKeys.push(hashFromBytes(bytes));
    }
    entries.push({ address: addressFromBytes(address), storageKeys });
  }
  return entries;
}

/** Widths are EIP-7702's: within them an entry may be useless, and the transaction stands. */
function readAuthorizations(item: RlpItem | undefined): Authorization[] | null {
  if (!isRlpList(item)) return null;
  const authorizations: Authorization[] = [];
  for (const entry of item) {
    if (!isRlpList(entry) || entry.length !== 6) return null;
    const chainId = rlpToUint(entry[0], 32);
    const address = rlpBytes(entry[1], 20);
    const nonce = rlpToUint(entry[2], 8);
    const yParity = rlpToUint(entry[3], 1);
    const r = rlpToUint(entry[4], 32);
    const s = rlpToUint(entry[5], 32);
    if (chainId === null || address === null || nonce === null) return null;
    if (yParity === null || r === null || s === null) return null;
    const target = addressFromBytes(address);
    authorizations.push({ chainId, address: target, nonce, yParity: Number(yParity), r, s });
  }
  return authorizations;
}

/**
 * Stricter than EIP-7702, which skips what is of another chain: whoever sends it here has made a
 * mistake. A native contract's code is none that could run as somebody's own.
 */
function judgeAuthorizations(
  list: readonly Authorization[],
  to: Address | null,
  chainId: bigint,
): TransactionRefusal | null {
  if (to === null) return { code: 'AUTHORIZATION_LIST', reason: 'creation' };
  if (list.length === 0) return { code: 'AUTHORIZATION_LIST', reason: 'empty' };
  if (list.length > authorizationsMax) return { code: 'AUTHORIZATION_LIST', reason: 'too long' };
  for (const [index, authorization] of list.entries()) {
    const isHere = authorization.chainId === 0n || authorization.chainId === chainId;
    if (!isHere) return { code: 'AUTHORIZATION', index, reason: 'chain id' };
    if (isReservedAddress(authorization.address)) {
      return { code: 'AUTHORIZATION', index, reason: 'reserved address' };
    }
  }
  return null;
}

function refuseRlp(reason: string): { ok: false; refusal: TransactionRefusal } {
  return refuse({ code: 'RLP', reason });
}
