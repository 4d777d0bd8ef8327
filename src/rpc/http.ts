/**
 * HTTP in front of the dispatcher. Everything that a head says is judged before a byte of the body
 * is read; a refusal is a JSON-RPC error, too, so that every client can print it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Access, type Caller, keyInPath } from './access/access.ts';
import { type Dispatcher, isExhausted } from './dispatch.ts';
import { RPC } from './errors.ts';
import type { RpcLimits } from './limits.ts';
import { type Demands, type Readiness, readDemands } from './readiness.ts';
import type { Unread } from './unread.ts';

export type DoorOptions = {
  readonly hosts: ReadonlySet<string>;
  readonly origins: ReadonlySet<string>;
  readonly limits: RpcLimits;
  readonly unread: Unread;
  readonly dispatcher: Dispatcher;
  readonly access: Access;
  /** What can be read by GET, by path. */
  readonly pages: ReadonlyMap<string, Page>;
  ready(demands: Demands): Readiness;
};

export type Page = { readonly type: string; text(): Promise<string> };

type Refusal = {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterSeconds?: number | null;
};

const ALIVE = new Set(['/healthz', '/health', '/livez', '/liveness']);
const READY = new Set(['/readyz', '/readiness']);
const JSON_TYPE = 'application/json';
const JSON_TYPES = /^application\/json(?:; ?charset=utf-?8)?$/i;
const ANY = '*';

export function onRequest(
  options: DoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const path = pathOf(request);
  const get = request.method === 'GET' || request.method === 'HEAD';
  if (get && ALIVE.has(path)) return respond(response, 200, '{"alive":true}');
  if (get && READY.has(path)) {
    const demands = readDemands(request.url ?? '');
    if (typeof demands === 'string') {
      return respond(response, 400, JSON.stringify({ error: demands }));
    }
    const readiness = options.ready(demands);
    return respond(response, readiness.ready ? 200 : 503, JSON.stringify(readiness));
  }
  const page = get ? options.pages.get(path) : undefined;
  const refusal = page === undefined ? judgeHead(options, request, path) : null;
  if (refusal !== null) return refuseRequest(options, request, response, refusal);
  allowOrigin(options, request, response);
  if (request.method === 'OPTIONS') return respondToPreflight(response);
  const caller = judgeCaller(options, request, path);
  if ('status' in caller) return refuseRequest(options, request, response, caller);
  if (page !== undefined) return void respondWithPage(response, page);
  if (isExhausted(caller)) {
    response.setHeader('retry-after', secondsOf(caller.meter?.waitMs ?? 0));
    return respond(response, 429, options.dispatcher.exhausted());
  }
  if (options.dispatcher.isBusy) {
    response.setHeader('retry-after', '1');
    return respond(response, 429, options.dispatcher.busy());
  }
  readBody(options, request, response, caller);
}

/** For requests and upgrades alike. */
export function judgeCaller(
  { hosts, access }: DoorOptions,
  request: IncomingMessage,
  path: string,
): Caller | Refusal {
  const host = judgeHost(hosts, request);
  return host ?? access.judge(request, path);
}

