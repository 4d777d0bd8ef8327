import type { EventEmitter } from 'node:events';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { type Access, type Caller, keyInPath } from './access/access.ts';
import { canonicalAddress, limitedAs } from './access/callerAddress.ts';
import type { Backend } from './backend.ts';
import { Dispatcher, isExhausted } from './dispatch.ts';
import { Filters } from './filters.ts';
import type { Page } from './http.ts';
import { type DoorOptions, isOriginAllowed, judgeCaller, onRequest, pathOf } from './http.ts';
import { KeptChoices } from './keptChoices.ts';
import { defaultRpcLimits, type RpcLimits } from './limits.ts';
import { blockMethods } from './methods/blocks.ts';
import { callMethods } from './methods/call.ts';
import { discoverMethod } from './methods/discover.ts';
import { logMethods, subscriptionMethods } from './methods/events.ts';
import { feeMethods } from './methods/fees.ts';
import { mpbpMethods } from './methods/mpbp.ts';
import { modulesMethod, nodeMethods } from './methods/node.ts';
import { orderMethods } from './methods/orders.ts';
import { otterscanMethods } from './methods/otterscan.ts';
import { proofMethods } from './methods/proofs.ts';
import { sendMethods } from './methods/send.ts';
import { simulateMethods } from './methods/simulate.ts';
import { simulateOrderMethods } from './methods/simulateOrder.ts';
import { stateMethods } from './methods/state.ts';
import { traceMethods } from './methods/traces.ts';
import { transactionMethods } from './methods/transactions.ts';
import type { Demands, Readiness } from './readiness.ts';
import { ReceiptWaits } from './receiptWaits.ts';
import { SocketSession } from './socket.ts';
import { Streams } from './streams.ts';
import { Subscriptions } from './subscriptions.ts';
import { Traces } from './traces.ts';
import { Unread } from './unread.ts';
import { ViewThreads } from './views/viewThreads.ts';

export type RpcServerOptions = {
  /** Where the configuration has `host` and `port`: for whoever has to change them. */
  readonly section: 'rpc' | 'operator';
  readonly host: string;
  /** 0: any free one, which `port` of the server then tells. */
  readonly port: number;
  /** Names that a Host header may have, without port; `*` allows all. */
  readonly hosts: readonly string[];
  /** Web origins that may call from a browser; `*` allows all. */
  readonly origins: readonly string[];
  readonly limits?: Partial<RpcLimits>;
  readonly access: Access;
  /** Addresses with as many connections as they like: proxies, and the operator's own. */
  readonly unlimited: ReadonlySet<string>;
  /** Null: plain HTTP. */
  readonly tls: TlsFiles | null;
  /** What this surface shows by GET, by path. */
  readonly pages: ReadonlyMap<string, Page>;
  readonly backend: Backend;
  readonly log: Log;
  ready(demands: Demands): Readiness;
};

/** PEM. */
export type TlsFiles = { readonly cert: string; readonly key: string };

const TLS_MIN = 'TLSv1.3';

/** JSON-RPC 2.0 over HTTP and WebSocket on one port (interfaces.md). */
export class RpcServer {
  readonly #server: Server | TlsServer;
  readonly #sockets: WebSocketServer;
  readonly #sessions = new Set<SocketSession>();
  readonly #subscriptions: Subscriptions;
  readonly #streams: Streams;
  readonly #views: ViewThreads;
  readonly #dispatcher: Dispatcher;
  readonly #door: DoorOptions;
  readonly #limits: RpcLimits;
  readonly #log: Log;
  readonly #onClose: (() => void)[] = [];

