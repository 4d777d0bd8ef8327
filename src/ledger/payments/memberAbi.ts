import { parseAbi } from 'abitype';
import { CONSORTIUM_REGISTRY } from './addresses.ts';
import { commonErrors, errorsOf, eventsOf, long } from './contract.ts';

/** ConsortiumRegistry (payments.md 2.3), its errors and its events. */
export const memberAbi = parseAbi([
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

export const fail = errorsOf(memberAbi);
export const log = eventsOf(CONSORTIUM_REGISTRY, memberAbi);
