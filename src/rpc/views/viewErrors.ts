/** What went wrong in a contract, in geth's words: libraries match on them. */
import { bytesToUint, toBareHex, toHex } from '#src/lib/bytes.ts';
import { RPC, RpcError } from '../errors.ts';

/** `Error(string)` and `Panic(uint256)`, which Solidity has by itself. */
const ERROR = '08c379a0';
const PANIC = '4e487b71';
const reasonCharsMax = 1_024;

/** Solidity's own panics, as geth tells them. */
const PANICS: ReadonlyMap<bigint, string> = new Map([
  [0x00n, 'generic panic'],
  [0x01n, 'assert(false)'],
  [0x11n, 'arithmetic underflow or overflow'],
  [0x12n, 'division or modulo by zero'],
  [0x21n, 'enum overflow'],
  [0x22n, 'invalid encoded storage byte array accessed'],
  [0x31n, 'out-of-bounds array access; popping on an empty array'],
  [0x32n, 'out-of-bounds access of an array or bytesN'],
  [0x41n, 'out of memory'],
  [0x51n, 'uninitialized function'],
]);

/** Code 3 with the bytes, from which libraries decode errors of the contract's own. */
export function revertOf(output: Uint8Array): RpcError {
  const reason = reasonIn(output);
  const message = reason === null ? 'execution reverted' : `execution reverted: ${reason}`;
  return new RpcError(RPC.reverted, message, toHex(output));
}

export function viewFailure(reason: string, gasMax: bigint): RpcError {
  if (reason === 'out of gas') return new RpcError(RPC.rejected, `out of gas: ${gasMax} given`);
  return new RpcError(RPC.rejected, failureWords(reason));
}

/** geth's, for the library's. */
export function failureWords(reason: string): string {
  if (reason.startsWith('invalid JUMP')) return 'invalid jump destination';
  return reason.slice(0, reasonCharsMax);
}

/** In words, of `Error(string)` and `Panic(uint256)`; null for any other error. */
export function reasonIn(output: Uint8Array): string | null {
  const selector = toBareHex(output.subarray(0, 4));
  if (selector === PANIC && output.length === 36) {
    const code = bytesToUint(output.subarray(4));
    return PANICS.get(code) ?? `unknown panic code: 0x${code.toString(16)}`;
  }
  if (selector !== ERROR || output.length < 68) return null;
  const length = bytesToUint(output.subarray(36, 68));
  if (bytesToUint(output.subarray(4, 36)) !== 32n || length > BigInt(output.length - 68))
    return null;
  const text = Buffer.from(output.subarray(68, 68 + Number(length))).toString('utf8');
  return text.slice(0, reasonCharsMax);
}

/** The state went out of the window while it was read. */
export class StateGone extends Error {
  constructor() {
    super('the state is not kept any more');
  }
}
