/**
 * What a token's issuer and its officers do: mint and burn, cap, pause, freeze, and who may do what.
 * Roles are OpenZeppelin's: the admin's is zero, the others are the keccak of their names.
 */
import { keccak256 } from '#src/crypto/keccak.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { type Address, canReceiveMoney, isReservedAddress } from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateWriter } from '../../state/reader.ts';
import type { Call } from '../contract.ts';
import { isConduit, memberHasRole, ROLE } from '../memberStore.ts';
import { isAllowed, policyExists, refusalOf } from './policyStore.ts';
import { fail, log } from './tokenAbi.ts';
import {
  changeSupply,
  hasRole,
  move,
  needAvailable,
  pausedSeconds,
  resolved,
  tellVia,
  tokenAt,
  tokenOf,
  unfrozenOf,
} from './tokenStore.ts';

const role = (name: string): Hash => hashFromBytes(keccak256(utf8(name)));
export const TOKEN_ROLE = {
  admin: ZERO_HASH,
  issuer: role('ISSUER_ROLE'),
  pause: role('PAUSE_ROLE'),
  unpause: role('UNPAUSE_ROLE'),
  compliance: role('COMPLIANCE_ROLE'),
} as const;

/** When a token is made: its admin has every role, and can give them away. */
export function grantAll(state: StateWriter, token: Address, admin: Address): void {
  for (const one of Object.values(TOKEN_ROLE)) tokenAt(token).roles(one)(admin).set(state, true);
}

export function mint(call: Call, named: Address, value: bigint, memo: Hash): void {
  const { state, self, sender } = call;
  const { token, head } = needRole(call, TOKEN_ROLE.issuer);
  if (head.paused) throw fail('EnforcedPause');
  // Whoever lost its licence issues no more.
  const issuer = token.issuerMemberId.get(state);
  if (!memberHasRole(state, issuer, ROLE.issuer)) {
    throw fail('AccessControlUnauthorizedAccount', sender, TOKEN_ROLE.issuer);
  }
  const issued = { token: self, from: sender, to: named, amount: value, hasMemo: true };
  const { to, via } = resolved(state, issued);
  if (!canReceiveMoney(to)) throw fail('ERC20InvalidReceiver', to);
  if (isConduit(state, to)) throw fail('ConduitNotCredited', to);
  if (!isAllowed(state, head.transferPolicyId, to, 'mintRecipient')) {
    throw fail('ERC7943CannotReceive', to);
  }
  const refusal = refusalOf(state, { ...issued, to });
  if (refusal !== null) throw fail('ReceiverRefusesToken', to, self);
  // Before anything is added to it: a sum of more than a word could not even be told.
  if (value > tokenAmountMax) throw fail('AmountTooLarge', value, tokenAmountMax);
  const { total } = token.supplies.get(state);
  const { supplyCap } = token.limits.get(state);
  if (total + value > supplyCap) throw fail('SupplyCapExceeded', total + value, supplyCap);
  changeSupply(call, to, value);
  if (via !== undefined) tellVia(call, { ...issued, from: ZERO, to, via });
  call.emit(log(self, 'TransferWithMemo', ZERO, to, value, memo));
  call.emit(log(self, 'Mint', to, value));
}

/** Of the issuer's own money: what is redeemed comes to it first. */
export function burn(call: Call, value: bigint, memo: Hash): void {
  const { state, self, sender } = call;
  const { head } = needRole(call, TOKEN_ROLE.issuer);
  if (head.paused) throw fail('EnforcedPause');
  needAvailable(state, self, sender, value);
  changeSupply(call, sender, -value);
  call.emit(log(self, 'TransferWithMemo', sender, ZERO, value, memo));
  call.emit(log(self, 'Burn', sender, value));
}

/** Not below what there is. */
export function setSupplyCap(call: Call, supplyCap: bigint): void {
  const { state, self } = call;
  const { token } = needRole(call, TOKEN_ROLE.admin);
  const { total } = token.supplies.get(state);
  if (supplyCap > tokenAmountMax) throw fail('AmountTooLarge', supplyCap, tokenAmountMax);
  if (supplyCap < total) throw fail('SupplyCapExceeded', total, supplyCap);
  const before = token.limits.get(state).supplyCap;
  token.limits.set(state, { supplyCap });
  call.emit(log(self, 'SupplyCapChanged', before, supplyCap));
}

export function setPaused(call: Call, paused: boolean): void {
  const { state, self, sender, now } = call;
  const { token, head } = needRole(call, paused ? TOKEN_ROLE.pause : TOKEN_ROLE.unpause);
  if (head.paused === paused) return;
  const stood = { pausedSince: now, pausedSeconds: pausedSeconds(head, now) };
  token.head.set(state, { ...head, paused, ...stood });
  call.emit(log(self, paused ? 'Paused' : 'Unpaused', sender));
}

