import { parseAbi } from 'abitype';
import { commonErrors, errorsOf, long, templateEventsOf } from '../contract.ts';

/** Also of the contracts that move tokens: a wallet shows why by their ABI. */
export const tokenErrors = [
  // ERC-6093, and what OpenZeppelin's contracts say
  'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
  'error ERC20InvalidReceiver(address receiver)',
  'error ERC20InvalidSpender(address spender)',
  'error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)',
  'error ERC2612ExpiredSignature(uint256 deadline)',
  'error ERC2612InvalidSigner(address signer, address owner)',
  'error AccessControlUnauthorizedAccount(address account, bytes32 neededRole)',
  'error AccessControlBadConfirmation()',
  'error EnforcedPause()',
  'error ERC7943CannotSend(address account)',
  'error ERC7943CannotReceive(address account)',
  'error ERC7943InsufficientUnfrozenBalance(address account, uint256 amount, uint256 unfrozen)',
  // Ours
  'error UnknownToken(address token)',
  'error AuthorizationNotYetValid(uint256 validAfter)',
  'error AuthorizationExpired(uint256 validBefore)',
  'error AuthorizationSpent(address authorizer, bytes32 nonce)',
  'error InvalidSignature(address signer)',
  'error CallerNotReceiver(address caller, address receiver)',
  'error AmountTooLarge(uint256 amount, uint256 limit)',
  'error SupplyCapExceeded(uint256 supply, uint256 supplyCap)',
  'error ConduitNotCredited(address account)',
  'error ReceiverRefusesSender(address receiver, address sender)',
  'error ReceiverRefusesToken(address receiver, address token)',
  'error MemoRequired(address receiver)',
  'error ReferenceTooLong(uint256 length, uint256 limit)',
  'error UnknownPolicy(uint64 policyId)',
  'error HoldExists(bytes32 operationId)',
  'error UnknownHold(bytes32 operationId)',
  'error HoldNotOpen(bytes32 operationId, uint8 status)',
  'error HoldExpired(bytes32 operationId, uint256 expiration)',
  'error HoldTooSmall(bytes32 operationId, uint256 held, uint256 wanted)',
  'error InvalidHold(bytes32 operationId)',
  'error NotHoldParty(address caller)',
  'error ReserveFromTheFuture(uint48 asOf)',
  'error VirtualAddressUnregistered(address virtualAddress)',
  // What is left of a limit; of 0 at the most there is no limit.
  long(
    'error LimitExceeded(bytes32 subject, address token, uint8 direction, uint8 periodUnit,',
    'uint256 maxAmount, uint256 restAmount, uint32 maxCount, uint32 restCount)',
  ),
] as const;

