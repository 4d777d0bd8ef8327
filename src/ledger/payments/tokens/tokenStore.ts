/**
 * What a PaymentToken keeps, and the one way in which its money moves. PaymentOrders and the other
 * contracts use these functions too, so that a movement is one `Transfer` wherever it began.
 *
 * Storage: 0 head, 1 supplies, 2 limits, 3 balances, 4 frozen, 5 allowances, 6 nonces,
 * 7 authorizations, 8 holds, 9 orderHolds, 10 roles, 11 name, 12 symbol, 13 currency,
 * 14 domainSeparator, 15 issuerMemberId, 16 reserve.
 */
import { type Address, canReceiveMoney, isTokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { tokenAmountBits } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import { recipientOf } from '../addressStore.ts';
import type { Call, View } from '../contract.ts';
import { isConduit } from '../memberStore.ts';
import {
  address,
  bool,
  bytes32,
  mapping,
  packed,
  storages,
  string,
  struct,
  uint,
} from '../storage.ts';
import { accountHolder, charge, count, DIRECTION, keep } from './limits.ts';
import { isAllowed, refusalOf } from './policyStore.ts';
import { fail, log } from './tokenAbi.ts';

const amount = uint(tokenAmountBits);

const holdKind = struct({
  head: packed({ from: address, status: uint(8), expiration: uint(48), heldAt: uint(40) }),
  aim: packed({ to: address, value: amount }),
  notary: address,
  issuer: address,
});

export const tokenAt = storages({
  head: packed({
    ...{ exists: bool, paused: bool, transferPolicyId: uint(64) },
    /** While it is paused; and seconds of pauses before: clocks of orders stand still meanwhile. */
    ...{ pausedSince: uint(48), pausedSeconds: uint(64) },
    /** Some merchant or member has a limit in it; large orders have to be attested. */
    ...{ hasOrderLimits: bool, hasThreshold: bool },
  }),
  supplies: packed({ total: amount, held: amount }),
  limits: packed({ supplyCap: amount }),
  /** `limits`: which PolicyRegistry has of this account in this token, bit by bit. */
  balances: mapping(
    address,
    packed({ available: amount, held: amount, isFrozen: bool, limits: uint(16) }),
  ),
  /** Asked only where an account's flag is set. */
  frozen: mapping(address, amount),
  allowances: mapping(address, mapping(address, uint(256))),
  nonces: mapping(address, uint(256)),
  /** Of ERC-3009, by authorizer and nonce: spent or cancelled. */
  authorizations: mapping(address, mapping(bytes32, bool)),
  holds: mapping(bytes32, holdKind),
  /** By order: nobody else can take an order's id for a hold of theirs. */
  orderHolds: mapping(bytes32, holdKind),
  roles: mapping(bytes32, mapping(address, bool)),
  name: string,
  symbol: string,
  currency: string,
  /** EIP-712, fixed when the token is made: the chain's id never changes. */
  domainSeparator: bytes32,
  issuerMemberId: bytes32,
  reserve: packed({ amount, asOf: uint(48) }),
});

export type Token = ReturnType<typeof tokenAt>;
export type Head = ReturnType<Token['head']['get']>;
type Balance = ReturnType<ReturnType<Token['balances']>['get']>;

/** The token that is called, which has been made. */
export function tokenOf({ state, self }: { state: StateReader; self: Address }) {
  const token = tokenAt(self);
  const head = token.head.get(state);
  if (!head.exists) throw fail('UnknownToken', self);
  return { token, head };
}

/** Seconds in which the token stood still, up to now. */
export function pausedSeconds({ paused, pausedSince, pausedSeconds: before }: Head, now: bigint) {
  return paused ? before + now - pausedSince : before;
}

/** Of a token that another contract of the system moves; refuses what is none. */
export function headOf(state: StateReader, account: Address): Head {
  const head = isTokenAddress(account) ? tokenAt(account).head.get(state) : null;
  if (head === null || !head.exists) throw fail('UnknownToken', account);
  return head;
}

/** Of a token that was made; refuses while it is paused. */
export function movingHead(state: StateReader, account: Address): Head {
  const head = tokenAt(account).head.get(state);
  if (head.paused) throw fail('EnforcedPause');
  return head;
}

/** Whoever deploys a contract chooses what stands in its storage: the address has to be a token's. */
export function isToken(state: StateReader, account: Address): boolean {
  return isTokenAddress(account) && tokenAt(account).head.get(state).exists;
}

export type Movement = {
  readonly token: Address;
  readonly from: Address;
  readonly to: Address;
  readonly amount: bigint;
  /** Whether the receiver can tell what it is for. */
  readonly hasMemo: boolean;
  /** A fee of an order's: the only money of others that whoever stands between them may get. */
  readonly isFee?: boolean;
  /** The virtual address that the payer named. */
  readonly via?: Address;
  /** In whose limits it counts, where that is not both. */
  readonly counts?: 'for receiver' | 'for nobody';
  /** By order: what is frozen moves, too. */
  readonly isForced?: boolean;
};

/** Money for a virtual address is its master's, who can tell by the address what it is for. */
export function resolved(state: StateReader, movement: Movement): Movement {
  const { to: via } = movement;
  const to = recipientOf(state, via);
  if (to === null) throw fail('VirtualAddressUnregistered', via);
  return to === via ? movement : { ...movement, to, via, hasMemo: true };
}

/** Whether it may move, in the order of the checks; balances aside. */
export function checkMovement(state: StateReader, head: Head, movement: Movement): void {
  checkSender(state, head, movement.from);
  checkReceiver(state, head, movement);
}

/** The half of it that is about the token and who sends: the same for all that it pays at once. */
export function checkSender(state: StateReader, head: Head, from: Address): void {
  const { paused, transferPolicyId } = head;
  if (paused) throw fail('EnforcedPause');
  if (!isAllowed(state, transferPolicyId, from, 'sender')) throw fail('ERC7943CannotSend', from);
}

/** The half of it that is about who receives: what is held was promised already. */
export function checkReceiver(state: StateReader, head: Head, movement: Movement): void {
  const { token, from, to, hasMemo, isFee = false } = movement;
  if (!canReceiveMoney(to)) throw fail('ERC20InvalidReceiver', to);
  if (!isFee && isConduit(state, to)) throw fail('ConduitNotCredited', to);
  const { transferPolicyId } = head;
  if (!isAllowed(state, transferPolicyId, to, 'recipient')) {
    throw fail('ERC7943CannotReceive', to);
  }
  const refusal = refusalOf(state, { token, from, to, hasMemo });
  if (refusal === 'memo') throw fail('MemoRequired', to);
  if (refusal === 'sender') throw fail('ReceiverRefusesSender', to, from);
  if (refusal === 'token') throw fail('ReceiverRefusesToken', to, token);
}

/** Whether the limits of both sides have room for it. What one pays to oneself does not count. */
export function needWithinLimits(view: Pick<View, 'state' | 'now'>, movement: Movement): void {
  const { token, from, to, amount: value, counts = 'for both' } = movement;
  if (from === to || counts === 'for nobody') return;
  const { balances } = tokenAt(token);
  const [payer, taker] = [balances(from).get(view.state), balances(to).get(view.state)];
  charge(view, accountHolder(token, to, taker.limits), DIRECTION.in, value);
  if (counts === 'for receiver') return;
  charge(view, accountHolder(token, from, payer.limits), DIRECTION.out, value);
}

/** One debit, one credit, one `Transfer`. What was checked before. */
export function move(call: Call, movement: Movement): void {
  const purse = new Purse(call, movement.token, movement.from);
  purse.pay(movement);
  purse.close();
}

/** Which address the payer named, after the `Transfer` to its master. */
export function tellVia(call: Call, { token, from, to, via, amount: value }: Movement): void {
  if (via !== undefined) call.emit(log(token, 'VirtualTransfer', from, via, to, value));
}

/** Money that arrives in an account, if it has room for it. */
export function credit(call: Call, movement: Movement): void {
  const { state } = call;
  const { token, from, to, amount: value, counts } = movement;
  const balance = tokenAt(token).balances(to);
  const taker = balance.get(state);
  if (taker.limits !== 0n && to !== from && counts !== 'for nobody') {
    count(call, accountHolder(token, to, taker.limits), DIRECTION.in, value);
  }
  // Below the supply, and so below what an amount can be.
  balance.set(state, { ...taker, available: taker.available + value });
}

/** What an order takes of its payer is one payment, however many receive it. */
export function countOut(call: Call, token: Address, from: Address, value: bigint): void {
  const { limits } = tokenAt(token).balances(from).get(call.state);
  if (limits !== 0n) count(call, accountHolder(token, from, limits), DIRECTION.out, value);
}

/**
 * The money of an account that pays one or many: its balance is read once, and written once by
 * `close`. In between nothing else may touch it.
 */
export class Purse {
  readonly #call: Call;
  readonly #token: Address;
  readonly #from: Address;
  readonly #balances: Token['balances'];
  readonly #before: Balance;
  readonly #frozen: bigint;
  #available: bigint;

  constructor(call: Call, token: Address, from: Address) {
    this.#call = call;
    this.#token = token;
    this.#from = from;
    this.#balances = tokenAt(token).balances;
    this.#before = this.#balances(from).get(call.state);
    const { available, isFrozen } = this.#before;
    this.#available = available;
    this.#frozen = isFrozen ? tokenAt(token).frozen(from).get(call.state) : 0n;
  }

  /** Changes nothing where there is not enough. */
  pay(movement: Movement): void {
    const { to, amount: value, counts, isForced = false } = movement;
    const [call, from] = [this.#call, this.#from];
    needFree(from, this.#available, isForced ? 0n : this.#frozen, value);
    if (to !== from) {
      const charges = counts === undefined ? this.#charge(value) : [];
      credit(call, movement);
      keep(call, charges);
      this.#available -= value;
    }
    call.emit(log(this.#token, 'Transfer', from, to, value));
    tellVia(call, movement);
  }

  #charge(value: bigint) {
    const { limits } = this.#before;
    if (limits === 0n) return [];
    return charge(this.#call, accountHolder(this.#token, this.#from, limits), DIRECTION.out, value);
  }

  close(): void {
    const available = this.#available;
    if (available === this.#before.available) return;
    this.#balances(this.#from).set(this.#call.state, { ...this.#before, available });
  }
}

/** Available money that is not frozen. */
export function needAvailable(
  state: StateReader,
  token: Address,
  account: Address,
  value: bigint,
): void {
  const { available, isFrozen } = tokenAt(token).balances(account).get(state);
  needFree(account, available, isFrozen ? tokenAt(token).frozen(account).get(state) : 0n, value);
}

function needFree(account: Address, available: bigint, frozen: bigint, value: bigint): void {
  if (value > available) throw fail('ERC20InsufficientBalance', account, available, value);
  const free = available > frozen ? available - frozen : 0n;
  if (value > free) throw fail('ERC7943InsufficientUnfrozenBalance', account, value, free);
}

export function unfrozenOf(state: StateReader, token: Address, account: Address): bigint {
  const { available, isFrozen } = tokenAt(token).balances(account).get(state);
  const frozen = isFrozen ? tokenAt(token).frozen(account).get(state) : 0n;
  return available > frozen ? available - frozen : 0n;
}

/** ERC-20's rule: what is without end is not counted down. */
export function spendAllowance(call: Call, owner: Address, value: bigint): void {
  const { state, sender, self } = call;
  const allowance = tokenAt(self).allowances(owner)(sender);
  const allowed = allowance.get(state);
  if (allowed === UNLIMITED) return;
  if (value > allowed) throw fail('ERC20InsufficientAllowance', sender, allowed, value);
  allowance.set(state, allowed - value);
}

const UNLIMITED = (1n << 256n) - 1n;

export function allow(call: Call, owner: Address, spender: Address, value: bigint): void {
  if (spender === ZERO_ADDRESS) throw fail('ERC20InvalidSpender', spender);
  tokenAt(call.self).allowances(owner)(spender).set(call.state, value);
  call.emit(log(call.self, 'Approval', owner, spender, value));
}

/** Money that comes into being, or ceases to: from or to nobody. */
export function changeSupply(call: Call, account: Address, by: bigint): void {
  const { state, self } = call;
  const { supplies, balances } = tokenAt(self);
  const before = supplies.get(state);
  supplies.set(state, { ...before, total: before.total + by });
  const owned = balances(account).get(state);
  balances(account).set(state, { ...owned, available: owned.available + by });
  const [from, to] = by > 0n ? [ZERO_ADDRESS, account] : [account, ZERO_ADDRESS];
  call.emit(log(self, 'Transfer', from, to, by > 0n ? by : -by));
}

/** As OpenZeppelin's AccessControl names them: keccak of the name, and zero for the admin. */
export function hasRole(state: StateReader, token: Address, role: Hash, account: Address): boolean {
  return tokenAt(token).roles(role)(account).get(state);
}
