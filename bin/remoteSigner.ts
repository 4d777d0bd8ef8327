import { connect, type Socket } from 'node:net';
import type { Signer } from '#consensus/engine/ports.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { Lines, type SignerAnswer, type SignerRequest } from './signerProtocol.ts';

const redialMs = 200;
const openTimeoutMs = 5_000;

type Asked = {
  readonly request: SignerRequest;
  resolve(answer: SignerAnswer): void;
};

/**
 * The node's side of a signer in another process. While that one is away nothing is signed and
 * everything else goes on; what was asked for is asked again when it is back.
 */
export class RemoteSigner {
  readonly #path: string;
  readonly #log: Log;
  readonly #asked = new Map<number, Asked>();
  #socket: Socket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #id = 0;
  #isClosed = false;

  private constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** One signer for each key that the other process holds. */
  static async open(path: string, log: Log): Promise<{ signers: Signer[]; close(): void }> {
    const remote = new RemoteSigner(path, log);
    remote.#connect();
    const late = new Promise<null>((resolve) => setTimeout(resolve, openTimeoutMs, null).unref());
    const answer = await Promise.race([remote.#ask({ ask: 'keys' }), late]);
    if (answer === null || !('keys' in answer)) {
      remote.close();
      throw new UserError(
        EXIT.unavailable,
        `no signer answers at ${path}; start it with: mpbp signer --socket ${path} …`,
      );
    }
    const signers = answer.keys.flatMap((key) => {
      const publicKey = fromHex(key);
      if (publicKey === null) return [];
      return [{ publicKey, sign: (message: Uint8Array) => remote.#sign(key, message) }];
    });
    return { signers, close: () => remote.close() };
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  async #sign(key: string, message: Uint8Array): Promise<Uint8Array> {
    const answer = await this.#ask({ ask: 'sign', key, statement: toHex(message) });
    const signature = 'signature' in answer ? fromHex(answer.signature) : null;
    if (signature?.length === 64) return signature;
    const why = 'refused' in answer ? answer.refused : 'no signature in its answer';
    throw new UserError(
      EXIT.badData,
      `the signer refuses (${why}): it has signed what contradicts this node's journal; restore ` +
        'the newest consensus/ directory, or rotate the key with: mpbp validator rotate',
    );
  }

  #ask(
    request: { ask: 'keys' } | { ask: 'sign'; key: string; statement: string },
  ): Promise<SignerAnswer> {
    const id = ++this.#id;
    return new Promise((resolve) => {
      const asked: Asked = { request: { id, ...request }, resolve };
      this.#asked.set(id, asked);
      this.#write(asked);
    });
  }

  #write({ request }: Asked): void {
    if (this.#socket?.readyState === 'open') this.#socket.write(`${JSON.stringify(request)}\n`);
  }

  #connect(): void {
    const socket = connect(this.#path);
    const lines = new Lines();
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      this.#log.info('signer connected', { path: this.#path });
      for (const asked of this.#asked.values()) this.#write(asked);
    });
    socket.on('data', (chunk: string) => {
      const found = lines.push(chunk);
      if (found === null) socket.destroy();
      for (const line of found ?? []) this.#receive(line, socket);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#isClosed || this.#timer !== null) return;
      this.#log.warn('signer away: nothing is signed until it is back', { path: this.#path });
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#connect();
      }, redialMs);
    });
  }

  #receive(line: string, socket: Socket): void {
    let answer: SignerAnswer;
    try {
      answer = JSON.parse(line) as SignerAnswer;
    } catch {
      socket.destroy();
      return;
    }
    const asked = this.#asked.get(answer.id);
    this.#asked.delete(answer.id);
    asked?.resolve(answer);
  }
}
