/**
 * What only the operator may read, on a port of its own that answers on this machine only:
 * `GET /metrics` in Prometheus' text format. Off unless `operator.port` is set.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Backend } from '#src/rpc/backend.ts';
import { Metrics } from './metrics.ts';

const host = '127.0.0.1';
/** A web page that a browser on this machine shows may not read it through a name of its own. */
const hosts = new Set(['localhost', '127.0.0.1']);
const connectionsMax = 16;
const requestTimeoutMs = 5_000;
const idleTimeoutMs = 90_000;

export class OperatorServer {
  readonly #server: Server;
  readonly #metrics: Metrics;

  private constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.maxConnections = connectionsMax;
    this.#server.headersTimeout = requestTimeoutMs;
    this.#server.requestTimeout = requestTimeoutMs;
    this.#server.keepAliveTimeout = idleTimeoutMs;
  }

  /** Null where the port is 0: then nothing is counted either. Throws a {@link UserError}. */
  static async open(port: number, backend: Backend): Promise<OperatorServer | null> {
    if (port === 0) return null;
    const operator = new OperatorServer(new Metrics(backend));
    try {
      await new Promise<void>((resolve, reject) => {
        operator.#server.once('error', reject);
        operator.#server.listen({ host, port }, resolve);
      });
    } catch (cause) {
      operator.#metrics.close();
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `metrics cannot be served on ${host}:${port}: ${reason} (operator.port)`;
      throw new UserError(EXIT.unavailable, message, { cause });
    }
    return operator;
  }

  async close(): Promise<void> {
    this.#metrics.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const name = (request.headers.host ?? '').replace(/:\d+$/, '');
    if (!hosts.has(name)) return refuse(response, 403);
    if (request.method !== 'GET') return refuse(response, 405);
    if (request.url !== '/metrics') return refuse(response, 404);
    const text = await this.#metrics.text();
    response.writeHead(200, { 'content-type': this.#metrics.contentType }).end(text);
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end('GET /metrics\n');
}
