import { parseAbi } from 'abitype';
import { CHANNEL_REGISTRY } from '../addresses.ts';
import { commonErrors, errorsOf, eventsOf, long } from '../contract.ts';

/** ChannelRegistry (payments.md 2.3), its errors and its events. */
export const channelAbi = parseAbi([
  long(
    'struct Channel { bytes32 channelId; bytes32 memberId; bytes32 kind; address resultKey;',
    'address connection; uint32 ackSla; uint32 resultSla; uint8 status; }',
  ),
  'function registerChannel(Channel c)',
  'function rotateResultKey(bytes32 channelId, address newKey, bytes proofOfPossession)',
  'function setConnection(bytes32 channelId, address connection)',
  'function setStatus(bytes32 channelId, uint8 status, bytes32 reasonHash)',
  'function heartbeat(bytes32 channelId, uint64 lastSeenBlock, uint32 openItems)',
  'function getChannel(bytes32 channelId) view returns (Channel)',
  long(
    'function lastHeartbeat(bytes32 channelId) view returns (uint48 at, uint64 lastSeenBlock,',
    'uint32 openItems)',
  ),
  'function signatureNonce(bytes32 channelId) view returns (uint256)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  long(
    'event ChannelRegistered(bytes32 indexed channelId, bytes32 indexed memberId, bytes32',
    'indexed kind, address resultKey, address connection)',
  ),
  'event ResultKeyRotated(bytes32 indexed channelId, address oldKey, address newKey)',
  long(
    'event ConnectionChanged(bytes32 indexed channelId, address oldConnection, address',
    'newConnection)',
  ),
  'event ChannelStatusChanged(bytes32 indexed channelId, uint8 status, bytes32 reasonHash)',
  long(
    'event ChannelHeartbeat(bytes32 indexed channelId, uint64 lastSeenBlock, uint32',
    'openItems)',
  ),
  'error NotAuthorized(address caller)',
  'error InvalidChannel(bytes32 channelId, string what)',
  'error ChannelExists(bytes32 channelId)',
  'error UnknownChannel(bytes32 channelId)',
  'error ChannelClosed(bytes32 channelId)',
  'error InvalidAccount(address account)',
  'error ConnectionTaken(address connection, bytes32 channelId)',
  'error InvalidSignature(address signer)',
  'error InvalidStatus(uint8 status)',
  'error BlockToCome(uint64 lastSeenBlock, uint64 height)',
  ...commonErrors,
]);

export const fail = errorsOf(channelAbi);
export const log = eventsOf(CHANNEL_REGISTRY, channelAbi);
