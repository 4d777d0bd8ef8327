/** Every limit of the JSON-RPC server, each named with its unit (reliability.md 4.1). */
export type RpcLimits = {
  /**
   * Of filters, what they and subscriptions look for, waits for receipts, and views that wait: how
   * much of all that one caller may have, and all without a key together.
   */
  readonly callerSharePercent: number;
  readonly anonymousSharePercent: number;
  readonly bodyBytesMax: number;
  readonly batchItemsMax: number;
  readonly responseBytesMax: number;
  readonly jsonDepthMax: number;
  readonly objectKeysMax: number;
  readonly idCharsMax: number;
  readonly headerBytesMax: number;
  readonly headersMax: number;
  readonly urlCharsMax: number;
  /** HTTP and WebSocket together. */
  readonly connectionsMax: number;
  readonly addressConnectionsMax: number;
  readonly requestsPerSocketMax: number;
  /** Calls that wait for something: beyond it, HTTP 429 and -32005. */
  readonly callsInFlightMax: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly connectionCheckMs: number;
  readonly keepAliveTimeoutMs: number;
  /** A socket on which nothing moves; never less than the longest wait for a receipt. */
  readonly idleTimeoutMs: number;
  /** How long a refused sender may go on before its socket is cut, so that it sees the refusal. */
  readonly lingerMs: number;
  readonly socketsMax: number;
  /** Of one key or address, so that nobody has all of them; not of those that are not counted. */
  readonly callerSocketsMax: number;
  readonly socketPayloadBytesMax: number;
  readonly socketFragmentsMax: number;
  readonly socketUnreadBytesMax: number;
  /** Of all answers together, over HTTP and WebSocket; the slowest reader is cut first. */
  readonly unreadBytesMax: number;
  readonly socketPingsPerIntervalMax: number;
  readonly pingIntervalMs: number;
  readonly subscriptionsPerSocketMax: number;
  /** How far back a subscription may begin. */
  readonly replayBlocksMax: number;
  readonly filtersMax: number;
  readonly filterLifetimeMs: number;
  readonly pendingHashesMax: number;
  readonly logBlocksMax: number;
  readonly logResultsMax: number;
  /** Of a history of fees, too. */
  readonly logSearchMs: number;
  readonly logAddressesMax: number;
  readonly logTopicChoicesMax: number;
  /** Addresses and topics that filters and subscriptions of all callers hold together. */
  readonly keptChoicesMax: number;
  readonly feeHistoryBlocksMax: number;
  /** With percentiles: these need the blocks' bodies. */
  readonly feeHistoryRewardBlocksMax: number;
  readonly feeHistoryPercentilesMax: number;
  readonly overrideAccountsMax: number;
  readonly overrideSlotsMax: number;
  /** Threads for contracts that are only asked; each ends after so long, or at so much memory. */
  readonly viewThreads: number;
  readonly viewsWaitingMax: number;
  readonly viewMs: number;
  readonly viewMebibytesMax: number;
  readonly viewGasMax: bigint;
  /** `eth_simulateV1`: with those that fill gaps, as in geth; and calls of one of them. */
  readonly simulatedBlocksMax: number;
  readonly simulatedCallsMax: number;
  /** Of one trace, which runs all that was before it in its block again. */
  readonly traceMs: number;
  /** Calls in one answer, and bytes of their inputs, outputs and logs. */
  readonly traceFramesMax: number;
  readonly traceBytesMax: number;
  /** Slots in one proof, as geth has it. */
  readonly proofSlotsMax: number;
  readonly historyEntriesMax: number;
  /** Of an account, in one page of an explorer. */
  readonly searchPageMax: number;
  /** What one search may look through in the histories. */
  readonly searchEntriesMax: number;
  /** And in blocks, where only these tell. */
  readonly searchBlocksMax: number;
  /** How long it may take, with its waits for others that search. */
  readonly searchMs: number;
  readonly syncTimeoutMs: number;
  readonly syncWaitsMax: number;
};

const MiB = 1024 * 1024;

export const defaultRpcLimits: RpcLimits = {
  callerSharePercent: 25,
  anonymousSharePercent: 75,
  bodyBytesMax: MiB,
  batchItemsMax: 100,
  responseBytesMax: 10 * MiB,
  jsonDepthMax: 32,
  objectKeysMax: 64,
  idCharsMax: 256,
  headerBytesMax: 8 * 1024,
  headersMax: 100,
  urlCharsMax: 2 * 1024,
  connectionsMax: 1_000,
  addressConnectionsMax: 200,
  requestsPerSocketMax: 10_000,
  callsInFlightMax: 4_000,
  headersTimeoutMs: 8_000,
  requestTimeoutMs: 12_000,
  connectionCheckMs: 2_000,
  keepAliveTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  lingerMs: 500,
  socketsMax: 100,
  callerSocketsMax: 25,
  socketPayloadBytesMax: MiB,
  socketFragmentsMax: 64,
  socketUnreadBytesMax: 4 * MiB,
  unreadBytesMax: 128 * MiB,
  socketPingsPerIntervalMax: 300,
  pingIntervalMs: 30_000,
  subscriptionsPerSocketMax: 32,
  replayBlocksMax: 100_000,
  filtersMax: 1_000,
  filterLifetimeMs: 300_000,
  pendingHashesMax: 16_384,
  logBlocksMax: 2_000,
  logResultsMax: 10_000,
  logSearchMs: 2_000,
  logAddressesMax: 1_000,
  logTopicChoicesMax: 1_000,
  keptChoicesMax: 100_000,
  feeHistoryBlocksMax: 1_024,
  feeHistoryRewardBlocksMax: 128,
  feeHistoryPercentilesMax: 100,
  overrideAccountsMax: 64,
  overrideSlotsMax: 1_024,
  viewThreads: 2,
  viewsWaitingMax: 64,
  viewMs: 2_000,
  viewMebibytesMax: 256,
  viewGasMax: 10_000_000n,
  simulatedBlocksMax: 256,
  simulatedCallsMax: 1_000,
  traceMs: 5_000,
  traceFramesMax: 10_000,
  traceBytesMax: 3 * MiB,
  proofSlotsMax: 1_024,
  historyEntriesMax: 1_000,
  searchPageMax: 100,
  searchEntriesMax: 20_000,
  searchBlocksMax: 256,
  searchMs: 5_000,
  syncTimeoutMs: 20_000,
  syncWaitsMax: 2_000,
};
