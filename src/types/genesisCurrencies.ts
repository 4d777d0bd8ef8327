/** Currencies at block 0: each a token of one member's, and who has how much of it. */
import type { Json, JsonObject } from '#src/lib/strictJson.ts';
import {
  type Address,
  isReservedAddress,
  isVirtualAddress,
  parseAddress,
  ZERO_ADDRESS,
} from './address.ts';
import { feeRateMax, isCurrency, isTokenName, isTokenSymbol, tokenAmountMax } from './currency.ts';
import { address, fields, integer, Stop, text, unique } from './genesisFields.ts';
import { genesisAllocMax, genesisCurrenciesMax } from './limits.ts';

export type GenesisCurrency = {
  /** ISO 4217. */
  readonly currency: string;
  readonly name: string;
  readonly symbol: string;
  /** The id of a member with the role ISSUER. */
  readonly issuer: string;
  /** Has every role of the token, and gives them away. */
  readonly admin: Address;
  /**
   * What a unit of gas costs in it, in base units times 10^18 (FeeManager); zero where fees are not
   * paid in it.
   */
  readonly tokenPerGasE18: bigint;
  /** In base units, millionths. */
  readonly alloc: ReadonlyMap<Address, bigint>;
};

/** payments.md 2.1, rule 11. */
const ROLE_ISSUER = 4;
/** Access, channel, connection: whoever passes payments on holds no money of theirs (1.5, R3). */
const CONDUIT_ROLES = 8 | 16 | 32;

type Members = readonly { readonly id: string; readonly admin: Address; readonly roles: number }[];
type Validators = readonly { readonly memberId: string; readonly operator: Address }[];

export function readCurrencies(
  json: Json | undefined,
  members: Members,
  validators: Validators,
): GenesisCurrency[] {
  if (json === undefined) return [];
  if (!Array.isArray(json) || json.length > genesisCurrenciesMax) {
    throw new Stop('$.currencies', `should be a list of at most ${genesisCurrenciesMax}`);
  }
  const conduits = conduitsOf(members, validators);
  const currencies = json.map((item: Json, at) =>
    readCurrency(item, `$.currencies[${at}]`, members, conduits),
  );
  const key = ({ currency, issuer }: GenesisCurrency) => `${currency} ${issuer}`;
  unique(currencies, key, '$.currencies', 'currency');
  return currencies;
}

function conduitsOf(members: Members, validators: Validators): ReadonlySet<Address> {
  const accounts = members
    .filter(({ roles }) => (roles & CONDUIT_ROLES) !== 0)
    .flatMap(({ id, admin }) => [
      admin,
      ...validators.filter(({ memberId }) => memberId === id).map(({ operator }) => operator),
    ]);
  return new Set(accounts);
}

function readCurrency(
  json: Json,
  path: string,
  members: Members,
  conduits: ReadonlySet<Address>,
): GenesisCurrency {
  const optional = ['admin', 'tokenPerGasE18', 'alloc'];
  const item = fields(json, path, ['currency', 'name', 'symbol', 'issuer'], optional);
  const shaped = (key: string, isSound: (value: string) => boolean, want: string) => {
    const value = text(item, key, path);
    if (!isSound(value)) throw new Stop(`${path}.${key}`, want);
    return value;
  };
  const issuer = text(item, 'issuer', path);
  const member = members.find(({ id }) => id === issuer);
  if (member === undefined) throw new Stop(`${path}.issuer`, 'is not among the members');
  if ((member.roles & ROLE_ISSUER) === 0) {
    throw new Stop(`${path}.issuer`, `has not the role ${ROLE_ISSUER} (issuer)`);
  }
  return {
    currency: shaped('currency', isCurrency, 'should be three capital letters'),
    name: shaped('name', isTokenName, 'should be 1 to 64 plain characters'),
    symbol: shaped('symbol', isTokenSymbol, 'should be 1 to 16 letters and digits'),
    issuer,
    admin: item.has('admin') ? address(item, 'admin', path) : member.admin,
    tokenPerGasE18: item.has('tokenPerGasE18')
      ? integer(item, 'tokenPerGasE18', path, 0n, feeRateMax)
      : 0n,
    alloc: readBalances(item.get('alloc') ?? new Map(), `${path}.alloc`, conduits),
  };
}

function readBalances(
  json: Json,
  path: string,
  conduits: ReadonlySet<Address>,
): ReadonlyMap<Address, bigint> {
  if (!(json instanceof Map)) throw new Stop(path, 'should be an object');
  if (json.size > genesisAllocMax) throw new Stop(path, `more than ${genesisAllocMax} accounts`);
  const balances = new Map<Address, bigint>();
  let sum = 0n;
  for (const key of (json as JsonObject).keys()) {
    const at = `${path}["${key.slice(0, 64)}"]`;
    const parsed = parseAddress(key);
    if (!parsed.ok) throw new Stop(at, 'is not an address, or its checksum is wrong');
    const account = parsed.value;
    if (isReservedAddress(account) || account === ZERO_ADDRESS) throw new Stop(at, 'is reserved');
    if (isVirtualAddress(account)) throw new Stop(at, 'is virtual: nobody has its key');
    if (conduits.has(account)) {
      throw new Stop(at, 'belongs to a member that passes payments on: it holds no money (R3)');
    }
    if (balances.has(account)) throw new Stop(at, 'stands twice, in another spelling');
    const amount = integer(json as JsonObject, key, path, 0n, tokenAmountMax);
    sum += amount;
    if (sum > tokenAmountMax) throw new Stop(at, 'the balances add up to 2^96 or more');
    balances.set(account, amount);
  }
  return new Map([...balances].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function currenciesToJson(currencies: readonly GenesisCurrency[]) {
  return currencies.map(({ alloc, tokenPerGasE18, ...rest }) => ({
    ...rest,
    ...(tokenPerGasE18 === 0n ? {} : { tokenPerGasE18: `${tokenPerGasE18}` }),
    alloc: Object.fromEntries([...alloc].map(([account, amount]) => [account, `${amount}`])),
  }));
}
