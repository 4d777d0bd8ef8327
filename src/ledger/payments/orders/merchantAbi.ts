import { parseAbi } from 'abitype';
import { MERCHANT_REGISTRY } from '../addresses.ts';
import { commonErrors, errorsOf, eventsOf, long } from '../contract.ts';

/** MerchantRegistry (payments.md 2.3), its errors and its events. */
export const merchantAbi = parseAbi([
  long(
    'struct Merchant { bytes32 merchantId; bytes32 legalEntityHash; string displayName; bytes2',
    'country; uint16 mcc; bytes32 acquirerId; address settlementAccount; uint64 payerPolicyId;',
    'uint8 status; bool autoRoute; }',
  ),
  'struct Fee { address receiver; uint16 bps; uint256 fixedAmount; bytes32 kind; }',
  'function registerMerchant(Merchant m, bytes merchantSig) returns (bytes32 merchantId)',
  'function setStatus(bytes32 merchantId, uint8 status, bytes32 reasonHash)',
  'function setOrderKey(bytes32 merchantId, address key, uint8 rights, bool allowed)',
  long(
    'function proposeSettlementAccount(bytes32 merchantId, address account, bytes',
    'merchantSig)',
  ),
  'function confirmSettlementAccount(bytes32 merchantId)',
  long(
    'function bindChannel(bytes32 merchantId, bytes32 channelId, bytes32 channelMerchantCode,',
    'bytes32 creditedAccountHash)',
  ),
  long(
    'function setFeeSchedule(bytes32 merchantId, bytes32 channelId, Fee[] fees, bytes',
    'merchantSig)',
  ),
  'function getMerchant(bytes32 merchantId) view returns (Merchant)',
  long(
    'function merchantByChannelCode(bytes32 channelId, bytes32 channelMerchantCode) view',
    'returns (bytes32 merchantId)',
  ),
  'function merchantByLegalEntity(bytes32 legalEntityHash) view returns (bytes32 merchantId)',
  'function isOrderKey(bytes32 merchantId, address key, uint8 right) view returns (bool)',
  'function feeSchedule(bytes32 merchantId, bytes32 channelId) view returns (Fee[] fees)',
  'function signatureNonce(bytes32 merchantId) view returns (uint256)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  long(
    'event MerchantRegistered(bytes32 indexed merchantId, bytes32 indexed legalEntityHash,',
    'bytes32 indexed acquirerId, address settlementAccount, string displayName, bytes2 country,',
    'uint16 mcc)',
  ),
  long(
    'event MerchantStatusChanged(bytes32 indexed merchantId, uint8 status, bytes32 reasonHash,',
    'bytes32 indexed byMemberId)',
  ),
  long(
    'event OrderKeySet(bytes32 indexed merchantId, address indexed key, uint8 rights, bool',
    'allowed)',
  ),
  long(
    'event SettlementAccountProposed(bytes32 indexed merchantId, address indexed account,',
    'uint48 effectiveAt)',
  ),
  long(
    'event SettlementAccountChanged(bytes32 indexed merchantId, address indexed oldAccount,',
    'address indexed newAccount)',
  ),
  long(
    'event ChannelBound(bytes32 indexed merchantId, bytes32 indexed channelId, bytes32 indexed',
    'channelMerchantCode, bytes32 creditedAccountHash)',
  ),
  long(
    'event FeeScheduleSet(bytes32 indexed merchantId, bytes32 indexed channelId, bytes32',
    'feesHash, uint16 totalBps)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidMerchant(bytes32 merchantId)',
  'error MerchantExists(bytes32 merchantId)',
  'error UnknownMerchant(bytes32 merchantId)',
  'error MerchantClosed(bytes32 merchantId)',
  'error LegalEntityTaken(bytes32 legalEntityHash, bytes32 merchantId)',
  'error UnknownChannel(bytes32 channelId)',
  'error ChannelClosed(bytes32 channelId)',
  'error InvalidBinding(bytes32 channelId, string what)',
  'error ChannelCodeTaken(bytes32 channelId, bytes32 channelMerchantCode, bytes32 merchantId)',
  'error InvalidDisplayName(string displayName)',
  'error InvalidAccount(address account)',
  'error InvalidSignature(address signer)',
  'error UnknownPolicy(uint64 policyId)',
  'error InvalidStatus(uint8 status)',
  'error InvalidRights(uint8 rights)',
  'error NothingProposed(bytes32 merchantId)',
  'error NotYetEffective(bytes32 merchantId, uint48 effectiveAt)',
  'error TooManyFees(uint256 count, uint256 limit)',
  'error InvalidFee(uint256 index)',
  ...commonErrors,
]);

export const fail = errorsOf(merchantAbi);
export const log = eventsOf(MERCHANT_REGISTRY, merchantAbi);
