import { bytesEqual } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import { decodeRlp, encodeRlp, isRlpList, rlpBytes, rlpToUint, uintToRlp } from '#src/types/rlp.ts';
import { asWei, type Wei } from '#src/types/units.ts';

/** keccak256 of nothing: an account without code. */
export const EMPTY_CODE_HASH =
  '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470' as Hash;

/** An account as the state trie holds it (yellow paper, 4.1). */
export type Account = {
  readonly nonce: bigint;
  readonly balance: Wei;
  readonly storageRoot: Hash;
  readonly codeHash: Hash;
};

/** Nearly every account has these two: none makes them anew. */
const EMPTY_ROOT_BYTES = hashToBytes(EMPTY_TRIE_ROOT);
const EMPTY_CODE_BYTES = hashToBytes(EMPTY_CODE_HASH);

export const EMPTY_ACCOUNT: Account = {
  nonce: 0n,
  balance: asWei(0n),
  storageRoot: EMPTY_TRIE_ROOT,
  codeHash: EMPTY_CODE_HASH,
};

/** EIP-161: such an account is not in the state. */
export function isEmptyAccount(account: Account): boolean {
  return account.nonce === 0n && account.balance === 0n && account.codeHash === EMPTY_CODE_HASH;
}

export function encodeAccount({ nonce, balance, storageRoot, codeHash }: Account): Uint8Array {
  return encodeRlp([
    uintToRlp(nonce),
    uintToRlp(balance),
    storageRoot === EMPTY_TRIE_ROOT ? EMPTY_ROOT_BYTES : hashToBytes(storageRoot),
    codeHash === EMPTY_CODE_HASH ? EMPTY_CODE_BYTES : hashToBytes(codeHash),
  ]);
}

/** Of bytes that this node wrote and whose checksum held. */
export function decodeAccount(bytes: Uint8Array): Account {
  const decoded = decodeRlp(bytes, 128);
  assert(decoded.ok && isRlpList(decoded.value), 'an account is a list');
  const [nonce, balance, root, code] = decoded.value;
  const storageRoot = rlpBytes(root, 32);
  const codeHash = rlpBytes(code, 32);
  assert(storageRoot !== null && codeHash !== null, 'an account has two hashes');
  return {
    nonce: rlpToUint(nonce, 8) ?? 0n,
    balance: asWei(rlpToUint(balance, 32) ?? 0n),
    storageRoot: bytesEqual(storageRoot, EMPTY_ROOT_BYTES)
      ? EMPTY_TRIE_ROOT
      : hashFromBytes(storageRoot),
    codeHash: bytesEqual(codeHash, EMPTY_CODE_BYTES) ? EMPTY_CODE_HASH : hashFromBytes(codeHash),
  };
}
