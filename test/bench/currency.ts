/** What a currency costs with real validators: transfers one by one, and payouts in batches. */

import { payoutItemsMax, payouts } from '#src/ledger/payments/payouts.ts';
import { uintToBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, addressFromBytes } from '#src/types/address.ts';
import { hashFromBytes, keccakHash } from '#src/types/hash.ts';
import { balance, euro, shareEuros, signed, timed, token, zero32 } from './calls.ts';
import { type Account, accounts, fund, Target } from './load.ts';
import type { Running } from './peers.ts';
import type { Goal, Table } from './table.ts';

const senders = 20;

export async function measureCurrency(
  table: Table,
  label: string,
  running: Running,
  counts: { transfers: number; batches: number },
  goals: { transfers?: Goal; items?: Goal } = {},
): Promise<void> {
  const target = new Target(running.rpc[0] ?? '');
  const group = accounts(200, senders);
  await fund(target, group);
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  await shareEuros(target, chainId, group, zero32);
  const payee = newAccount(1n << 32n);
  const call = { contract: token, name: 'transfer', args: [payee, 1n], gasLimit: 80_000n };
  const transfers = Array.from({ length: counts.transfers }, (_, at) =>
    signed(chainId, group[at % senders] as Account, call),
  );
  const cpuBefore = running.cpuSeconds();
  const perSecond = await timed(target, group, transfers, { inFlight: 1, batch: 100 });
  const cpu = ((running.cpuSeconds() - cpuBefore) / counts.transfers) * 1e6;
  assert((await balance(target, payee)) === BigInt(counts.transfers), 'every transfer went well');
  table.note(
    `${label}: transfers of a token, batches of 100`,
    perSecond,
    'transfers/s',
    goals.transfers,
  );
  table.note(`${label}: transfers of a token, CPU of all nodes`, cpu, 'µs/transfer');
  const rounds: [string, Goal | undefined][] = [
    ['new accounts', goals.items],
    ['accounts paid before', undefined],
  ];
  for (const [round, [whom, goal]] of rounds.entries()) {
    const payments = Array.from({ length: counts.batches }, (_, at) => {
      const batchRef = hashFromBytes(uintToBytes(BigInt(round * counts.batches + at + 1), 32));
      const args = [euro, items(at), batchRef, true];
      const batch = { contract: payouts, name: 'payoutBatch', args, gasLimit: 16_700_000n };
      return signed(chainId, group[at % senders] as Account, batch);
    });
    const paidItems = counts.batches * payoutItemsMax;
    const before = running.cpuSeconds();
    const rate = await timed(target, group, payments, { inFlight: 4, batch: 1 });
    const itemCpu = ((running.cpuSeconds() - before) / paidItems) * 1e6;
    for (let at = 0; at < counts.batches; at++) {
      const last = items(at).at(-1)?.to ?? payee;
      assert((await balance(target, last)) === BigInt(round + 1), 'every batch went well');
    }
    const what = `payouts to ${whom}, ${payoutItemsMax} items in a batch`;
    table.note(`${label}: ${what}`, rate * payoutItemsMax, 'items/s', goal);
    table.note(`${label}: ${what}, CPU of all nodes`, itemCpu, 'µs/item');
  }
  target.close();
}

const memo = keccakHash(new Uint8Array(1));

/** Of a batch, the same each time. */
function items(batch: number) {
  return Array.from({ length: payoutItemsMax }, (_, at) => ({
    ...{ to: newAccount(BigInt(batch * payoutItemsMax + at)), amount: 1n, memo },
  }));
}

/** Nobody has used it. */
function newAccount(number: bigint): Address {
  return addressFromBytes(uintToBytes((0xbbn << 152n) + number, 20));
}
