/** viem as merchants have it, on one node of a network. */
import { type Account, createPublicClient, createWalletClient, defineChain, http } from 'viem';
import type { Devnet } from './devnet.ts';

export function viemClients({ ready }: Devnet, index: number, account: Account) {
  const url = ready.rpc[index] ?? '';
  const chain = defineChain({
    id: ready.chainId,
    name: 'devnet',
    nativeCurrency: { name: 'MPB', symbol: 'MPB', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  });
  const options = { chain, transport: http(url), pollingInterval: 20 };
  return {
    client: createPublicClient(options),
    wallet: createWalletClient({ account, ...options }),
  };
}
