/** What money moved, and what for, as the logs of one call tell it. */
import { FEE_MANAGER, PAYMENT_ORDERS, PAYOUTS } from '#src/ledger/payments/addresses.ts';
import { ITEM_ERRORS } from '#src/ledger/payments/payouts.ts';
import { tokenAt } from '#src/ledger/payments/tokens/tokenStore.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { bytesToUint, utf8 } from '#src/lib/bytes.ts';
import { type Address, isTokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import { ZERO_HASH } from '#src/types/vote.ts';

/** `hold` and `release`: in the payer's own account. */
export type MovementKind =
  | 'payment'
  | 'fee'
  | 'refund'
  | 'mint'
  | 'burn'
  | 'hold'
  | 'release'
  | 'networkFee';

export type Movement = {
  readonly kind: MovementKind;
  /** Null: the coin. */
  readonly token: Address | null;
  readonly from: Address;
  /** Null: whoever makes the block. */
  readonly to: Address | null;
  readonly amount: bigint;
  /** What a fee is for, as the merchant's schedule names it. */
  readonly feeKind: Hash | null;
  readonly orderId: Hash | null;
};

export type RefusedItem = {
  readonly item: bigint;
  readonly to: Address;
  readonly amount: bigint;
  /** Null: another than those of the list (docs/payments.md). */
  readonly error: string | null;
};

/** `before`: the state that the call began with, which knows what is held. */
export function movementsIn(logs: readonly Log[], before: StateReader): Movement[] {
  const movements: Movement[] = [];
  const tellLast = (change: Partial<Movement>) => {
    const last = movements.pop();
    if (last !== undefined) movements.push({ ...last, ...change });
  };
  for (const log of logs) {
    const { address, topics } = log;
    if (isTokenAddress(address)) movements.push(...ofToken(log, before));
    if (address !== PAYMENT_ORDERS) continue;
    // Orders tell of a movement after the token did.
    const [event, orderId = ZERO_HASH, , feeKind = ZERO_HASH] = topics;
    if (event === CAPTURED) tellLast({ orderId });
    if (event === FEE_PAID || event === FEE_PARKED) tellLast({ kind: 'fee', feeKind, orderId });
    if (event === REFUNDED) tellLast({ kind: 'refund', orderId });
  }
  return movements;
}

/** Items of a payout that the others do not wait for. */
export function refusedItemsIn(logs: readonly Log[]): RefusedItem[] {
  return logs.flatMap(({ address, topics, data }) => {
    const [event, , item = '0x0', to = ''] = topics;
    if (address !== PAYOUTS || event !== BATCH_ITEM || wordAt(data, 2) === 1n) return [];
    const error = ERROR_NAMES.get(wordAt(data, 3)) ?? null;
    return [{ item: BigInt(item), to: addressIn(to), amount: wordAt(data, 0), error }];
  });
}

const ERROR_NAMES = new Map([...ITEM_ERRORS].map(([name, code]) => [code, name]));

const topicOf = (signature: string) => keccakHash(utf8(signature));
const TRANSFER = topicOf('Transfer(address,address,uint256)');
const HOLD_CREATED = topicOf(
  'HoldCreated(address,bytes32,address,address,address,uint256,uint256)',
);
const HOLD_EXECUTED = topicOf('HoldExecuted(address,bytes32,address,uint256,uint256)');
const HOLD_RELEASED = topicOf('HoldReleased(address,bytes32,uint8)');
const CAPTURED = topicOf('OrderCaptured(bytes32,bytes32,address,uint256,uint256,uint256)');
const FEE_PAID = topicOf('FeePaid(bytes32,address,bytes32,uint256)');
const FEE_PARKED = topicOf('FeeParked(bytes32,address,bytes32,uint256)');
const REFUNDED = topicOf('OrderRefunded(bytes32,bytes32,address,bytes32,uint256,uint256)');
const BATCH_ITEM = topicOf('BatchItem(bytes32,uint32,address,uint256,bytes32,bool,uint16)');

function ofToken({ address: token, topics, data }: Log, before: StateReader): Movement[] {
  const [event, first = '', second = ZERO_HASH] = topics;
  const none = { token, feeKind: null, orderId: null };
  if (event === TRANSFER) {
    const [from, to] = [addressIn(first), addressIn(second)];
    return [{ ...none, kind: kindOf(from, to), from, to, amount: bytesToUint(data) }];
  }
  const orderId = addressIn(first) === PAYMENT_ORDERS ? second : null;
  if (event === HOLD_CREATED) {
    const [from, to] = [addressAt(data, 0), addressAt(data, 1)];
    return [{ ...none, kind: 'hold', from, to, amount: wordAt(data, 2), orderId }];
  }
  if (event !== HOLD_EXECUTED && event !== HOLD_RELEASED) return [];
  const { holds, orderHolds } = tokenAt(token);
  const hold = orderId === null ? holds(second) : orderHolds(second);
  const { from } = hold.head.get(before);
  const { to, value } = hold.aim.get(before);
  const amount = event === HOLD_RELEASED ? value : value - wordAt(data, 1);
  return amount > 0n ? [{ ...none, kind: 'release', from, to, amount, orderId }] : [];
}

/** FeeManager takes the fees of transactions, and no payment. */
function kindOf(from: Address, to: Address): MovementKind {
  if (to === FEE_MANAGER) return 'networkFee';
  if (from === ZERO_ADDRESS) return 'mint';
  return to === ZERO_ADDRESS ? 'burn' : 'payment';
}

function wordAt(data: Uint8Array, index: number): bigint {
  return bytesToUint(data.subarray(32 * index, 32 * index + 32));
}

function addressAt(data: Uint8Array, index: number): Address {
  return addressIn(`0x${wordAt(data, index).toString(16).padStart(64, '0')}`);
}

function addressIn(topic: string): Address {
  return `0x${topic.slice(26)}` as Address;
}
