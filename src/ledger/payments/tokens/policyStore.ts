/**
 * What PolicyRegistry keeps, and what tokens ask of it: lists of accounts that may or may not send,
 * receive or be minted to, what an account wants to receive, how much may move in a period, and
 * what both ends of a large payment have attested.
 *
 * Storage: 0 count, 1 policies, 2 listed, 3 receivers, 4 limits, 5 orderLimits, 6 thresholds,
 * 7 attested.
 */
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { tokenAmountBits } from '#src/types/currency.ts';
import type { StateReader } from '../../state/reader.ts';
import { POLICY_REGISTRY } from '../addresses.ts';
import { address, bool, bytes32, mapping, packed, storage, struct, uint } from '../storage.ts';

/** TIP-403: two that are always there. */
export const REFUSE_ALL = 0n;
export const ALLOW_ALL = 1n;
const FIRST_OWN = 2n;

/** payments.md 2.1, rule 11. */
export const POLICY = { whitelist: 0n, blacklist: 1n, compound: 2n } as const;

const amount = uint(tokenAmountBits);

const limitKind = struct({
  /** 0: none of this kind. Since when it is there: what was held before was not counted. */
  rule: packed({ maxAmount: amount, maxCount: uint(32), since: uint(48) }),
  /** In the period that began then; more than can be paid in a year. */
  used: packed({ amount: uint(144), count: uint(48), period: uint(48) }),
});

export const policies = storage(POLICY_REGISTRY, {
  /** Those that were made. */
  count: uint(64),
  policies: mapping(
    uint(64),
    struct({
      head: packed({ type: uint(8), admin: address }),
      /** Of a compound one: who may send, receive and be minted to. */
      parts: packed({ sender: uint(64), recipient: uint(64), mintRecipient: uint(64) }),
    }),
  ),
  listed: mapping(uint(64), mapping(address, bool)),
  /** By account: from whom, in which tokens, and whether only with a memo. */
  receivers: mapping(
    address,
    struct({
      rule: packed({ isSet: bool, requireMemo: bool, senders: uint(64), tokens: uint(64) }),
      recoveryAuthority: address,
    }),
  ),
  /** By subject, and by which it is, whose kind, and in which token: a number (limits.ts). */
  limits: mapping(bytes32, mapping(uint(256), limitKind)),
  /** Which of them a merchant or a member has, bit by bit; of an account its balance tells it. */
  orderLimits: mapping(uint(8), mapping(bytes32, mapping(address, uint(16)))),
  /** By token: what an order has to be attested from; asked only where the token's flag is set. */
  thresholds: mapping(address, amount),
  /** By the hash of what was attested. */
  attested: mapping(bytes32, bool),
});

export type Side = 'sender' | 'recipient' | 'mintRecipient';

export function policyExists(state: StateReader, id: bigint): boolean {
  return id < FIRST_OWN || id < FIRST_OWN + policies.count.get(state);
}

export function nextPolicyId(state: StateReader): bigint {
  return FIRST_OWN + policies.count.get(state);
}

/** Whether this account may, as whoever it is in a payment. What is no policy allows nobody. */
export function isAllowed(state: StateReader, id: bigint, account: Address, side: Side): boolean {
  if (id < FIRST_OWN) return id === ALLOW_ALL;
  const { type, admin } = policies.policies(id).head.get(state);
  if (type === POLICY.compound) {
    const part = policies.policies(id).parts.get(state)[side];
    // A compound one is made of plain ones only.
    return isAllowed(state, part, account, side);
  }
  // The first word of one that was never made says that nobody is its admin.
  if (admin === ZERO_ADDRESS && !policyExists(state, id)) return false;
  return policies.listed(id)(account).get(state) === (type === POLICY.whitelist);
}

/** Why the receiver does not want it, if it does not. */
export function refusalOf(
  state: StateReader,
  payment: { token: Address; from: Address; to: Address; hasMemo: boolean },
): 'sender' | 'token' | 'memo' | null {
  const { isSet, requireMemo, senders, tokens } = policies.receivers(payment.to).rule.get(state);
  if (!isSet) return null;
  if (requireMemo && !payment.hasMemo) return 'memo';
  if (!isAllowed(state, senders, payment.from, 'sender')) return 'sender';
  return isAllowed(state, tokens, payment.token, 'recipient') ? null : 'token';
}
