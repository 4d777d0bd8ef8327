/** A server before a real chain: what the fake node says of blocks and accounts is the chain's. */
import type { Chain } from '#src/chain/chain.ts';
import { bytesToUint, uintToBytes } from '#src/lib/bytes.ts';
import type { PastState } from '#src/rpc/backend.ts';
import { openWorld, type World } from './harness.ts';

export async function openChain(
  chain: Chain,
  ...options: Parameters<typeof openWorld>
): Promise<World> {
  const world = await openWorld(...options);
  const stateAt = (height: Parameters<Chain['stateAt']>[0]): PastState | null => {
    const state = chain.stateAt(height);
    if (state === null) return null;
    return {
      account: (address) => state.account(address),
      slot: (address, key) => {
        const stored = state.slot(address, Buffer.from(key).toString('hex'));
        return uintToBytes(bytesToUint(stored), 32);
      },
      code: (hash) => state.code(hash) ?? new Uint8Array(0),
    };
  };
  Object.defineProperty(world.backend, 'head', { get: () => chain.head });
  const { rules } = chain.params;
  return Object.assign(world, {
    backend: Object.assign(world.backend, {
      ...{ rules, evmGasLimit: rules.evmLaneGasLimit, baseFeePerGas: rules.baseFeePerGas, stateAt },
      blockAt: (height: Parameters<Chain['blockAt']>[0]) => chain.blockAt(height),
      headerAt: (height: Parameters<Chain['headerAt']>[0]) => chain.headerAt(height),
      heightOf: (hash: Parameters<Chain['heightOf']>[0]) => chain.heightOf(hash),
      receiptsAt: (height: Parameters<Chain['receiptsAt']>[0]) => chain.receiptsAt(height),
      locate: (hash: Parameters<Chain['locate']>[0]) => chain.locate(hash),
      historyBeside: (...given: Parameters<Chain['historyBeside']>) =>
        chain.historyBeside(...given),
      history: (...given: Parameters<Chain['history']>) => chain.history(...given),
    }),
  });
}
