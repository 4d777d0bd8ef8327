/**
 * Who asks, and how much they may ask for. A caller shows a key (`Authorization: Bearer`,
 * `X-Api-Key`, or `/key/<key>` for clients that know nothing but a URL) or a token (HS256), or is
 * nobody and counted by address. Keys are known by their SHA-256 only; they change while the
 * server runs.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { RecentlyUsed } from '#src/lib/recentlyUsed.ts';
import { callerAddress, limitedAs } from './callerAddress.ts';
import { checkToken } from './jwt.ts';
import { Meter, type Quota } from './quota.ts';

export type AccessKey = {
  readonly name: string;
  /** SHA-256 of the key, in hex. */
  readonly sha256: string;
  /** An operator's key opens the operator's surface as well. */
  readonly role: 'user' | 'operator';
  /** Only these, where a name that ends with `*` is a beginning; null: all of the surface. */
  readonly methods: readonly string[] | null;
  /** Null: as every key. */
  readonly unitsPerSecond: number | null;
};

export type AccessRules = {
  readonly surface: 'public' | 'operator';
  /** Whether callers without a key are answered. */
  readonly anonymous: boolean;
  /** Whether the public surface has the operators' methods for everybody: a developer's node. */
  readonly debug: boolean;
  readonly anonymousQuota: Quota;
  readonly keyQuota: Quota;
  /** Addresses that are not counted. */
  readonly unlimited: ReadonlySet<string>;
  readonly proxies: ReadonlySet<string>;
};

/** What is secret, and may be changed while the server runs. */
export type Secrets = {
  readonly keys: readonly AccessKey[];
  readonly jwtSecret: Uint8Array | null;
};

export type AccessClock = { now(): number; wall(): number };

export type Caller = {
  /** For logs: a name, or an address. */
  readonly name: string;
  readonly meter: Meter | null;
  /** Or a token, or nobody counts it: not one of those whom anybody can be. */
  readonly hasKey: boolean;
  /** What it was let in for is no longer valid. */
  readonly isRevoked: boolean;
  allows(method: string): boolean;
};

/** An answer in HTTP's terms. */
export type AccessRefusal = {
  readonly status: 401 | 429;
  readonly reason: string;
  readonly retryAfterSeconds: number | null;
};

/** What only operators have, unless a key names it. */
const OPERATORS = /^debug_/;

/** Different callers that are remembered; who is forgotten begins with a full quota. */
const callersMax = 65_536;
const failuresMax = 5;
const failuresWindowMs = 60_000;

const PATH_KEY = /^\/key\/([\w.-]{1,128})$/;
const BEARER = /^bearer ([\w.~+/=-]+)$/i;

/** The key in a path; null where it is no such path. */
export function keyInPath(path: string): string | null {
  return path === '/' ? null : (PATH_KEY.exec(path)?.[1] ?? null);
}

