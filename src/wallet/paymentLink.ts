/**
 * Payment links (EIP-681): `ethereum:0x…@6727?value=125e17&message=bill%207`. Read strictly, since
 * a link comes from a stranger and moves money: the amount is exact, in wei, and everything that
 * would be done otherwise than a plain payment is refused by name. `message` is the memo, as in
 * Bitcoin's links (BIP-21); the suggestions for gas are read and not followed.
 */
import { utf8 } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Address, formatAddress, parseAddress } from '#src/types/address.ts';
import { asWei, type Wei } from '#src/types/units.ts';

export type PaymentLink = {
  readonly to: Address;
  /** Null where the link leaves it to the wallet's network. */
  readonly chainId: bigint | null;
  /** Null where the payer chooses. */
  readonly value: Wei | null;
  readonly memo: string;
};

export type LinkRefusal =
  | { code: 'LINK_TEXT'; message: string }
  | { code: 'LINK_NAME'; name: string }
  | { code: 'LINK_FUNCTION'; name: string }
  | { code: 'LINK_ADDRESS'; message: string }
  | { code: 'LINK_CHAIN' }
  | { code: 'LINK_PARAMETER'; name: string; message: string };

export const linkCharsMax = 2_048;
export const linkMemoBytesMax = 256;
/** 2^256 has 78 digits. */
const digitsMax = 78;

export function isPaymentLink(text: string): boolean {
  return /^ethereum:/i.test(text);
}

export function parsePaymentLink(text: string): Verdict<PaymentLink, LinkRefusal> {
  if (text.length > linkCharsMax) return badText(`longer than ${linkCharsMax} characters`);
  const match =
    /^ethereum:(?:pay-)?([^@/?#\s]+)(?:@([^/?#\s]*))?(?:\/([^?#\s]*))?(?:\?([^#\s]*))?$/i;
  const parts = match.exec(text);
  if (parts === null) return badText('it should be ethereum:ADDRESS@CHAIN?value=AMOUNT');
  const [, target = '', chain, call, query = ''] = parts;
  if (!target.startsWith('0x')) return refuse({ code: 'LINK_NAME', name: target });
  const to = parseAddress(target);
  if (!to.ok) {
    const isMistyped = to.refusal.code === 'ADDRESS_CHECKSUM';
    const message = isMistyped ? 'its checksum is wrong (EIP-55)' : '0x and 40 digits are needed';
    return refuse({ code: 'LINK_ADDRESS', message });
  }
  if (chain !== undefined && !/^[1-9]\d{0,19}$/.test(chain)) return refuse({ code: 'LINK_CHAIN' });
  if (call !== undefined) return refuse({ code: 'LINK_FUNCTION', name: call });
  const parameters = parseQuery(query);
  if (!parameters.ok) return parameters;
  const { value, memo } = parameters.value;
  return accept({ to: to.value, chainId: chain === undefined ? null : BigInt(chain), value, memo });
}

/** The amount as an integer of wei with an exponent, as other wallets read it exactly. */
export function formatPaymentLink({ to, chainId, value, memo }: PaymentLink): string {
  const query = [
    ...(value === null ? [] : [`value=${scientific(value)}`]),
    ...(memo === '' ? [] : [`message=${encodeURIComponent(memo)}`]),
  ];
  const chain = chainId === null ? '' : `@${chainId}`;
  return `ethereum:${formatAddress(to)}${chain}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

export function describeLinkRefusal(refusal: LinkRefusal): string {
  switch (refusal.code) {
    case 'LINK_TEXT':
      return `not a payment link: ${refusal.message}`;
    case 'LINK_NAME':
      return 'the link names its payee (ENS); there are no names here: ask for an address';
    case 'LINK_FUNCTION':
      return 'the link asks for a call of a contract; only plain payments are made from links';
    case 'LINK_ADDRESS':
      return `the link's address: ${refusal.message}`;
    case 'LINK_CHAIN':
      return "the link's chain id is not a number";
    case 'LINK_PARAMETER':
      return `the link's ${refusal.name}: ${refusal.message}`;
  }
}

function parseQuery(query: string): Verdict<Pick<PaymentLink, 'value' | 'memo'>, LinkRefusal> {
  const seen = new Set<string>();
  let value: Wei | null = null;
  let memo = '';
  for (const part of query === '' ? [] : query.split('&')) {
    const [name = '', text = '', ...more] = part.split('=');
    const bad = (message: string) =>
      refuse({ code: 'LINK_PARAMETER', name: name.slice(0, 40), message } as const);
    if (more.length > 0 || text === '') return bad('one value is needed');
    if (seen.has(name)) return bad('stands twice');
    seen.add(name);
    if (name === 'message') {
      const decoded = decodeText(text);
      if (decoded === null) return bad('not percent-encoded text');
      if (utf8(decoded).length > linkMemoBytesMax) return bad(`over ${linkMemoBytesMax} bytes`);
      memo = decoded;
      continue;
    }
    const amount = parseScientific(text);
    if (name === 'value') {
      if (amount === null) return bad('not a whole number of wei below 2^256');
      value = asWei(amount);
    } else if (['gas', 'gasLimit', 'gasPrice'].includes(name)) {
      if (amount === null) return bad('not a whole number');
    } else {
      return bad('unknown; nothing that a link asks for is left out in silence');
    }
  }
  return accept({ value, memo });
}

/** `2.014e18` exactly; null where it is no whole number below 2^256. */
function parseScientific(text: string): bigint | null {
  const match = /^\+?(\d{1,100})(?:\.(\d{1,100}))?(?:[eE]\+?(\d{1,3}))?$/.exec(text);
  if (match === null) return null;
  const [, whole = '', decimals = '', exponent = '0'] = match;
  const shift = Number(exponent) - decimals.length;
  const digits = `${whole}${decimals}`.replace(/^0+/, '');
  if (digits === '') return 0n;
  if (digits.length + shift > digitsMax) return null;
  const kept = shift >= 0 ? digits.padEnd(digits.length + shift, '0') : digits.slice(0, shift);
  if (shift < 0 && /[1-9]/.test(digits.slice(shift))) return null;
  const value = BigInt(kept === '' ? 0 : kept);
  return value < 1n << 256n ? value : null;
}

function scientific(value: Wei): string {
  const digits = value.toString();
  const zeros = /0+$/.exec(digits)?.[0].length ?? 0;
  return value === 0n || zeros < 3 ? digits : `${digits.slice(0, -zeros)}e${zeros}`;
}

/** A `+` is a plus here, as in every URI that is not a form's. */
function decodeText(text: string): string | null {
  try {
    const decoded = decodeURIComponent(text);
    return /\p{Cc}/u.test(decoded) ? null : decoded;
  } catch {
    return null;
  }
}

function badText(message: string): { ok: false; refusal: LinkRefusal } {
  return refuse({ code: 'LINK_TEXT', message });
}
