import { Client } from '../../client.ts';
import { loadConfig } from '../../config.ts';
import { openDataDir } from '../../dataDir.ts';

/** What of `mpbp_nodeStatus` a validator's operator needs. */
export type NodeFacts = {
  readonly height: bigint;
  readonly consensusKeys: readonly string[];
  readonly peerId: string;
  readonly recalling: boolean;
  readonly validator: string | null;
};

/** The operator's own node: where `--node` says, or where the data directory's settings do. */
export function ownNode(dataDir: string, url: string | undefined): Client {
  if (url !== undefined) return new Client(url);
  openDataDir(dataDir);
  const { config } = loadConfig(dataDir, new Map());
  return new Client(`http://${config['rpc.host']}:${config['rpc.port']}`);
}

export async function readNode(node: Client): Promise<NodeFacts> {
  const status = await node.call<NodeFacts & { height: string }>('mpbp_nodeStatus');
  return { ...status, height: BigInt(status.height) };
}

/** Blocks behind the network at which a node still counts as one that keeps up. */
const blocksBehindMax = 2n;

/**
 * Whether the node has the network's chain, nearly to its end; else why it may not say that it is
 * ready. What it has is compared with what the other node has at the same height.
 */
export async function whyNotSynced(node: Client, network: Client): Promise<string | null> {
  const [{ height, recalling }, top] = await Promise.all([
    readNode(node),
    network.call<string>('eth_blockNumber'),
  ]);
  if (height + blocksBehindMax < BigInt(top)) {
    return `the node is at block ${height} of ${BigInt(top)}: it catches up`;
  }
  if (recalling) return 'the node still asks its peers what it signed';
  const at = `0x${(height < BigInt(top) ? height : BigInt(top)).toString(16)}`;
  const [own, other] = await Promise.all([blockHash(node, at), blockHash(network, at)]);
  return own === other ? null : 'the node is on another chain: compare the genesis files';
}

export async function blockHash(client: Client, at: string): Promise<string> {
  const block = await client.call<{ hash: string } | null>('eth_getBlockByNumber', at, false);
  return block?.hash ?? '';
}
