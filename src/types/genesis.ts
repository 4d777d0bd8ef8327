/**
 * `genesis.json`: what the founding members agree on. Strict: an unknown key, a duplicate or an
 * impossible value is a refusal that names the JSON path.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { sha256 } from '#src/crypto/sha256.ts';
import { fromHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Json, JsonNumber, type JsonObject, parseStrictJson } from '#src/lib/strictJson.ts';
import { type Address, parseAddress } from './address.ts';
import { type Hash, hashFromBytes } from './hash.ts';
import {
  blockBytesMax,
  dialAddressesMax,
  genesisAllocMax,
  genesisBytesMax,
  genesisMembersMax,
  nameCharsMax,
} from './limits.ts';
import { asGas, asStake, asWei, type Gas, type Wei } from './units.ts';
import { type Validator, validatorsMax } from './validatorSet.ts';

export type GenesisValidator = Validator & { readonly addresses: readonly string[] };

/** Milliseconds; see design/consensus.md 2.7. */
export type GenesisTimers = {
  readonly leaderMs: number;
  readonly advanceMs: number;
  readonly retryMs: number;
  readonly capMs: number;
  readonly minEmptyIntervalMs: number;
  readonly maxFutureMs: number;
  readonly maxPastMs: number;
};

export type Genesis = {
  readonly config: {
    readonly chainId: bigint;
    readonly hardfork: 'osaka';
    readonly baseFeePerGas: Wei;
    readonly paymentLaneGasLimit: Gas;
    readonly evmLaneGasLimit: Gas;
    readonly paymentLaneBytesMax: number;
    readonly heartbeatMs: number;
    readonly timers: GenesisTimers;
  };
  /** Unix seconds. */
  readonly timestamp: number;
  readonly members: readonly { readonly id: string; readonly name: string }[];
  readonly validators: readonly GenesisValidator[];
  readonly alloc: ReadonlyMap<Address, { readonly balance: Wei }>;
};

export type GenesisRefusal = { code: 'GENESIS' | 'JSON'; path: string; message: string };

export const defaultTimers: GenesisTimers = {
  leaderMs: 250,
  advanceMs: 500,
  retryMs: 250,
  capMs: 10_000,
  minEmptyIntervalMs: 200,
  maxFutureMs: 500,
  maxPastMs: 2_000,
};

const secondsMax = 253_402_300_799;

export function parseGenesis(text: string): Verdict<Genesis, GenesisRefusal> {
  if (Buffer.byteLength(text) > genesisBytesMax) {
    return refuse({ code: 'GENESIS', path: '$', message: `larger than ${genesisBytesMax} bytes` });
  }
  const json = parseStrictJson(text);
  if (!json.ok) return json;
  try {
    return accept(readGenesis(json.value));
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return refuse({ code: 'GENESIS', path: error.path, message: error.message });
  }
}

/** One text for one meaning: keys sorted, no white space, every number decimal text. */
export function canonicalGenesis(genesis: Genesis): Uint8Array {
  return utf8(canonical(genesisToJson(genesis)));
}

export function genesisNetworkId(genesis: Genesis): Hash {
  return hashFromBytes(sha256(canonicalGenesis(genesis)));
}

/** The same shape as the file. */
export function genesisToJson(genesis: Genesis): Record<string, unknown> {
  const { config, timestamp, members, validators, alloc } = genesis;
  return {
    config: {
      ...config,
      chainId: config.chainId.toString(),
      baseFeePerGas: config.baseFeePerGas.toString(),
      paymentLaneGasLimit: config.paymentLaneGasLimit.toString(),
      evmLaneGasLimit: config.evmLaneGasLimit.toString(),
    },
    timestamp,
    members,
    validators: validators.map((validator) => ({
      ...validator,
      consensusKey: toHex(validator.consensusKey),
      stake: validator.stake.toString(),
    })),
    alloc: Object.fromEntries(
      [...alloc].map(([address, { balance }]) => [address, { balance: balance.toString() }]),
    ),
  };
}

/** What is legal and still worth a second thought. */
export function genesisWarnings({ validators, members }: Genesis): string[] {
  const total = validators.reduce((sum, { stake }) => sum + stake, 0n);
  const warnings: string[] = [];
  const byMember = new Map<string, bigint>();
  for (const { memberId, stake } of validators) {
    byMember.set(memberId, (byMember.get(memberId) ?? 0n) + stake);
  }
  for (const [memberId, stake] of byMember) {
    const has = `member ${memberId} has ${Number((stake * 100n) / total)} % of the stake`;
    if (3n * stake > 2n * total) warnings.push(`${has}: it decides alone`);
    else if (3n * stake >= total) warnings.push(`${has}: it can stop the network alone`);
  }
  for (const { id } of members) {
    if (!validators.some(({ memberId }) => memberId === id)) {
      warnings.push(`member ${id} has no validator`);
    }
  }
  return warnings;
}

// --- reading -------------------------------------------------------------------------------------

class Stop extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

