import { parseAbi } from 'abitype';
import { PAYMENT_ORDERS } from '../addresses.ts';
import { commonErrors, errorsOf, eventsOf, long } from '../contract.ts';
import { tokenErrors } from '../tokens/tokenAbi.ts';

/** PaymentOrders (payments.md 2.3): without what external channels say. */
export const orderAbi = parseAbi([
  long(
    'struct OrderTerms { bytes32 merchantId; bytes32 orderRef; address token; uint256 amount;',
    'address payer; bytes32 channelId; uint8 captureMode; uint48 payBy; uint48 captureBy; uint48',
    'refundBy; uint16 maxFeeBps; bytes32 metadataHash; uint256 salt; }',
  ),
  long(
    'struct Order { OrderTerms terms; uint8 state; address payer; address settlementAccount;',
    'bytes32 accessMemberId; uint256 authorized; uint256 captured; uint256 refunded; uint48',
    'createdAt; uint48 stateAt; uint48 resultBy; bytes32 channelRefHash; bytes32',
    'settlementRefHash; bytes32 evidenceHash; bool suspended; }',
  ),
  long(
    'struct PaymentConsent { bytes32 orderId; address payer; address token; uint256 amount;',
    'bytes32 channelId; uint48 validBefore; }',
  ),
  'function createOrder(OrderTerms terms, bytes merchantSig) returns (bytes32 orderId)',
  'function routeOrder(bytes32 orderId, bytes32 channelId, bytes32 screeningHash)',
  'function rejectOrder(bytes32 orderId, uint16 reasonCode, bytes32 reasonHash)',
  'function pay(bytes32 orderId)',
  long(
    'function payWithAuthorization(bytes32 orderId, address payer, uint256 validAfter, uint256',
    'validBefore, bytes signature)',
  ),
  'function recordConsent(PaymentConsent consent, bytes payerSig)',
  'function capture(bytes32 orderId, uint256 amount)',
  'function voidOrder(bytes32 orderId)',
  'function cancel(bytes32 orderId)',
  'function reclaim(bytes32 orderId)',
  'function expire(bytes32 orderId)',
  long(
    'function refund(bytes32 orderId, uint256 amount, bytes32 refundRef) returns (bytes32',
    'refundId)',
  ),
  'function claimParkedFee(bytes32 orderId, address receiver)',
  'function getOrder(bytes32 orderId) view returns (Order)',
  'function channelOf(bytes32 orderId) view returns (bytes32 channelId)',
  'function stateOf(bytes32 orderId) view returns (uint8 state, bool suspended)',
  'function orderIdOf(bytes32 merchantId, bytes32 orderRef) view returns (bytes32 orderId)',
  'function hashOrder(OrderTerms terms) view returns (bytes32 orderId)',
  'function escrowedTotal(address token) view returns (uint256)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  long(
    'event OrderRequested(bytes32 indexed orderId, bytes32 indexed merchantId, bytes32 indexed',
    'channelId, bytes32 orderRef, address token, uint256 amount, address payer, uint48 payBy)',
  ),
  long(
    'event OrderRouted(bytes32 indexed orderId, bytes32 indexed merchantId, bytes32 indexed',
    'channelId, bytes32 accessMemberId, bytes32 screeningHash)',
  ),
  long(
    'event OrderRejected(bytes32 indexed orderId, bytes32 indexed merchantId, bytes32 indexed',
    'accessMemberId, uint16 reasonCode, bytes32 reasonHash)',
  ),
  long(
    'event OrderAuthorized(bytes32 indexed orderId, bytes32 indexed merchantId, address indexed',
    'payer, uint256 amount, bool heldOnChain)',
  ),
  long(
    'event OrderCaptured(bytes32 indexed orderId, bytes32 indexed merchantId, address indexed',
    'settlementAccount, uint256 gross, uint256 net, uint256 fees)',
  ),
  long(
    'event FeePaid(bytes32 indexed orderId, address indexed receiver, bytes32 indexed kind,',
    'uint256 amount)',
  ),
  long(
    'event FeeParked(bytes32 indexed orderId, address indexed receiver, bytes32 indexed kind,',
    'uint256 amount)',
  ),
  long(
    'event OrderSettled(bytes32 indexed orderId, bytes32 indexed merchantId, bytes32 indexed',
    'channelId, uint256 amount, bytes32 settlementRefHash, uint48 settledAt)',
  ),
  long(
    'event OrderCancelled(bytes32 indexed orderId, bytes32 indexed merchantId, address indexed',
    'by, uint256 released)',
  ),
  long('event OrderExpired(bytes32 indexed orderId, bytes32 indexed merchantId, uint256 released)'),
  long(
    'event OrderRefunded(bytes32 indexed orderId, bytes32 indexed merchantId, address indexed',
    'payer, bytes32 refundId, uint256 amount, uint256 totalRefunded)',
  ),
  'error NotAuthorized(address caller)',
  'error UnknownOrder(bytes32 orderId)',
  'error OrderExists(bytes32 orderId)',
  'error OrderRefTaken(bytes32 merchantId, bytes32 orderRef, bytes32 orderId)',
  'error WrongState(bytes32 orderId, uint8 state)',
  'error InvalidTerms(bytes32 orderId, string what)',
  'error MerchantNotActive(bytes32 merchantId)',
  'error UnknownChannel(bytes32 channelId)',
  'error ChannelNotActive(bytes32 channelId)',
  'error ChannelNotBound(bytes32 merchantId, bytes32 channelId)',
  'error WrongChannel(bytes32 orderId, bytes32 channelId)',
  'error ConsentMismatch(bytes32 orderId, string what)',
  'error TooLate(bytes32 orderId, uint256 deadline)',
  'error TooEarly(bytes32 orderId, uint256 deadline)',
  'error PayerNotAllowed(address payer)',
  'error AmountAboveRest(bytes32 orderId, uint256 amount, uint256 rest)',
  'error FeesAboveLimit(bytes32 orderId, uint256 fees, uint256 limit)',
  'error NotAttested(bytes32 orderId, address token, uint256 threshold)',
  'error NothingParked(bytes32 orderId, address receiver)',
  ...tokenErrors,
  ...commonErrors,
]);

export const fail = errorsOf(orderAbi);
export const log = eventsOf(PAYMENT_ORDERS, orderAbi);
