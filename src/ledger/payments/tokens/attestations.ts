/**
 * The travel rule: a large payment is attested by the members at both of its ends, each of which
 * knows its own customer. What they know stays with them; the chain has that they know it.
 */
import { type Address, canReceiveMoney, ZERO_ADDRESS } from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import { POLICY_REGISTRY } from '../addresses.ts';
import type { Call, View } from '../contract.ts';
import { ROLE, standingOf } from '../memberStore.ts';
import { chainIdIn } from './factoryStore.ts';
import { TOKEN_ROLE } from './issuing.ts';
import { fail, log } from './policyAbi.ts';
import { policies } from './policyStore.ts';
import {
  digest,
  domainSeparator,
  RECOVERY_GAS,
  signerOf,
  structHash,
  typeHash,
} from './signatures.ts';
import { hasRole, isToken, tokenAt } from './tokenStore.ts';

const ATTESTATION = typeHash(
  'DualAttestation(bytes32 referenceId,address token,uint256 amount,address sender,' +
    'address receiver,bytes32 senderMemberId)',
);

export type Attested = {
  /** Of an order: its id. */
  readonly referenceId: Hash;
  readonly token: Address;
  readonly amount: bigint;
  readonly sender: Address;
  readonly receiver: Address;
};

/** Orders of so much or more have to be attested; 0: none. The token's officer for compliance. */
export function setThreshold(call: Call, token: Address, amount: bigint): void {
  const { state, sender } = call;
  if (!isToken(state, token)) throw fail('UnknownToken', token);
  if (!hasRole(state, token, TOKEN_ROLE.compliance, sender)) throw fail('NotAuthorized', sender);
  if (amount > tokenAmountMax) throw fail('AmountTooLarge', amount, tokenAmountMax);
  policies.thresholds(token).set(state, amount);
  const { head } = tokenAt(token);
  head.set(state, { ...head.get(state), hasThreshold: amount > 0n });
  call.emit(log('DualAttestationThresholdSet', token, amount));
}

export function thresholdOf({ state }: View, token: Address): bigint {
  return policies.thresholds(token).get(state);
}

/** By an operator of the sender's member, with the signature of one of the receiver's. */
export function attest(call: Call, attested: Attested, signature: Uint8Array): void {
  const { state, sender: caller } = call;
  const { referenceId, token, amount, sender, receiver } = attested;
  const own = standingOf(state, caller);
  if ((own.roles & ROLE.access) === 0n) throw fail('NotAuthorized', caller);
  if (!isToken(state, token)) throw fail('UnknownToken', token);
  const isAmount = amount > 0n && amount <= tokenAmountMax;
  if (!isAmount || !canReceiveMoney(sender) || !canReceiveMoney(receiver)) {
    throw fail('InvalidAttestation', referenceId);
  }
  call.spend(RECOVERY_GAS);
  const signer = signerOf(digestOf(state, attested, own.memberId), signature) ?? ZERO_ADDRESS;
  const other = standingOf(state, signer);
  if ((other.roles & ROLE.access) === 0n) throw fail('InvalidSignature', signer);
  const known = policies.attested(keyOf(attested, other.memberId));
  if (known.get(state)) throw fail('AlreadyAttested', referenceId);
  known.set(state, true);
  call.emit(log('DualAttested', referenceId, own.memberId, other.memberId, token, amount));
}

export function isAttested(state: StateReader, attested: Attested, receiverMemberId: Hash) {
  return policies.attested(keyOf(attested, receiverMemberId)).get(state);
}

/** What anybody else attests of the same payment takes nothing away. */
function keyOf(attested: Attested, receiverMemberId: Hash): Hash {
  return structHash(ATTESTATION, ...wordsOf(attested), receiverMemberId);
}

/** What the receiver's member signs (EIP-712): for this member at the other end. */
function digestOf(state: StateReader, attested: Attested, senderMemberId: Hash): Uint8Array {
  const struct = structHash(ATTESTATION, ...wordsOf(attested), senderMemberId);
  return digest(policyDomain(state), struct);
}

export function policyDomain(state: StateReader): Hash {
  return domainSeparator('MPBP PolicyRegistry', chainIdIn(state), POLICY_REGISTRY);
}

function wordsOf({ referenceId, token, amount, sender, receiver }: Attested) {
  return [referenceId, token, amount, sender, receiver] as const;
}
