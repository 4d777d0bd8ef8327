/**
 * Messages run here. Only this file, `leanEvm.ts` and `world.ts` know the EVM's library. It is
 * asynchronous by its interface; over a state that answers at once it never waits for anything but
 * its own promises, so that a message begins and ends in one turn of the event loop.
 */
import { type EVM, EVMError, type EVMResult, type ExecResult, type Message } from '@ethereumjs/evm';
import type { Address as LibraryAddress } from '@ethereumjs/util';
import { EMPTY_BYTES, type Hex } from '#src/lib/bytes.ts';
import { type Address, isReservedAddress } from '#src/types/address.ts';
import { type Hash, hashToBytes } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';
import type { CallObserver, CallType } from '../calls.ts';
import { contractAt } from '../payments/contracts.ts';
import { refuseDelegated, runMessage, type Transfer, transferLog } from '../payments/dispatch.ts';
import type { Overlay } from '../state/overlay.ts';
import { EvmState } from './evmState.ts';
import { type Called, LeanEvm } from './leanEvm.ts';
import { installObserving, observed, type Watched } from './observing.ts';
import {
  addressOf,
  addressToLibrary,
  type EvmBlock,
  logFromLibrary,
  logToLibrary,
  World,
} from './world.ts';

/**
 * For each word that code hands to a native contract, which has to copy and decode it before it
 * knows whether it wants it: 0.7 microseconds where it is a list of payouts. A transaction has paid
 * for its data; code pays for its memory once, and could hand it over again and again.
 */
const NATIVE_WORD_GAS = 60n;

export type EvmMessage = {
  readonly sender: Address;
  /** Null creates a contract, with `data` as its init code. */
  readonly to: Address | null;
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly gas: bigint;
  /** What code may use of it; the rest is for the bytes of a creation. */
  readonly codeGasMax?: bigint;
  readonly gasPrice: bigint;
  /** Paid for by the transaction (EIP-2930). */
  readonly accessList: readonly AccessListEntry[];
  /** Of the authorizations (EIP-7702). */
  readonly warm: readonly Address[];
  /** Whether the outcome says what was accessed. */
  readonly tellsAccess?: boolean;
};

export type EvmOutcome = {
  readonly ended: 'well' | 'reverted' | 'failed';
  /** The library's word for what went wrong; empty where nothing did. */
  readonly reason: string;
  readonly output: Uint8Array;
  readonly gasUsed: bigint;
  /** Of it, what was not paid for the bytes of a creation. */
  readonly codeGas: bigint;
  /** The counter of EIP-3529, before its cap. */
  readonly refund: bigint;
  readonly logs: readonly Log[];
  readonly transfers: readonly Transfer[];
  /** Accounts and slots that were cold, where the message asked for them; also of what failed. */
  readonly accessed: readonly AccessListEntry[];
};

/**
 * Runs one message to its end. The sender's nonce has been raised and its gas paid. Whatever failed
 * is taken back; coin is neither made nor lost. Throws only what the state threw.
 */
export async function runInEvm(
  overlay: Overlay,
  block: EvmBlock,
  message: EvmMessage,
): Promise<EvmOutcome> {
  const machine = idle.get(block.chainId)?.pop() ?? new Machine(new World(), block.chainId);
  const outcome = await machine.run(overlay, block, message);
  // One that threw is left to the collector: nobody knows what it still holds.
  const waiting = idle.get(block.chainId) ?? [];
  idle.set(block.chainId, [...waiting.slice(0, idleMax - 1), machine]);
  return outcome;
}

await installObserving();

/** Making one costs a millisecond; two blocks that are executed at a time need one each. */
const idle = new Map<bigint, Machine[]>();
const idleMax = 4;

class Machine extends LeanEvm implements Watched {
  readonly #world: World;
  /** Of the message that runs. */
  #codeGasMax = 0n;
  #codeGas = 0n;
  observer: CallObserver | null = null;
  callType: CallType = 'CALL';

  constructor(world: World, chainId: bigint) {
    super(world, chainId);
    this.#world = world;
  }

