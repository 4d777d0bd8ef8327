import fc from 'fast-check';
import { uintToBytes } from '#src/lib/bytes.ts';
import { addressFromBytes } from '#src/types/address.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import type { AccessListEntry, Authorization, TransactionFields } from '#src/types/transaction.ts';
import { asEpoch, asGas, asHeight, asView, asWei } from '#src/types/units.ts';

/** Arbitrary nouns for property tests. */
export const chainId = 4242n;

/** Records like those that the code makes, so that deep equality holds. */
const plain = { noNullPrototype: true } as const;

const uint = (bits: number) =>
  fc.nat(bits).chain((size) => fc.bigInt({ min: 0n, max: (1n << BigInt(size)) - 1n }));

export const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
export const anyAddress = bytesOf(20).map(addressFromBytes);
export const anyHash = bytesOf(32).map(hashFromBytes);
export const anyPrivateKey = fc
  .bigInt({ min: 1n, max: 1n << 250n })
  .map((secret) => uintToBytes(secret, 32));

const anyEntry: fc.Arbitrary<AccessListEntry> = fc.record(
  {
    address: anyAddress,
    storageKeys: fc.array(anyHash, { maxLength: 3 }),
  },
  plain,
);

const anyAuthorization: fc.Arbitrary<Authorization> = fc.record(
  {
    chainId: fc.constantFrom(0n, chainId),
    address: anyAddress,
    nonce: fc.nat().map(BigInt),
    yParity: fc.nat(1),
    r: uint(256),
    s: uint(256),
  },
  plain,
);

export const anyFields: fc.Arbitrary<TransactionFields> = fc
  .record(
    {
      type: fc.constantFrom(0 as const, 1 as const, 2 as const, 4 as const),
      chainId: fc.constant(chainId),
      nonce: uint(63),
      cap: uint(190),
      tip: uint(190),
      gasLimit: uint(63).map(asGas),
      to: fc.option(anyAddress, { nil: null, freq: 5 }),
      value: uint(256).map(asWei),
      data: fc.uint8Array({ maxLength: 300 }),
      entries: fc.array(anyEntry, { maxLength: 3 }),
      authorizations: fc.array(anyAuthorization, { minLength: 1, maxLength: 3 }),
      payee: anyAddress,
    },
    plain,
  )
  .map(({ cap, tip, entries, authorizations, payee, ...rest }) => ({
    ...rest,
    to: rest.type === 4 ? payee : rest.to,
    authorizationList: rest.type === 4 ? authorizations : [],
    maxFeePerGas: asWei(cap > tip ? cap : tip),
    maxPriorityFeePerGas: asWei(rest.type < 2 || cap < tip ? (cap > tip ? cap : tip) : tip),
    accessList: rest.type === 0 ? [] : entries,
  }));

export const anyHeader: fc.Arbitrary<Header> = fc.record(
  {
    parentHash: anyHash,
    coinbase: anyAddress,
    stateRoot: anyHash,
    transactionsRoot: anyHash,
    receiptsRoot: anyHash,
    logsBloom: bytesOf(256),
    height: uint(60).map(asHeight),
    gasLimit: uint(60).map(asGas),
    gasUsed: uint(60).map(asGas),
    prevRandao: anyHash,
    baseFeePerGas: uint(90).map(asWei),
    consensus: fc.record(
      {
        networkId: anyHash,
        epoch: fc.nat().map(asEpoch),
        view: fc.maxSafeNat().map(asView),
        parentView: fc.maxSafeNat().map(asView),
        proposerIndex: fc.nat(127),
        timestampMs: fc.maxSafeNat(),
        epochEnd: fc.boolean(),
        validatorsHash: anyHash,
        nextValidatorsHash: anyHash,
        paramsHash: anyHash,
      },
      plain,
    ),
  },
  plain,
);