function readGenesis(json: Json): Genesis {
  const root = fields(json, '$', ['config', 'timestamp', 'members', 'validators', 'alloc']);
  const members = list(root, 'members', '$', 1, genesisMembersMax).map((item, at) => {
    const path = `$.members[${at}]`;
    const member = fields(item, path, ['id', 'name']);
    return { id: name(member, 'id', path), name: name(member, 'name', path) };
  });
  unique(members, ({ id }) => id, '$.members', 'id');
  const validators = list(root, 'validators', '$', 1, validatorsMax).map((item, at) =>
    readValidator(item, `$.validators[${at}]`, members),
  );
  unique(validators, ({ consensusKey }) => toHex(consensusKey), '$.validators', 'consensusKey');
  unique(validators, ({ peerId }) => peerId, '$.validators', 'peerId');
  const total = validators.reduce((sum, { stake }) => sum + stake, 0n);
  if (total >= 1n << 63n) throw new Stop('$.validators', 'the stakes add up to 2^63 or more');
  return {
    config: readConfig(need(root, 'config', '$')),
    timestamp: Number(integer(root, 'timestamp', '$', 0n, BigInt(secondsMax))),
    members,
    validators,
    alloc: readAlloc(need(root, 'alloc', '$')),
  };
}

function readConfig(json: Json): Genesis['config'] {
  const path = '$.config';
  const optional = [
    'hardfork',
    'baseFeePerGas',
    'paymentLaneGasLimit',
    'evmLaneGasLimit',
    'paymentLaneBytesMax',
    'heartbeatMs',
    'timers',
  ];
  const config = fields(json, path, ['chainId'], optional);
  const number = (key: string, byDefault: bigint, min: bigint, max: bigint) =>
    config.has(key) ? integer(config, key, path, min, max) : byDefault;
  const hardfork = config.get('hardfork') ?? 'osaka';
  if (hardfork !== 'osaka') throw new Stop(`${path}.hardfork`, 'should be "osaka"');
  const gasMax = 1n << 40n;
  const bytesMax = BigInt(blockBytesMax);
  const timers = readTimers(config.get('timers') ?? new Map());
  const heartbeatMs = Number(number('heartbeatMs', 10_000n, 1_000n, 3_600_000n));
  if (heartbeatMs <= timers.advanceMs) {
    throw new Stop(`${path}.heartbeatMs`, 'should be more than timers.advanceMs');
  }
  return {
    chainId: integer(config, 'chainId', path, 1n, BigInt(Number.MAX_SAFE_INTEGER)),
    hardfork,
    baseFeePerGas: asWei(number('baseFeePerGas', 10_000_000n, 1n, 1n << 64n)),
    paymentLaneGasLimit: asGas(number('paymentLaneGasLimit', 210_000_000n, 21_000n, gasMax)),
    evmLaneGasLimit: asGas(number('evmLaneGasLimit', 2_000_000n, 21_000n, gasMax)),
    paymentLaneBytesMax: Number(number('paymentLaneBytesMax', 1_500_000n, 1_024n, bytesMax)),
    heartbeatMs,
    timers,
  };
}

function readTimers(json: Json): GenesisTimers {
  const path = '$.config.timers';
  const names = Object.keys(defaultTimers) as (keyof GenesisTimers)[];
  const given = fields(json, path, [], names);
  const timers = { ...defaultTimers };
  for (const key of names) {
    if (given.has(key)) timers[key] = Number(integer(given, key, path, 1n, 3_600_000n));
  }
  const { leaderMs, advanceMs, minEmptyIntervalMs, capMs } = timers;
  if (advanceMs <= leaderMs) throw new Stop(`${path}.advanceMs`, 'should be more than leaderMs');
  if (minEmptyIntervalMs >= leaderMs) {
    throw new Stop(`${path}.minEmptyIntervalMs`, 'should be less than leaderMs');
  }
  if (capMs < advanceMs) throw new Stop(`${path}.capMs`, 'should be at least advanceMs');
  return timers;
}

function readValidator(
  json: Json,
  path: string,
  members: readonly { id: string }[],
): GenesisValidator {
  const keys = ['memberId', 'consensusKey', 'peerId', 'addresses', 'operator', 'stake'];
  const item = fields(json, path, [...keys, 'feeRecipient']);
  const memberId = name(item, 'memberId', path);
  if (!members.some(({ id }) => id === memberId)) {
    throw new Stop(`${path}.memberId`, 'is not among the members');
  }
  const keyText = text(item, 'consensusKey', path);
  const consensusKey = fromHex(keyText);
  if (consensusKey?.length !== 32)
    throw new Stop(`${path}.consensusKey`, 'should be 0x and 32 bytes');
  const peerId = text(item, 'peerId', path);
  // The text form of an Ed25519 libp2p key; whoever dials checks it against the handshake.
  if (!/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(peerId)) {
    throw new Stop(`${path}.peerId`, 'should be an Ed25519 peer id (12D3KooW…)');
  }
  const addresses = list(item, 'addresses', path, 1, dialAddressesMax).map((value, at) => {
    if (typeof value !== 'string' || !isDialable(value)) {
      throw new Stop(`${path}.addresses[${at}]`, 'should be like /ip4/192.0.2.1/tcp/30303');
    }
    return value;
  });
  return {
    memberId,
    consensusKey,
    peerId,
    addresses,
    operator: address(item, 'operator', path),
    stake: asStake(integer(item, 'stake', path, 1n, (1n << 63n) - 1n)),
    feeRecipient: address(item, 'feeRecipient', path),
  };
}