  async run(overlay: Overlay, block: EvmBlock, message: EvmMessage): Promise<EvmOutcome> {
    const state = new EvmState(overlay);
    const { gas, codeGasMax = gas } = message;
    this.#world.begin(state, block);
    this.#codeGasMax = codeGasMax;
    this.#codeGas = 0n;
    this.observer = block.observer ?? null;
    this.callType = message.to === null ? 'CREATE' : 'CALL';
    if (message.tellsAccess) this.journal.startReportingAccessList();
    this.#warmUp(block, message);
    state.checkpoint();
    try {
      const result = await this.runCall(callOf(block, message));
      state.commit();
      const outcome = this.#outcomeOf(result, state);
      const codeGas = message.to === null ? this.#codeGas : outcome.gasUsed;
      return { ...outcome, codeGas, accessed: this.#accessed() };
    } catch (error) {
      const { failure } = this.#world;
      if (failure !== null) throw failure.error;
      // A bug of the library's fails the transaction here as everywhere, and not the node.
      state.revertAll();
      const reason = error instanceof Error ? error.message : String(error);
      const codeGas = smaller(gas, codeGasMax);
      // A call gets no more than that; a creation may take the rest for its bytes.
      return { ...FAILED, reason, gasUsed: message.to === null ? gas : codeGas, codeGas };
    } finally {
      this.observer = null;
      delete this.journal.accessList;
      this.journal.cleanJournal();
      this.transientStorage.clear();
    }
  }

  override getPrecompile(at: LibraryAddress | Hex): ReturnType<EVM['getPrecompile']> {
    const places = this.#world.block.precompiles ?? null;
    if (places === null || typeof at === 'string') return super.getPrecompile(at);
    const which = places.get(addressOf(at));
    return which === undefined ? undefined : super.getPrecompile(which);
  }

  #warmUp({ coinbase }: EvmBlock, { sender, to, accessList, warm }: EvmMessage): void {
    for (const address of this.precompiles.keys()) this.journal.addAlwaysWarmAddress(address);
    for (const address of [sender, coinbase, ...warm]) this.journal.addAlwaysWarmAddress(address);
    if (to !== null) this.journal.addAlwaysWarmAddress(to);
    for (const { address, storageKeys } of accessList) {
      this.journal.addAlwaysWarmAddress(address);
      for (const key of storageKeys) this.journal.addAlwaysWarmSlot(address, key);
    }
  }

