import { EXIT, UserError } from '#src/lib/failure.ts';

export const defaultRpc = 'http://127.0.0.1:8545';
const requestTimeoutMs = 30_000;

/** A node's JSON-RPC over HTTP, for the command line. */
export class Client {
  readonly url: string;
  #id = 0;

  constructor(url: string) {
    if (!URL.canParse(url)) throw new UserError(EXIT.usage, `--rpc: not an address: ${url}`);
    this.url = url;
  }

  async call<T>(method: string, ...params: readonly unknown[]): Promise<T> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params });
    let response: Response;
    try {
      response = await fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(requestTimeoutMs),
      });
    } catch (error) {
      throw new UserError(
        EXIT.unavailable,
        `no node answers at ${this.url}; is one running there? (another address: --rpc URL)`,
        { cause: error },
      );
    }
    const answer = (await response.json().catch(() => null)) as Answer<T> | null;
    if (answer === null) {
      throw new UserError(EXIT.unavailable, `${this.url} answered ${response.status} without JSON`);
    }
    if (answer.error !== undefined) {
      const { code, message, data } = answer.error;
      throw new NodeRefusal(code, message, data);
    }
    return answer.result as T;
  }
}

/** The node understood and said no. */
export class NodeRefusal extends UserError {
  readonly rpcCode: number;
  /** Of a revert: the contract's error, in hexadecimal. */
  readonly data: unknown;
  constructor(rpcCode: number, message: string, data?: unknown) {
    super(EXIT.badData, message);
    this.rpcCode = rpcCode;
    this.data = data;
  }
}

type Answer<T> = { result?: T; error?: { code: number; message: string; data?: unknown } };
