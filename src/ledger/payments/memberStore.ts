/**
 * What ConsortiumRegistry keeps, and what the other contracts ask of it.
 *
 * Storage: 0 members, 1 memberIds, 2 accounts, 3 nodes, 4 nodeKeys, 5 permissions, 6 voters.
 */
import { type Address, isReservedAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader, StateWriter } from '../state/reader.ts';
import { CONSORTIUM_REGISTRY } from './addresses.ts';
import type { Call } from './contract.ts';
import { fail } from './memberAbi.ts';
import { address, array, bytes32, mapping, storage, string, struct, uint } from './storage.ts';

export const ROLE = {
  ...{ validator: 1n, verifier: 2n, issuer: 4n },
  ...{ access: 8n, channel: 16n, connection: 32n },
  sponsor: 512n,
} as const;
/** Whoever stands between payer and merchant holds no money of theirs. */
const CONDUIT_ROLES = ROLE.access | ROLE.channel | ROLE.connection;
const VOTING_ROLES = ROLE.validator | ROLE.verifier;
/** payments.md 2.1, rule 11: ten roles. */
export const ROLES_ALL = (1n << 10n) - 1n;
/** An admin has whatever its member has. */
const ROLES_OF_ADMIN = (1n << 64n) - 1n;

export const MEMBER = { active: 1n, suspended: 2n, removed: 3n } as const;

export const store = storage(CONSORTIUM_REGISTRY, {
  members: mapping(
    bytes32,
    struct({
      memberId: bytes32,
      admin: address,
      roles: uint(64),
      status: uint(8),
      legalEntityHash: bytes32,
      /** Unix seconds. */
      joinedAt: uint(64),
      /** The block since which it may vote: on proposals of later blocks. */
      votesSince: uint(64),
      nodes: uint(64),
      endpoint: string,
      /** As genesis calls it. */
      name: string,
    }),
  ),
  memberIds: array(bytes32),
  accounts: mapping(address, struct({ memberId: bytes32, roles: uint(64) })),
  /** Those that are let in, and their positions in `nodeKeys`. */
  nodes: mapping(bytes32, struct({ memberId: bytes32, position: uint(64) })),
  nodeKeys: array(bytes32),
  permissions: mapping(address, uint(8)),
  voters: uint(64),
});

/** Whose account this is and what it may do now; the zero id where it is nobody's. */
export function standingOf(
  state: StateReader,
  account: Address,
): { memberId: Hash; roles: bigint } {
  const { memberId, roles } = store.accounts(account).get(state);
  if (memberId === ZERO_HASH) return { memberId, roles: 0n };
  const member = store.members(memberId);
  const isActive = member.status.get(state) === MEMBER.active;
  return { memberId, roles: isActive ? roles & member.roles.get(state) : 0n };
}

/** An account of this member that may act for it in this role. */
export function isOperatorOf(
  state: StateReader,
  account: Address,
  memberId: Hash,
  role: bigint,
): boolean {
  const standing = standingOf(state, account);
  return memberId !== ZERO_HASH && standing.memberId === memberId && (standing.roles & role) !== 0n;
}

export function isVoter({ roles }: { readonly roles: bigint }): boolean {
  return (roles & VOTING_ROLES) !== 0n;
}

export function isActiveMember(state: StateReader, memberId: Hash): boolean {
  return statusOf(state, memberId) === MEMBER.active;
}

export function memberHasRole(state: StateReader, memberId: Hash, role: bigint): boolean {
  const { roles } = store.members(memberId);
  return isActiveMember(state, memberId) && (roles.get(state) & role) !== 0n;
}

/** Whether this account is one of a member's that passes payments on (payments.md 1.5, R3). */
export function isConduit(state: StateReader, account: Address): boolean {
  const { memberId } = store.accounts(account);
  const id = memberId.get(state);
  return id !== ZERO_HASH && (store.members(id).roles.get(state) & CONDUIT_ROLES) !== 0n;
}

/** Its admin, or one of its accounts by name. */
export function actsFor(state: StateReader, account: Address, memberId: Hash): boolean {
  if (store.members(memberId).admin.get(state) === account) return true;
  return store.accounts(account).memberId.get(state) === memberId;
}

export function isAdminOf(state: StateReader, account: Address, memberId: Hash): boolean {
  return store.members(memberId).admin.get(state) === account;
}

/** How many members may vote. */
export function votersIn(state: StateReader): bigint {
  return store.voters.get(state);
}

/** The block since which a member may vote. */
export function votesSince(state: StateReader, memberId: Hash): bigint {
  return store.members(memberId).votesSince.get(state);
}

export type NewMember = {
  readonly memberId: Hash;
  readonly admin: Address;
  readonly legalEntityHash: Hash;
  readonly roles: bigint;
  readonly endpoint: string;
  readonly name: string;
};

/** Genesis and `addMember` make members in one way. */
export function writeMember(
  state: StateWriter,
  member: NewMember,
  since: { readonly joinedAt: bigint; readonly height: bigint },
): void {
  const { memberId, admin, roles } = member;
  const { joinedAt, height } = since;
  const begun = { status: MEMBER.active, joinedAt, votesSince: height, nodes: 0n };
  store.members(memberId).set(state, { ...member, ...begun });
  store.memberIds.push(state).set(state, memberId);
  addAccount(state, admin, memberId, ROLES_OF_ADMIN);
  if (isVoter({ roles })) store.voters.set(state, store.voters.get(state) + 1n);
}

/** Genesis: an account that two members name speaks for the first. */
export function addAccount(
  state: StateWriter,
  account: Address,
  memberId: Hash,
  roles: bigint,
): void {
  const known = store.accounts(account);
  if (known.memberId.get(state) === ZERO_HASH) known.set(state, { memberId, roles });
}

export function statusOf(state: StateReader, memberId: Hash): bigint {
  return store.members(memberId).status.get(state);
}

/** An account that belongs to nobody yet, and may. */
export function needFreeAccount(state: StateReader, account: Address): void {
  if (account === ZERO_ADDRESS || isReservedAddress(account)) throw fail('InvalidAccount', account);
  const { memberId } = store.accounts(account).get(state);
  if (memberId !== ZERO_HASH) throw fail('AccountTaken', account, memberId);
}

/** The caller is the admin of this member, which is active. */
export function needAdmin({ state, sender }: Call, memberId: Hash): void {
  if (statusOf(state, memberId) === 0n) throw fail('UnknownMember', memberId);
  if (!isAdminOf(state, sender, memberId)) throw fail('NotAuthorized', sender);
  if (!isActiveMember(state, memberId)) throw fail('MemberNotActive', memberId);
}
