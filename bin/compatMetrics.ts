/**
 * The same figures under the names of others (`metrics.compat`), for dashboards that exist already:
 * EIP-2159, which clients of Ethereum share, and the few of Besu's and CometBFT's that mean the same
 * here.
 */
import { DEFAULT_LIMITS } from '#p2p/limits.ts';
import type { Backend } from '#src/rpc/backend.ts';

export type NamedFigure = {
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
};

export function compatFigures(backend: Backend): NamedFigure[] {
  const height = () => Number(backend.head.header.height);
  const peers = () => backend.status().peers.length;
  const behind = () => backend.status().blocksBehind;
  const waiting = () => backend.status().poolTransactions;
  const seconds = () => Math.floor(backend.head.header.consensus.timestampMs / 1_000);
  const transactions = () => backend.head.transactions.length;
  const figure = (name: string, help: string, read: () => number) => ({ name, help, read });
  return [
    figure('ethereum_blockchain_height', 'newest final block (EIP-2159)', height),
    figure('ethereum_best_known_block_number', 'known to be final', () => height() + behind()),
    figure('ethereum_peer_count', 'connected', peers),
    figure('ethereum_peer_limit', 'at most', () => {
      return DEFAULT_LIMITS.peersMax + DEFAULT_LIMITS.essentialPeersMax;
    }),
    figure('besu_synchronizer_in_sync', '1 unless it catches up', () => (behind() === 0 ? 1 : 0)),
    figure('besu_blockchain_chain_head_timestamp', 'seconds', seconds),
    figure('besu_blockchain_chain_head_transaction_count', 'of the newest block', transactions),
    figure('besu_blockchain_chain_head_gas_used', 'of the newest block', () => {
      return Number(backend.head.header.gasUsed);
    }),
    figure('besu_blockchain_chain_head_gas_limit', 'of the newest block', () => {
      return Number(backend.head.header.gasLimit);
    }),
    figure('besu_transaction_pool_transactions', 'payments that wait', waiting),
    figure('cometbft_consensus_height', 'newest final block', height),
    figure('cometbft_consensus_validators', 'in the set', () => {
      return backend.electorate.set.validators.length;
    }),
    figure('cometbft_consensus_num_txs', 'of the newest block', transactions),
    figure('cometbft_p2p_peers', 'connected', peers),
    figure('cometbft_mempool_size', 'payments that wait', waiting),
  ];
}