  /** Listens when it resolves. Rejects with a {@link UserError} where the address cannot be had. */
  static async open(options: RpcServerOptions): Promise<RpcServer> {
    const server = new RpcServer(options);
    try {
      await server.#listen(options);
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  private constructor({ backend, log, ...options }: RpcServerOptions) {
    const limits = { ...defaultRpcLimits, ...options.limits };
    this.#limits = limits;
    this.#log = log;
    const kept = new KeptChoices(limits);
    this.#subscriptions = new Subscriptions(limits, log, kept);
    this.#streams = new Streams(backend, limits, kept);
    this.#views = new ViewThreads(backend, limits, log);
    const waits = new ReceiptWaits(limits);
    const filters = new Filters(backend, limits, kept);
    const traces = new Traces(backend, limits, this.#views, log);
    const methods = [
      ...nodeMethods(backend),
      ...stateMethods(backend),
      ...callMethods(backend, limits, this.#views, log),
      ...simulateMethods(backend, limits, this.#views, log),
      ...feeMethods(backend, limits),
      ...blockMethods(backend),
      ...transactionMethods(backend),
      ...sendMethods(backend, waits, limits),
      ...logMethods(backend, filters, limits),
      ...subscriptionMethods(this.#subscriptions, this.#streams),
      ...mpbpMethods(backend, limits),
      ...orderMethods(backend, limits),
      ...simulateOrderMethods(backend),
      ...proofMethods(backend, limits),
      ...traceMethods(backend, limits, traces),
      ...otterscanMethods(backend, limits, traces),
    ];
    const offered = (): string[] => {
      return [...this.#dispatcher.names].filter((name) => options.access.offers(name));
    };
    methods.push(modulesMethod(offered), discoverMethod(backend.clientVersion, offered));
    this.#dispatcher = new Dispatcher(methods, limits, log);
    const hosts = new Set(options.hosts.map((host) => host.toLowerCase()));
    const origins = new Set(options.origins);
    const { ready, access, pages } = options;
    const dispatcher = this.#dispatcher;
    const unread = new Unread(limits);
    this.#door = { hosts, origins, limits, unread, dispatcher, access, pages, ready };
    this.#server = createHttpServer(limits, options.tls);
    limitConnections(this.#server, limits.addressConnectionsMax, options.unlimited);
    this.#server.on('request', (request, response) => onRequest(this.#door, request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.socketPayloadBytesMax,
      maxFragments: limits.socketFragmentsMax,
    });
    this.#subscribe(backend, waits, filters);
  }

  get port(): number {
    const address = this.#server.address();
    assert(typeof address === 'object' && address !== null, 'an open server has a port');
    return address.port;
  }

  /** For connections from now on. Throws where the two do not belong together. */
  renewTls({ cert, key }: TlsFiles): void {
    if ('setSecureContext' in this.#server) {
      this.#server.setSecureContext({ cert, key, minVersion: TLS_MIN });
    }
  }

  /** Answers what is being asked, for a moment; then cuts. */
  async close(): Promise<void> {
    for (const end of this.#onClose.splice(0)) end();
    for (const session of this.#sessions) session.close();
    this.#subscriptions.close();
    this.#streams.close();
    await this.#views.close();
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => this.#server.closeAllConnections(), this.#limits.lingerMs);
    await closed;
    clearTimeout(cut);
  }

  #subscribe(backend: Backend, waits: ReceiptWaits, filters: Filters): void {
    const pings = setInterval(() => {
      for (const session of this.#sessions) session.checkAlive();
    }, this.#limits.pingIntervalMs);
    pings.unref();
    this.#onClose.push(
      backend.onFinal((block, receipts) => {
        // Who paid and waits comes first; watchers after.
        waits.onFinal(block, receipts);
        this.#subscriptions.onFinal(block, receipts);
        this.#streams.onFinal(block, receipts);
      }),
      backend.onPending((transaction) => {
        filters.onPending(transaction.hash);
        this.#subscriptions.onPending(transaction);
      }),
      () => waits.close(),
      () => clearInterval(pings),
    );
  }

  async #listen(options: RpcServerOptions): Promise<void> {
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(cannotListen(options, error)));
      this.#server.listen({ host, port }, resolve);
    });
    // Accepting can fail for want of file descriptors; the next one may go well.
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#log.warn('rpc server', { reason: error.message }));
    this.#log.info('rpc listens', { host, port: this.port });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = pathOf(request);
    const caller = judgeCaller(this.#door, request, path);
    if ('status' in caller) return refuseUpgrade(socket, caller.status);
    if (!isOriginAllowed(this.#door, request.headers.origin)) return refuseUpgrade(socket, 403);
    if (path !== '/' && keyInPath(path) === null) return refuseUpgrade(socket, 404);
    if (isExhausted(caller)) return refuseUpgrade(socket, 429);
    if (this.#hasManySockets(caller)) return refuseUpgrade(socket, 429);
    if (this.#sessions.size >= this.#limits.socketsMax) return refuseUpgrade(socket, 503);
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#welcome(client, caller));
  }

  #hasManySockets(caller: Caller): boolean {
    if (caller.meter === null) return false;
    let own = 0;
    for (const session of this.#sessions) if (session.caller === caller) own++;
    return own >= this.#limits.callerSocketsMax;
  }

  #welcome(client: WebSocket, caller: Caller): void {
    const session = new SocketSession(client, this.#dispatcher, caller, this.#door);
    this.#sessions.add(session);
    session.onClose(() => {
      this.#sessions.delete(session);
      this.#streams.removeAll(session);
      this.#subscriptions.removeAll(session);
    });
  }
}

function createHttpServer(limits: RpcLimits, tls: TlsFiles | null): Server | TlsServer {
  const options = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.connectionCheckMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    noDelay: true,
    // Of all upgrades only this one exists here; h2c and others go on as plain HTTP/1.1.
    shouldUpgradeCallback: ({ headers }: IncomingMessage) =>
      headers.upgrade?.toLowerCase() === 'websocket',
  };
  const handshakeTimeout = limits.headersTimeoutMs;
  const server =
    tls === null
      ? createServer(options)
      : createTlsServer({ ...options, ...tls, minVersion: TLS_MIN, handshakeTimeout });
  // Beyond this count headers are dropped silently: rather see them all and refuse.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connectionsMax;
  server.maxRequestsPerSocket = limits.requestsPerSocketMax;
  // A caller that waits for its receipt is idle for as long as it may wait.
  const { idleTimeoutMs, syncTimeoutMs, requestTimeoutMs } = limits;
  server.setTimeout(Math.max(idleTimeoutMs, syncTimeoutMs + requestTimeoutMs));
  return server;
}

/** One address, or network of IPv6, cannot take the places of all others. */
export function limitConnections(
  server: EventEmitter,
  max: number,
  unlimited: ReadonlySet<string>,
): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const from = canonicalAddress(socket.remoteAddress ?? '');
    if (unlimited.has(from)) return;
    const address = limitedAs(from);
    const count = (open.get(address) ?? 0) + 1;
    if (count > max) return void socket.destroy();
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  });
}

function refuseUpgrade(socket: Duplex, status: number): void {
  socket.on('error', () => {});
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status]}`;
  socket.end(`${line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

function cannotListen(
  { section, host, port }: RpcServerOptions,
  error: NodeJS.ErrnoException,
): UserError {
  const variable = `MPBP_${section.toUpperCase()}_PORT`;
  const keys =
    `another port: ${section}.port in mpbp.toml, or ${variable}; ` + `address: ${section}.host`;
  const reason =
    error.code === 'EADDRINUSE'
      ? 'another program listens there; is a node running already?'
      : error.message;
  const message = `JSON-RPC cannot listen on ${host}:${port}: ${reason} (${keys})`;
  return new UserError(EXIT.unavailable, message, { cause: error });
}