export class Access {
  readonly #rules: AccessRules;
  readonly #clock: AccessClock;
  readonly #onFailure: (address: string, failures: number) => void;
  readonly #uncounted: Caller = {
    ...{ name: 'own', meter: null, hasKey: true, isRevoked: false },
    allows: (method) => this.offers(method),
  };
  #keys = new Map<string, KeyCaller>();
  #jwtSecret: Uint8Array | null = null;
  readonly #others = new RecentlyUsed<string, Caller>(callersMax);
  readonly #failures = new RecentlyUsed<string, { count: number; until: number }>(callersMax);

  constructor(
    rules: AccessRules,
    secrets: Secrets,
    clock: AccessClock,
    /** `failures`: of this address within a minute, this one with them. */
    onFailure: (address: string, failures: number) => void,
  ) {
    this.#rules = rules;
    this.#clock = clock;
    this.#onFailure = onFailure;
    this.renew(secrets);
  }

  /** A key that is gone, or is not what it was, is revoked at once, also where it is in use. */
  renew({ keys, jwtSecret }: Secrets): void {
    const before = this.#keys;
    this.#keys = new Map();
    for (const key of keys) {
      if (this.#rules.surface === 'operator' && key.role !== 'operator') continue;
      const known = before.get(key.sha256);
      const isSame = known !== undefined && JSON.stringify(known.key) === JSON.stringify(key);
      this.#keys.set(key.sha256, isSame ? known : this.#callerOf(key));
    }
    for (const [sha256, caller] of before) {
      if (this.#keys.get(sha256) !== caller) caller.isRevoked = true;
    }
    this.#jwtSecret = jwtSecret;
  }

  judge(request: IncomingMessage, path: string): Caller | AccessRefusal {
    const address = callerAddress(request, this.#rules.proxies);
    const shown = credentialOf(request, path);
    if (shown === null) {
      if (this.#isOpen) return this.#nobody(address);
      return { status: 401, reason: 'a key is needed', retryAfterSeconds: null };
    }
    return this.#known(shown) ?? this.#fail(limitedAs(address));
  }

  /** Whether a caller has it without a key that names it, or is an operator's. */
  offers(method: string): boolean {
    const { surface, debug } = this.#rules;
    return surface === 'operator' || debug || !OPERATORS.test(method);
  }

  /** The operator's surface asks for a key as soon as there is one. */
  get #isOpen(): boolean {
    const { anonymous, surface } = this.#rules;
    return anonymous && (surface === 'public' || (this.#keys.size === 0 && !this.#jwtSecret));
  }

  #known(shown: string): Caller | null {
    if (this.#jwtSecret !== null && shown.includes('.')) {
      const seconds = Math.floor(this.#clock.wall() / 1_000);
      const subject = checkToken(shown, this.#jwtSecret, seconds);
      return subject.ok ? this.#counted(`jwt ${subject.value}`, true) : null;
    }
    // What is looked up is the hash: how long that takes says nothing about a key.
    return this.#keys.get(createHash('sha256').update(shown).digest('hex')) ?? null;
  }

  #nobody(address: string): Caller {
    if (this.#rules.unlimited.has(address)) return this.#uncounted;
    return this.#counted(limitedAs(address), false);
  }

  #counted(name: string, hasKey: boolean): Caller {
    const known = this.#others.get(name);
    if (known !== undefined) return known;
    const { keyQuota, anonymousQuota } = this.#rules;
    const meter = new Meter(hasKey ? keyQuota : anonymousQuota, this.#clock.now);
    const allows = (method: string) => this.offers(method);
    const caller: Caller = { name, meter, hasKey, isRevoked: false, allows };
    this.#others.set(name, caller);
    return caller;
  }

  #callerOf(key: AccessKey): KeyCaller {
    const { unitsPerSecond } = key;
    const quota = unitsPerSecond === null ? this.#rules.keyQuota : { unitsPerSecond };
    return new KeyCaller(key, new Meter(quota, this.#clock.now), (method) => this.offers(method));
  }

  #fail(address: string): AccessRefusal {
    const now = this.#clock.now();
    const before = this.#failures.get(address);
    const isNew = before === undefined || before.until <= now;
    const failures = isNew ? { count: 0, until: now + failuresWindowMs } : before;
    failures.count++;
    this.#failures.set(address, failures);
    this.#onFailure(address, failures.count);
    if (failures.count <= failuresMax) {
      return { status: 401, reason: 'this key is not known', retryAfterSeconds: null };
    }
    const retryAfterSeconds = Math.ceil((failures.until - now) / 1_000);
    return { status: 429, reason: 'too many unknown keys', retryAfterSeconds };
  }
}

class KeyCaller implements Caller {
  readonly key: AccessKey;
  readonly meter: Meter;
  readonly hasKey = true;
  isRevoked = false;
  readonly #names: ReadonlySet<string> | null;
  readonly #beginnings: readonly string[];
  readonly #offers: (method: string) => boolean;

  constructor(key: AccessKey, meter: Meter, offers: (method: string) => boolean) {
    this.key = key;
    this.#offers = offers;
    this.meter = meter;
    const { methods } = key;
    this.#names = methods === null ? null : new Set(methods);
    const families = methods?.filter((method) => method.endsWith('*')) ?? [];
    this.#beginnings = families.map((method) => method.slice(0, -1));
  }

  get name(): string {
    return `key ${this.key.name}`;
  }

  allows(method: string): boolean {
    if (this.#names === null) return this.key.role === 'operator' || this.#offers(method);
    if (this.#names.has(method)) return true;
    return this.#beginnings.some((beginning) => method.startsWith(beginning));
  }
}

/** Null where nothing is shown; a scheme that we do not have is a key that nobody knows. */
function credentialOf({ headers }: IncomingMessage, path: string): string | null {
  const { authorization, 'x-api-key': key } = headers;
  if (authorization !== undefined) return BEARER.exec(authorization)?.[1] ?? '';
  if (typeof key === 'string') return key;
  return keyInPath(path);
}