function secondsOf(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1_000))}`;
}

/** Null: may pass. */
function judgeHost(hosts: ReadonlySet<string>, request: IncomingMessage): Refusal | null {
  if (hosts.has(ANY) || hosts.has(hostOf(request))) return null;
  return { status: 403, reason: 'this Host is not allowed (rpc.hosts)' };
}

/** Only browsers send an origin: without one nobody was tricked into asking. */
export function isOriginAllowed({ origins }: DoorOptions, origin: string | undefined): boolean {
  return origin === undefined || origins.has(ANY) || origins.has(origin);
}

export function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** One rule each, in order; the first that fails is the answer. */
function judgeHead(options: DoorOptions, request: IncomingMessage, path: string): Refusal | null {
  const { limits } = options;
  const { headers, method, url = '' } = request;
  if (url.length > limits.urlCharsMax) return { status: 414, reason: 'the URL is too long' };
  if (request.rawHeaders.length > 2 * limits.headersMax) {
    return { status: 431, reason: `more than ${limits.headersMax} headers` };
  }
  if (!url.startsWith('/')) return { status: 400, reason: 'the target should be a path' };
  const host = judgeHost(options.hosts, request);
  if (host !== null) return host;
  if (path !== '/' && keyInPath(path) === null)
    return { status: 404, reason: 'nothing here: JSON-RPC is at /' };
  if (method === 'OPTIONS') {
    if (isOriginAllowed(options, headers.origin)) return null;
    return { status: 403, reason: 'this Origin is not allowed (rpc.origins)' };
  }
  if (method !== 'POST') return { status: 405, reason: 'JSON-RPC is by POST' };
  if (!isJson(headers['content-type'])) {
    return { status: 415, reason: 'the content type should be application/json' };
  }
  if (headers['content-encoding'] !== undefined) {
    return { status: 415, reason: 'a request should not be compressed' };
  }
  if (Number(headers['content-length'] ?? 0) > limits.bodyBytesMax) return tooLarge(limits);
  return null;
}

function isJson(type: string | undefined): boolean {
  return type === JSON_TYPE || (type !== undefined && JSON_TYPES.test(type));
}

function readBody(
  options: DoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
  caller: Caller,
): void {
  const { bodyBytesMax } = options.limits;
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= bodyBytesMax) {
      chunks.push(chunk);
    } else if (!response.headersSent) {
      chunks.length = 0;
      refuseRequest(options, request, response, tooLarge(options.limits));
    }
  });
  request.on('end', () => {
    if (bytes > bodyBytesMax) return;
    const [first] = chunks;
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    const answer = options.dispatcher.answer(body, { caller, session: null });
    if (answer instanceof Promise) void answer.then((text) => give(options, response, text));
    else give(options, response, answer);
  });
}

/** An answer, which may be long: counted until it is sent. */
function give({ unread }: DoorOptions, response: ServerResponse, text: string | null): void {
  if (text !== null && !response.destroyed) {
    // Behind others on its connection it may have no socket of its own yet.
    const reader = { cut: () => response.req.socket.destroy() };
    response.once('close', () => unread.forget(reader));
    unread.add(reader, text.length);
  }
  respond(response, 200, text);
}

/** Null: nothing to say, with the status that means it. One write where the text is short. */
function respond(response: ServerResponse, status: number, text: string | null): void {
  if (response.destroyed) return;
  if (text === null) {
    response.writeHead(204).end();
    return;
  }
  response
    .writeHead(status, {
      'content-type': JSON_TYPE,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    })
    .end(text);
}

async function respondWithPage(response: ServerResponse, { type, text }: Page): Promise<void> {
  const body = await text();
  if (response.destroyed) return;
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

/** Closes: the rest of the request may be anything. */
function refuseRequest(
  { limits }: DoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
  { status, reason, retryAfterSeconds = null }: Refusal,
): void {
  if (response.destroyed) return;
  response.setHeader('connection', 'close');
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  if (retryAfterSeconds !== null) response.setHeader('retry-after', `${retryAfterSeconds}`);
  if (status === 405) response.setHeader('allow', 'POST, OPTIONS');
  const code = status === 429 ? RPC.limit : RPC.invalidRequest;
  const error = JSON.stringify({ code, message: reason });
  respond(response, status, `{"jsonrpc":"2.0","id":null,"error":${error}}`);
  // A reset while the client still writes would take the refusal from it: let it write a moment.
  request.resume();
  const { socket } = request;
  setTimeout(() => socket.destroy(), limits.lingerMs).unref();
}

function allowOrigin(
  options: DoorOptions,
  { headers }: IncomingMessage,
  response: ServerResponse,
): void {
  if (headers.origin === undefined || !isOriginAllowed(options, headers.origin)) return;
  response.setHeader('access-control-allow-origin', headers.origin);
  response.setHeader('vary', 'origin');
}

function respondToPreflight(response: ServerResponse): void {
  response
    .writeHead(204, {
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'content-type, authorization, x-api-key',
      'access-control-max-age': '600',
    })
    .end();
}

function tooLarge({ bodyBytesMax }: RpcLimits): Refusal {
  return { status: 413, reason: `the body is over ${bodyBytesMax} bytes` };
}

/** Without the port; an IPv6 address keeps its brackets. */
function hostOf({ headers: { host = '' } }: IncomingMessage): string {
  const colon = host.lastIndexOf(':');
  const end = colon > host.lastIndexOf(']') ? colon : host.length;
  return host.slice(0, end).toLowerCase();
}
