import type { Channel } from '#p2p/lanes.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import type { Log } from '#src/lib/log.ts';

export type NetworkOptions = {
  /** 32 bytes; the Ed25519 identity on the wire, which is not the consensus key. */
  identitySeed: Uint8Array;
  /** Multiaddresses; port 0 takes a free one. */
  listen: readonly string[];
  /** Dialled for ever; a host name is looked up again at each dial. */
  peers: readonly { peerId: string; addresses: readonly string[] }[];
  /** Who may connect. Asked again at every handshake and heartbeat, so it may change. */
  allowed: () => ReadonlySet<string>;
  /**
   * Those among them without whom the caller does not get on: they have places of their own,
   * however many others there are. None where it is left out.
   */
  essential?: () => ReadonlySet<string>;
  /** Opaque; a peer whose hello differs is another network or version, and is left. */
  hello: Uint8Array;
  limits: NetworkLimits;
  log: Log;
  onMessage(channel: Channel, from: string, message: Uint8Array): void;
  /** Null refuses. */
  onRequest(from: string, request: Uint8Array): Promise<Uint8Array | null>;
  onPeer(peerId: string, connected: boolean): void;
};