/** PaymentToken (payments.md 2.3), in its order; then roles (as OpenZeppelin has them) and EIP-5267. */
export const tokenAbi = parseAbi([
  // ERC-20
  'function name() view returns (string)',
  'function symbol() view returns (string)',
  'function decimals() view returns (uint8)',
  'function totalSupply() view returns (uint256)',
  'function balanceOf(address account) view returns (uint256)',
  'function transfer(address to, uint256 amount) returns (bool)',
  'function approve(address spender, uint256 amount) returns (bool)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function transferFrom(address from, address to, uint256 amount) returns (bool)',
  // ERC-2612
  long(
    'function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v,',
    'bytes32 r, bytes32 s)',
  ),
  'function nonces(address owner) view returns (uint256)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  // ERC-3009, with the overloads of ERC-7598
  long(
    'function transferWithAuthorization(address from, address to, uint256 value, uint256',
    'validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  ),
  long(
    'function transferWithAuthorization(address from, address to, uint256 value, uint256',
    'validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
  ),
  long(
    'function receiveWithAuthorization(address from, address to, uint256 value, uint256',
    'validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  ),
  long(
    'function receiveWithAuthorization(address from, address to, uint256 value, uint256',
    'validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
  ),
  long(
    'function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r,',
    'bytes32 s)',
  ),
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  // TIP-20
  'function currency() view returns (string)',
  'function transferWithMemo(address to, uint256 amount, bytes32 memo)',
  long(
    'function transferFromWithMemo(address from, address to, uint256 amount, bytes32 memo)',
    'returns (bool)',
  ),
  'function mintWithMemo(address to, uint256 amount, bytes32 memo)',
  'function burnWithMemo(uint256 amount, bytes32 memo)',
  'function supplyCap() view returns (uint256)',
  'function setSupplyCap(uint256 newSupplyCap)',
  'function paused() view returns (bool)',
  'function pause()',
  'function unpause()',
  'function transferPolicyId() view returns (uint64)',
  'function changeTransferPolicyId(uint64 newPolicyId)',
  // ERC-7699
  'function transfer(address to, uint256 amount, bytes transferReference) returns (bool)',
  long(
    'function transferFrom(address from, address to, uint256 amount, bytes transferReference)',
    'returns (bool)',
  ),
  // ERC-7943
  'function canSend(address account) view returns (bool)',
  'function canReceive(address account) view returns (bool)',
  'function canTransfer(address from, address to, uint256 amount) view returns (bool)',
  'function setFrozenTokens(address account, uint256 amount) returns (bool)',
  'function getFrozenTokens(address account) view returns (uint256)',
  'function forcedTransfer(address from, address to, uint256 amount) returns (bool)',
  // ERC-1996
  long(
    'function hold(bytes32 operationId, address to, address notary, uint256 value, uint256',
    'timeToExpiration) returns (bool)',
  ),
  long(
    'function holdFrom(bytes32 operationId, address from, address to, address notary, uint256',
    'value, uint256 timeToExpiration) returns (bool)',
  ),
  'function executeHold(bytes32 operationId, uint256 value) returns (bool)',
  'function releaseHold(bytes32 operationId) returns (bool)',
  'function renewHold(bytes32 operationId, uint256 timeToExpiration) returns (bool)',
  long(
    'function retrieveHoldData(bytes32 operationId) view returns (address from, address to,',
    'address notary, uint256 value, uint256 expiration, uint8 status)',
  ),
  'function balanceOnHold(address account) view returns (uint256)',
  'function netBalanceOf(address account) view returns (uint256)',
  'function totalSupplyOnHold() view returns (uint256)',
  'function attestReserve(uint256 amount, uint48 asOf, bytes32 statementHash)',
  // Roles
  'function issuerMemberId() view returns (bytes32)',
  'function hasRole(bytes32 role, address account) view returns (bool)',
  'function grantRole(bytes32 role, address account)',
  'function revokeRole(bytes32 role, address account)',
  'function renounceRole(bytes32 role, address account)',
  'function supportsInterface(bytes4 interfaceId) view returns (bool)',
  long(
    'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256',
    'chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
  ),
  'event Transfer(address indexed from, address indexed to, uint256 amount)',
  'event Approval(address indexed owner, address indexed spender, uint256 amount)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
  long(
    'event TransferWithMemo(address indexed from, address indexed to, uint256 amount, bytes32',
    'indexed memo)',
  ),
  // After the one `Transfer` to its master: which address the payer named.
  long(
    'event VirtualTransfer(address indexed from, address indexed virtualAddress, address',
    'indexed master, uint256 amount)',
  ),
  'event Mint(address indexed to, uint256 amount)',
  'event Burn(address indexed from, uint256 amount)',
  'event TransferReference(bytes32 indexed loggedReference)',
  'event ForcedTransfer(address indexed from, address indexed to, uint256 amount)',
  'event Frozen(address indexed account, uint256 amount)',
  long(
    'event HoldCreated(address indexed holdIssuer, bytes32 indexed operationId, address from,',
    'address to, address indexed notary, uint256 value, uint256 expiration)',
  ),
  long(
    'event HoldExecuted(address indexed holdIssuer, bytes32 indexed operationId, address',
    'indexed notary, uint256 heldValue, uint256 transferredValue)',
  ),
  long('event HoldReleased(address indexed holdIssuer, bytes32 indexed operationId, uint8 status)'),
  long(
    'event HoldRenewed(address indexed holdIssuer, bytes32 indexed operationId, uint256',
    'oldExpiration, uint256 newExpiration)',
  ),
  long(
    'event ReserveAttested(bytes32 indexed issuerMemberId, uint256 amount, uint256 supply,',
    'uint48 asOf, bytes32 statementHash)',
  ),
  'event RoleGranted(bytes32 indexed role, address indexed account, address indexed sender)',
  'event RoleRevoked(bytes32 indexed role, address indexed account, address indexed sender)',
  'event SupplyCapChanged(uint256 oldSupplyCap, uint256 newSupplyCap)',
  'event Paused(address account)',
  'event Unpaused(address account)',
  'event TransferPolicyChanged(uint64 oldPolicyId, uint64 newPolicyId)',
  ...tokenErrors,
  ...commonErrors,
]);

export const fail = errorsOf(tokenAbi);
export const log = templateEventsOf(tokenAbi);
