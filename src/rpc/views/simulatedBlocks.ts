import type { SimulatedBlock, SimulatedCall } from '#src/ledger/evm/simulateBlocks.ts';
import { toHex } from '#src/lib/bytes.ts';
import { RPC } from '../errors.ts';
import { formatBlock, formatLog, quantity } from '../formats.ts';
import { failureWords, revertOf } from './viewErrors.ts';

/** The answer of `eth_simulateV1` as JSON; null where it would be longer than allowed. */
export function formatSimulated(
  blocks: readonly SimulatedBlock[],
  full: boolean,
  responseBytesMax: number,
): string | null {
  const texts: string[] = [];
  let length = 2;
  for (const simulated of blocks) {
    // Each byte is two digits: seen before they are made.
    if (length + 2 * bytesIn(simulated) > responseBytesMax) return null;
    const text = JSON.stringify(formatOne(simulated, full));
    length += text.length + 1;
    texts.push(text);
  }
  return `[${texts.join(',')}]`;
}

function formatOne({ block, calls }: SimulatedBlock, full: boolean) {
  let logIndex = 0;
  const formatted = calls.map((call, index) => {
    const logs = call.logs.map((log) => formatLog(log, { block, index }, logIndex++));
    const isWell = call.ended === 'well';
    return {
      returnData: isWell ? toHex(call.output) : '0x',
      logs,
      gasUsed: quantity(call.gasUsed),
      status: isWell ? '0x1' : '0x0',
      ...(!isWell && { error: errorOf(call) }),
    };
  });
  return { ...formatBlock(block, full), calls: formatted };
}

/** In the words of execution-apis; a native contract's refusal in its own. */
function errorOf({ ended, reason, output }: SimulatedCall) {
  if (ended === 'failed') {
    return { code: RPC.vmError, message: `vm execution error: ${failureWords(reason)}` };
  }
  const { code, message, data } = revertOf(output);
  return { code, message: reason === '' ? message : `execution reverted: ${reason}`, data };
}

function bytesIn({ calls, block }: SimulatedBlock): number {
  let bytes = 0;
  for (const { output, logs } of calls) {
    bytes += output.length;
    for (const { data } of logs) bytes += data.length;
  }
  for (const { data } of block.transactions) bytes += data.length;
  return bytes;
}
