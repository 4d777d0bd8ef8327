/** JSON-RPC 2.0, EIP-1474 and geth; the table is reliability.md 4. */
export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  unknownMethod: -32601,
  invalidParams: -32602,
  internal: -32603,
  rejected: -32000,
  notFound: -32001,
  tooLarge: -32003,
  limit: -32005,
  /** As geth: with the contract's error as data. */
  reverted: 3,
  /** execution-apis: code that failed in a simulated block. */
  vmError: -32015,
  /** EIP-7966: taken, but not final in time. */
  syncTimeout: 4,
} as const;

/** `eth_simulateV1` (execution-apis): why a call cannot be in a block, or a block not in a chain. */
export const SIMULATION = {
  nonceTooLow: -38010,
  nonceTooHigh: -38011,
  baseFeeTooLow: -38012,
  intrinsicGas: -38013,
  insufficientFunds: -38014,
  blockGasLimit: -38015,
  blockNumbers: -38020,
  timestamps: -38021,
  movesToItself: -38022,
  movesToTheSame: -38023,
  initCodeTooLarge: -38025,
  clientLimit: -38026,
} as const;

/** What the caller did or met: goes out as it is. Without a stack, because nobody reads one. */
export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;
  constructor(code: number, message: string, data?: unknown) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.name = 'RpcError';
    this.code = code;
    this.data = data;
  }
}

/** Names the parameter by its position, as geth does. */
export function invalidParam(index: number, reason: string): RpcError {
  return new RpcError(RPC.invalidParams, `invalid argument ${index}: ${reason}`);
}

export function limitExceeded(message: string): RpcError {
  return new RpcError(RPC.limit, message);
}

const nameCharsShown = 64;

export function unknownMethod(name: string): RpcError {
  const shown = name.length > nameCharsShown ? `${name.slice(0, nameCharsShown)}...` : name;
  return new RpcError(RPC.unknownMethod, `the method ${shown} does not exist/is not available`);
}
