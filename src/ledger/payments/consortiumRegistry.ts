/**
 * ConsortiumRegistry, 0x4d5042…0001: members, their roles and accounts, nodes and account admission
 * (payments.md 2.3). Governance admits members and changes their standing; a member's admin names
 * its operators and nodes.
 *
 * Storage: 0 members, 1 memberIds, 2 accounts, 3 nodes, 4 nodeKeys, 5 permissions, 6 voters.
 * An account belongs to one member, for good: what it signed can always be told whose it was.
 */
import { parseAbi } from 'abitype';
import { isSoundEd25519Key } from '#src/crypto/ed25519.ts';
import { type Address, isReservedAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { genesisMembersMax } from '#src/types/limits.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Overlay } from '../state/overlay.ts';
import type { StateReader } from '../state/reader.ts';
import { CONSORTIUM_REGISTRY, GOVERNANCE } from './addresses.ts';
import { type Call, commonErrors, defineContract, errorsOf, eventsOf, long } from './contract.ts';
import {
  address,
  array,
  bool,
  bytes32,
  mapping,
  storage,
  string,
  struct,
  uint,
} from './storage.ts';

export const ROLE = { validator: 1n, verifier: 2n } as const;
const VOTING_ROLES = ROLE.validator | ROLE.verifier;
/** payments.md 2.1, rule 11: ten roles. */
export const ROLES_ALL = (1n << 10n) - 1n;
/** An admin has whatever its member has. */
const ROLES_OF_ADMIN = (1n << 64n) - 1n;

export const MEMBER = { active: 1n, suspended: 2n, removed: 3n } as const;
/** Of an account: nothing said, allowed by name, refused. */
const PERMISSION_REFUSED = 2n;

const endpointCharsMax = 256;
const nodesPerMemberMax = 64n;

const abi = parseAbi([
  long(
    'struct Member { bytes32 memberId; address admin; bytes32 legalEntityHash; uint64 roles;',
    'uint8 status; uint64 joinedAt; string endpoint; }',
  ),
  'function addMember(Member m)',
  'function setRoles(bytes32 memberId, uint64 roles)',
  'function setStatus(bytes32 memberId, uint8 status, bytes32 reasonHash)',
  'function setOperator(bytes32 memberId, address operator, uint64 roles, bool allowed)',
  'function setNode(bytes32 memberId, bytes nodeKey, bool allowed)',
  'function setAccountPermission(address account, uint8 permission)',
  'function getMember(bytes32 memberId) view returns (Member)',
  'function memberOf(address account) view returns (bytes32 memberId, uint64 roles)',
  'function hasRole(bytes32 memberId, uint64 role) view returns (bool)',
  'function isNodeAllowed(bytes nodeKey) view returns (bool)',
  'function isAccountAllowed(address account) view returns (bool)',
  long(
    'event MemberAdded(bytes32 indexed memberId, bytes32 indexed legalEntityHash, address',
    'admin, uint64 roles)',
  ),
  'event MemberRolesChanged(bytes32 indexed memberId, uint64 oldRoles, uint64 newRoles)',
  'event MemberStatusChanged(bytes32 indexed memberId, uint8 status, bytes32 reasonHash)',
  long(
    'event OperatorSet(bytes32 indexed memberId, address indexed operator, uint64 roles, bool',
    'allowed)',
  ),
  'event NodePermissionChanged(bytes32 indexed memberId, bytes nodeKey, bool allowed)',
  long(
    'event AccountPermissionChanged(address indexed account, uint8 permission, bytes32',
    'indexed byMemberId)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidMemberId(bytes32 memberId)',
  'error MemberExists(bytes32 memberId)',
  'error UnknownMember(bytes32 memberId)',
  'error MemberNotActive(bytes32 memberId)',
  'error MemberRemoved(bytes32 memberId)',
  'error TooManyMembers(uint256 limit)',
  'error LastVotingMember(bytes32 memberId)',
  'error InvalidAccount(address account)',
  'error AccountTaken(address account, bytes32 memberId)',
  'error UnknownOperator(address operator)',
  'error UnknownRoles(uint64 roles)',
  'error RolesBeyondMember(uint64 roles, uint64 memberRoles)',
  'error EndpointTooLong(uint256 length, uint256 limit)',
  'error InvalidStatus(uint8 status)',
  'error InvalidNodeKey(bytes nodeKey)',
  'error NodeTaken(bytes nodeKey, bytes32 memberId)',
  'error TooManyNodes(uint256 limit)',
  'error InvalidPermission(uint8 permission)',
  ...commonErrors,
]);

const store = storage(CONSORTIUM_REGISTRY, {
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
  nodes: mapping(bytes32, struct({ memberId: bytes32, allowed: bool })),
  nodeKeys: array(bytes32),
  permissions: mapping(address, uint(8)),
  voters: uint(64),
});

export { store as memberStore };

const fail = errorsOf(abi);
const log = eventsOf(CONSORTIUM_REGISTRY, abi);

export const consortiumRegistry = defineContract({
  name: 'ConsortiumRegistry',
  address: CONSORTIUM_REGISTRY,
  abi,
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
        needFreeAccount(state, admin);
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
    setNode: {
      gas: 1_000_000n,
      /** `nodeKey`: the raw Ed25519 key of which the libp2p peer id is made. */
      run: (call, memberId, nodeKey, allowed) => {
        const { state } = call;
        needAdmin(call, memberId);
        if (!isSoundEd25519Key(nodeKey)) throw fail('InvalidNodeKey', nodeKey);
        const key = hashFromBytes(nodeKey);
        const owner = store.nodes(key).memberId.get(state);
        if (owner !== ZERO_HASH && owner !== memberId) throw fail('NodeTaken', nodeKey, owner);
        if (owner === ZERO_HASH) {
          const { nodes } = store.members(memberId);
          const count = nodes.get(state);
          if (count >= nodesPerMemberMax) throw fail('TooManyNodes', nodesPerMemberMax);
          nodes.set(state, count + 1n);
          store.nodeKeys.push(state).set(state, key);
        }
        store.nodes(key).set(state, { memberId, allowed });
        call.emit(log('NodePermissionChanged', memberId, nodeKey, allowed));
      },
    },
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
      run: ({ state }, nodeKey) =>
        nodeKey.length === 32 && isAllowedNode(state, hashFromBytes(nodeKey)),
    },
    isAccountAllowed: {
      gas: 5_000n,
      run: ({ state }, account) => store.permissions(account).get(state) !== PERMISSION_REFUSED,
    },
  },
});

