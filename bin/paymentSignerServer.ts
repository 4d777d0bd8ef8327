/**
 * Signs payments for other processes: `eth_accounts` and `eth_signTransaction` as JSON-RPC over
 * HTTP, on a unix socket that only its owner opens, or on a port of this machine with a token.
 *
 * It is given fields and never a digest, encodes them itself, and holds them against its own rules:
 * one chain, an amount, a fee, a readable memo. Each use is in the audit log before the signature
 * leaves; what cannot be written down is not signed.
 */
import { timingSafeEqual } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { sha256 } from '#src/crypto/sha256.ts';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { formatAmount } from '#src/types/units.ts';
import type { PaymentSigner } from '#src/wallet/paymentSigner.ts';
import type { AuditLog } from '#storage/auditLog.ts';
import { answers } from './signerServer.ts';
import {
  describeRequestRefusal,
  memoOf,
  parseSigningRequest,
  type SigningRules,
} from './signingRequest.ts';

export type SignerDoor =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'port'; readonly port: number; readonly token: string };

const host = '127.0.0.1';
const connectionsMax = 16;
const requestTimeoutMs = 10_000;
const bodyBytesMax = 128 * 1024;
/** Guesses of the token, after which nobody is listened to for a while. */
const guessesMax = 5;
const guessesForgottenMs = 60_000;

export class PaymentSignerServer {
  readonly #server: Server;
  readonly #signers: ReadonlyMap<Address, PaymentSigner>;
  readonly #rules: SigningRules;
  readonly #audit: AuditLog;
  readonly #log: Log;
  readonly #token: string | null;
  #guesses = 0;
  #firstGuess = 0;

  private constructor(
    door: SignerDoor,
    signers: readonly PaymentSigner[],
    rules: SigningRules,
    audit: AuditLog,
    log: Log,
  ) {
    this.#signers = new Map(signers.map((signer) => [signer.address, signer]));
    this.#rules = rules;
    this.#audit = audit;
    this.#log = log;
    this.#token = door.kind === 'port' ? door.token : null;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.maxConnections = connectionsMax;
    this.#server.headersTimeout = requestTimeoutMs;
    this.#server.requestTimeout = requestTimeoutMs;
  }

  /** Throws a {@link UserError} where the door is taken. */
  static async open(
    door: SignerDoor,
    signers: readonly PaymentSigner[],
    rules: SigningRules,
    audit: AuditLog,
    log: Log,
  ): Promise<PaymentSignerServer> {
    const opened = new PaymentSignerServer(door, signers, rules, audit, log);
    if (door.kind === 'socket' && (await answers(door.path))) {
      throw new UserError(EXIT.locked, `${door.path}: another signer listens there`);
    }
    if (door.kind === 'socket') rmSync(door.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      opened.#server.once('error', (error) => {
        reject(new UserError(EXIT.cannotCreate, `the signer cannot listen: ${error.message}`));
      });
      if (door.kind === 'socket') opened.#server.listen(door.path, resolve);
      else opened.#server.listen({ host, port: door.port }, resolve);
    });
    // Whoever may open the socket may have payments signed.
    if (door.kind === 'socket') chmodSync(door.path, 0o600);
    return opened;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const status = this.#refusalOf(request);
    if (status !== null) {
      request.resume();
      response.writeHead(status, { connection: 'close' }).end();
      return;
    }
    const text = await readBody(request);
    if (text === null) {
      response.writeHead(413, { connection: 'close' }).end();
      return;
    }
    const body = JSON.stringify(await this.#answer(text));
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  }

  /** A web page must not reach the port, nor anybody without the token. */
  #refusalOf({ method, headers }: IncomingMessage): number | null {
    if (method !== 'POST') return 405;
    if (!/^application\/json(;|$)/.test(headers['content-type'] ?? '')) return 415;
    if (this.#token === null) return null;
    const name = (headers.host ?? '').replace(/:\d+$/, '');
    if (!['localhost', host].includes(name) || headers.origin !== undefined) return 403;
    if (performance.now() - this.#firstGuess > guessesForgottenMs) this.#guesses = 0;
    if (this.#guesses >= guessesMax) return 429;
    if (isSameText(headers.authorization ?? '', `Bearer ${this.#token}`)) return null;
    if (this.#guesses++ === 0) this.#firstGuess = performance.now();
    this.#log.warn('a request without the token', { guesses: this.#guesses });
    return 401;
  }

  async #answer(text: string): Promise<unknown> {
    let id: unknown = null;
    try {
      const call = JSON.parse(text) as { id?: unknown; method?: unknown; params?: unknown } | null;
      id = ['string', 'number'].includes(typeof call?.id) ? call?.id : null;
      if (call?.method === 'eth_accounts') return result(id, [...this.#signers.keys()]);
      if (call?.method !== 'eth_signTransaction') return failure(id, -32601, 'no such method');
      return await this.#sign(id, Array.isArray(call.params) ? call.params[0] : null);
    } catch (error) {
      if (error instanceof SyntaxError) return failure(id, -32700, 'not JSON');
      this.#log.error('not signed', { reason: String(error) });
      return failure(id, -32603, 'the signer could not write its log, or has a fault');
    }
  }

  async #sign(id: unknown, asked: unknown): Promise<unknown> {
    const parsed = parseSigningRequest(asked, this.#rules);
    const signer = parsed.ok ? this.#signers.get(parsed.value.from) : undefined;
    if (!parsed.ok || signer === undefined) {
      const refusal = parsed.ok ? ({ code: 'SIGNER_ACCOUNT' } as const) : parsed.refusal;
      const why = describeRequestRefusal(refusal);
      this.#log.warn('refused', { code: refusal.code, why });
      await this.#audit.append('payment refused', { code: refusal.code, why });
      return failure(id, -32000, `${why} (${refusal.code})`);
    }
    const { fields } = parsed.value;
    const signed = await signer.sign(fields);
    const shown = {
      from: formatAddress(signer.address),
      to: fields.to === null ? null : formatAddress(fields.to),
      amount: formatAmount(fields.value),
      nonce: fields.nonce.toString(),
      memo: memoOf(fields.data),
      hash: signed.hash,
    };
    await this.#audit.append('payment signed', shown);
    this.#log.info('payment signed', shown);
    return result(id, toHex(signed.raw));
  }
}

function isSameText(a: string, b: string): boolean {
  return timingSafeEqual(sha256(utf8(a)), sha256(utf8(b)));
}

/** Null where it is too long or was cut off. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      size += (chunk as Buffer).length;
      if (size > bodyBytesMax) return null;
      chunks.push(chunk as Buffer);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function result(id: unknown, value: unknown): unknown {
  return { jsonrpc: '2.0', id, result: value };
}

function failure(id: unknown, code: number, message: string): unknown {
  return { jsonrpc: '2.0', id, error: { code, message } };
}
