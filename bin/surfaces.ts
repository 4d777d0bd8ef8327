/**
 * The two doors that a node has in the network: the public one, to read and to send, and the
 * operator's, with metrics, which is on this machine only or behind TLS and a key. (The third, for
 * what moves a validator, is a unix socket: adminServer.ts.)
 */
import { readFileSync } from 'node:fs';
import type { Network } from '#p2p/network.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import {
  Access,
  type AccessClock,
  type AccessRules,
  type Secrets,
} from '#src/rpc/access/access.ts';
import { canonicalAddress } from '#src/rpc/access/callerAddress.ts';
import { secretBytesMin } from '#src/rpc/access/jwt.ts';
import type { Backend } from '#src/rpc/backend.ts';
import type { Page } from '#src/rpc/http.ts';
import { RpcServer, type TlsFiles } from '#src/rpc/server.ts';
import type { Genesis } from '#src/types/genesis.ts';
import type { Room } from '#storage/room.ts';
import { accessPath, readAccess } from './accessFile.ts';
import { compatFigures } from './compatMetrics.ts';
import type { Config } from './config.ts';
import { Metrics } from './metrics.ts';
import { Renewed } from './renewed.ts';
import { readSecretFile } from './secrets.ts';
import { rpcOptions } from './settings.ts';

const clock: AccessClock = { now: () => performance.now(), wall: () => Date.now() };
const loopback = new Set(['127.0.0.1', '::1', 'localhost']);

type SurfaceParts = {
  readonly dataDir: string;
  readonly config: Config;
  readonly genesis: Genesis;
  readonly backend: Backend;
  readonly network: Network;
  readonly room: Room;
  readonly log: Log;
};

export class Surfaces {
  readonly port: number;
  readonly #parts: readonly { close(): unknown }[];

  private constructor(port: number, parts: readonly { close(): unknown }[]) {
    this.port = port;
    this.#parts = parts;
  }

  /** Both listen when it resolves. Throws a {@link UserError} where one cannot, or must not. */
  static async open(parts: SurfaceParts): Promise<Surfaces> {
    const { config } = parts;
    const opened: { close(): unknown }[] = [];
    try {
      const server = await openSurface(parts, 'public', new Map(), opened);
      if (config['operator.port'] > 0) {
        const also = config['metrics.compat'] ? compatFigures(parts.backend) : [];
        const metrics = new Metrics(parts.backend, also);
        opened.push(metrics);
        const page = { type: metrics.contentType, text: () => metrics.text() };
        await openSurface(parts, 'operator', new Map([['/metrics', page]]), opened);
      }
      return new Surfaces(server.port, opened);
    } catch (error) {
      for (const part of opened) await part.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const part of this.#parts) await part.close();
  }
}

async function openSurface(
  { dataDir, config, genesis, backend, network, room, log }: SurfaceParts,
  surface: 'public' | 'operator',
  pages: ReadonlyMap<string, Page>,
  opened: { close(): unknown }[],
): Promise<RpcServer> {
  const isPublic = surface === 'public';
  const ownLog = log.child(isPublic ? 'rpc' : 'operator');
  const rules = rulesOf(config, surface);
  const jwtFile = config[isPublic ? 'rpc.jwtSecretFile' : 'operator.jwtSecretFile'];
  const secrets = new Renewed(
    jwtFile === '' ? [accessPath(dataDir)] : [accessPath(dataDir), jwtFile],
    () => readSecrets(dataDir, jwtFile),
    (value) => access.renew(value),
    ownLog,
  );
  opened.push(secrets);
  if (!isPublic) checkOperator(config, secrets.value);
  const access = new Access(rules, secrets.value, clock, (address, failures) => {
    if (failures === 1) ownLog.warn('a key that is not known', { address });
  });
  const tlsPaths = [config['rpc.tlsCertificate'], config['rpc.tlsKey']].filter((p) => p !== '');
  const renewTls = (value: TlsFiles | null) => value !== null && server.renewTls(value);
  const tls = new Renewed(tlsPaths, () => readTls(config), renewTls, ownLog);
  opened.push(tls);
  const options = rpcOptions(config, genesis, backend, network, room);
  const place = isPublic
    ? {}
    : {
        ...{ section: 'operator' as const, origins: [] },
        ...{ host: config['operator.host'], port: config['operator.port'] },
      };
  // A proxy has the connections of all that come through it.
  const unlimited = new Set([...rules.unlimited, ...rules.proxies]);
  const more = { access, unlimited, tls: tls.value, pages, log: ownLog };
  const server = await RpcServer.open({ ...options, ...place, ...more });
  opened.unshift(server);
  return server;
}

function rulesOf(config: Config, surface: 'public' | 'operator'): AccessRules {
  return {
    surface,
    anonymous: surface === 'operator' || config['rpc.anonymous'],
    debug: config['rpc.debug'],
    anonymousQuota: { unitsPerSecond: config['rpc.anonymousUnitsPerSecond'] },
    keyQuota: { unitsPerSecond: config['rpc.keyUnitsPerSecond'] },
    unlimited: new Set(config['rpc.unlimited'].map(canonicalAddress)),
    proxies: new Set(config['rpc.proxies'].map(canonicalAddress)),
  };
}

/** What moves a node is never open to a network. */
function checkOperator(config: Config, { keys, jwtSecret }: Secrets): void {
  const host = config['operator.host'];
  if (loopback.has(host)) return;
  const isClosed = jwtSecret !== null || keys.some(({ role }) => role === 'operator');
  if (config['rpc.tlsCertificate'] !== '' && isClosed) return;
  const missing = isClosed ? 'rpc.tlsCertificate and rpc.tlsKey' : 'mpbp access new --operator';
  const message = `operator.host ${host} is not this machine alone: it needs TLS and a key`;
  throw new UserError(EXIT.badData, `${message} (missing: ${missing})`);
}

function readSecrets(dataDir: string, jwtFile: string): Secrets {
  return { keys: readAccess(dataDir), jwtSecret: jwtFile === '' ? null : readJwtSecret(jwtFile) };
}

/** As execution clients keep it: 32 bytes in hex. */
function readJwtSecret(path: string): Uint8Array {
  const text = readSecretFile(path).trim().replace(/^0x/, '');
  const bytes = Buffer.from(text, 'hex');
  if (bytes.length < secretBytesMin || bytes.length * 2 !== text.length) {
    const want = `at least ${secretBytesMin} bytes in hex: openssl rand -hex 32`;
    throw new UserError(EXIT.badData, `${path}: should be ${want}`);
  }
  return bytes;
}

function readTls(config: Config): TlsFiles | null {
  const cert = config['rpc.tlsCertificate'];
  const key = config['rpc.tlsKey'];
  if (cert === '' && key === '') return null;
  if (cert === '' || key === '') {
    throw new UserError(EXIT.badData, 'rpc.tlsCertificate and rpc.tlsKey belong together');
  }
  try {
    return { cert: readFileSync(cert, 'utf8'), key: readSecretFile(key) };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(EXIT.badData, `rpc.tlsCertificate: ${(error as Error).message}`);
  }
}