// --- for the other contracts ---------------------------------------------------------------------

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

export function isVoter({ roles }: { readonly roles: bigint }): boolean {
  return (roles & VOTING_ROLES) !== 0n;
}

export function isActiveMember(state: StateReader, memberId: Hash): boolean {
  return statusOf(state, memberId) === MEMBER.active;
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

/** Keys of the nodes that members have named and not taken back, in order of their naming. */
export function allowedNodes(state: StateReader): Hash[] {
  const { nodeKeys } = store;
  const keys = Array.from({ length: nodeKeys.length(state) }, (_, at) =>
    nodeKeys.at(at).get(state),
  );
  return keys.filter((key) => isAllowedNode(state, key));
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
  state: Overlay,
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
export function addAccount(state: Overlay, account: Address, memberId: Hash, roles: bigint): void {
  const known = store.accounts(account);
  if (known.memberId.get(state) === ZERO_HASH) known.set(state, { memberId, roles });
}

// --- the checks ----------------------------------------------------------------------------------

function needGovernance({ sender }: Call): void {
  if (sender !== GOVERNANCE) throw fail('NotAuthorized', sender);
}

function needAdmin({ state, sender }: Call, memberId: Hash): void {
  if (statusOf(state, memberId) === 0n) throw fail('UnknownMember', memberId);
  if (!isAdminOf(state, sender, memberId)) throw fail('NotAuthorized', sender);
  if (!isActiveMember(state, memberId)) throw fail('MemberNotActive', memberId);
}

/** Whoever was removed does not come back under the same id. */
function needStanding(state: StateReader, memberId: Hash): void {
  const status = statusOf(state, memberId);
  if (status === 0n) throw fail('UnknownMember', memberId);
  if (status === MEMBER.removed) throw fail('MemberRemoved', memberId);
}

function needKnownRoles(roles: bigint): void {
  if (roles > ROLES_ALL) throw fail('UnknownRoles', roles);
}

function needFreeAccount(state: StateReader, account: Address): void {
  if (account === ZERO_ADDRESS || isReservedAddress(account)) throw fail('InvalidAccount', account);
  const { memberId } = store.accounts(account).get(state);
  if (memberId !== ZERO_HASH) throw fail('AccountTaken', account, memberId);
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

function statusOf(state: StateReader, memberId: Hash): bigint {
  return store.members(memberId).status.get(state);
}

function isAllowedNode(state: StateReader, key: Hash): boolean {
  const { memberId, allowed } = store.nodes(key).get(state);
  return allowed && isActiveMember(state, memberId);
}
