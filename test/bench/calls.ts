/** Calls of native contracts, signed beforehand, and how fast a network makes them final. */

import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { payouts } from '#src/ledger/payments/payouts.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { concatBytes, fromHex, toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { type Account, accounts, pause, type Signed, submit, type Target } from './load.ts';

export const euro = genesisTokenAddress('EUR', 'member-0');
export const token = nativeToken();
export const zero32 = `0x${'00'.repeat(32)}` as Hash;
const finalMsMax = 120_000;

export type WantedCall = {
  readonly contract: NativeContract;
  readonly name: string;
  readonly args: readonly unknown[];
  readonly gasLimit: bigint;
};

/** With the sender's next nonce. */
export function signed(chainId: bigint, from: Account, wanted: WantedCall): Signed {
  const { contract, name, args, gasLimit } = wanted;
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

/** Transactions a second, from the first submission until the last is final. */
export async function timed(
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
    while ((await nonceOf(target, address)) < nonce) {
      assert(performance.now() - started < finalMsMax, 'all are final in time');
      await pause(5);
    }
  }
  return all.length / ((performance.now() - started) / 1_000);
}

/** Of one account, to each of the others: euros to pay with, in one batch. */
export async function shareEuros(
  target: Target,
  chainId: bigint,
  group: readonly Account[],
  batchRef: Hash,
): Promise<void> {
  const [rich] = accounts(0, 1) as [Account];
  rich.nonce = await nonceOf(target, rich.address);
  const shares = group.map(({ address }) => ({ to: address, amount: 10n ** 9n, memo: zero32 }));
  const args = [euro, shares, batchRef, true];
  const call = { contract: payouts, name: 'payoutBatch', args, gasLimit: 2_000_000n };
  await timed(target, [rich], [signed(chainId, rich, call)], { inFlight: 1, batch: 1 });
}

export async function balance(target: Target, account: Address): Promise<bigint> {
  const data = toHex(encode(token, 'balanceOf', [account]));
  return BigInt(await target.call<string>('eth_call', [{ to: euro, data }, 'latest']));
}

export async function nonceOf(target: Target, address: Address): Promise<bigint> {
  return BigInt(await target.call<string>('eth_getTransactionCount', [address, 'latest']));
}

function nativeToken(): NativeContract {
  const found = paymentTokenAt(euro);
  assert(found !== null, 'the devnet has euros');
  return found;
}

function encode(contract: NativeContract, name: string, args: readonly unknown[]): Uint8Array {
  const found = [...contract.functions].find(([, own]) => own.name === name);
  assert(found !== undefined, `${contract.name} has ${name}`);
  const [selector, { inputs }] = found;
  return concatBytes(fromHex(selector) ?? new Uint8Array(0), inputs.encode(args));
}
