/**
 * `genesis.json`: what the founding members agree on. Strict: an unknown key, a duplicate or an
 * impossible value is a refusal that names the JSON path.
 */

import { isSoundEd25519Key } from '#src/crypto/ed25519.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { fromHex, toHex, utf8 } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Json, type JsonObject, parseStrictJson } from '#src/lib/strictJson.ts';
import type { Address } from './address.ts';
import { allocToJson, type GenesisAccount, readAlloc } from './genesisAlloc.ts';
import { currenciesToJson, type GenesisCurrency, readCurrencies } from './genesisCurrencies.ts';
import { address, fields, integer, list, name, need, Stop, text, unique } from './genesisFields.ts';
import { type Hash, hashFromBytes } from './hash.ts';
import {
  blockBytesMax,
  dialAddressesMax,
  evmWorstMsPerMillionGas,
  genesisBytesMax,
  genesisMembersMax,
  ingressBytesMax,
} from './limits.ts';
import { formatIngress, isDialable, isPeerId } from './peerId.ts';
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

/** How members decide, and what their stake answers for. */
export type GenesisGovernance = {
  readonly voteSeconds: number;
  /** From the deciding vote to the first moment of execution. */
  readonly delaySeconds: number;
  /** From the end of a stake to its withdrawal. */
  readonly unbondingSeconds: number;
  /** Of the stake, lost for a proven fault; 10,000 is all of it. */
  readonly slashBps: number;
};

export type GenesisMember = {
  readonly id: string;
  readonly name: string;
  readonly admin: Address;
  /** Bit mask, payments.md 2.1. */
  readonly roles: number;
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
    /** Blocks that an epoch has at least before another set may decide. */
    readonly epochBlocksMin: number;
    readonly timers: GenesisTimers;
    readonly governance: GenesisGovernance;
  };
  /** Unix seconds. */
  readonly timestamp: number;
  readonly members: readonly GenesisMember[];
  readonly validators: readonly GenesisValidator[];
  readonly alloc: ReadonlyMap<Address, GenesisAccount>;
  readonly currencies: readonly GenesisCurrency[];
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

export const defaultGovernance: GenesisGovernance = {
  voteSeconds: 604_800,
  delaySeconds: 0,
  unbondingSeconds: 1_209_600,
  slashBps: 1_000,
};

/** 10^18 wei of stake are one vote. */
const weiPerStake = 10n ** 18n;
const ROLE_VALIDATOR = 1;
const rolesMax = 1_023n;
const secondsMax = 253_402_300_799;
/** Ten years: longer is a slip of the pen. */
const spanSecondsMax = 315_360_000n;

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
  const { config, timestamp, members, validators, alloc, currencies } = genesis;
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
    alloc: allocToJson(alloc),
    // Older networks keep their ids.
    ...(currencies.length === 0 ? {} : { currencies: currenciesToJson(currencies) }),
  };
}

/** What is legal and still worth a second thought. */
export function genesisWarnings({ config, validators, members }: Genesis): string[] {
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
  const first = new Map<Address, string>();
  for (const { id, admin } of members) {
    if (!validators.some(({ memberId }) => memberId === id)) {
      warnings.push(`member ${id} has no validator`);
    }
    const other = first.get(admin) ?? id;
    first.set(admin, other);
    if (other !== id) {
      warnings.push(`members ${other} and ${id} have one admin: it votes for ${other} only`);
    }
  }
  const { evmLaneGasLimit, timers } = config;
  const worstMs = (Number(evmLaneGasLimit) / 1e6) * evmWorstMsPerMillionGas;
  if (worstMs > timers.advanceMs / 4) {
    const most = Math.floor((timers.advanceMs / 4 / evmWorstMsPerMillionGas) * 1e6);
    warnings.push(`contracts may hold up a view: evmLaneGasLimit should be at most ${most}`);
  }
  return warnings;
}

// --- reading -------------------------------------------------------------------------------------

