/**
 * ConsortiumRegistry, 0x4d5042…0001: members, their roles and accounts, nodes and account admission
 * (payments.md 2.3). Governance admits members and changes their standing; a member's admin names
 * its operators and nodes.
 *
 * An account belongs to one member, until that lets it go or the members decide that it is another's
 * admin. For the storage see memberStore.ts.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { genesisMembersMax } from '#src/types/limits.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader } from '../state/reader.ts';
import { CONSORTIUM_REGISTRY, GOVERNANCE } from './addresses.ts';
import { type Call, defineContract } from './contract.ts';
import { fail, log, memberAbi } from './memberAbi.ts';
import { isAllowedNode, setNode } from './memberNodes.ts';
import {
  isActiveMember,
  isAdminOf,
  isVoter,
  MEMBER,
  needAdmin,
  needFreeAccount,
  ROLES_ALL,
  standingOf,
  statusOf,
  store,
  writeMember,
} from './memberStore.ts';

export { store as memberStore } from './memberStore.ts';

/** Of an account: nothing said, allowed by name, refused. */
const PERMISSION_REFUSED = 2n;
const endpointCharsMax = 256;

export const consortiumRegistry = defineContract({
  name: 'ConsortiumRegistry',
  address: CONSORTIUM_REGISTRY,
  abi: memberAbi,
  functions: {
    addMember: {
      gas: 120_000n,
      isGoverned: true,
      /** Active from now on, whatever `status` and `joinedAt` say. */
      run: (call, member) => {
        needGovernance(call);
        const { memberId, admin, legalEntityHash, roles, endpoint } = member;
        const { state, block, now } = call;
        if (memberId === ZERO_HASH) throw fail('InvalidMemberId', memberId);
        if (statusOf(state, memberId) !== 0n) throw fail('MemberExists', memberId);
        if (store.memberIds.length(state) >= genesisMembersMax) {
          throw fail('TooManyMembers', BigInt(genesisMembersMax));
        }
        needKnownRoles(roles);
        if (endpoint.length > endpointCharsMax) {
          throw fail('EndpointTooLong', BigInt(endpoint.length), BigInt(endpointCharsMax));
        }
        freeForAdmin(call, admin);
        const since = { joinedAt: now, height: block.height };
        writeMember(state, { memberId, admin, legalEntityHash, roles, endpoint, name: '' }, since);
        call.emit(log('MemberAdded', memberId, legalEntityHash, admin, roles));
      },
    },
    setRoles: {
      gas: 30_000n,
      isGoverned: true,
      run: (call, memberId, roles) => {
        needGovernance(call);
        needStanding(call.state, memberId);
        needKnownRoles(roles);
        const before = store.members(memberId).roles.get(call.state);
        changeStanding(call, memberId, () => store.members(memberId).roles.set(call.state, roles));
        call.emit(log('MemberRolesChanged', memberId, before, roles));
      },
    },
    setStatus: {
      gas: 30_000n,
      isGoverned: true,
      run: (call, memberId, status, reasonHash) => {
        needGovernance(call);
        needStanding(call.state, memberId);
        if (status < MEMBER.active || status > MEMBER.removed) throw fail('InvalidStatus', status);
        changeStanding(call, memberId, () =>
          store.members(memberId).status.set(call.state, status),
        );
        call.emit(log('MemberStatusChanged', memberId, status, reasonHash));
      },
    },
    setOperator: {
      gas: 50_000n,
      run: (call, memberId, operator, roles, allowed) => {
        const { state } = call;
        needAdmin(call, memberId);
        const memberRoles = store.members(memberId).roles.get(state);
        if ((roles & ~memberRoles) !== 0n) throw fail('RolesBeyondMember', roles, memberRoles);
        const account = store.accounts(operator);
        const owner = account.memberId.get(state);
        if (operator === call.sender) throw fail('InvalidAccount', operator);
        if (allowed && owner !== memberId) needFreeAccount(state, operator);
        if (!allowed && owner !== memberId) throw fail('UnknownOperator', operator);
        account.set(state, {
          memberId: allowed ? memberId : ZERO_HASH,
          roles: allowed ? roles : 0n,
        });
        call.emit(log('OperatorSet', memberId, operator, roles, allowed));
      },
    },
    setNode: { gas: 900_000n, run: setNode },
    setAccountPermission: {
      gas: 30_000n,
      isGoverned: true,
      run: (call, account, permission) => {
        needGovernance(call);
        if (permission > PERMISSION_REFUSED) throw fail('InvalidPermission', permission);
        store.permissions(account).set(call.state, permission);
        call.emit(log('AccountPermissionChanged', account, permission, ZERO_HASH));
      },
    },
    getMember: {
      gas: 10_000n,
      run: ({ state }, memberId) => {
        if (statusOf(state, memberId) === 0n) throw fail('UnknownMember', memberId);
        return store.members(memberId).get(state);
      },
    },
    memberOf: {
      gas: 5_000n,
      run: ({ state }, account) => {
        const { memberId, roles } = standingOf(state, account);
        return [memberId, roles] as const;
      },
    },
    hasRole: {
      gas: 5_000n,
      run: ({ state }, memberId, role) => {
        const { status, roles } = store.members(memberId);
        return status.get(state) === MEMBER.active && (roles.get(state) & role) === role;
      },
    },
    isNodeAllowed: {
      gas: 5_000n,
      run: ({ state }, nodeKey) => isAllowedNode(state, nodeKey),
    },
    isAccountAllowed: {
      gas: 5_000n,
      run: ({ state }, account) => store.permissions(account).get(state) !== PERMISSION_REFUSED,
    },
  },
});

// --- the checks ----------------------------------------------------------------------------------

function needGovernance({ sender }: Call): void {
  if (sender !== GOVERNANCE) throw fail('NotAuthorized', sender);
}

/** Whoever was removed does not come back under the same id. */
function needStanding(state: StateReader, memberId: Hash): void {
  const status = statusOf(state, memberId);
  if (status === 0n) throw fail('UnknownMember', memberId);
  if (status === MEMBER.removed) throw fail('MemberRemoved', memberId);
}

/** What the members decide counts more than whose operator somebody has called this account. */
function freeForAdmin(call: Call, account: Address): void {
  const { state } = call;
  const known = store.accounts(account);
  const owner = known.memberId.get(state);
  if (owner === ZERO_HASH || isAdminOf(state, account, owner)) needFreeAccount(state, account);
  else {
    known.set(state, { memberId: ZERO_HASH, roles: 0n });
    call.emit(log('OperatorSet', owner, account, 0n, false));
  }
}

function needKnownRoles(roles: bigint): void {
  if (roles > ROLES_ALL) throw fail('UnknownRoles', roles);
}

/** Keeps count of who votes; the last that can is not taken away, for nobody could undo it. */
function changeStanding({ state, block }: Call, memberId: Hash, change: () => void): void {
  const before = mayVote(state, memberId);
  change();
  const after = mayVote(state, memberId);
  if (before === after) return;
  const voters = store.voters.get(state) + (after ? 1n : -1n);
  if (voters === 0n) throw fail('LastVotingMember', memberId);
  store.voters.set(state, voters);
  if (after) store.members(memberId).votesSince.set(state, block.height);
}

function mayVote(state: StateReader, memberId: Hash): boolean {
  return isActiveMember(state, memberId) && isVoter(store.members(memberId).get(state));
}