export function changePolicy(call: Call, transferPolicyId: bigint): void {
  const { state, self } = call;
  const { token, head } = needRole(call, TOKEN_ROLE.admin);
  if (!policyExists(state, transferPolicyId)) throw fail('UnknownPolicy', transferPolicyId);
  token.head.set(state, { ...head, transferPolicyId });
  call.emit(log(self, 'TransferPolicyChanged', head.transferPolicyId, transferPolicyId));
}

/** ERC-7943: more may be frozen than there is, now or ever. */
export function setFrozen(call: Call, account: Address, value: bigint): void {
  needRole(call, TOKEN_ROLE.compliance);
  needOwner(account);
  if (value > tokenAmountMax) throw fail('AmountTooLarge', value, tokenAmountMax);
  writeFrozen(call, account, value);
}

/**
 * ERC-7943: by order of a court, say. It asks neither the sender nor its policy, and takes what is
 * frozen last.
 */
export function forceTransfer(call: Call, from: Address, named: Address, value: bigint): void {
  const { state, self } = call;
  const { token, head } = needRole(call, TOKEN_ROLE.compliance);
  needOwner(from);
  const ordered = { token: self, from, to: named, amount: value, hasMemo: true };
  const movement = resolved(state, { ...ordered, counts: 'for nobody', isForced: true });
  const { to } = movement;
  // It would let go of what is frozen, and take nothing.
  if (to === from || !canReceiveMoney(to)) throw fail('ERC20InvalidReceiver', to);
  if (isConduit(state, to)) throw fail('ConduitNotCredited', to);
  if (!isAllowed(state, head.transferPolicyId, to, 'recipient')) {
    throw fail('ERC7943CannotReceive', to);
  }
  const { available } = token.balances(from).get(state);
  if (value > available) throw fail('ERC20InsufficientBalance', from, available, value);
  const free = unfrozenOf(state, self, from);
  // What is frozen beyond what there is stays so.
  if (value > free) writeFrozen(call, from, token.frozen(from).get(state) + free - value);
  move(call, movement);
  call.emit(log(self, 'ForcedTransfer', from, to, value));
}

/** What the issuer says that it holds for the tokens; only its word, and on the record. */
export function attestReserve(call: Call, value: bigint, asOf: bigint, statement: Hash): void {
  const { state, self, now } = call;
  const { token } = needRole(call, TOKEN_ROLE.issuer);
  if (value > tokenAmountMax) throw fail('AmountTooLarge', value, tokenAmountMax);
  if (asOf > now) throw fail('ReserveFromTheFuture', asOf);
  token.reserve.set(state, { amount: value, asOf });
  const { total } = token.supplies.get(state);
  const issuer = token.issuerMemberId.get(state);
  call.emit(log(self, 'ReserveAttested', issuer, value, total, asOf, statement));
}

export function setRole(call: Call, wanted: Hash, account: Address, has: boolean): void {
  needRole(call, TOKEN_ROLE.admin);
  writeRole(call, wanted, account, has);
}

/** The account itself, named once more so that nobody does it by accident (OpenZeppelin). */
export function renounceRole(call: Call, wanted: Hash, account: Address): void {
  tokenOf(call);
  if (account !== call.sender) throw fail('AccessControlBadConfirmation');
  writeRole(call, wanted, account, false);
}

function writeRole(call: Call, wanted: Hash, account: Address, has: boolean): void {
  const { state, self, sender } = call;
  const record = tokenAt(self).roles(wanted)(account);
  if (record.get(state) === has) return;
  record.set(state, has);
  call.emit(log(self, has ? 'RoleGranted' : 'RoleRevoked', wanted, account, sender));
}

function writeFrozen(call: Call, account: Address, value: bigint): void {
  const { state, self } = call;
  const token = tokenAt(self);
  token.frozen(account).set(state, value);
  const own = token.balances(account).get(state);
  token.balances(account).set(state, { ...own, isFrozen: value > 0n });
  call.emit(log(self, 'Frozen', account, value));
}

/** What waits in a contract of the system belongs to others: no order takes it, or keeps it there. */
function needOwner(account: Address): void {
  if (isReservedAddress(account)) throw fail('ERC7943CannotSend', account);
}

function needRole(call: Call, wanted: Hash) {
  const found = tokenOf(call);
  if (!hasRole(call.state, call.self, wanted, call.sender)) {
    throw fail('AccessControlUnauthorizedAccount', call.sender, wanted);
  }
  return found;
}

const ZERO = `0x${'00'.repeat(20)}` as Address;
