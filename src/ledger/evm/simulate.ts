/**
 * What a message would do, for those who only ask: nothing of it stays. The gas is that of a
 * transaction, its own cost, refunds and the floor for data included.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { AccessListEntry } from '#src/types/transaction.ts';
import { asWei } from '#src/types/units.ts';
import { floorGas, standardGas, workGas } from '../gas.ts';
import { Overlay } from '../state/overlay.ts';
import type { StateReader } from '../state/reader.ts';
import { type EvmOutcome, runInEvm } from './machine.ts';
import type { EvmBlock } from './world.ts';

export type Question = {
  readonly sender: Address;
  readonly to: Address | null;
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly gasPrice: bigint;
  readonly accessList: readonly AccessListEntry[];
  /** Where it has to do with what a block has for code. */
  readonly laneGas?: bigint;
};

export type Simulated = EvmOutcome & { readonly gasNeeded: bigint };

/** EIP-3529, as for transactions. */
const REFUND_QUOTIENT = 5n;
const OUT_OF_GAS = 'out of gas';

export async function simulate(
  state: StateReader,
  block: EvmBlock,
  question: Question,
  gas: bigint,
  tellsAccess = false,
): Promise<Simulated> {
  const { data, sender, ...rest } = question;
  const before = standardGas({ ...rest, data, authorizationList: [] });
  const floor = floorGas(data);
  const { laneGas = gas } = question;
  const work = workGas({ ...rest, authorizationList: [] });
  // No block has room for such an access list, whatever is done with it.
  if (gas < before || gas < floor || work > laneGas) {
    return { ...NOTHING, gasUsed: gas, gasNeeded: gas };
  }
  const overlay = new Overlay(state);
  // Nobody is asked to have the fee: who names a price was asked before.
  overlay.changeAccount(sender, (account) => {
    const fee = gas * question.gasPrice;
    const balance = account.balance > fee ? account.balance - fee : 0n;
    return { ...account, balance: asWei(balance), nonce: account.nonce + 1n };
  });
  const codeGasMax = laneGas - work;
  const message = { ...question, gas: gas - before, codeGasMax, warm: [], tellsAccess };
  const outcome = await runInEvm(overlay, block, message);
  const spent = before + outcome.gasUsed;
  const most = spent / REFUND_QUOTIENT;
  const kept = spent - (outcome.refund < most ? outcome.refund : most);
  return { ...outcome, gasNeeded: kept > floor ? kept : floor };
}

export type Estimate =
  | { readonly t: 'gas'; readonly gas: bigint }
  /** Even with all the gas. */
  | { readonly t: 'fails'; readonly outcome: EvmOutcome };

/**
 * The least gas with which the message succeeds. What a run with plenty used is too little where
 * code keeps a 64th back for itself (EIP-150), looks at its gas, or is refunded at the end; so it is
 * searched for, from there upwards.
 */
export async function estimate(
  state: StateReader,
  block: EvmBlock,
  question: Question,
  gasMax: bigint,
): Promise<Estimate> {
  const first = await simulate(state, block, question, gasMax);
  if (first.ended !== 'well') return { t: 'fails', outcome: first };
  // With less than it used in the end it cannot succeed.
  let tooLittle = first.gasNeeded - 1n;
  let enough = gasMax;
  const succeeds = async (gas: bigint) =>
    (await simulate(state, block, question, gas)).ended === 'well';
  // Mostly it is this much, or a little more.
  const likely = ((first.gasNeeded + first.refund) * 64n) / 63n + 2_300n;
  for (const guess of [first.gasNeeded, likely]) {
    if (guess <= tooLittle || guess >= enough) continue;
    if (await succeeds(guess)) enough = guess;
    else tooLittle = guess;
  }
  while (enough - tooLittle > 1n) {
    const middle = (enough + tooLittle) / 2n;
    if (await succeeds(middle)) enough = middle;
    else tooLittle = middle;
  }
  return { t: 'gas', gas: enough };
}

/** Rounds after which it is as good as it gets: code may look at what its gas is. */
const accessRoundsMax = 4;

/**
 * The access list with which the message runs, and its gas with it (EIP-2930). Who is warm anyway is
 * not in it, unless for its slots.
 */
export async function findAccessList(
  state: StateReader,
  block: EvmBlock,
  question: Question,
  gas: bigint,
): Promise<{ accessList: AccessListEntry[]; outcome: Simulated }> {
  const slots = new Map<Address, Set<Hash>>();
  const add = (entries: readonly AccessListEntry[]) => {
    let added = 0;
    for (const { address, storageKeys } of entries) {
      const known = slots.get(address) ?? new Set();
      if (!slots.has(address)) added++;
      slots.set(address, known);
      for (const key of storageKeys) {
        if (!known.has(key)) added++;
        known.add(key);
      }
    }
    return added;
  };
  add(question.accessList);
  const list = () =>
    [...slots].map(([address, keys]) => ({ address, storageKeys: [...keys].sort() }));
  const warm = new Set([question.sender, question.to, block.coinbase]);
  for (let round = 1; ; round++) {
    const accessList = list();
    const outcome = await simulate(state, block, { ...question, accessList }, gas, true);
    const found = outcome.accessed.filter(
      ({ address, storageKeys }) => storageKeys.length > 0 || !warm.has(address),
    );
    if (add(found) === 0 || round === accessRoundsMax) return { accessList, outcome };
  }
}

const NOTHING: EvmOutcome = {
  ended: 'failed',
  reason: OUT_OF_GAS,
  output: new Uint8Array(0),
  gasUsed: 0n,
  codeGas: 0n,
  refund: 0n,
  logs: [],
  transfers: [],
  accessed: [],
};
