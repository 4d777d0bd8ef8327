/**
 * From a message to a native contract's function and back: one door for transactions, for
 * governance and for `eth_call`. Either everything that a message did stands, or nothing.
 */
import { parseAbi } from 'abitype';
import { EMPTY_BYTES, type Hex, toHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import type { Log } from '#src/types/receipt.ts';
import { moveCoin } from '../state/coin.ts';
import type { Overlay } from '../state/overlay.ts';
import { AbiError } from './abi.ts';
import { COIN_ADDRESS } from './addresses.ts';
import {
  type BlockFacts,
  type Call,
  commonErrors,
  errorsOf,
  type NativeContract,
  type NativeFunction,
  Revert,
} from './contract.ts';
import { contractAt } from './contracts.ts';
import { MeteredState } from './meter.ts';

export type Message = {
  readonly sender: Address;
  readonly to: NativeContract;
  readonly value: bigint;
  readonly data: Uint8Array;
  /** At most this much for the function itself. */
  readonly gas: bigint;
  /** A static call of a contract's: nothing may be written. */
  readonly isStatic?: boolean;
};

/** Coin that a contract moved by itself, beside the value of the transaction. */
export type Transfer = { readonly from: Address; readonly to: Address; readonly amount: bigint };

const TRANSFER = keccakHash(utf8('Transfer(address,address,uint256)'));

/** As the event of ERC-20, for those who ask to be told so (`eth_simulateV1`). */
export function transferLog({ from, to, amount }: Transfer): Log {
  const topicOf = (address: Address) => `0x${'00'.repeat(12)}${address.slice(2)}` as Hash;
  const topics = [TRANSFER, topicOf(from), topicOf(to)];
  return { address: COIN_ADDRESS, topics, data: uintToBytes(amount, 32) };
}

export type MessageResult = { readonly gasUsed: bigint } & (
  | {
      readonly ended: 'well';
      readonly output: Uint8Array;
      readonly logs: readonly Log[];
      readonly transfers: readonly Transfer[];
    }
  | { readonly ended: 'reverted'; readonly reason: string; readonly output: Uint8Array }
  | { readonly ended: 'out of gas' }
);

/** The value moves first, with everything else or not at all. */
export function runMessage(state: Overlay, block: BlockFacts, message: Message): MessageResult {
  const checkpoint = state.checkpoint();
  const run = new Run(state, block, message.gas);
  const { sender, to, value, data, isStatic = false } = message;
  try {
    moveCoin(state, sender, to.address, value);
    const output = run.call(sender, to, value, data, isStatic);
    const { gasUsed, logs, transfers } = run;
    return { ended: 'well', gasUsed, output, logs, transfers };
  } catch (error) {
    state.revertTo(checkpoint);
    if (error instanceof OutOfGas) return { ended: 'out of gas', gasUsed: message.gas };
    if (!(error instanceof Revert)) throw error;
    const { message: reason, data: output } = error;
    return { ended: 'reverted', gasUsed: run.gasUsed, reason, output };
  }
}

/** INVALID: a contract to every tool, never run by an EVM. */
const CODE = Uint8Array.of(0xfe);

export function foundContract(state: Overlay, address: Address): void {
  const codeHash = state.setCode(CODE);
  state.changeAccount(address, (account) => ({ ...account, codeHash }));
}

class OutOfGas extends Error {}

class Run {
  readonly logs: Log[] = [];
  readonly transfers: Transfer[] = [];
  readonly #state: Overlay;
  readonly #block: BlockFacts;
  readonly #gas: bigint;
  /** The same for the whole message: what one contract has fetched is at hand for the next. */
  readonly #metered: MeteredState;
  gasUsed = 0n;

  constructor(state: Overlay, block: BlockFacts, gas: bigint) {
    this.#state = state;
    this.#block = block;
    this.#gas = gas;
    this.#metered = new MeteredState(state, (cost) => this.#spend(cost));
  }

  call(
    sender: Address,
    to: NativeContract,
    value: bigint,
    data: Uint8Array,
    isStatic = false,
  ): Uint8Array {
    const selector = selectorIn(data);
    const target = functionAt(to, data);
    if (target === null) throw fail('UnknownFunction', selector);
    this.#spend(target.gas);
    if (value > 0n && !target.isPayable) throw fail('NotPayable', selector);
    if (isStatic && !target.isView) throw fail('StaticCall', selector);
    const values = this.#decode(target, data);
    if (values === null) throw fail('BadCallData', selector);
    const result = target.run(this.#frame(sender, to.address, value), ...values);
    const { outputs, outputCount } = target;
    if (outputCount === 0) return EMPTY_BYTES;
    return outputs.encode(outputCount === 1 ? [result] : (result as readonly unknown[]));
  }

  #decode(target: NativeFunction, data: Uint8Array): readonly unknown[] | null {
    try {
      return target.inputs.decode(data.subarray(4));
    } catch (error) {
      if (error instanceof AbiError) return null;
      throw error;
    }
  }

  #spend(gas: bigint): void {
    this.gasUsed += gas;
    if (this.gasUsed > this.#gas) throw new OutOfGas();
  }

  #frame(sender: Address, self: Address, value: bigint): Call {
    const state = this.#state;
    return {
      ...{ state: this.#metered, sender, self, value },
      block: this.#block,
      now: BigInt(Math.floor(this.#block.timestampMs / 1_000)),
      spend: (gas) => this.#spend(gas),
      emit: (log) => {
        this.logs.push(log);
      },
      pay: (to, amount) => {
        moveCoin(state, self, to, amount);
        if (amount > 0n) this.transfers.push({ from: self, to, amount });
      },
      found: (address) => foundContract(state, address),
      invoke: (to, data) => {
        const contract = contractAt(to);
        assert(contract !== null, 'a contract calls contracts only');
        this.call(self, contract, 0n, data);
      },
      isGoverned: (to, data) => {
        const contract = contractAt(to);
        return contract !== null && functionAt(contract, data)?.isGoverned === true;
      },
    };
  }
}

const NO_SELECTOR = new Uint8Array(4);

function selectorIn(data: Uint8Array): Hex {
  return toHex(data.length < 4 ? NO_SELECTOR : data.subarray(0, 4));
}

/**
 * What a contract gets back that wanted a native contract's code to run as its own: it is no code,
 * and works on the native contract's account only.
 */
export function refuseDelegated(data: Uint8Array): Uint8Array {
  return fail('DelegatedCall', selectorIn(data)).data;
}

function functionAt(contract: NativeContract, data: Uint8Array): NativeFunction | null {
  if (data.length < 4) return null;
  return contract.functions.get(toHex(data.subarray(0, 4))) ?? null;
}

const fail = errorsOf(parseAbi(commonErrors));
