/**
 * A wallet's key in another process or on another machine: JSON-RPC over HTTP, on a unix socket or
 * an address. `eth_accounts` and `eth_signTransaction` are what `mpbp wallet signer`, Web3Signer and
 * others answer, so that keys in a vault or a device are reached in the same way.
 *
 * The signer is not trusted further than its key: what it gives back is decoded and compared, field
 * by field, with what it was asked for.
 */
import { request } from 'node:http';
import { bytesEqual, fromHex, toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress, parseAddress } from '#src/types/address.ts';
import { decodeTransaction } from '#src/types/decodeTransaction.ts';
import type { SignedTransaction, TransactionFields } from '#src/types/transaction.ts';
import type { PaymentSigner } from '#src/wallet/paymentSigner.ts';
import { readSecretFile } from './secrets.ts';

/** A person may have to press a button. */
const answerTimeoutMs = 120_000;
const answerBytesMax = 1024 * 1024;

export class RemotePaymentSigner implements PaymentSigner {
  readonly address: Address;
  readonly #door: Door;

  private constructor(door: Door, address: Address) {
    this.#door = door;
    this.address = address;
  }

  /** Asks for its accounts: the one that is wanted, or its only one. */
  static async open(
    where: string,
    tokenFile: string | null,
    wanted: Address | null,
  ): Promise<RemotePaymentSigner> {
    const door = new Door(where, tokenFile === null ? null : readSecretFile(tokenFile).trim());
    const answer = await door.call('eth_accounts', []);
    const accounts = (Array.isArray(answer) ? answer : []).flatMap((text: unknown) => {
      const parsed = parseAddress(String(text));
      return parsed.ok ? [parsed.value] : [];
    });
    const [only, second] = accounts;
    const address = wanted ?? (second === undefined ? only : undefined);
    if (address !== undefined && accounts.includes(address)) {
      return new RemotePaymentSigner(door, address);
    }
    const has = accounts.map(formatAddress).join(', ') || 'none';
    throw new UserError(EXIT.usage, `say which account with --from; the signer has: ${has}`);
  }

  async sign(fields: TransactionFields): Promise<SignedTransaction> {
    const asked = {
      from: this.address,
      to: fields.to,
      chainId: quantity(fields.chainId),
      nonce: quantity(fields.nonce),
      gas: quantity(fields.gasLimit),
      maxFeePerGas: quantity(fields.maxFeePerGas),
      maxPriorityFeePerGas: quantity(fields.maxPriorityFeePerGas),
      value: quantity(fields.value),
      data: toHex(fields.data),
    };
    const answer = await this.#door.call('eth_signTransaction', [asked]);
    // geth's form beside the standard's.
    const raw = typeof answer === 'string' ? answer : (answer as { raw?: unknown } | null)?.raw;
    const bytes = fromHex(String(raw));
    const decoded = bytes === null ? null : decodeTransaction(bytes, { chainId: fields.chainId });
    if (!decoded?.ok || !isSame(decoded.value, fields) || decoded.value.sender !== this.address) {
      throw new UserError(
        EXIT.badData,
        'the signer gave back something else than it was asked to sign; nothing was sent ' +
          '[SIGNER_ANSWER]',
      );
    }
    return decoded.value;
  }
}

function isSame(signed: TransactionFields, asked: TransactionFields): boolean {
  return (
    signed.type === asked.type &&
    signed.chainId === asked.chainId &&
    signed.nonce === asked.nonce &&
    signed.gasLimit === asked.gasLimit &&
    signed.maxFeePerGas === asked.maxFeePerGas &&
    signed.maxPriorityFeePerGas === asked.maxPriorityFeePerGas &&
    signed.to === asked.to &&
    signed.value === asked.value &&
    bytesEqual(signed.data, asked.data) &&
    signed.accessList.length === 0 &&
    asked.accessList.length === 0
  );
}

/** Where the signer is asked: a path, `unix:` and a path, or `http://host:port`. */
class Door {
  readonly #where: string;
  readonly #options: { socketPath: string } | { host: string; port: number; path: string };
  readonly #token: string | null;

  constructor(where: string, token: string | null) {
    this.#where = where;
    this.#token = token;
    if (!where.includes('://')) {
      this.#options = { socketPath: where.replace(/^unix:/, '') };
      return;
    }
    const url = URL.canParse(where) ? new URL(where) : null;
    if (url?.protocol !== 'http:' || url.username !== '') {
      throw new UserError(EXIT.usage, `--signer: a path or http://HOST:PORT, not ${where}`);
    }
    const host = url.hostname.replace(/^\[|\]$/g, '');
    this.#options = { host, port: Number(url.port || 80), path: url.pathname };
  }

  async call(method: string, params: readonly unknown[]): Promise<unknown> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const { status, text } = await this.#post(body);
    if (status === 401 || status === 403) {
      throw new UserError(
        EXIT.permission,
        `${this.#where}: the signer wants its token: --signer-token-file [SIGNER_TOKEN]`,
      );
    }
    let answer: { result?: unknown; error?: { message?: unknown } } | null;
    try {
      answer = JSON.parse(text) as typeof answer;
    } catch {
      answer = null;
    }
    if (answer?.error !== undefined) {
      const why = String(answer.error.message).slice(0, 200);
      throw new UserError(EXIT.permission, `the signer refuses: ${why} [SIGNER_REFUSES]`);
    }
    if (answer?.result === undefined) {
      const what = `answered ${status} without a result`;
      throw new UserError(EXIT.unavailable, `${this.#where}: ${what} [SIGNER_ANSWER]`);
    }
    return answer.result;
  }

  #post(body: string): Promise<{ status: number; text: string }> {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    headers['content-length'] = String(Buffer.byteLength(body));
    if (this.#token !== null) headers.authorization = `Bearer ${this.#token}`;
    return new Promise((resolve, reject) => {
      const fail = (cause?: Error) => {
        const how = 'no signer answers there; start one with: mpbp wallet signer [SIGNER_AWAY]';
        reject(new UserError(EXIT.unavailable, `${this.#where}: ${how}`, { cause }));
      };
      const sent = request({ ...this.#options, method: 'POST', headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > answerBytesMax) sent.destroy();
        });
        response.on('error', fail);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.setTimeout(answerTimeoutMs, () => sent.destroy());
      sent.on('error', fail);
      sent.end(body);
    });
  }
}

function quantity(value: bigint): string {
  return `0x${value.toString(16)}`;
}