  #accessed(): AccessListEntry[] {
    return [...(this.journal.accessList ?? [])].map(([address, slots]) => ({
      address: `0x${address}` as Address,
      storageKeys: [...slots].map((slot) => `0x${slot}` as Hash),
    }));
  }

  #outcomeOf({ execResult }: EVMResult, state: EvmState): Omit<EvmOutcome, 'accessed' | 'codeGas'> {
    const { exceptionError, executionGasUsed: gasUsed, returnValue: output } = execResult;
    if (exceptionError !== undefined) {
      const { error: reason } = exceptionError;
      const ended = reason === EVMError.errorMessages.REVERT ? 'reverted' : 'failed';
      return { ...FAILED, ended, reason, gasUsed, output };
    }
    const created = execResult.createdAddresses ?? new Set();
    for (const address of execResult.selfdestruct?.keys() ?? []) {
      if (created.has(address)) state.destroy(address as Address);
    }
    return {
      ended: 'well',
      reason: '',
      output,
      gasUsed,
      refund: execResult.gasRefund ?? 0n,
      logs: (execResult.logs ?? []).map(logFromLibrary),
      transfers: state.transfers,
    };
  }

  tell(work: () => void): void {
    this.#world.guard(work);
  }

  protected override _executeCall(message: Called): Promise<EVMResult> {
    if (this.observer === null) return this.#call(message);
    return observed(this, message, () => this.#call(message));
  }

  protected override _executeCreate(message: Message): Promise<EVMResult> {
    if (this.observer === null) return this.#create(message);
    return observed(this, message, () => this.#create(message));
  }

  async #call(message: Called): Promise<EVMResult> {
    const { delegatecall, value, depth, caller, to } = message;
    if (!delegatecall && depth > 0) this.#world.noteTransfer(caller, to, value);
    const code = addressOf(message.codeAddress);
    const movesCoin = value > 0n && !delegatecall;
    const result = isReservedAddress(code)
      ? this.#callNative(message, code)
      : await (movesCoin || depth === 0 ? super._executeCall(message) : this.callCode(message));
    if (this.#world.block.logsTransfers !== true) return result;
    const isBorrowed = delegatecall || !to.equals(message.codeAddress);
    return this.#logTransfers(result, message, isBorrowed ? undefined : to);
  }

  /** Where it is asked for; `to` has the message's value now. Of what failed no log is kept. */
  #logTransfers(result: EVMResult, { caller, value, depth }: Message, to?: LibraryAddress) {
    if (this.#world.block.logsTransfers !== true) return result;
    const gift = this.#world.state.takeGift();
    const all = [...(result.execResult.logs ?? [])];
    // Before whatever was done with it; the top one's is for the transaction to tell.
    if (depth > 0 && value > 0n && to !== undefined) {
      const moved = { from: addressOf(caller), to: addressOf(to), amount: value };
      all.unshift(logToLibrary(transferLog(moved)));
    }
    // Giving itself up was the last thing that the code did.
    if (gift !== null) all.push(logToLibrary(transferLog(gift)));
    return { ...result, execResult: { ...result.execResult, logs: all } };
  }

  protected override runInterpreter(
    message: Message,
    options?: InterpreterOptions,
  ): Promise<ExecResult> {
    if (message.depth > 0) return super.runInterpreter(message, options);
    // Of a copy that was made for this.
    message.gasLimit = smaller(message.gasLimit, this.#codeGasMax);
    return super.runInterpreter(message, options).then((result) => {
      this.#codeGas = result.executionGasUsed;
      return result;
    });
  }

  async #create(message: Message): Promise<EVMResult> {
    const { transfers } = this.#world.state;
    const at = transfers.length;
    const result = await super._executeCreate(message);
    const { createdAddress } = result;
    const { depth, value: amount, caller } = message;
    const told = this.#logTransfers(result, message, createdAddress);
    if (depth === 0 || amount === 0n || createdAddress === undefined) return told;
    if (result.execResult.exceptionError === undefined) {
      // Before whatever the new contract did with it.
      const moved = { from: addressOf(caller), to: addressOf(createdAddress), amount };
      transfers.splice(at, 0, moved);
    }
    return told;
  }

  /** A native contract, on its own account only; it never calls back. */
  #callNative(message: Called, address: Address): EVMResult {
    const { gasLimit, gasRefund, value, isStatic } = message;
    const contract = contractAt(address);
    const isDelegated = addressOf(message.to) !== address;
    if (contract === null) {
      // What is paid in could not be paid out.
      if (value > 0n) return failedCall(EVMError.errorMessages.CREATE_COLLISION, 0n, EMPTY_BYTES);
      return { execResult: { executionGasUsed: 0n, returnValue: EMPTY_BYTES, gasRefund } };
    }
    if (isDelegated) {
      return failedCall(EVMError.errorMessages.REVERT, 0n, refuseDelegated(message.data));
    }
    const dataGas = NATIVE_WORD_GAS * BigInt(Math.ceil(message.data.length / 32));
    if (dataGas > gasLimit) {
      return failedCall(EVMError.errorMessages.OUT_OF_GAS, gasLimit, EMPTY_BYTES);
    }
    const { overlay } = this.#world.state;
    const sender = addressOf(message.caller);
    const [data, gas] = [message.data.slice(), gasLimit - dataGas];
    const call = { sender, to: contract, value, data, gas };
    const result = this.#world.guard(() =>
      runMessage(overlay, this.#world.block, { ...call, isStatic }),
    );
    if (result.ended === 'out of gas') {
      return failedCall(EVMError.errorMessages.OUT_OF_GAS, gasLimit, EMPTY_BYTES);
    }
    const executionGasUsed = dataGas + result.gasUsed;
    if (result.ended === 'reverted') {
      return failedCall(EVMError.errorMessages.REVERT, executionGasUsed, result.output);
    }
    this.#world.state.transfers.push(...result.transfers);
    const { observer } = this;
    for (const log of observer === null ? [] : result.logs) this.tell(() => observer?.log(log));
    const { logsTransfers = false } = this.#world.block;
    const paid = logsTransfers ? result.transfers.map(transferLog) : [];
    const logs = [...paid, ...result.logs].map(logToLibrary);
    return { execResult: { executionGasUsed, returnValue: result.output, logs, gasRefund } };
  }
}

type InterpreterOptions = Parameters<EVM['runInterpreter']>[1];
type LibraryError = ConstructorParameters<typeof EVMError>[0];

const FAILED = {
  ...{ ended: 'failed' as const, reason: '', output: EMPTY_BYTES, refund: 0n },
  ...{ logs: [], transfers: [], accessed: [] },
};

function failedCall(error: LibraryError, gas: bigint, returnValue: Uint8Array): EVMResult {
  const exceptionError = new EVMError(error);
  return { execResult: { executionGasUsed: gas, returnValue, exceptionError } };
}

function callOf(block: EvmBlock, message: EvmMessage) {
  const { sender, to, value, data, gas, codeGasMax = gas, gasPrice } = message;
  const gasLimit = to === null ? gas : smaller(gas, codeGasMax);
  const header = {
    number: block.height,
    coinbase: addressToLibrary(block.coinbase),
    timestamp: BigInt(Math.floor(block.timestampMs / 1_000)),
    difficulty: 0n,
    prevRandao: hashToBytes(block.prevRandao),
    gasLimit: block.gasLimit,
    baseFeePerGas: block.baseFeePerGas,
    // Of a chain without blobs: the least there is (EIP-4844).
    getBlobGasPrice: () => 1n,
  };
  const caller = addressToLibrary(sender);
  return {
    ...{ block: { header }, caller, origin: caller, value, data, gasLimit, gasPrice },
    ...(to === null ? {} : { to: addressToLibrary(to) }),
    skipNonceIncrement: true,
  };
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
