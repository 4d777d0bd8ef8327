import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import { WebSocket } from 'ws';
import { toHex, uintToBytes } from '#src/lib/bytes.ts';
import { silentLog } from '#src/lib/log.ts';
import {
  Access,
  type AccessClock,
  type AccessRules,
  type Secrets,
} from '#src/rpc/access/access.ts';
import type { RpcLimits } from '#src/rpc/limits.ts';
import type { Readiness } from '#src/rpc/readiness.ts';
import { RpcServer, type RpcServerOptions } from '#src/rpc/server.ts';
import type { Address } from '#src/types/address.ts';
import {
  type SignedTransaction,
  signTransaction,
  type TransactionFields,
} from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { baseFee, chainId, FakeBackend } from './fakeBackend.ts';

export const keyOf = (index: number): Uint8Array => uintToBytes(BigInt(index + 1), 32);
export const payee = `0x${'ab'.repeat(20)}` as Address;
export const coin = 10n ** 18n;

export function payment(
  changes: Partial<TransactionFields> = {},
  key: Uint8Array = keyOf(0),
): SignedTransaction {
  const { type = 2 } = changes;
  const fields: TransactionFields = {
    ...{ type, chainId, nonce: 0n, maxFeePerGas: asWei(2n * baseFee), gasLimit: asGas(100_000n) },
    maxPriorityFeePerGas: asWei(type === 2 ? 1_000n : 2n * baseFee),
    ...{
      to: payee,
      value: asWei(5n),
      data: new Uint8Array(0),
      accessList: [],
      authorizationList: [],
      ...changes,
    },
  };
  return signTransaction(fields, key);
}

export const rawOf = ({ raw }: SignedTransaction): string => toHex(raw);
export const addressOf = (index: number): Address => payment({}, keyOf(index)).sender;

export type Answer = {
  jsonrpc: string;
  id: unknown;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
};

export type World = {
  readonly backend: FakeBackend;
  readonly server: RpcServer;
  readonly url: string;
  readonly readiness: { now: Readiness };
  /** Closed when the file's tests are over. */
  socket(): Promise<Client>;
  call(method: string, ...params: unknown[]): Promise<Answer>;
  /** The result; an error fails the test. */
  ask(method: string, ...params: unknown[]): Promise<unknown>;
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Response>;
};

/** A server before a fake node with ten rich accounts; closed after the tests of its file. */
type OpenAs = Pick<RpcServerOptions, 'access' | 'unlimited' | 'tls' | 'pages'>;

/** For everybody, without a limit. */
export function openAccess(
  rules: Partial<AccessRules> = {},
  secrets: Secrets = { keys: [], jwtSecret: null },
  clock: AccessClock = { now: () => performance.now(), wall: () => Date.now() },
): Access {
  const quota = { unitsPerSecond: 1_000 };
  const all = {
    ...{ surface: 'public' as const, anonymous: true, anonymousQuota: quota, keyQuota: quota },
    debug: false,
    ...{ unlimited: new Set(['127.0.0.1']), proxies: new Set<string>(), ...rules },
  };
  return new Access(all, secrets, clock, () => {});
}

/** What a server needs that nobody limits. */
export const unlimitedAccess = () => ({
  ...{ access: openAccess(), unlimited: new Set(['127.0.0.1']), tls: null, pages: new Map() },
});

export async function openWorld(
  limits: Partial<RpcLimits> = {},
  as: OpenAs = unlimitedAccess(),
): Promise<World> {
  const accounts = Array.from({ length: 10 }, (_, index): [Address, bigint] => [
    addressOf(index),
    1_000n * coin,
  ]);
  const backend = new FakeBackend(accounts);
  const readiness = { now: { ready: true, checks: { blocksBehind: 0 } } };
  const server = await RpcServer.open({
    ...{
      section: 'rpc' as const,
      host: '127.0.0.1',
      port: 0,
      hosts: ['localhost', '127.0.0.1'],
      limits,
      backend,
    },
    ...{ origins: ['https://wallet.test'], log: silentLog, ready: () => readiness.now },
    ...as,
  });
  const url = `http://127.0.0.1:${server.port}`;
  const clients: Client[] = [];
  after(async () => {
    for (const client of clients) client.ws.terminate();
    await server.close();
    assert.equal(backend.listeners, 0, 'a closed server listens to nothing');
  });
  const post: World['post'] = (body, headers = {}) => {
    const all = { 'content-type': 'application/json', ...headers };
    return fetch(url, { method: 'POST', body: body as string, headers: all });
  };
  const call: World['call'] = async (method, ...params) => {
    const response = await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
    return (await response.json()) as Answer;
  };
  return {
    ...{ backend, server, url, readiness, post, call },
    ask: async (method, ...params) => resultOf(await call(method, ...params)),
    socket: async () => {
      const client = await openClient(url);
      clients.push(client);
      return client;
    },
  };
}

export function resultOf(answer: Answer): unknown {
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  return answer.result;
}

export type Client = {
  readonly ws: WebSocket;
  readonly notices: { subscription: string; result: unknown }[];
  readonly closed: Promise<number>;
  send(body: string): Promise<Answer>;
  ask(method: string, ...params: unknown[]): Promise<unknown>;
  /** Until so many notices are here. */
  heard(count: number): Promise<void>;
};

async function openClient(url: string): Promise<Client> {
  const ws = new WebSocket(url.replace('http', 'ws'));
  const notices: Client['notices'] = [];
  const waiting: ((answer: Answer) => void)[] = [];
  ws.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.method === 'eth_subscription') notices.push(message.params);
    else waiting.shift()?.(message);
  });
  ws.on('error', () => {});
  const closed = new Promise<number>((resolve) => ws.once('close', resolve));
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  const send = (body: string) =>
    new Promise<Answer>((resolve) => {
      waiting.push(resolve);
      ws.send(body);
    });
  const ask: Client['ask'] = async (method, ...params) =>
    resultOf(await send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })));
  const heard = async (count: number) => {
    for (let tries = 0; notices.length < count && tries < 400; tries++) await sleep(5);
    assert.ok(notices.length >= count, `${notices.length} of ${count} notices came`);
  };
  return { ws, notices, closed, send, ask, heard };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Sends bytes as they are and gives back all that came until the other side closed. */
export async function sendRaw(port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(bytes);
  return text(socket).catch(() => '');
}
