import { assert } from '#src/lib/failure.ts';
import {
  blockBytesMax,
  blockTransactionsMax,
  contractBytesGasMax,
  evmLaneBytesMax,
} from '#src/types/limits.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { floorGas, intrinsicGas, standardGas, workGas } from './gas.ts';
import { type Applied, type LaneName, type LedgerRules, laneOf } from './rules.ts';

/** Room that a transaction holds until its turn is over, in gas. */
type Room = { readonly payment: bigint; readonly code: bigint; readonly codeBytes: bigint };

const NO_ROOM: Room = { payment: 0n, code: 0n, codeBytes: 0n };
/** Of a transaction that does nothing. */
const leastGas = 21_000n;

/**
 * What is left of a block's budgets, in gas and in bytes. Payments have their own. Contract
 * transactions have one for what their code does, which follows the time that the slowest code
 * takes, and one for what they pay for bytes: to deploy a large contract takes much gas and little
 * time. A transaction needs room for all that it asks for, and takes what it used: who asks for much
 * and uses little crowds nobody out.
 */
export class Lanes {
  #gas: Room;
  readonly #laneBytes: Record<LaneName, number>;
  #count = 0;
  /** What the header and the framing of a block may take. */
  #bytes = blockBytesMax - 4_096;
  readonly #codeGasMax: bigint;
  /** By the transaction whose turn it is. */
  #held = NO_ROOM;

  constructor({ paymentLaneGasLimit, evmLaneGasLimit, paymentLaneBytesMax }: LedgerRules) {
    this.#codeGasMax = evmLaneGasLimit;
    const [payment, code, codeBytes] = [paymentLaneGasLimit, evmLaneGasLimit, contractBytesGasMax];
    this.#gas = { payment, code, codeBytes };
    this.#laneBytes = { payment: paymentLaneBytesMax, evm: evmLaneBytesMax };
  }

  isFull(lane: LaneName): boolean {
    const { payment, code, codeBytes } = this.#gas;
    const left = lane === 'payment' ? payment : code === 0n ? 0n : codeBytes;
    return left < leastGas || this.#count >= blockTransactionsMax;
  }

  /** Room for all that it asks for. */
  take(transaction: SignedTransaction): boolean {
    const { gasLimit } = transaction;
    const isPayment = laneOf(transaction) === 'payment';
    const room = isPayment ? { ...NO_ROOM, payment: gasLimit } : this.#roomForCode(transaction);
    return this.#take(transaction, room);
  }

  /** Room for no more than it uses at the least; in the lane where it will be. */
  takeLeast(transaction: SignedTransaction, lane: LaneName): boolean {
    const gas = intrinsicGas(transaction);
    const code = workGas(transaction);
    const room =
      lane === 'payment'
        ? { ...NO_ROOM, payment: gas }
        : { payment: 0n, code, codeBytes: gas - code };
    return this.#take(transaction, room, lane);
  }

  #take(transaction: SignedTransaction, room: Room, lane = laneOf(transaction)): boolean {
    const bytes = bytesOf(transaction);
    if (!this.#has(room) || bytes > this.#laneBytes[lane] || bytes > this.#bytes) return false;
    if (this.#count >= blockTransactionsMax) return false;
    this.#change(room, -1n);
    this.#held = room;
    this.#laneBytes[lane] -= bytes;
    this.#bytes -= bytes;
    this.#count++;
    return true;
  }

  /** What was taken as a payment runs code after all; false where there is no room for that. */
  shift(transaction: SignedTransaction): boolean {
    const room = this.#roomForCode(transaction);
    const bytes = bytesOf(transaction);
    if (!this.#has(room) || bytes > this.#laneBytes.evm) return false;
    this.#change(this.#held, 1n);
    this.#change(room, -1n);
    this.#held = room;
    this.#laneBytes.payment += bytes;
    this.#laneBytes.evm -= bytes;
    return true;
  }

  /**
   * What took room cannot be in the block after all. It never shifted: whoever has room for its
   * code is in the block, whatever the code does.
   */
  giveBack(transaction: SignedTransaction): void {
    const bytes = bytesOf(transaction);
    this.#change(this.#held, 1n);
    this.#held = NO_ROOM;
    this.#laneBytes[laneOf(transaction)] += bytes;
    this.#bytes += bytes;
    this.#count--;
  }

  /** The turn is over: what was not used is there for the next one. */
  settle({ gasUsed, codeGas }: Pick<Applied, 'gasUsed' | 'codeGas'>): void {
    const held = this.#held;
    // What came back in the end (EIP-3529) took its time all the same.
    const codeBytes = gasUsed > codeGas ? gasUsed - codeGas : 0n;
    const isPayment = held.payment > 0n;
    const used = isPayment
      ? { ...NO_ROOM, payment: gasUsed }
      : { payment: 0n, code: codeGas, codeBytes };
    for (const name of ROOMS) assert(used[name] <= held[name], 'it had room for what it used');
    this.#change(held, 1n);
    this.#change(used, -1n);
    this.#held = used;
  }

  /** What code cannot get is for bytes, or for nothing. */
  #roomForCode(transaction: SignedTransaction): Room {
    const { to, data, gasLimit: gas } = transaction;
    const bytes = standardGas(transaction) - workGas(transaction);
    const code = clamp(gas - bytes, 0n, this.#codeGasMax);
    // A creation may leave code for all that it asks for.
    const codeBytes = to === null ? gas : clamp(bytes, floorGas(data), gas);
    return { payment: 0n, code, codeBytes };
  }

  #has(room: Room): boolean {
    return ROOMS.every((name) => room[name] <= this.#gas[name]);
  }

  #change(by: Room, sign: 1n | -1n): void {
    const { payment, code, codeBytes } = this.#gas;
    this.#gas = {
      payment: payment + sign * by.payment,
      code: code + sign * by.code,
      codeBytes: codeBytes + sign * by.codeBytes,
    };
  }
}

function clamp(value: bigint, min: bigint, max: bigint): bigint {
  if (value < min) return min;
  return value > max ? max : value;
}

const ROOMS = ['payment', 'code', 'codeBytes'] as const;

/** With the string header that the transaction has inside the block. */
function bytesOf({ raw }: SignedTransaction): number {
  return raw.length + 4;
}
