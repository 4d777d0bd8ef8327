import type { Timing } from '#consensus/core/types.ts';
import type { Network } from '#p2p/network.ts';
import type { Chain } from '#src/chain/chain.ts';
import { coverOf } from '#src/ledger/fees.ts';
import { intrinsicGas } from '#src/ledger/gas.ts';
import { gasLimitFor, type LedgerRules } from '#src/ledger/rules.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import {
  defaultPoolLimits,
  type PoolLimits,
  type PoolOptions,
  type PoolRules,
} from '#src/pool/pool.ts';
import type { Backend } from '#src/rpc/backend.ts';
import { defaultRpcLimits } from '#src/rpc/limits.ts';
import type { RpcServerOptions } from '#src/rpc/server.ts';
import type { Genesis } from '#src/types/genesis.ts';
import type { Room } from '#storage/room.ts';
import type { Config } from './config.ts';

/** From the operator's and the network's words to the options of the parts. */

export function timing({ config }: Genesis): Timing {
  const { timers, heartbeatMs } = config;
  return {
    ...timers,
    heartbeatMs,
    fetchRetryMs: Math.max(20, Math.round(timers.leaderMs * 0.4)),
    fetchRetryMaxMs: timers.leaderMs * 8,
  };
}

export function poolLimits(config: Config): PoolLimits {
  return {
    ...defaultPoolLimits,
    poolTransactionsMax: config['pool.transactionsMax'],
    gappedTransactionsMax: config['pool.gappedMax'],
    senderTransactionsMax: config['pool.senderMax'],
    lifetimeMs: config['pool.lifetimeSeconds'] * 1_000,
  };
}

export function poolRules(rules: LedgerRules): PoolRules {
  return {
    baseFeePerGas: rules.baseFeePerGas,
    gasLimitFor: (transaction) => gasLimitFor(transaction, rules),
    intrinsicGas,
  };
}

/**
 * By the state at the head, for a block that is made now: who is paid for until some time would have
 * been paid for in the last block, and is not in the next.
 */
export function poolCover(
  chain: Pick<Chain, 'head' | 'params'>,
  state: StateReader,
  wall: () => number,
): PoolOptions['coverOf'] {
  return (transaction) => {
    const { timestampMs: last } = chain.head.header.consensus;
    const timestampMs = Math.max(wall(), last + 1);
    return coverOf(state, transaction, { rules: chain.params.rules, timestampMs });
  };
}

/** A head is old when so many heartbeats brought no other. */
const heartbeatsMax = 3;

export function rpcOptions(
  config: Config,
  genesis: Genesis,
  backend: Backend,
  network: Network,
  room: Room,
): Omit<RpcServerOptions, 'log' | 'access' | 'unlimited' | 'tls' | 'pages'> {
  return {
    section: 'rpc',
    host: config['rpc.host'],
    port: config['rpc.port'],
    hosts: config['rpc.hosts'],
    origins: config['rpc.origins'],
    limits: {
      ...defaultRpcLimits,
      bodyBytesMax: config['rpc.bodyBytesMax'],
      batchItemsMax: config['rpc.batchItemsMax'],
      connectionsMax: config['rpc.connectionsMax'],
      addressConnectionsMax: config['rpc.addressConnectionsMax'],
      callerSharePercent: config['rpc.callerSharePercent'],
      unreadBytesMax: config['rpc.unreadMebibytesMax'] * 1024 * 1024,
      syncTimeoutMs: config['rpc.syncTimeoutMs'],
    },
    backend,
    ready: ({ minPeers, maxBlocksBehind }) => {
      // Our own stake is there as long as we are.
      let absent = 0n;
      let total = 0n;
      for (const { peerId, stake } of backend.electorate.set.validators) {
        total += stake;
        if (peerId !== network.peerId && !network.isConnected(peerId)) absent += stake;
      }
      const quorum = 3n * (total - absent) > 2n * total;
      const height = backend.head.header.height.toString();
      const diskFull = room.look() !== null;
      const { blocksBehind, peers } = backend.status();
      const isNear = blocksBehind <= maxBlocksBehind && peers.length >= minPeers;
      // Peers that withhold blocks cannot hold back the clock: there is a block for each heartbeat.
      const ageMs = Date.now() - backend.head.header.consensus.timestampMs;
      const isFresh = ageMs < heartbeatsMax * genesis.config.heartbeatMs;
      const headAgeSeconds = Math.max(0, Math.round(ageMs / 1_000));
      const checks = { quorumConnected: quorum, diskFull, height, headAgeSeconds, blocksBehind };
      return {
        ready: quorum && !diskFull && isNear && isFresh,
        checks: { ...checks, peers: peers.length },
      };
    },
  };
}
