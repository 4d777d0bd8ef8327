import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import type { Backend } from './backend.ts';
import { Dispatcher } from './dispatch.ts';
import { Filters } from './filters.ts';
import type { Readiness } from './http.ts';
import { type DoorOptions, isOriginAllowed, judgeHost, onRequest, pathOf } from './http.ts';
import { defaultRpcLimits, type RpcLimits } from './limits.ts';
import { blockMethods } from './methods/blocks.ts';
import { callMethods } from './methods/call.ts';
import { logMethods, subscriptionMethods } from './methods/events.ts';
import { feeMethods } from './methods/fees.ts';
import { mpbpMethods } from './methods/mpbp.ts';
import { nodeMethods } from './methods/node.ts';
import { proofMethods } from './methods/proofs.ts';
import { sendMethods } from './methods/send.ts';
import { stateMethods } from './methods/state.ts';
import { transactionMethods } from './methods/transactions.ts';
import { ReceiptWaits } from './receiptWaits.ts';
import { SocketSession } from './socket.ts';
import { Subscriptions } from './subscriptions.ts';

export type RpcServerOptions = {
  readonly host: string;
  /** 0: any free one, which `port` of the server then tells. */
  readonly port: number;
  /** Names that a Host header may have, without port; `*` allows all. */
  readonly hosts: readonly string[];
  /** Web origins that may call from a browser; `*` allows all. */
  readonly origins: readonly string[];
  readonly limits?: Partial<RpcLimits>;
  readonly backend: Backend;
  readonly log: Log;
  ready(): Readiness;
};

/** JSON-RPC 2.0 over HTTP and WebSocket on one port (interfaces.md). */
export class RpcServer {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #sessions = new Set<SocketSession>();
  readonly #subscriptions: Subscriptions;
  readonly #dispatcher: Dispatcher;
  readonly #door: DoorOptions;
  readonly #limits: RpcLimits;
  readonly #log: Log;
  readonly #onClose: (() => void)[] = [];

  /** Listens when it resolves. Rejects with a {@link UserError} where the address cannot be had. */
  static async open(options: RpcServerOptions): Promise<RpcServer> {
    const server = new RpcServer(options);
    try {
      await server.#listen(options.host, options.port);
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
    this.#subscriptions = new Subscriptions(limits, log);
    const waits = new ReceiptWaits();
    const filters = new Filters(backend, limits);
    const methods = [
      ...nodeMethods(backend),
      ...stateMethods(backend),
      ...callMethods(backend, limits),
      ...feeMethods(backend, limits),
      ...blockMethods(backend),
      ...transactionMethods(backend),
      ...sendMethods(backend, waits, limits),
      ...logMethods(backend, filters, limits),
      ...subscriptionMethods(this.#subscriptions),
      ...mpbpMethods(backend, limits),
      ...proofMethods(backend, limits),
    ];
    this.#dispatcher = new Dispatcher(methods, limits, log);
    const hosts = new Set(options.hosts.map((host) => host.toLowerCase()));
    const origins = new Set(options.origins);
    const { ready } = options;
    this.#door = { hosts, origins, limits, dispatcher: this.#dispatcher, ready };
    this.#server = createHttpServer(limits);
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

  /** Answers what is being asked, for a moment; then cuts. */
  async close(): Promise<void> {
    for (const end of this.#onClose.splice(0)) end();
    for (const session of this.#sessions) session.close();
    this.#subscriptions.close();
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
      }),
      backend.onPending((transaction) => {
        filters.onPending(transaction.hash);
        this.#subscriptions.onPending(transaction);
      }),
      () => waits.close(),
      () => clearInterval(pings),
    );
  }

  async #listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(cannotListen(host, port, error)));
      this.#server.listen({ host, port }, resolve);
    });
    // Accepting can fail for want of file descriptors; the next one may go well.
    this.#server.removeAllListeners('error');
    this.#server.on('error', (error) => this.#log.warn('rpc server', { reason: error.message }));
    this.#log.info('rpc listens', { host, port: this.port });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const host = judgeHost(this.#door, request);
    if (host !== null) return refuseUpgrade(socket, host.status);
    if (!isOriginAllowed(this.#door, request.headers.origin)) return refuseUpgrade(socket, 403);
    if (pathOf(request) !== '/') return refuseUpgrade(socket, 404);
    if (this.#sessions.size >= this.#limits.socketsMax) return refuseUpgrade(socket, 503);
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#welcome(client));
  }

  #welcome(client: WebSocket): void {
    const session = new SocketSession(client, this.#dispatcher, this.#limits);
    this.#sessions.add(session);
    session.onClose(() => {
      this.#sessions.delete(session);
      this.#subscriptions.removeAll(session);
    });
  }
}

function createHttpServer(limits: RpcLimits): Server {
  const server = createServer({
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.connectionCheckMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    noDelay: true,
    // Of all upgrades only this one exists here; h2c and others go on as plain HTTP/1.1.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  });
  // Beyond this count headers are dropped silently: rather see them all and refuse.
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connectionsMax;
  server.maxRequestsPerSocket = limits.requestsPerSocketMax;
  // A caller that waits for its receipt is idle for as long as it may wait.
  const { idleTimeoutMs, syncTimeoutMs, requestTimeoutMs } = limits;
  server.setTimeout(Math.max(idleTimeoutMs, syncTimeoutMs + requestTimeoutMs));
  return server;
}

function refuseUpgrade(socket: Duplex, status: number): void {
  socket.on('error', () => {});
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status]}`;
  socket.end(`${line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): UserError {
  const keys = 'another port: rpc.port in mpbp.toml, or MPBP_RPC_PORT; address: rpc.host';
  const reason =
    error.code === 'EADDRINUSE'
      ? 'another program listens there; is a node running already?'
      : error.message;
  const message = `JSON-RPC cannot listen on ${host}:${port}: ${reason} (${keys})`;
  return new UserError(EXIT.unavailable, message, { cause: error });
}
