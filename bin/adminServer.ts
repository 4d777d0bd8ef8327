/**
 * The operator's door to a running node: a unix socket in the data directory, which nobody else can
 * open. One line asks, `backup`; the answer is the backup's bytes, and its end is the stream's.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import type { LevelShelf } from '#storage/levelShelf.ts';
import { writeBackup } from './backup.ts';
import type { DataDir } from './dataDir.ts';
import type { NodeAudit } from './nodeAudit.ts';
import { Lines } from './signerProtocol.ts';
import { answers } from './signerServer.ts';

const socketsMax = 4;
/** The system's limit is 107. */
const pathBytesMax = 100;

export function adminSocket(dataDir: string): string {
  return join(dataDir, 'admin.sock');
}

export async function isRunning(dataDir: string): Promise<boolean> {
  return answers(adminSocket(dataDir));
}

/** Throws where a node answers in this data directory. */
export async function refuseRunning(dataDir: string): Promise<void> {
  if (!(await isRunning(dataDir))) return;
  throw new UserError(EXIT.locked, `${dataDir} is in use by another process; stop that one`);
}

export class AdminServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #backup: () => AsyncIterable<Uint8Array>;
  readonly #audit: NodeAudit;
  readonly #log: Log;

  private constructor(backup: () => AsyncIterable<Uint8Array>, audit: NodeAudit, log: Log) {
    this.#backup = backup;
    this.#audit = audit;
    this.#log = log;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = socketsMax;
  }

  /** The database's lock says that nobody else listens there. */
  static async open(
    dir: DataDir,
    shelf: LevelShelf,
    audit: NodeAudit,
    log: Log,
  ): Promise<AdminServer> {
    const path = adminSocket(dir.path);
    const admin = new AdminServer(() => writeBackup(shelf, dir.networkId), audit, log);
    if (Buffer.byteLength(path) > pathBytesMax) {
      log.warn('no backup while running: path too long', { path, bytesMax: pathBytesMax });
      return admin;
    }
    rmSync(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      admin.#server.once('error', reject);
      admin.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return admin;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const lines = new Lines();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const found = lines.push(chunk.toString());
      if (found?.length === 0) return;
      socket.pause();
      if (found?.[0] !== 'backup') socket.destroy();
      else void this.#send(socket);
    });
  }

  async #send(socket: Socket): Promise<void> {
    try {
      for await (const bytes of this.#backup()) {
        if (socket.destroyed) return;
        await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
      }
      socket.end();
      const bytes = socket.bytesWritten;
      this.#log.info('backup sent', { bytes });
      await this.#audit.tell('backup', { bytes });
    } catch (error) {
      // Without an end it is no backup, and whoever reads it says so.
      this.#log.error('backup failed', { error: String(error) });
      socket.destroy();
    }
  }
}
