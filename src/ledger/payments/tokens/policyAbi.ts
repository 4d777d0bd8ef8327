import { parseAbi } from 'abitype';
import { POLICY_REGISTRY } from '../addresses.ts';
import { commonErrors, errorsOf, eventsOf, long } from '../contract.ts';

/** PolicyRegistry (payments.md 2.3), its errors and its events. */
export const policyAbi = parseAbi([
  'function createPolicy(address admin, uint8 policyType) returns (uint64 policyId)',
  long(
    'function createPolicyWithAccounts(address admin, uint8 policyType, address[] accounts)',
    'returns (uint64 policyId)',
  ),
  long(
    'function createCompoundPolicy(uint64 senderPolicyId, uint64 recipientPolicyId, uint64',
    'mintRecipientPolicyId) returns (uint64 policyId)',
  ),
  'function modifyPolicyWhitelist(uint64 policyId, address account, bool allowed)',
  'function modifyPolicyBlacklist(uint64 policyId, address account, bool restricted)',
  'function setPolicyAdmin(uint64 policyId, address admin)',
  'function isAuthorized(uint64 policyId, address user) view returns (bool)',
  'function isAuthorizedSender(uint64 policyId, address user) view returns (bool)',
  'function isAuthorizedRecipient(uint64 policyId, address user) view returns (bool)',
  long(
    'function setReceivePolicy(uint64 senderPolicyId, uint64 tokenFilterId, address',
    'recoveryAuthority, bool requireMemo)',
  ),
  long(
    'function receivePolicy(address account) view returns (bool hasReceivePolicy, uint64',
    'senderPolicyId, uint64 tokenFilterId, address recoveryAuthority, bool requireMemo)',
  ),
  'function policyData(uint64 policyId) view returns (uint8 policyType, address admin)',
  long(
    'function setLimit(bytes32 subject, address token, uint8 direction, uint8 periodUnit, uint256',
    'maxAmount, uint32 maxCount)',
  ),
  long(
    'function limitOf(bytes32 subject, address token, uint8 direction, uint8 periodUnit) view',
    'returns (uint256 maxAmount, uint32 maxCount, uint256 usedAmount, uint32 usedCount, uint48',
    'periodEnd)',
  ),
  'function setDualAttestationThreshold(address token, uint256 amount)',
  'function dualAttestationThreshold(address token) view returns (uint256 amount)',
  long(
    'function attest(bytes32 referenceId, address token, uint256 amount, address sender, address',
    'receiver, bytes receiverMemberSig)',
  ),
  long(
    'function isAttested(bytes32 referenceId, address token, uint256 amount, address sender,',
    'address receiver, bytes32 receiverMemberId) view returns (bool)',
  ),
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'event PolicyCreated(uint64 indexed policyId, address indexed updater, uint8 policyType)',
  long(
    'event PolicyAdminUpdated(uint64 indexed policyId, address indexed updater, address',
    'indexed admin)',
  ),
  long(
    'event WhitelistUpdated(uint64 indexed policyId, address indexed updater, address indexed',
    'account, bool allowed)',
  ),
  long(
    'event BlacklistUpdated(uint64 indexed policyId, address indexed updater, address indexed',
    'account, bool restricted)',
  ),
  long(
    'event ReceivePolicyUpdated(address indexed account, uint64 senderPolicyId, uint64',
    'tokenFilterId, address recoveryAuthority, bool requireMemo)',
  ),
  long(
    'event LimitSet(bytes32 indexed subject, address indexed token, uint8 direction, uint8',
    'periodUnit, uint256 maxAmount, uint32 maxCount)',
  ),
  'event DualAttestationThresholdSet(address indexed token, uint256 amount)',
  long(
    'event DualAttested(bytes32 indexed referenceId, bytes32 indexed senderMemberId, bytes32',
    'indexed receiverMemberId, address token, uint256 amount)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidAccount(address account)',
  'error UnknownPolicy(uint64 policyId)',
  'error InvalidPolicyType(uint8 policyType)',
  'error IncompatiblePolicyType(uint64 policyId, uint8 policyType)',
  'error UnknownToken(address token)',
  'error UnknownSubject(bytes32 subject)',
  'error InvalidLimit(uint8 direction, uint8 periodUnit)',
  'error AmountTooLarge(uint256 amount, uint256 limit)',
  'error InvalidAttestation(bytes32 referenceId)',
  'error InvalidSignature(address signer)',
  'error AlreadyAttested(bytes32 referenceId)',
  ...commonErrors,
]);

export const fail = errorsOf(policyAbi);
export const log = eventsOf(POLICY_REGISTRY, policyAbi);
