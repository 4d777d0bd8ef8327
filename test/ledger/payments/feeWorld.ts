/** A shop whose currency pays fees, too, and customers who have nothing else. */
import assert from 'node:assert/strict';
import { type Abi, encodeFunctionData } from 'viem';
import { assembleBlock, type BlockContext } from '#src/ledger/execute.ts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { atOnce } from '#src/lib/steps.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import { keccakHash } from '#src/types/hash.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asEpoch, asGas, asWei } from '#src/types/units.ts';
import { chainId, type Person, payment, person } from '../samples.ts';
import { bytes, coinbase, type Sent, type Wanted } from './rig.ts';
import { bank, none, ShopWorld } from './shopWorld.ts';

/** A fiftieth of a unit for a unit of gas, which costs a wei. */
const RATE = 2n * 10n ** 16n;
export const feeFor = (gas: bigint) => (gas * RATE + 10n ** 18n - 1n) / 10n ** 18n;
/** They never had any coin. */
export const [dave, eve] = [person(40), person(41)];
export const LATER = (1n << 40n) - 1n;

export class FeeWorld extends ShopWorld {
  constructor({ rate = RATE }: { rate?: bigint } = {}) {
    super();
    if (rate > 0n) this.setRate(rate);
    for (const { address } of [dave, eve]) {
      this.ok(bank, [this.euro, 'mintWithMemo', [address, 1_000_000n, none]]);
    }
  }
  setRate(rate: bigint): void {
    const set = this.ledger.decide([feeManager, 'setFeeRate', [this.token, rate]]);
    assert.ok(set.ok, set.reason);
  }
  /** Fees go to accounts that the shop's own check does not know; see `adds up` below. */
  override check(): void {}
  transaction(
    from: Person,
    [contract, functionName, args]: Wanted,
    gasLimit: bigint,
    maxFeePerGas = 1n,
  ): SignedTransaction {
    const nonce = this.ledger.state.account(from.address)?.nonce ?? 0n;
    const data = bytes(encodeFunctionData({ abi: contract.abi as Abi, functionName, args }));
    const to = contract.address;
    const prices = { gasLimit: asGas(gasLimit), maxFeePerGas: asWei(maxFeePerGas) };
    return payment(from, { nonce, to, data, ...prices });
  }
  get context(): BlockContext {
    return {
      parentHash: keccakHash(utf8('parent')),
      parentStateRoot: this.ledger.root,
      coinbase,
      rules: {
        ...{ chainId, baseFeePerGas: asWei(1n), paymentLaneBytesMax: 1_500_000 },
        paymentLaneGasLimit: asGas(1n << 30n),
        evmLaneGasLimit: asGas(1n << 30n),
      },
      ...{ ...this.ledger.facts, epoch: asEpoch(0) },
      ...{ prevRandao: keccakHash(utf8('randao')), blockHash: () => null },
    };
  }
  feesIn(validator: Address = coinbase): bigint {
    return this.ledger.view(feeManager, 'collectedFees', [validator, this.token]) as bigint;
  }
  owned(account: Address): bigint {
    return this.ledger.view(this.euro, 'netBalanceOf', [account]) as bigint;
  }
}

export const feeOf = ({ logs }: Sent) =>
  logs.find(({ name }) => name === 'TransactionFee')?.args ?? null;

export function atOnceBlock(world: FeeWorld, candidates: readonly SignedTransaction[]) {
  return atOnce(assembleBlock(world.ledger.state, world.context, candidates));
}

/** As much of it as a history is made of. */
export function blockOf(context: BlockContext, transactions: readonly SignedTransaction[]): Block {
  const { height, timestampMs, rules } = context;
  const { baseFeePerGas } = rules;
  const header = { height, baseFeePerGas, coinbase, consensus: { timestampMs } };
  return { header, transactions } as unknown as Block;
}
