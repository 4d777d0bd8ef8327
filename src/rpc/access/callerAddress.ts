import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/** No chain of proxies is as long. */
const forwardedCharsMax = 1_024;

/**
 * Where a request comes from. What its head says about that is believed only of proxies that the
 * operator named, and of these the nearest first: the rest of the list anybody can write.
 */
export function callerAddress(request: IncomingMessage, proxies: ReadonlySet<string>): string {
  const near = canonicalAddress(request.socket.remoteAddress ?? '');
  if (!proxies.has(near)) return near;
  const { 'x-forwarded-for': header = '' } = request.headers;
  const text = Array.isArray(header) ? header.join(',') : header;
  if (text.length > forwardedCharsMax) return near;
  let found = near;
  for (const part of text.split(',').reverse()) {
    const address = canonicalAddress(part.trim());
    if (isIP(address) === 0) break;
    found = address;
    if (!proxies.has(address)) break;
  }
  return found;
}

/** IPv4 inside IPv6 as IPv4; everything else in the one form of the URL standard. */
export function canonicalAddress(text: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (isIP(text) !== 6) return text;
  return new URL(`http://[${text.replace(/%.*$/, '')}]`).hostname.slice(1, -1);
}

/** Whom a limit is for: one IPv4 address, or the /64 that one household or server has in IPv6. */
export function limitedAs(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - groups.length - after.length;
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${all.slice(0, 4).join(':')}::/64`;
}
