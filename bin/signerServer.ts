import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Signer } from '#consensus/engine/ports.ts';
import type { SignState } from '#consensus/engine/signState.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { Lines, type SignerAnswer, type SignerRequest } from './signerProtocol.ts';

const socketsMax = 8;

/** Signs for a node in another process, as far as its own memory allows. */
export class SignerServer {
  readonly #server: Server;
  readonly #signers: ReadonlyMap<string, Signer>;
  readonly #state: SignState;
  readonly #log: Log;
  readonly #sockets = new Set<Socket>();

  private constructor(signers: readonly Signer[], state: SignState, log: Log) {
    this.#signers = new Map(signers.map((signer) => [toHex(signer.publicKey), signer]));
    this.#state = state;
    this.#log = log;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = socketsMax;
  }

  static async open(
    path: string,
    signers: readonly Signer[],
    state: SignState,
    log: Log,
  ): Promise<SignerServer> {
    if (await answers(path)) {
      throw new UserError(EXIT.locked, `${path}: another signer listens there`);
    }
    rmSync(path, { force: true });
    const server = new SignerServer(signers, state, log);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', (error) => {
        reject(new UserError(EXIT.cannotCreate, `${path}: ${error.message}`));
      });
      server.#server.listen(path, resolve);
    });
    // Whoever may open the socket may have votes signed.
    chmodSync(path, 0o600);
    return server;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const lines = new Lines();
    socket.setEncoding('utf8');
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: string) => {
      const found = lines.push(chunk);
      if (found === null) socket.destroy();
      for (const line of found ?? []) {
        this.#answer(line).then(
          (answer) => {
            if (answer === null) socket.destroy();
            else socket.write(`${JSON.stringify(answer)}\n`);
          },
          (error: unknown) => {
            // What could not be written down is not signed.
            this.#log.error('sign-state not written', { error: String(error) });
            socket.destroy();
          },
        );
      }
    });
  }

  async #answer(line: string): Promise<SignerAnswer | null> {
    const request = parseRequest(line);
    if (request === null) return null;
    const { id } = request;
    if (request.ask === 'keys') return { id, keys: [...this.#signers.keys()] };
    const signer = this.#signers.get(request.key);
    const statement = fromHex(request.statement);
    if (signer === undefined || statement === null) return { id, refused: 'SIGN_UNKNOWN_KEY' };
    const refusal = await this.#state.admit(signer.publicKey, statement);
    if (refusal !== null) {
      this.#log.error('not signed', refusal);
      return { id, refused: refusal.code };
    }
    return { id, signature: toHex(await signer.sign(statement)) };
  }
}

function parseRequest(line: string): SignerRequest | null {
  try {
    const request = JSON.parse(line) as SignerRequest;
    if (!Number.isSafeInteger(request.id)) return null;
    if (request.ask === 'keys') return request;
    const isText = typeof request.key === 'string' && typeof request.statement === 'string';
    return request.ask === 'sign' && isText ? request : null;
  } catch {
    return null;
  }
}

/** A socket file that nobody listens on is left over from a crash. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
