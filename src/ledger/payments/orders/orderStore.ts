/**
 * What PaymentOrders keeps: the terms as the merchant signed them, and what became of them.
 *
 * Storage: 0 domainSeparator, 1 orders, 2 byRef, 3 parked, 4 escrowed.
 */
import type { Address } from '#src/types/address.ts';
import { tokenAmountBits } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader, StateWriter } from '../../state/reader.ts';
import { PAYMENT_ORDERS } from '../addresses.ts';
import { address, bool, bytes32, mapping, packed, storage, struct, uint } from '../storage.ts';
import { digest, structHash, typeHash } from '../tokens/signatures.ts';
import { TOKEN_CHANNEL } from './channelStore.ts';

/** payments.md 1.2. */
export const STATE = {
  ...{ requested: 1n, routed: 2n, authorized: 3n, inProcess: 4n, settled: 5n },
  ...{ failed: 6n, cancelled: 7n, rejected: 8n, expired: 9n, inDoubt: 10n },
} as const;

/** payments.md 2.1, rule 11. */
export const CAPTURE = { charge: 0n, authorize: 1n } as const;

const amount = uint(tokenAmountBits);
const time = uint(48);

export const orders = storage(PAYMENT_ORDERS, {
  /** EIP-712, written with the genesis. */
  domainSeparator: bytes32,
  orders: mapping(
    bytes32,
    struct({
      head: packed({
        ...{ state: uint(8), captureMode: uint(8), maxFeeBps: uint(16) },
        ...{ createdAt: time, stateAt: time },
        /** Of `feeLists`, as it was when the order was made. */
        fees: uint(64),
        /** Routed to a rail outside, which is `routedTo`; else tokens of the ledger settle it. */
        isExternal: bool,
      }),
      times: packed({
        ...{ payBy: time, captureBy: time, refundBy: time },
        /** Seconds for which the token had stood still before. */
        pausedBefore: uint(64),
      }),
      wanted: packed({ payer: address, amount }),
      paid: packed({ payer: address, captured: amount }),
      money: packed({ token: address, refunded: amount }),
      settlement: packed({ account: address, authorized: amount }),
      merchantId: bytes32,
      orderRef: bytes32,
      /** As it was signed; zero leaves it to the acquirer. */
      channelId: bytes32,
      accessMemberId: bytes32,
      metadataHash: bytes32,
      salt: uint(256),
      routedTo: bytes32,
    }),
  ),
  byRef: mapping(bytes32, mapping(bytes32, bytes32)),
  /** Fees that their receivers could not get, by order. */
  parked: mapping(bytes32, mapping(address, amount)),
  /** Held for open orders, by token. */
  escrowed: mapping(address, uint(256)),
});

export type OrderTerms = {
  readonly merchantId: Hash;
  readonly orderRef: Hash;
  readonly token: Address;
  readonly amount: bigint;
  /** Zero: whoever pays. */
  readonly payer: Address;
  readonly channelId: Hash;
  readonly captureMode: bigint;
  readonly payBy: bigint;
  readonly captureBy: bigint;
  readonly refundBy: bigint;
  readonly maxFeeBps: bigint;
  readonly metadataHash: Hash;
  readonly salt: bigint;
};

const TERMS = typeHash(
  'OrderTerms(bytes32 merchantId,bytes32 orderRef,address token,uint256 amount,address payer,' +
    'bytes32 channelId,uint8 captureMode,uint48 payBy,uint48 captureBy,uint48 refundBy,' +
    'uint16 maxFeeBps,bytes32 metadataHash,uint256 salt)',
);

/** What the merchant signs (EIP-712), and the order's id: on this chain, for this contract. */
export function termsDigest(state: StateReader, terms: OrderTerms): Uint8Array {
  const { merchantId, orderRef, token, amount: value, payer, channelId } = terms;
  const { captureMode, payBy, captureBy, refundBy, maxFeeBps, metadataHash, salt } = terms;
  const who = [merchantId, orderRef, token, value, payer, channelId] as const;
  const when = [captureMode, payBy, captureBy, refundBy] as const;
  const hash = structHash(TERMS, ...who, ...when, maxFeeBps, metadataHash, salt);
  return digest(orders.domainSeparator.get(state), hash);
}

export function writeTerms(state: StateWriter, id: Hash, terms: OrderTerms): void {
  const record = orders.orders(id);
  record.wanted.set(state, { payer: terms.payer, amount: terms.amount });
  record.money.set(state, { token: terms.token, refunded: 0n });
  record.merchantId.set(state, terms.merchantId);
  record.orderRef.set(state, terms.orderRef);
  record.channelId.set(state, terms.channelId);
  if (terms.metadataHash !== ZERO_HASH) record.metadataHash.set(state, terms.metadataHash);
  record.salt.set(state, terms.salt);
}

export function readTerms(state: StateReader, id: Hash): OrderTerms {
  const record = orders.orders(id);
  const { payBy, captureBy, refundBy } = record.times.get(state);
  const { captureMode, maxFeeBps } = record.head.get(state);
  return {
    ...record.wanted.get(state),
    ...{ payBy, captureBy, refundBy, captureMode, maxFeeBps },
    token: record.money.get(state).token,
    merchantId: record.merchantId.get(state),
    orderRef: record.orderRef.get(state),
    channelId: record.channelId.get(state),
    metadataHash: record.metadataHash.get(state),
    salt: record.salt.get(state),
  };
}

/** The channel that settles it; zero where it is not routed. */
export function routeOf(state: StateReader, id: Hash): Hash {
  const { head, accessMemberId, routedTo } = orders.orders(id);
  if (head.get(state).isExternal) return routedTo.get(state);
  return accessMemberId.get(state) === ZERO_HASH ? ZERO_HASH : TOKEN_CHANNEL;
}

export type OrderRecord = ReturnType<typeof orders.orders>;
