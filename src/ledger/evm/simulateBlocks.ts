/**
 * Blocks that nobody proposes, each on the state that the one before it left, for those who only ask
 * (`eth_simulateV1`). Their calls go through what executes the transactions of real blocks; what
 * speaks against one is forgiven where the caller wants no validation, as in geth. No epoch ends in
 * such a block, and its state has no root: nothing of it is ever written.
 */
import { accept, assert, refuse, type Verdict } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { type Block, makeBlock, transactionsRoot } from '#src/types/block.ts';
import { createAddress } from '#src/types/createAddress.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Header } from '#src/types/header.ts';
import { listRoot } from '#src/types/listRoot.ts';
import { encodeReceipt, joinBlooms, type Log, makeReceipt } from '#src/types/receipt.ts';
import {
  type SignedTransaction,
  type TransactionFields,
  unsignedTransaction,
} from '#src/types/transaction.ts';
import { asGas, asWei, type Height } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { intrinsicGas, workGas } from '../gas.ts';
import { COIN_ADDRESS } from '../payments/addresses.ts';
import { transferLog } from '../payments/dispatch.ts';
import {
  type Applied,
  gasLimitFor,
  type LedgerContext,
  type LedgerRules,
  laneOf,
} from '../rules.ts';
import { EMPTY_ACCOUNT } from '../state/account.ts';
import { Overlay } from '../state/overlay.ts';
import { OverriddenState, type Override } from '../state/overridden.ts';
import type { StateReader } from '../state/reader.ts';
import { applyIncludable, findRefusals, type InclusionRefusal } from '../transfer.ts';

/** Null: whatever fits. */
export type WantedCall = Omit<TransactionFields, 'nonce' | 'gasLimit'> & {
  readonly sender: Address;
  readonly nonce: bigint | null;
  readonly gas: bigint | null;
};

/** Null: as the block before has it; no randomness, and the network's base fee or none. */
export type WantedBlock = {
  /** Both above those of the block before. */
  readonly height: Height;
  readonly timestampMs: number;
  readonly gasLimit: bigint | null;
  readonly coinbase: Address | null;
  readonly prevRandao: Hash | null;
  readonly baseFeePerGas: bigint | null;
  readonly overrides: ReadonlyMap<Address, Override>;
  /** Of this block; null: as always. */
  readonly precompiles: ReadonlyMap<Address, Address> | null;
  readonly calls: readonly WantedCall[];
};

export type SimulationOptions = {
  /** Whether nonces, fees and limits have to be those that a block asks for. */
  readonly validates: boolean;
  readonly logsTransfers: boolean;
  /** Of all calls together. */
  readonly gasMax: bigint;
};

/** `logs`: with the coin that moved, where that was asked for; the receipts are without. */
export type SimulatedCall = Pick<Applied, 'ended' | 'reason' | 'output' | 'gasUsed' | 'logs'>;
export type SimulatedBlock = { readonly block: Block; readonly calls: readonly SimulatedCall[] };

export type SimulationRefusal =
  | { code: 'BLOCK_GAS_LIMIT'; used: bigint; gas: bigint; limit: bigint }
  | { code: 'GAS_MAX'; left: bigint; need: bigint }
  | InclusionRefusal;

/** What the blocks stand on. */
export type SimulationBase = {
  readonly state: StateReader;
  readonly header: Header;
  readonly hash: Hash;
  readonly rules: LedgerRules;
  /** Of an ancestor of the base. */
  blockHash(height: Height): Hash | null;
};

export async function simulateBlocks(
  base: SimulationBase,
  wanted: readonly WantedBlock[],
  options: SimulationOptions,
): Promise<Verdict<SimulatedBlock[], SimulationRefusal>> {
  const simulation = new Simulation(base, options);
  const blocks: SimulatedBlock[] = [];
  for (const block of wanted) {
    const simulated = await simulation.add(block);
    if (!simulated.ok) return simulated;
    blocks.push(simulated.value);
  }
  return accept(blocks);
}

class Simulation {
  readonly #base: SimulationBase;
  readonly #options: SimulationOptions;
  readonly #hashes = new Map<Height, Hash>();
  #state: Overlay;
  #parent: Pick<Block, 'header' | 'hash'>;
  /** Of both lanes, where a block was given a gas limit of its own. */
  #gasLimit: bigint | null = null;
  #gasLeft: bigint;

  constructor(base: SimulationBase, options: SimulationOptions) {
    this.#base = base;
    this.#options = options;
    this.#state = new Overlay(base.state);
    this.#parent = base;
    this.#hashes.set(base.header.height, base.hash);
    this.#gasLeft = options.gasMax;
  }