function readGenesis(json: Json): Genesis {
  const needed = ['config', 'timestamp', 'members', 'validators', 'alloc'];
  const root = fields(json, '$', needed, ['currencies']);
  const names = list(root, 'members', '$', 1, genesisMembersMax).map((item, at) => {
    const path = `$.members[${at}]`;
    const member = fields(item, path, ['id', 'name'], ['admin', 'roles']);
    return { member, path, id: name(member, 'id', path), name: name(member, 'name', path) };
  });
  unique(names, ({ id }) => id, '$.members', 'id');
  const validators = list(root, 'validators', '$', 1, validatorsMax).map((item, at) =>
    readValidator(item, `$.validators[${at}]`, names),
  );
  unique(validators, ({ consensusKey }) => toHex(consensusKey), '$.validators', 'consensusKey');
  unique(validators, ({ peerId }) => peerId, '$.validators', 'peerId');
  const total = validators.reduce((sum, { stake }) => sum + stake, 0n);
  if (total >= 1n << 63n) throw new Stop('$.validators', 'the stakes add up to 2^63 or more');
  const members = names.map((item) => readMember(item, validators));
  return {
    config: readConfig(need(root, 'config', '$')),
    timestamp: Number(integer(root, 'timestamp', '$', 0n, BigInt(secondsMax))),
    members,
    validators,
    alloc: readAlloc(need(root, 'alloc', '$'), total * weiPerStake),
    currencies: readCurrencies(root.get('currencies'), members, validators),
  };
}

/** Who speaks for a member: the operator of its first validator, unless it names somebody else. */
function readMember(
  item: { member: JsonObject; path: string; id: string; name: string },
  validators: readonly GenesisValidator[],
): GenesisMember {
  const { member, path, id } = item;
  const validator = validators.find(({ memberId }) => memberId === id);
  const admin = member.has('admin') ? address(member, 'admin', path) : validator?.operator;
  if (admin === undefined) {
    throw new Stop(`${path}.admin`, 'is missing: the member has no validator to take it from');
  }
  const byDefault = validator === undefined ? 0 : ROLE_VALIDATOR;
  const roles = member.has('roles')
    ? Number(integer(member, 'roles', path, 0n, rolesMax))
    : byDefault;
  return { id, name: item.name, admin, roles };
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
    'epochBlocksMin',
    'timers',
    'governance',
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
    evmLaneGasLimit: asGas(number('evmLaneGasLimit', 1_000_000n, 21_000n, gasMax)),
    paymentLaneBytesMax: Number(number('paymentLaneBytesMax', 1_500_000n, 1_024n, bytesMax)),
    heartbeatMs,
    epochBlocksMin: Number(number('epochBlocksMin', 10n, 1n, 1_000_000n)),
    timers,
    governance: readGovernance(config.get('governance') ?? new Map()),
  };
}

function readGovernance(json: Json): GenesisGovernance {
  const path = '$.config.governance';
  const names = Object.keys(defaultGovernance) as (keyof GenesisGovernance)[];
  const given = fields(json, path, [], names);
  const number = (key: keyof GenesisGovernance, min: bigint, max: bigint) =>
    given.has(key) ? Number(integer(given, key, path, min, max)) : defaultGovernance[key];
  return {
    voteSeconds: number('voteSeconds', 1n, spanSecondsMax),
    delaySeconds: number('delaySeconds', 0n, spanSecondsMax),
    unbondingSeconds: number('unbondingSeconds', 0n, spanSecondsMax),
    slashBps: number('slashBps', 0n, 10_000n),
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
  if (!isSoundEd25519Key(consensusKey)) {
    throw new Stop(`${path}.consensusKey`, 'is not a sound Ed25519 key');
  }
  const peerId = text(item, 'peerId', path);
  if (!isPeerId(peerId)) {
    throw new Stop(`${path}.peerId`, 'should be an Ed25519 peer id (12D3KooW…)');
  }
  const addresses = list(item, 'addresses', path, 1, dialAddressesMax).map((value, at) => {
    if (typeof value !== 'string' || !isDialable(value)) {
      throw new Stop(`${path}.addresses[${at}]`, 'should be like /ip4/192.0.2.1/tcp/30303');
    }
    return value;
  });
  if (formatIngress({ peerId, addresses }).length > ingressBytesMax) {
    throw new Stop(
      `${path}.addresses`,
      `are longer than ${ingressBytesMax} bytes with the peer id`,
    );
  }
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

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    const texts = entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`);
    return `{${texts.join(',')}}`;
  }
  return JSON.stringify(value);
}
