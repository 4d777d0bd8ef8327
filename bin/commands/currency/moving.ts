/** A call that moves money: what it would cost and do is known, and asked for, before it is sent. */
import type { Command } from 'commander';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import type { TransactionFields } from '#src/types/transaction.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { amountArgument } from '../../arguments.ts';
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

export type Prepared = { readonly calls: readonly TransactionFields[]; readonly fee: bigint };

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
  return { calls, fee };
}

/** On a terminal; elsewhere whoever wrote the command has said so. */
export async function ask(
  { wallet }: Session,
  lines: readonly string[],
  fee: bigint,
  { yes }: MovingOptions,
): Promise<void> {
  const all = [
    ...lines,
    `from  ${formatAddress(wallet.address)}`,
    `fee   at most ${formatAmount(asWei(fee))} MPB`,
  ];
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
