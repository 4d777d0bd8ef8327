/**
 * TokenFactory, 0x4d5042…0010 (payments.md 2.3): members with the role ISSUER make tokens. A token's
 * address shows its currency, and can be known before.
 */
import { parseAbi } from 'abitype';
import { keccak256 } from '#src/crypto/keccak.ts';
import { concatBytes, type Hex, hexBytes, toHex, utf8 } from '#src/lib/bytes.ts';
import { type Address, isReservedAddress, tokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { isCurrency, isTokenName, isTokenSymbol, tokenAmountMax } from '#src/types/currency.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import type { StateWriter } from '../../state/reader.ts';
import { TOKEN_FACTORY } from '../addresses.ts';
import { commonErrors, defineContract, errorsOf, eventsOf, long } from '../contract.ts';
import { isOperatorOf, ROLE } from '../memberStore.ts';
import { valuesOf } from '../storage.ts';
import { chainIdIn, factory } from './factoryStore.ts';
import { grantAll } from './issuing.ts';
import { ALLOW_ALL } from './policyStore.ts';
import { domainSeparator } from './signatures.ts';
import { isToken, tokenAt } from './tokenStore.ts';

const abi = parseAbi([
  long(
    'function createToken(string name, string symbol, string currency, bytes32 issuerMemberId,',
    'address admin, bytes32 salt) returns (address token)',
  ),
  long(
    'function getTokenAddress(string currency, bytes32 issuerMemberId, bytes32 salt) view',
    'returns (address token)',
  ),
  'function isToken(address token) view returns (bool)',
  'function tokensByCurrency(string currency) view returns (address[] tokens)',
  'function currencies() view returns (string[] currencies)',
  long(
    'event TokenCreated(address indexed token, bytes32 indexed issuerMemberId, string name,',
    'string symbol, string currency, address admin, bytes32 salt)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidName(string name)',
  'error InvalidSymbol(string symbol)',
  'error InvalidCurrency(string currency)',
  'error InvalidAccount(address account)',
  'error TokenExists(address token)',
  'error TooManyTokens(string currency, uint256 limit)',
  ...commonErrors,
]);

const fail = errorsOf(abi);
const log = eventsOf(TOKEN_FACTORY, abi);

/** Of one currency: all are told in one answer. */
const tokensMax = 256;

export const tokenFactory = defineContract({
  name: 'TokenFactory',
  address: TOKEN_FACTORY,
  abi,
  functions: {
    createToken: {
      gas: 60_000n,
      run: (call, name, symbol, currency, issuerMemberId, admin, salt) => {
        const { state, sender } = call;
        const isIssuer = isOperatorOf(state, sender, issuerMemberId, ROLE.issuer);
        if (!isIssuer) throw fail('NotAuthorized', sender);
        if (!isTokenName(name)) throw fail('InvalidName', name);
        if (!isTokenSymbol(symbol)) throw fail('InvalidSymbol', symbol);
        if (!isCurrency(currency)) throw fail('InvalidCurrency', currency);
        if (admin === ZERO_ADDRESS || isReservedAddress(admin)) throw fail('InvalidAccount', admin);
        const token = addressOf(currency, issuerMemberId, salt);
        if (isToken(state, token)) throw fail('TokenExists', token);
        const others = factory.byCurrency(keyOf(currency)).length(state);
        if (others >= tokensMax) throw fail('TooManyTokens', currency, BigInt(tokensMax));
        makeToken(state, token, { name, symbol, currency, issuerMemberId, admin });
        call.found(token);
        const texts = [name, symbol, currency] as const;
        call.emit(log('TokenCreated', token, issuerMemberId, ...texts, admin, salt));
        return token;
      },
    },
    getTokenAddress: {
      gas: 5_000n,
      run: (_, currency, issuerMemberId, salt) => {
        if (!isCurrency(currency)) throw fail('InvalidCurrency', currency);
        return addressOf(currency, issuerMemberId, salt);
      },
    },
    isToken: { gas: 5_000n, run: ({ state }, token) => isToken(state, token) },
    tokensByCurrency: {
      gas: 5_000n,
      run: ({ state }, currency) =>
        isCurrency(currency) ? valuesOf(factory.byCurrency(keyOf(currency)), state) : [],
    },
    currencies: {
      gas: 5_000n,
      run: ({ state }) => valuesOf(factory.currencies, state).map(currencyOf),
    },
  },
});

export type NewToken = {
  readonly name: string;
  readonly symbol: string;
  readonly currency: string;
  readonly issuerMemberId: Hash;
  readonly admin: Address;
};

/** Genesis and `createToken` make tokens in one way. */
export function makeToken(state: StateWriter, address: Address, wanted: NewToken): void {
  const { name, symbol, currency, issuerMemberId, admin } = wanted;
  const token = tokenAt(address);
  const stood = { paused: false, pausedSince: 0n, pausedSeconds: 0n };
  const rules = { transferPolicyId: ALLOW_ALL, hasOrderLimits: false, hasThreshold: false };
  token.head.set(state, { exists: true, ...stood, ...rules });
  token.limits.set(state, { supplyCap: tokenAmountMax });
  token.name.set(state, name);
  token.symbol.set(state, symbol);
  token.currency.set(state, currency);
  token.issuerMemberId.set(state, issuerMemberId);
  token.domainSeparator.set(state, domainSeparator(name, chainIdIn(state), address));
  grantAll(state, address, admin);
  const others = factory.byCurrency(keyOf(currency));
  if (others.length(state) === 0) factory.currencies.push(state).set(state, keyOf(currency));
  others.push(state).set(state, address);
}

/** By currency, issuer and salt: 40 bits of their hash behind the letters. */
export function addressOf(currency: string, issuerMemberId: Hash, salt: Hash): Address {
  const hash = keccak256(
    concatBytes(utf8(currency), hashToBytes(issuerMemberId), hashToBytes(salt)),
  );
  return tokenAddress(currency, hash.subarray(0, 5));
}

function keyOf(currency: string) {
  return toHex(utf8(currency));
}

function currencyOf(key: Hex): string {
  return Buffer.from(hexBytes(key)).toString('latin1');
}
