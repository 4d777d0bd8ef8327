/** A call that moves money: what it would cost and do is known, and asked for, before it is sent. */
import type { Command } from 'commander';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { amountArgument } from '../../arguments.ts';
import { type Client, NodeRefusal } from '../../client.ts';
import { confirm } from '../../secrets.ts';
import { encodeCall } from '../membership/contract.ts';
import { refusedInWords, type Session, type SessionOptions } from '../membership/session.ts';
import { prepare, type Receipt, send } from '../transact.ts';

export type MovingOptions = SessionOptions & { feeMax: string; yes: boolean };

export function moving(command: Command): Command {
  return command
    .option('--fee-max <amount>', 'pay no higher fee than this, in MPB', '0.1')
    .option('--yes', 'do not ask before paying', false);
}

export type Prepared = {
  readonly calls: readonly TransactionFields[];
  /** At most, in words. */
  readonly fee: string;
};

/**
 * All of them, one after the other by nonce; refuses where one would revert or the fee is high.
 * `isExact`: with no more gas than it takes as things stand.
 */
export async function prepareAll(
  { client, wallet }: Session,
  contract: NativeContract,
  name: string,
  all: readonly (readonly unknown[])[],
  { feeMax }: MovingOptions,
  { tell = () => {}, isExact = false }: { tell?(done: number): void; isExact?: boolean } = {},
): Promise<Prepared> {
  const calls: TransactionFields[] = [];
  let fee = 0n;
  for (const values of all) {
    tell(calls.length);
    const data = encodeCall(contract, name, ...values);
    const wanted = { to: contract.address, value: asWei(0n), data };
    const fields = await refusedInWords(() => prepare(client, wallet.address, wanted, isExact));
    calls.push({ ...fields, nonce: fields.nonce + BigInt(calls.length) });
    fee += fields.gasLimit * fields.maxFeePerGas;
  }
  if (fee > amountArgument(feeMax, '--fee-max')) {
    const high = `the fee would be up to ${formatAmount(asWei(fee))} MPB`;
    throw new UserError(EXIT.badData, `${high}; allow it with --fee-max [FEE_ABOVE_MAX]`);
  }
  return { calls, fee: await feeText(client, wallet.address, calls, fee) };
}

type NetworkFee = { readonly isSponsored: boolean; token: Address | null; amountMax: string };

/** As the node would take it now; of many calls, which may end in another currency, in coin. */
async function feeText(
  client: Client,
  from: Address,
  calls: readonly TransactionFields[],
  inCoin: bigint,
): Promise<string> {
  const [only, ...others] = calls;
  const coin = `${formatAmount(asWei(inCoin))} MPB`;
  if (only === undefined || others.length > 0) return coin;
  const { to, data, gasLimit, maxFeePerGas } = only;
  const price = `0x${maxFeePerGas.toString(16)}`;
  const call = { from, to, data: toHex(data), gas: `0x${gasLimit.toString(16)}`, gasPrice: price };
  const answer = await client
    .call<{ networkFee: NetworkFee }>('mpbp_simulateOrder', call)
    .catch((error: unknown) => {
      // A caller may have been let do less than that.
      if (error instanceof NodeRefusal) return null;
      throw error;
    });
  if (answer === null) return coin;
  const { isSponsored, token, amountMax } = answer.networkFee;
  const amount = BigInt(amountMax);
  const spelt =
    token === null
      ? `${formatAmount(asWei(amount))} MPB`
      : `${formatTokenAmount(amount)} ${currencyOf(token)}`;
  return isSponsored ? `${spelt}, paid by a sponsor` : spelt;
}

/** On a terminal; elsewhere whoever wrote the command has said so. */
export async function ask(
  { wallet }: Session,
  lines: readonly string[],
  fee: string,
  { yes }: MovingOptions,
): Promise<void> {
  const all = [...lines, `from  ${formatAddress(wallet.address)}`, `fee   at most ${fee}`];
  process.stderr.write(`${all.join('\n')}\n`);
  if (yes || !process.stdin.isTTY) return;
  if (!(await confirm('pay this?'))) throw new UserError(EXIT.usage, 'not paid');
}

/** Sends it and waits until it is final. */
export async function moveMoney(
  { client, wallet }: Session,
  fields: TransactionFields,
): Promise<{ receipt: Receipt; finalMs: number }> {
  const sent = await refusedInWords(() => send(client, wallet, fields));
  if (sent.receipt.status === '0x1') return sent;
  const what = `${sent.receipt.transactionHash} was overtaken by another change: nothing moved`;
  throw new UserError(EXIT.badData, `${what} [REVERTED]`);
}
