/** What merchants sign (EIP-712): the text that a wallet would show, and its signature. */
import { toHex } from '#src/lib/bytes.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { signDigest } from '#src/wallet/signature.ts';
import { parseTypedData } from '#src/wallet/typedData.ts';
import { unlock } from '../../keystoreFolder.ts';
import type { SignerOptions } from '../../paymentSigner.ts';

export type Field = readonly [type: string, name: string];

export type Document = {
  readonly domain: Readonly<Record<string, unknown>>;
  readonly primaryType: string;
  readonly fields: readonly Field[];
  readonly message: Readonly<Record<string, unknown>>;
};

export type SignedDocument = {
  readonly address: Address;
  readonly digest: Uint8Array;
  readonly signature: string;
};

/** With the wallet that is named, whose key is in a file here. */
export async function signDocument(
  { domain, primaryType, fields, message }: Document,
  { keystore, from, passwordFile, signer }: SignerOptions,
): Promise<SignedDocument> {
  if (signer !== undefined) {
    throw new UserError(EXIT.usage, '--signer signs payments only: this needs a wallet file');
  }
  const types = { [primaryType]: fields.map(([type, name]) => ({ type, name })) };
  const document = { types, primaryType, domain: { version: '1', ...domain }, message };
  const parsed = parseTypedData(JSON.stringify(document));
  assert(parsed.ok, 'what this program writes it can read');
  const { digest } = parsed.value;
  const choice = { keystore, from: from ?? null, passwordFile: passwordFile ?? null };
  const { address, secret } = await unlock(choice);
  return { address, digest, signature: toHex(signDigest(digest, secret)) };
}
