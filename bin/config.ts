/**
 * One configuration, checked whole before anything opens: defaults, then `mpbp.toml` in the data
 * directory, then the environment (`rpc.port` is `MPBP_RPC_PORT`), then flags; the later wins. An
 * unknown key is an error that names its place.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { EXIT, UserError } from '#src/lib/failure.ts';

type Setting<T> = {
  readonly value: T;
  readonly help: string;
  /** What it has to be in `mpbp.toml`. */
  readonly kind: 'text' | 'number' | 'list' | 'flag';
  /** The value, or what it should have been. */
  parse(text: string): T | string[];
};

const SETTINGS = {
  'rpc.host': text('127.0.0.1', 'address of the JSON-RPC server'),
  'rpc.port': port(8545, 'port of the JSON-RPC server, HTTP and WebSocket'),
  'rpc.hosts': list('localhost,127.0.0.1,[::1]', 'names that a Host header may have'),
  'rpc.origins': list('', 'web origins that may call from a browser'),
  'rpc.bodyBytesMax': count(1_048_576, 1_024, 64 * 1_048_576, 'largest request body'),
  'rpc.batchItemsMax': count(100, 1, 1_000, 'most calls in one batch'),
  'rpc.connectionsMax': count(1_000, 1, 100_000, 'most open HTTP and WebSocket connections'),
  'rpc.addressConnectionsMax': count(200, 1, 100_000, 'most open connections of one address'),
  'rpc.callerSharePercent': count(
    25,
    1,
    100,
    'of filters, waits and views, what one caller may have',
  ),
  'rpc.unreadMebibytesMax': count(128, 16, 65_536, 'most memory of answers that nobody reads'),
  'rpc.syncTimeoutMs': count(20_000, 1, 300_000, 'longest wait of eth_sendRawTransactionSync'),
  'rpc.anonymous': flag(true, 'answer callers without a key (true or false)'),
  'rpc.debug': flag(false, 'debug_trace* for everybody, not for operators only (true or false)'),
  'rpc.anonymousUnitsPerSecond': count(
    1_000,
    1,
    1_000_000_000,
    'what an address without a key may ask for; a read is 1 unit, a payment 5, a call 20',
  ),
  'rpc.keyUnitsPerSecond': count(
    20_000,
    1,
    1_000_000_000,
    'what a key may ask for that has no figure of its own',
  ),
  'rpc.unlimited': list('127.0.0.1,::1', 'addresses that may ask without a limit'),
  'rpc.proxies': list('', 'addresses of proxies whose X-Forwarded-For is believed'),
  'rpc.jwtSecretFile': text(
    '',
    'file with 32 bytes in hex that sign tokens (HS256); none: no tokens',
  ),
  'rpc.tlsCertificate': text('', 'PEM file of the certificate chain; none: plain HTTP'),
  'rpc.tlsKey': text('', 'PEM file of its key'),
  'p2p.listen': list('/ip4/127.0.0.1/tcp/30303', 'multiaddresses to listen on'),
  'p2p.allow': list('', 'peer ids that may connect beside those in genesis'),
  'p2p.peers': list('', 'multiaddresses with /p2p/<peer id> to dial beside those in genesis'),
  'pool.transactionsMax': count(5_000, 1, 1_000_000, 'most payments that wait for a block'),
  'pool.gappedMax': count(1_000, 0, 1_000_000, 'most payments that wait behind a nonce gap'),
  'pool.senderMax': count(64, 1, 100_000, 'most payments of one sender that wait'),
  'pool.lifetimeSeconds': count(3_600, 1, 604_800, 'how long a payment may wait'),
  'operator.host': text('127.0.0.1', "address of the operator's port; elsewhere TLS and a key"),
  'operator.port': count(0, 0, 65_535, 'port for metrics and operators; 0: none'),
  'metrics.compat': flag(false, 'metrics also under names of other clients (true or false)'),
  'operator.jwtSecretFile': text('', "as rpc.jwtSecretFile, for the operator's port"),
  'consensus.unfinalizedMax': count(4, 1, 6, 'blocks with payments ahead of finality'),
  'consensus.signer': text('', 'unix socket of an `mpbp signer`; none: this process signs'),
  'crypto.secp256k1': oneOf(
    ['auto', 'native', 'wasm', 'noble'],
    'auto',
    'library for payment signatures; auto: the fastest that works',
  ),
  'crypto.recoveryThreads': oneOf(
    ['auto', '0', '1', '2', '3', '4', '5', '6', '7', '8'],
    'auto',
    'threads that verify payment signatures; auto: one for each core but the first, at most 4',
  ),
  'storage.archive': flag(false, 'keep the state of every block from now on (true or false)'),
  'storage.reserveMebibytes': count(256, 0, 1_048_576, 'free space below which nothing is written'),
  'log.level': oneOf(['error', 'warn', 'info', 'debug'], 'info', 'what is logged'),
  'log.format': oneOf(['auto', 'json', 'text'], 'auto', 'auto: text on a terminal, else JSON'),
} as const satisfies Record<string, Setting<unknown>>;

