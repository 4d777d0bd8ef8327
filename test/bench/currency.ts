/** What a currency costs with real validators: transfers one by one, and payouts in batches. */

import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { payoutItemsMax, payouts } from '#src/ledger/payments/payouts.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { concatBytes, fromHex, toHex, uintToBytes } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { type Address, addressFromBytes } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash } from '#src/types/hash.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { type Account, accounts, fund, pause, type Signed, submit, Target } from './load.ts';
import type { Running } from './peers.ts';
import type { Goal, Table } from './table.ts';

const senders = 20;
const euro = genesisTokenAddress('EUR', 'member-0');
const token = paymentTokenAt(euro);
const finalMsMax = 120_000;

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
  await shareEuros(target, chainId, group);
  const payee = newAccount(1n << 32n);
  const transfers = Array.from({ length: counts.transfers }, (_, at) =>
    signed(chainId, group[at % senders] as Account, token, 'transfer', [payee, 1n], 80_000n),
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
  const batches = Array.from({ length: counts.batches }, (_, at) => {
    const args = [euro, items(at), hashFromBytes(uintToBytes(BigInt(at + 1), 32)), true];
    return signed(
      chainId,
      group[at % senders] as Account,
      payouts,
      'payoutBatch',
      args,
      16_700_000n,
    );
  });
  const paidItems = counts.batches * payoutItemsMax;
  const before = running.cpuSeconds();
  const rate = await timed(target, group, batches, { inFlight: 4, batch: 1 });
  const itemCpu = ((running.cpuSeconds() - before) / paidItems) * 1e6;
  for (let at = 0; at < counts.batches; at++) {
    const last = items(at).at(-1)?.to ?? payee;
    assert((await balance(target, last)) === 1n, 'every batch went well');
  }
  const what = `payouts, ${payoutItemsMax} items in a batch`;
  table.note(`${label}: ${what}`, rate * payoutItemsMax, 'items/s', goals.items);
  table.note(`${label}: ${what}, CPU of all nodes`, itemCpu, 'µs/item');
  target.close();
}

/** From the first account, in one batch. */
async function shareEuros(target: Target, chainId: bigint, group: readonly Account[]) {
  const [rich] = accounts(0, 1) as [Account];
  rich.nonce = BigInt(await target.call('eth_getTransactionCount', [rich.address, 'latest']));
  const shares = group.map(({ address }) => ({ to: address, amount: 10n ** 9n, memo: zero32 }));
  const args = [euro, shares, zero32, true];
  const one = [signed(chainId, rich, payouts, 'payoutBatch', args, 2_000_000n)];
  await timed(target, [rich], one, { inFlight: 1, batch: 1 });
}

const zero32 = `0x${'00'.repeat(32)}` as Hash;
const memo = keccakHash(new Uint8Array(1));

/** To accounts that nobody has used. */
function items(batch: number) {
  return Array.from({ length: payoutItemsMax }, (_, at) => ({
    ...{ to: newAccount(BigInt(batch * payoutItemsMax + at)), amount: 1n, memo },
  }));
}

function newAccount(number: bigint): Address {
  return addressFromBytes(uintToBytes((0xbbn << 152n) + number, 20));
}

/** Transactions a second, from the first submission until the last is final. */
async function timed(
  target: Target,
  group: readonly Account[],
  all: readonly Signed[],
  { inFlight, batch }: { inFlight: number; batch: number },
): Promise<number> {
  const started = performance.now();
  let next = 0;
  const worker = async () => {
    while (next < all.length) {
      const mine = all.slice(next, next + batch);
      next += mine.length;
      await submit(target, mine);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  for (const { address, nonce } of group) {
    const done = async () =>
      BigInt(await target.call<string>('eth_getTransactionCount', [address, 'latest'])) >= nonce;
    while (!(await done())) {
      assert(performance.now() - started < finalMsMax, 'all are final in time');
      await pause(5);
    }
  }
  return all.length / ((performance.now() - started) / 1_000);
}

function signed(
  chainId: bigint,
  from: Account,
  contract: NativeContract | null,
  name: string,
  args: readonly unknown[],
  gasLimit: bigint,
): Signed {
  assert(contract !== null, 'the devnet has euros');
  const { raw, hash } = signTransaction(
    {
      ...{ type: 2, chainId, nonce: from.nonce++, gasLimit: asGas(gasLimit) },
      ...{ maxFeePerGas: asWei(2_000_000_000n), maxPriorityFeePerGas: asWei(0n) },
      ...{ to: contract.address, value: asWei(0n), data: encode(contract, name, args) },
      ...{ accessList: [], authorizationList: [] },
    },
    from.key,
  );
  return { raw: toHex(raw), hash };
}

function encode(contract: NativeContract, name: string, args: readonly unknown[]): Uint8Array {
  const found = [...contract.functions].find(([, own]) => own.name === name);
  assert(found !== undefined, `${contract.name} has ${name}`);
  const [selector, { inputs }] = found;
  return concatBytes(fromHex(selector) ?? new Uint8Array(0), inputs.encode(args));
}

async function balance(target: Target, account: Address): Promise<bigint> {
  assert(token !== null, 'the devnet has euros');
  const data = toHex(encode(token, 'balanceOf', [account]));
  return BigInt(await target.call<string>('eth_call', [{ to: euro, data }, 'latest']));
}
