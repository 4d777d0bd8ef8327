/**
 * Every bound of the peer-to-peer layer, by name and unit. The figures come from a threat list: a
 * peer that is allowed in may still be broken or hostile, and a stranger must never cost a member
 * its connections.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

export type NetworkLimits = {
  /** Distinct essential peers connected at once. */
  essentialPeersMax: number;
  /** Distinct peers connected at once, beside the essential ones. */
  peersMax: number;
  /** Inbound sockets whose handshake is not finished; one more evicts the oldest. */
  handshakesPendingMax: number;
  /** New sockets a second from one host, before the library refuses them unread. */
  socketsPerHostPerSecondMax: number;
  /** TCP accept to multiplexed connection, inbound. */
  upgradeTimeoutMs: number;
  /** Address to multiplexed connection, outbound. */
  dialTimeoutMs: number;
  /** Connection to hellos exchanged on every channel. */
  helloTimeoutMs: number;
  helloBytesMax: number;
  streamsPerConnectionMax: number;
  streamsPerProtocolMax: number;
  readBufferBytesMax: number;
  writeBufferBytesMax: number;
  consensusMessageBytesMax: number;
  transactionsMessageBytesMax: number;
  /** Frames waiting for one peer on one channel, beyond what the stream itself holds. */
  queueMessagesMax: number;
  queueBytesMax: number;
  inboundMessagesPerSecondMax: number;
  inboundBytesPerSecondMax: number;
  requestBytesMax: number;
  responseBytesMax: number;
  /** In flight with one peer, each way. */
  requestsPerPeerMax: number;
  /** How long an answer may take to be made and taken away. */
  serveTimeoutMs: number;
  redialFirstMs: number;
  redialMaxMs: number;
  /** A connection that lived this long makes the next redial start from `redialFirstMs`. */
  stableAfterMs: number;
  /** Two connections, one dialled by each side, this close together are one meeting. */
  crossDialMs: number;
  /** A connection that lost to another stays this long for what is in flight. */
  lingerMs: number;
  heartbeatMs: number;
  /** Our own heartbeats sent without hearing one of theirs. */
  silentHeartbeatsMax: number;
  banMs: number;
  closeTimeoutMs: number;
};

export const DEFAULT_LIMITS: Readonly<NetworkLimits> = {
  // Two peer ids, before and after a change, of every validator in force.
  essentialPeersMax: 256,
  peersMax: 192,
  handshakesPendingMax: 640,
  socketsPerHostPerSecondMax: 2000,
  upgradeTimeoutMs: 3000,
  dialTimeoutMs: 3000,
  helloTimeoutMs: 3000,
  helloBytesMax: KIB,
  streamsPerConnectionMax: 32,
  streamsPerProtocolMax: 4,
  readBufferBytesMax: 512 * KIB,
  writeBufferBytesMax: 4 * MIB,
  // A block of 2 MiB, and the certificates that travel with its proposal.
  consensusMessageBytesMax: 2 * MIB + 256 * KIB,
  transactionsMessageBytesMax: MIB,
  queueMessagesMax: 4096,
  queueBytesMax: 16 * MIB,
  inboundMessagesPerSecondMax: 100_000,
  inboundBytesPerSecondMax: 64 * MIB,
  requestBytesMax: 64 * KIB,
  responseBytesMax: 4 * MIB + 256 * KIB,
  requestsPerPeerMax: 4,
  serveTimeoutMs: 10_000,
  redialFirstMs: 100,
  redialMaxMs: 5000,
  stableAfterMs: 5000,
  crossDialMs: 5000,
  lingerMs: 500,
  heartbeatMs: 1000,
  silentHeartbeatsMax: 5,
  banMs: 30 * 60_000,
  closeTimeoutMs: 1500,
};
