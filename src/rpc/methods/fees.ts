import { effectiveGasPrice } from '#src/ledger/gas.ts';
import type { Block } from '#src/types/block.ts';
import type { Receipt } from '#src/types/receipt.ts';
import { asHeight } from '#src/types/units.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam, limitExceeded, RPC, RpcError } from '../errors.ts';
import { quantity } from '../formats.ts';
import type { RpcLimits } from '../limits.ts';
import { isAbsent, readBlockNumber, readCount, readList } from '../params.ts';
import { heightOf } from '../resolve.ts';
import { longSearches, turnMs } from '../turns.ts';

/** geth's shape. The base fee is fixed by genesis, so that history predicts it exactly. */
export function feeMethods(backend: Backend, limits: RpcLimits): Methods {
  const run = (params: readonly unknown[]) => history(backend, limits, params);
  return [['eth_feeHistory', { paramsMax: 3, units: 20, run }]];
}

/** Lets the loop turn between blocks: a full one takes as long to read as a thousand headers. */
async function history(
  backend: Backend,
  limits: RpcLimits,
  [count, newest, percentilesValue]: readonly unknown[],
): Promise<unknown> {
  const wanted = readCount(count, 0);
  const last = heightOf(backend, readBlockNumber(newest, 1));
  if (last === null) throw new RpcError(RPC.rejected, 'request beyond head block');
  const percentiles = readPercentiles(percentilesValue, 2, limits);
  const none = { oldestBlock: '0x0', gasUsedRatio: [], baseFeePerGas: [] };
  if (wanted === 0) return none;
  const most = percentiles.length === 0 ? 'feeHistoryBlocksMax' : 'feeHistoryRewardBlocksMax';
  const blocks = Math.min(wanted, limits[most], Number(last) + 1);
  const oldest = last - BigInt(blocks) + 1n;
  const fees: string[] = [];
  const ratios: number[] = [];
  const rewards: string[][] = [];
  const endMs = performance.now() + limits.logSearchMs;
  let turnEndMs = 0;
  for (let at = oldest; at <= last; at++) {
    if (performance.now() > turnEndMs) {
      await longSearches.next();
      turnEndMs = performance.now() + turnMs;
      if (turnEndMs > endMs) throw limitExceeded('the history takes too long: ask for less');
    }
    const height = asHeight(at);
    const header = backend.headerAt(height);
    if (header === null) throw new RpcError(RPC.notFound, `block ${at} is not kept`);
    fees.push(quantity(header.baseFeePerGas));
    ratios.push(header.gasLimit === 0n ? 0 : Number(header.gasUsed) / Number(header.gasLimit));
    if (percentiles.length === 0) continue;
    const empty = header.gasUsed === 0n;
    const block = empty ? null : backend.blockAt(height);
    const receipts = empty ? null : backend.receiptsAt(height);
    rewards.push(rewardsOf(block, receipts ?? [], percentiles));
  }
  return {
    oldestBlock: quantity(oldest),
    baseFeePerGas: [...fees, quantity(backend.baseFeePerGas)],
    gasUsedRatio: ratios,
    baseFeePerBlobGas: [...fees, ''].map(() => '0x0'),
    blobGasUsedRatio: ratios.map(() => 0),
    ...(percentiles.length > 0 && { reward: rewards }),
  };
}

function readPercentiles(value: unknown, index: number, limits: RpcLimits): number[] {
  if (isAbsent(value)) return [];
  let before = 0;
  return readList(value, index, limits.feeHistoryPercentilesMax).map((percentile) => {
    const fits = typeof percentile === 'number' && percentile >= before && percentile <= 100;
    if (!fits) throw invalidParam(index, 'percentiles ascend from 0 to 100');
    before = percentile;
    return percentile;
  });
}

/** Tips in ascending order, weighted by gas: the tip at each percentile of the block's gas. */
function rewardsOf(
  block: Block | null,
  receipts: readonly Receipt[],
  percentiles: readonly number[],
): string[] {
  if (block === null || receipts.length === 0) return percentiles.map(() => '0x0');
  const { baseFeePerGas, gasUsed } = block.header;
  const tips = block.transactions.map((transaction, index) => ({
    tip: effectiveGasPrice(transaction, baseFeePerGas) - baseFeePerGas,
    gas:
      (receipts[index]?.cumulativeGasUsed ?? 0n) - (receipts[index - 1]?.cumulativeGasUsed ?? 0n),
  }));
  tips.sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
  let at = 0;
  let sum = tips[0]?.gas ?? 0n;
  return percentiles.map((percentile) => {
    const threshold = BigInt(Math.floor((Number(gasUsed) * percentile) / 100));
    while (sum < threshold && at < tips.length - 1) {
      at++;
      sum += tips[at]?.gas ?? 0n;
    }
    return quantity(tips[at]?.tip ?? 0n);
  });
}
