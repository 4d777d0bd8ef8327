import { keccak256 } from '#src/crypto/keccak.ts';
import { toHex } from '#src/lib/bytes.ts';
import type { Backend } from '../backend.ts';
import type { Method, Methods } from '../dispatch.ts';
import { quantity } from '../formats.ts';
import { readData } from '../params.ts';

/** What a node is; nothing here looks at a block's body or at the state. */
export function nodeMethods(backend: Backend): Methods {
  return [
    constant('web3_clientVersion', () => backend.clientVersion),
    ['web3_sha3', { paramsMax: 1, run: ([data]) => toHex(keccak256(readData(data, 0, MAX))) }],
    constant('net_version', () => backend.chainId.toString()),
    constant('net_listening', () => true),
    constant('net_peerCount', () => quantity(backend.status().peers.length)),
    constant('eth_chainId', () => quantity(backend.chainId)),
    constant('eth_syncing', () => syncing(backend)),
    constant('eth_blockNumber', () => quantity(backend.head.header.height)),
    constant('eth_gasPrice', () => quantity(backend.baseFeePerGas)),
    constant('eth_maxPriorityFeePerGas', () => '0x0'),
    constant('eth_accounts', () => []),
  ];
}

const MAX = 1024 * 1024;

/** The families of these methods, as geth tells them. */
export function modulesMethod(offered: () => readonly string[]): readonly [string, Method] {
  return constant('rpc_modules', () => {
    const families = new Set(offered().map((name) => name.split(/[_.]/, 1)[0] ?? name));
    return Object.fromEntries([...families].sort().map((family) => [family, '1.0']));
  });
}

/** How far is known for as many blocks as are on their way. */
function syncing(backend: Backend): unknown {
  const { blocksBehind, height } = backend.status();
  if (blocksBehind === 0) return false;
  const [currentBlock, highestBlock] = [quantity(height), quantity(height + BigInt(blocksBehind))];
  return { startingBlock: currentBlock, currentBlock, highestBlock };
}

function constant(name: string, run: () => unknown): readonly [string, Method] {
  return [name, { paramsMax: 0, run }];
}