function readAlloc(json: Json): Genesis['alloc'] {
  if (!(json instanceof Map)) throw new Stop('$.alloc', 'should be an object');
  if (json.size > genesisAllocMax)
    throw new Stop('$.alloc', `more than ${genesisAllocMax} accounts`);
  const alloc = new Map<Address, { balance: Wei }>();
  let sum = 0n;
  for (const [key, value] of json as JsonObject) {
    const path = `$.alloc["${key.slice(0, 64)}"]`;
    const parsed = parseAddress(key.startsWith('0x') ? key : `0x${key}`);
    if (!parsed.ok) throw new Stop(path, 'is not an address, or its checksum is wrong');
    if (alloc.has(parsed.value)) throw new Stop(path, 'stands twice, in another spelling');
    const entry = fields(value, path, ['balance']);
    const balance = asWei(integer(entry, 'balance', path, 0n, (1n << 256n) - 1n));
    sum += balance;
    if (sum >= 1n << 256n) throw new Stop(path, 'the balances add up to 2^256 or more');
    alloc.set(parsed.value, { balance });
  }
  return new Map([...alloc].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function fields(
  json: Json,
  path: string,
  required: readonly string[],
  optional: readonly string[] = [],
): JsonObject {
  if (!(json instanceof Map)) throw new Stop(path, 'should be an object');
  for (const key of (json as JsonObject).keys()) {
    if (!required.includes(key) && !optional.includes(key)) {
      throw new Stop(`${path}.${key.slice(0, 64)}`, 'is not a known key');
    }
  }
  for (const key of required) {
    if (!json.has(key)) throw new Stop(`${path}.${key}`, 'is missing');
  }
  return json;
}

function need(item: JsonObject, key: string, path: string): Json {
  const value = item.get(key);
  if (value === undefined) throw new Stop(`${path}.${key}`, 'is missing');
  return value;
}

function list(
  item: JsonObject,
  key: string,
  path: string,
  min: number,
  max: number,
): readonly Json[] {
  const value = need(item, key, path);
  if (!Array.isArray(value) || value.length < min || value.length > max) {
    throw new Stop(`${path}.${key}`, `should be a list of ${min} to ${max}`);
  }
  return value as readonly Json[];
}

function text(item: JsonObject, key: string, path: string): string {
  const value = need(item, key, path);
  if (typeof value !== 'string') throw new Stop(`${path}.${key}`, 'should be a text');
  return value;
}

function name(item: JsonObject, key: string, path: string): string {
  const value = text(item, key, path);
  const plain = /^[\p{L}\p{N}][\p{L}\p{N} ._&'()-]*$/u.test(value);
  if (!plain || value.length > nameCharsMax) {
    throw new Stop(`${path}.${key}`, `should be 1 to ${nameCharsMax} letters, digits and spaces`);
  }
  return value;
}

function address(item: JsonObject, key: string, path: string): Address {
  const parsed = parseAddress(text(item, key, path));
  if (!parsed.ok) throw new Stop(`${path}.${key}`, 'is not an address, or its checksum is wrong');
  return parsed.value;
}

/**
 * A JSON integer, or decimal or 0x text: 2^53 and more does not survive other tools as a number.
 */
function integer(item: JsonObject, key: string, path: string, min: bigint, max: bigint): bigint {
  const value = need(item, key, path);
  const digits = value instanceof JsonNumber ? value.text : value;
  const shaped =
    typeof digits === 'string' &&
    digits.length <= 80 &&
    /^(0|[1-9]\d*|0x(0|[1-9a-fA-F][0-9a-fA-F]*))$/.test(digits);
  const number = shaped ? BigInt(digits) : -1n;
  if (number < min || number > max) {
    throw new Stop(`${path}.${key}`, `should be a whole number from ${min} to ${max}`);
  }
  return number;
}

/** `/ip4/192.0.2.1/tcp/30303`; a host of the kind that stands before it, a port from 1 to 65535. */
function isDialable(text: string): boolean {
  const match = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/%]{1,253})\/tcp\/([1-9]\d{0,4})$/.exec(text);
  const [, kind, host = '', port] = match ?? [];
  if (kind === undefined || Number(port) > 65_535) return false;
  if (kind === 'ip4') return isIPv4(host);
  return kind === 'ip6' ? isIPv6(host) : /^\w([\w-]*\w)?(\.\w([\w-]*\w)?)*\.?$/.test(host);
}

function unique<T>(items: readonly T[], of: (item: T) => string, path: string, key: string): void {
  const seen = new Set<string>();
  for (const [at, item] of items.entries()) {
    const value = of(item);
    if (seen.has(value)) throw new Stop(`${path}[${at}].${key}`, 'stands twice');
    seen.add(value);
  }
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    const texts = entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`);
    return `{${texts.join(',')}}`;
  }
  return JSON.stringify(value);
}