export type SettingName = keyof typeof SETTINGS;
export type Config = { readonly [K in SettingName]: (typeof SETTINGS)[K]['value'] };
export type Origin = 'default' | 'mpbp.toml' | 'environment' | 'flag';
export type Effective = {
  readonly config: Config;
  readonly origins: Readonly<Record<SettingName, Origin>>;
};

export const settingNames = Object.keys(SETTINGS) as SettingName[];

export function settingHelp(name: SettingName): string {
  return SETTINGS[name].help;
}

/** `rpc.bodyBytesMax` is `MPBP_RPC_BODY_BYTES_MAX`. */
export function environmentName(name: SettingName): string {
  return `MPBP_${name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace('.', '_')
    .toUpperCase()}`;
}

export function loadConfig(
  dataDir: string,
  flags: ReadonlyMap<string, string>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Effective {
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const put = (name: string, text: string, origin: Origin, place: string) => {
    const setting = (SETTINGS as Record<string, Setting<unknown>>)[name];
    if (setting === undefined || !Object.hasOwn(SETTINGS, name)) {
      throw new UserError(EXIT.badData, `${place}: unknown key ${name}`);
    }
    const value = setting.parse(text);
    if (Array.isArray(value) && value[0] === REFUSED) {
      const exit = origin === 'flag' ? EXIT.usage : EXIT.badData;
      throw new UserError(exit, `${place}: ${name} should be ${value[1]}, not "${text}"`);
    }
    values[name] = value;
    origins[name] = origin;
  };
  for (const name of settingNames) {
    values[name] = SETTINGS[name].value;
    origins[name] = 'default';
  }
  const file = join(dataDir, 'mpbp.toml');
  for (const [name, value] of readToml(file)) {
    const setting = (SETTINGS as Record<string, Setting<unknown>>)[name];
    const known = setting !== undefined && Object.hasOwn(SETTINGS, name);
    put(name, known ? tomlText(value, setting.kind, `${file}: ${name}`) : '', 'mpbp.toml', file);
  }
  for (const name of settingNames) {
    const text = environment[environmentName(name)];
    if (text !== undefined) put(name, text, 'environment', environmentName(name));
  }
  for (const [name, text] of flags) put(name, text, 'flag', `--${name}`);
  return Object.freeze({
    config: Object.freeze(values) as Config,
    origins: Object.freeze(origins) as Effective['origins'],
  });
}

/** A value of the right type as the text that a flag would have; `"8545"` is no number. */
function tomlText(value: unknown, kind: Setting<unknown>['kind'], place: string): string {
  if (kind === 'number' && (typeof value === 'number' || typeof value === 'bigint')) {
    return String(value);
  }
  if (kind === 'flag' && typeof value === 'boolean') return String(value);
  if (kind === 'text' && typeof value === 'string') return value;
  if (kind === 'list' && Array.isArray(value) && value.every((item) => typeof item === 'string')) {
    return value.join(',');
  }
  const kinds = { text: 'a text in quotes', number: 'a number', list: 'a list of texts' };
  const want = { ...kinds, flag: 'true or false' }[kind];
  throw new UserError(EXIT.badData, `${place} should be ${want}`);
}

/** `[rpc] port = 8545` as `rpc.port`, 8545. */
function readToml(path: string): Map<string, unknown> {
  const found = new Map<string, unknown>();
  if (!existsSync(path)) return found;
  if (!lstatSync(path).isFile()) throw new UserError(EXIT.badData, `${path}: not a plain file`);
  let document: Record<string, unknown>;
  try {
    document = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const first = String(error instanceof Error ? error.message : error).split('\n')[0];
    throw new UserError(EXIT.badData, `${path}: ${first}`);
  }
  for (const [section, fields] of Object.entries(document)) {
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
      throw new UserError(EXIT.badData, `${path}: unknown key ${section}`);
    }
    for (const [key, value] of Object.entries(fields)) {
      found.set(`${section}.${key}`, value);
    }
  }
  return found;
}

const REFUSED = '\u0000refused';

function refused(want: string): string[] {
  return [REFUSED, want];
}

function text(value: string, help: string): Setting<string> {
  return {
    value,
    help,
    kind: 'text',
    parse: (t) => (t.trim() === '' ? refused('a text') : t.trim()),
  };
}

function list(value: string, help: string): Setting<readonly string[]> {
  const split = (t: string) =>
    t
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  return { value: split(value), help, kind: 'list', parse: split };
}

function count(value: number, min: number, max: number, help: string): Setting<number> {
  return {
    value,
    help,
    kind: 'number',
    parse: (t) => {
      const number = /^(0|[1-9]\d{0,15})$/.test(t) ? Number(t) : Number.NaN;
      return number >= min && number <= max
        ? number
        : refused(`a whole number from ${min} to ${max}`);
    },
  };
}

function flag(value: boolean, help: string): Setting<boolean> {
  return {
    value,
    help,
    kind: 'flag',
    parse: (t) => (t === 'true' || t === 'false' ? t === 'true' : refused('true or false')),
  };
}

function port(value: number, help: string): Setting<number> {
  return count(value, 1, 65_535, help);
}

function oneOf<const T extends string>(values: readonly T[], value: T, help: string): Setting<T> {
  return {
    value,
    help,
    kind: 'text',
    parse: (t) => values.find((v) => v === t) ?? refused(`one of ${values.join(', ')}`),
  };
}
