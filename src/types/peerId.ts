/**
 * How a node is found: its libp2p peer id, made of an Ed25519 key, and addresses to dial. Whoever
 * dials checks the id against the handshake.
 */
import { bytesToUint, concatBytes } from '#src/lib/bytes.ts';
import { dialAddressesMax, ingressBytesMax } from './limits.ts';

/** The text form of an Ed25519 libp2p key. */
export function isPeerId(text: string): boolean {
  return /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(text);
}

/** `/ip4/192.0.2.1/tcp/30303`; a host of the kind that stands before it, a port from 1 to 65535. */
export function isDialable(text: string): boolean {
  const match = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/%]{1,253})\/tcp\/([1-9]\d{0,4})$/.exec(text);
  const [, kind, host = '', port] = match ?? [];
  if (kind === undefined || Number(port) > 65_535) return false;
  if (kind === 'ip4') return isIPv4(host);
  return kind === 'ip6' ? isIPv6(host) : /^\w([\w-]*\w)?(\.\w([\w-]*\w)?)*\.?$/.test(host);
}

/** Four numbers up to 255, without leading zeros. As `node:net` has it, and never otherwise. */
export function isIPv4(text: string): boolean {
  const parts = text.split('.');
  return (
    parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && +part < 256)
  );
}

/** RFC 4291, 2.2, without a zone: eight groups, or fewer and one `::`; the last two may be IPv4. */
export function isIPv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1)?.at(-1) ?? '';
  const hasIPv4 = last.includes('.');
  if (hasIPv4 && !isIPv4(last)) return false;
  const plain = hasIPv4 ? groups.flat().slice(0, -1) : groups.flat();
  if (!plain.every((group) => /^[\da-fA-F]{1,4}$/.test(group))) return false;
  const count = plain.length + (hasIPv4 ? 2 : 0);
  return halves.length === 2 ? count < 8 : count === 8;
}

export type Ingress = { readonly peerId: string; readonly addresses: readonly string[] };

/** `<peer id> <address> <address>…`, with one space between; null where it is anything else. */
export function parseIngress(text: string): Ingress | null {
  if (text.length > ingressBytesMax) return null;
  const [peerId = '', ...addresses] = text.split(' ');
  const count = addresses.length;
  if (!isPeerId(peerId) || count < 1 || count > dialAddressesMax) return null;
  return addresses.every(isDialable) ? { peerId, addresses } : null;
}

export function formatIngress({ peerId, addresses }: Ingress): string {
  return [peerId, ...addresses].join(' ');
}

/** The multihash "identity, 36 bytes" of the protobuf of an Ed25519 public key (libp2p specs). */
const PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Of a raw public key of 32 bytes. */
export function peerIdOfKey(publicKey32: Uint8Array): string {
  let rest = bytesToUint(concatBytes(PREFIX, publicKey32));
  let text = '';
  for (; rest > 0n; rest /= 58n) text = `${BASE58.charAt(Number(rest % 58n))}${text}`;
  // The prefix begins with one zero byte.
  return `1${text}`;
}
