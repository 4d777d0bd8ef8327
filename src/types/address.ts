import { keccak256 } from '#src/crypto/keccak.ts';
import type { Brand } from '#src/lib/brand.ts';
import { type Hex, hexBytes, toBareHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';

/** 20 bytes as lower-case `0x` hex, so that `===` and map keys work. */
export type Address = Brand<Hex, 'Address'>;

export const ADDRESS_BYTES = 20;
export const ZERO_ADDRESS = `0x${'00'.repeat(ADDRESS_BYTES)}` as Address;

export type AddressRefusal = { code: 'ADDRESS_TEXT' } | { code: 'ADDRESS_CHECKSUM'; want: string };

export function addressFromBytes(bytes: Uint8Array): Address {
  assert(bytes.length === ADDRESS_BYTES, 'an address is 20 bytes');
  return toHex(bytes) as Address;
}

export function addressToBytes(address: Address): Uint8Array {
  return hexBytes(address);
}

/** The last 20 bytes of the keccak of the 64-byte uncompressed key (yellow paper, appendix F). */
export function addressFromPublicKey(publicKey64: Uint8Array): Address {
  assert(publicKey64.length === 64, 'an uncompressed public key without its prefix is 64 bytes');
  return toHex(keccak256(publicKey64).subarray(12)) as Address;
}

/** EIP-55: strict. A text in mixed case has to carry the right checksum. */
export function parseAddress(text: string): Verdict<Address, AddressRefusal> {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) return refuse({ code: 'ADDRESS_TEXT' });
  const address = text.toLowerCase() as Address;
  const digits = text.slice(2);
  const oneCase = digits === digits.toLowerCase() || digits === digits.toUpperCase();
  if (!oneCase) {
    const want = formatAddress(address);
    if (text !== want) return refuse({ code: 'ADDRESS_CHECKSUM', want });
  }
  return accept(address);
}

/** The EIP-55 checksum text. */
export function formatAddress(address: Address): string {
  const digits = address.slice(2);
  const hash = toBareHex(keccak256(utf8(digits)));
  let text = '0x';
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charAt(i);
    text += hash.charAt(i) >= '8' ? digit.toUpperCase() : digit;
  }
  return text;
}

/** `MPB`, 15 zero bytes, a 2-byte number. */
const SYSTEM_PREFIX = `0x4d5042${'00'.repeat(15)}`;
/** `MPB `, 8 zero bytes; then 3 currency letters and 5 bytes. */
const TOKEN_PREFIX = '0x4d5042200000000000000000';

/** Native contracts' and tokens' addresses (payments.md 2.1): nobody deploys or delegates there. */
export function isReservedAddress(address: Address): boolean {
  return address.startsWith(SYSTEM_PREFIX) || isTokenAddress(address);
}

/** Of a token, whether it was made or not. */
export function isTokenAddress(address: Address): boolean {
  return address.startsWith(TOKEN_PREFIX);
}

/** TIP-1022: 4 bytes of a master, these 10, and 6 of whoever the master tells apart by them. */
const VIRTUAL_MARKER = 'fd'.repeat(10);

/** An address that nobody has a key of: money paid to it is its master's (AddressRegistry). */
export function isVirtualAddress(address: Address): boolean {
  return address.startsWith(VIRTUAL_MARKER, 10);
}

/** Nobody could spend what the zero address, a contract of the system or a virtual address has. */
export function canReceiveMoney(address: Address): boolean {
  const isNobodys = address === ZERO_ADDRESS || isReservedAddress(address);
  return !isNobodys && !isVirtualAddress(address);
}

/** Of a virtual address: whose it is, and for whom. */
export function virtualParts(address: Address): { masterId: Hex; userTag: Hex } {
  return { masterId: address.slice(0, 10) as Hex, userTag: `0x${address.slice(30)}` };
}

/** `currency`: 3 letters, ASCII; `tail`: 5 bytes. */
export function tokenAddress(currency: string, tail: Uint8Array): Address {
  assert(/^[A-Z]{3}$/.test(currency) && tail.length === 5, 'a token has a currency and 5 bytes');
  return `${TOKEN_PREFIX}${toBareHex(utf8(currency))}${toBareHex(tail)}` as Address;
}
