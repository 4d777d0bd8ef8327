/** Lists of accounts that currencies and receivers refer to by number. */

import { POLICY_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { POLICY } from '#src/ledger/payments/tokens/policyStore.ts';
import type { Address } from '#src/types/address.ts';
import { addressArgument } from '../../arguments.ts';
import { findEvent } from '../membership/contract.ts';
import { Session, type SessionOptions } from '../membership/session.ts';
import { contractOf } from './tokens.ts';

export const policies = contractOf(POLICY_REGISTRY);

export type NewPolicyOptions = { allowOnly?: string; deny?: string };
export type NewPolicy = { readonly type: bigint; readonly accounts: readonly Address[] };

export function newPolicy({ allowOnly, deny }: NewPolicyOptions): NewPolicy {
  const what = deny === undefined ? '--allow-only' : '--deny';
  const accounts = (allowOnly ?? deny ?? '')
    .split(',')
    .filter((text) => text !== '')
    .map((text) => addressArgument(text.trim(), what));
  return { type: deny === undefined ? POLICY.whitelist : POLICY.blacklist, accounts };
}

/** A session whose refusals are about policies, limits and attested orders. */
export async function openPolicies(options: SessionOptions): Promise<Session> {
  const session = await Session.open(options);
  session.sentences = {
    NotAuthorized: (who) =>
      `${who} may not do this: it is for the admin of a policy; the limits of an account are ` +
      "for the currency's compliance officer, those of a merchant for its acquirer, of a member " +
      'for a vote [NotAuthorized]',
  };
  return session;
}

/** Its number. */
export async function makePolicy(
  session: Session,
  { type, accounts }: NewPolicy,
  admin = session.wallet.address,
): Promise<bigint> {
  const receipt = await session.send(policies, 'createPolicyWithAccounts', [admin, type, accounts]);
  return findEvent(receipt, policies, 'PolicyCreated')?.policyId as bigint;
}

export function policyText(id: unknown): string {
  if (id === 0n) return 'policy 0, nobody may send or receive it';
  return id === 1n ? 'policy 1, everybody may send and receive it' : `policy ${id}`;
}
