import { keccak256 } from '#src/crypto/keccak.ts';
import { CURVE_ORDER, HALF_CURVE_ORDER, recover, sign } from '#src/crypto/secp256k1.ts';
import { bytesToUint, concatBytes, EMPTY_BYTES, uintToBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, addressFromPublicKey, addressToBytes } from './address.ts';
import { type Hash, hashToBytes, keccakHash } from './hash.ts';
import { encodeRlp, type RlpItem, uintToRlp } from './rlp.ts';
import type { Gas, Wei } from './units.ts';

/** Legacy with EIP-155 protection, EIP-2930, EIP-1559, EIP-7702. */
export type TransactionType = 0 | 1 | 2 | 4;

export type AccessListEntry = { readonly address: Address; readonly storageKeys: readonly Hash[] };

/** EIP-7702: an account lets the code of `address` run as its own. */
export type Authorization = {
  /** 0 is every chain. */
  readonly chainId: bigint;
  /** The zero address takes back what was said before. */
  readonly address: Address;
  readonly nonce: bigint;
  readonly yParity: number;
  readonly r: bigint;
  readonly s: bigint;
};

/** What a sender says; types 0 and 1 have one gas price, which is then both fees. */
export type TransactionFields = {
  readonly type: TransactionType;
  readonly chainId: bigint;
  readonly nonce: bigint;
  readonly maxFeePerGas: Wei;
  readonly maxPriorityFeePerGas: Wei;
  readonly gasLimit: Gas;
  /** Null creates a contract. */
  readonly to: Address | null;
  readonly value: Wei;
  readonly data: Uint8Array;
  readonly accessList: readonly AccessListEntry[];
  /** Of type 4, at least one; of the others none. */
  readonly authorizationList: readonly Authorization[];
};

export type Envelope = TransactionFields & {
  readonly yParity: 0 | 1;
  /** As JSON-RPC shows it: EIP-155's for legacy, else the parity. */
  readonly v: bigint;
  readonly r: bigint;
  readonly s: bigint;
  readonly hash: Hash;
  readonly raw: Uint8Array;
};

/** Decoded once, its sender recovered once; travels so from admission to execution. */
export type SignedTransaction = Envelope & { readonly sender: Address };

/** The key that signed, as an address; null where no key can have. Costs most of a decode. */
export function recoverSender(envelope: Envelope): Address | null {
  const { digest, signature, yParity } = signatureOf(envelope);
  const key = recover(digest, signature, yParity);
  return key === null ? null : addressFromPublicKey(key);
}

/** What was signed, and `r || s`. */
export function signatureOf(envelope: Envelope): {
  digest: Uint8Array;
  signature: Uint8Array;
  yParity: 0 | 1;
} {
  const signature = new Uint8Array(64);
  signature.set(uintToBytes(envelope.r, 32), 0);
  signature.set(uintToBytes(envelope.s, 32), 32);
  return { digest: signingDigest(envelope), signature, yParity: envelope.yParity };
}

/** For wallets and tests: the fields have to be possible ones. */
export function signTransaction(
  fields: TransactionFields,
  privateKey: Uint8Array,
): SignedTransaction {
  const { signature, yParity } = sign(signingDigest(fields), privateKey);
  const r = bytesToUint(signature.subarray(0, 32));
  const s = bytesToUint(signature.subarray(32));
  const v = fields.type === 0 ? fields.chainId * 2n + 35n + BigInt(yParity) : BigInt(yParity);
  const raw = encodeFields(fields, [uintToRlp(v), uintToRlp(r), uintToRlp(s)]);
  const envelope: Envelope = { ...fields, yParity, v, r, s, raw, hash: keccakHash(raw) };
  const sender = recoverSender(envelope);
  assert(sender !== null, 'an own signature recovers');
  return { ...envelope, sender };
}

/** Of one that nobody signed, for those who only ask: as geth, with zeros for the signature. */
export function unsignedTransaction(fields: TransactionFields, sender: Address): SignedTransaction {
  const raw = encodeFields(fields, [EMPTY_BYTES, EMPTY_BYTES, EMPTY_BYTES]);
  return { ...fields, sender, yParity: 0, v: 0n, r: 0n, s: 0n, raw, hash: keccakHash(raw) };
}

/** EIP-155, EIP-2930, EIP-1559: the digest that a sender signs. */
function signingDigest(fields: TransactionFields): Uint8Array {
  const tail =
    fields.type === 0 ? [uintToRlp(fields.chainId), EMPTY_BYTES, EMPTY_BYTES] : ([] as RlpItem[]);
  return keccak256(encodeFields(fields, tail));
}

function encodeFields(fields: TransactionFields, tail: readonly RlpItem[]): Uint8Array {
  const { type } = fields;
  const items: RlpItem[] = type === 0 ? [] : [uintToRlp(fields.chainId)];
  items.push(uintToRlp(fields.nonce));
  if (type >= 2) items.push(uintToRlp(fields.maxPriorityFeePerGas));
  items.push(
    uintToRlp(fields.maxFeePerGas),
    uintToRlp(fields.gasLimit),
    fields.to === null ? EMPTY_BYTES : addressToBytes(fields.to),
    uintToRlp(fields.value),
    fields.data,
  );
  if (type !== 0) items.push(encodeAccessList(fields.accessList));
  if (type === 4) items.push(fields.authorizationList.map(encodeAuthorization));
  items.push(...tail);
  const list = encodeRlp(items);
  return type === 0 ? list : concatBytes(Uint8Array.of(type), list);
}

/** Who lets code run as its own account; null where nobody can have signed this. */
export function recoverAuthority(authorization: Authorization): Address | null {
  const { yParity, r, s } = authorization;
  // EIP-2, as for transactions; the fields may be anything that fits their widths.
  if (yParity > 1 || r >= CURVE_ORDER || s > HALF_CURVE_ORDER) return null;
  const signature = concatBytes(uintToBytes(r, 32), uintToBytes(s, 32));
  const key = recover(authorizationDigest(authorization), signature, yParity);
  return key === null ? null : addressFromPublicKey(key);
}

/** For wallets and tests. */
export function signAuthorization(
  fields: Pick<Authorization, 'chainId' | 'address' | 'nonce'>,
  privateKey: Uint8Array,
): Authorization {
  const { signature, yParity } = sign(authorizationDigest(fields), privateKey);
  const r = bytesToUint(signature.subarray(0, 32));
  const s = bytesToUint(signature.subarray(32));
  return { ...fields, yParity, r, s };
}

/** EIP-7702's MAGIC before what is signed. */
const AUTHORIZATION_MAGIC = 0x05;

function authorizationDigest({
  chainId,
  address,
  nonce,
}: Pick<Authorization, 'chainId' | 'address' | 'nonce'>): Uint8Array {
  const list = [uintToRlp(chainId), addressToBytes(address), uintToRlp(nonce)];
  return keccak256(concatBytes(Uint8Array.of(AUTHORIZATION_MAGIC), encodeRlp(list)));
}

function encodeAuthorization({ chainId, address, nonce, ...rest }: Authorization): RlpItem {
  const { yParity, r, s } = rest;
  const numbers = [yParity, r, s].map((value) => uintToRlp(value));
  return [uintToRlp(chainId), addressToBytes(address), uintToRlp(nonce), ...numbers];
}

function encodeAccessList(entries: readonly AccessListEntry[]): RlpItem {
  return entries.map((entry) => [
    addressToBytes(entry.address),
    entry.storageKeys.map((key) => hashToBytes(key)),
  ]);
}