  async add(wanted: WantedBlock): Promise<Verdict<SimulatedBlock, SimulationRefusal>> {
    const { overrides } = wanted;
    if (overrides.size > 0) {
      this.#state = new Overlay(new OverriddenState(this.#state, overrides));
    }
    this.#gasLimit = wanted.gasLimit ?? this.#gasLimit;
    const context = this.#contextOf(wanted);
    const limit = this.#gasLimit ?? this.#base.header.gasLimit;
    const transactions: SignedTransaction[] = [];
    const calls: SimulatedCall[] = [];
    let used = 0n;
    for (const call of wanted.calls) {
      const gas = this.#gasFor(call, context.rules, { used, limit });
      if (!gas.ok) return gas;
      const account = this.#state.account(call.sender) ?? EMPTY_ACCOUNT;
      const { sender, nonce, gas: _, ...fields } = call;
      const own = { nonce: nonce ?? account.nonce, gasLimit: asGas(gas.value) };
      const transaction = unsignedTransaction({ ...fields, ...own }, sender);
      const applied = await this.#apply(transaction, context);
      if (!applied.ok) return applied;
      used += applied.value.gasUsed;
      this.#gasLeft -= applied.value.gasUsed;
      transactions.push(transaction);
      calls.push(this.#withValue(applied.value, transaction, account.nonce));
    }
    const block = this.#blockOf(wanted, context, transactions, calls);
    this.#hashes.set(block.header.height, block.hash);
    this.#parent = block;
    return accept({ block, calls });
  }

  #contextOf(wanted: WantedBlock): LedgerContext {
    const { rules, header, blockHash } = this.#base;
    const { validates, logsTransfers } = this.#options;
    const { height, timestampMs, precompiles } = wanted;
    const usual = validates ? rules.baseFeePerGas : 0n;
    const limit = this.#gasLimit;
    const lanes =
      limit === null ? {} : { paymentLaneGasLimit: asGas(limit), evmLaneGasLimit: asGas(limit) };
    return {
      ...{ height, timestampMs, logsTransfers, precompiles },
      rules: { ...rules, ...lanes, baseFeePerGas: asWei(wanted.baseFeePerGas ?? usual) },
      coinbase: wanted.coinbase ?? this.#parent.header.coinbase,
      prevRandao: wanted.prevRandao ?? ZERO_HASH,
      blockHash: (at) => this.#hashes.get(at) ?? (at < header.height ? blockHash(at) : null),
    };
  }

  /** What it asks for, or all that there is; never more than all calls together may use. */
  #gasFor(
    { gas: asked, sender: _, nonce: __, ...fields }: WantedCall,
    rules: LedgerRules,
    { used, limit }: { used: bigint; limit: bigint },
  ): Verdict<bigint, SimulationRefusal> {
    const gas = asked ?? least(limit - used, gasLimitFor(fields, rules));
    if (used + gas > limit) return refuse({ code: 'BLOCK_GAS_LIMIT', used, gas, limit });
    const need = intrinsicGas(fields);
    const work = workGas(fields);
    const { evmLaneGasLimit } = rules;
    if (laneOf(fields) === 'evm' && work > evmLaneGasLimit) {
      return refuse({ code: 'BLOCK_GAS_LIMIT', used: 0n, gas: work, limit: evmLaneGasLimit });
    }
    const left = this.#gasLeft;
    if (need > left && gas >= need) return refuse({ code: 'GAS_MAX', left, need });
    return accept(least(gas, left));
  }

  async #apply(
    transaction: SignedTransaction,
    context: LedgerContext,
  ): Promise<Verdict<Applied, InclusionRefusal>> {
    for (const refusal of findRefusals(this.#state, transaction, context)) {
      if (!this.#forgives(refusal)) return refuse(refusal);
    }
    const { evmLaneGasLimit } = context.rules;
    const mayRunCode = () => workGas(transaction) <= evmLaneGasLimit;
    return applyIncludable(this.#state, transaction, context, mayRunCode);
  }

  /** Whoever sends: nobody signed, so that code may as well (geth does not look either). */
  #forgives(refusal: InclusionRefusal): boolean {
    const { code } = refusal;
    if (code === 'SENDER_NOT_EOA') return true;
    if (this.#options.validates) return false;
    // Who names a price means it.
    if (code === 'FEE_CAP_TOO_LOW') return refusal.maxFeePerGas === 0n;
    return code === 'NONCE' || code === 'EXCEEDS_BLOCK_GAS_LIMIT';
  }

  /** The coin that the transaction itself moves comes before all other logs. */
  #withValue(applied: Applied, { sender, to, value }: SignedTransaction, nonce: bigint) {
    const { ended, reason, output, gasUsed, logs } = applied;
    const isTold = this.#options.logsTransfers && ended === 'well' && value > 0n;
    const taker = to ?? createAddress(sender, nonce);
    const own = isTold ? [transferLog({ from: sender, to: taker, amount: value })] : [];
    return { ended, reason, output, gasUsed, logs: [...own, ...logs] };
  }

  #blockOf(
    { height, timestampMs }: WantedBlock,
    { coinbase, prevRandao, rules }: LedgerContext,
    transactions: readonly SignedTransaction[],
    calls: readonly SimulatedCall[],
  ): Block {
    let gasUsed = 0n;
    const receipts = calls.map((call, index) => {
      const { type } = transactions[index] ?? assertNever();
      const logs = call.logs.filter((log) => !this.#isCoin(log));
      gasUsed += call.gasUsed;
      const cumulativeGasUsed = asGas(gasUsed);
      return makeReceipt({ type, succeeded: call.ended === 'well', cumulativeGasUsed, logs });
    });
    const { consensus } = this.#parent.header;
    const header: Header = {
      parentHash: this.#parent.hash,
      coinbase,
      stateRoot: ZERO_HASH,
      transactionsRoot: transactionsRoot(transactions),
      receiptsRoot: listRoot(receipts.map(encodeReceipt)),
      logsBloom: joinBlooms(receipts.map((receipt) => receipt.logsBloom)),
      height,
      gasLimit: asGas(this.#gasLimit ?? this.#base.header.gasLimit),
      gasUsed: asGas(gasUsed),
      prevRandao,
      baseFeePerGas: rules.baseFeePerGas,
      consensus: { ...consensus, timestampMs, epochEnd: false },
    };
    return makeBlock(header, transactions);
  }

  #isCoin({ address }: Log): boolean {
    return this.#options.logsTransfers && address === COIN_ADDRESS;
  }
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function assertNever(): never {
  assert(false, 'each call has its transaction');
}
