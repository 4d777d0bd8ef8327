/** Real networks on 127.0.0.1, and what they heard. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, NetworkLimits, NetworkOptions } from '#p2p/network.ts';
import { DEFAULT_LIMITS, Network, peerIdFromSeed } from '#p2p/network.ts';
import type { Log, LogFields } from '#src/lib/log.ts';

export type Heard = { channel: Channel; from: string; message: Uint8Array };

export type Node = {
  network: Network;
  peerId: string;
  seed: Uint8Array;
  address: string;
  port: number;
  heard: Heard[];
  peerEvents: { peerId: string; connected: boolean }[];
  logged: { level: string; event: string; fields: LogFields }[];
};

export type NodeOptions = Partial<Omit<NetworkOptions, 'limits' | 'log' | 'allowed'>> & {
  allowed?: string[] | (() => ReadonlySet<string>);
  limits?: Partial<NetworkLimits>;
};

export function seedOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

export function idOf(number: number): string {
  return peerIdFromSeed(seedOf(number));
}

export const HELLO = new TextEncoder().encode('mpbp test network');

const opened = new Set<Network>();

/** After each test, so that one that failed does not keep the process alive. */
export async function closeOpened(): Promise<void> {
  const networks = [...opened];
  opened.clear();
  await Promise.all(networks.map((network) => network.close()));
}

export async function openNode(number: number, options: NodeOptions = {}): Promise<Node> {
  const { allowed = [], limits, ...rest } = options;
  const heard: Heard[] = [];
  const peerEvents: Node['peerEvents'] = [];
  const logged: Node['logged'] = [];
  const allowedSet = Array.isArray(allowed) ? new Set(allowed) : null;
  const network = await Network.open({
    identitySeed: seedOf(number),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    peers: [],
    allowed: () => allowedSet ?? (allowed as () => ReadonlySet<string>)(),
    hello: HELLO,
    limits: { ...DEFAULT_LIMITS, ...limits },
    log: recorder(logged),
    onMessage: (channel, from, message) => heard.push({ channel, from, message }),
    onRequest: async () => null,
    onPeer: (peerId, connected) => peerEvents.push({ peerId, connected }),
    ...rest,
  });
  opened.add(network);
  const address = network.addresses()[0] ?? '';
  const port = Number(address.split('/')[4]);
  return {
    network,
    peerId: network.peerId,
    seed: seedOf(number),
    address,
    port,
    heard,
    peerEvents,
    logged,
  };
}

export function peerOf(node: Node): { peerId: string; addresses: string[] } {
  return { peerId: node.peerId, addresses: [node.address] };
}

/** A second node that dials the first; resolves when both are connected. */
export async function openPair(
  left: NodeOptions = {},
  right: NodeOptions = {},
): Promise<[Node, Node]> {
  const a = await openNode(1, { allowed: [idOf(2)], ...left });
  const b = await openNode(2, { allowed: [idOf(1)], peers: [peerOf(a)], ...right });
  await until('both are connected', () => isMutual(a, b));
  return [a, b];
}

export function isMutual(a: Node, b: Node): boolean {
  return a.network.isConnected(b.peerId) && b.network.isConnected(a.peerId);
}

export async function until(
  what: string,
  condition: () => boolean,
  timeoutMs = 5000,
): Promise<number> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > timeoutMs) throw new Error(`never came: ${what}`);
    await sleep(5);
  }
  return performance.now() - startMs;
}

function recorder(logged: Node['logged']): Log {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}) => {
      logged.push({ level, event, fields });
      if (process.env.P2P_TEST_LOG !== undefined) console.error(level, event, fields);
    };
  const log: Log = {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => log,
  };
  return log;
}
