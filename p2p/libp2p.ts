/**
 * The carrier over libp2p: TCP, Noise, Yamux. The only file that imports libp2p; no DHT, discovery,
 * relay, identify or publish-subscribe is installed or started.
 *
 * - Only an Ed25519 identity that the network admits gets past the Noise handshake.
 * - A socket that does not finish its handshake within `upgradeTimeoutMs` is reset. Unfinished ones
 *   are counted, and one too many evicts the *oldest*: a handshake takes milliseconds, a silent
 *   socket stays for seconds, so a flood of silence evicts itself and a member gets through.
 *   (With libp2p's own default, ten silent sockets refuse everybody for ten seconds.)
 * - TCP_NODELAY and keep-alive are @libp2p/tcp's defaults and set again here.
 */
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed, publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { ed25519 } from '@noble/curves/ed25519.js';
import type { Libp2p, Libp2pOptions } from 'libp2p';
import { createLibp2p } from 'libp2p';
import type {
  ByteStream,
  Carrier,
  CarrierEvents,
  DialRefusal,
  Link,
  StreamEvents,
} from '#p2p/carrier.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';

type Connection = Awaited<ReturnType<Libp2p['dial']>>;
type Stream = Awaited<ReturnType<Connection['newStream']>>;
type Gater = NonNullable<Libp2pOptions['connectionGater']>;
type Socket = Parameters<NonNullable<Gater['denyInboundConnection']>>[0];

/** What a stream may hold unsent and still be told to go on. */
const HELD_BYTES_MAX = 64 * 1024;

export type Libp2pCarrierOptions = {
  identitySeed: Uint8Array;
  listen: readonly string[];
  protocols: readonly string[];
  limits: NetworkLimits;
  events: CarrierEvents;
};

/** libp2p's text form of the identity (base58 of the public key's identity multihash). */
export function peerIdFromSeed(seed: Uint8Array): string {
  assert(seed.length === 32, 'an Ed25519 seed is 32 bytes');
  return peerIdFromPublicKey(publicKeyFromRaw(ed25519.getPublicKey(seed))).toString();
}

export class Libp2pCarrier implements Carrier {
  readonly peerId: string;
  readonly #node: Libp2p;
  readonly #limits: NetworkLimits;
  readonly #links: Map<string, Libp2pLink>;

  private constructor(node: Libp2p, limits: NetworkLimits, links: Map<string, Libp2pLink>) {
    this.peerId = node.peerId.toString();
    this.#node = node;
    this.#limits = limits;
    this.#links = links;
  }

  static async open(options: Libp2pCarrierOptions): Promise<Libp2pCarrier> {
    // Noise prints its session keys when asked to by this variable: no member's node shall.
    if (process.env.DUMP_SESSION_KEYS !== undefined) {
      throw new UserError(
        EXIT.usage,
        'DUMP_SESSION_KEYS is set; unset it: it reveals session keys',
      );
    }
    checkAddresses(options.listen);
    const { limits, events, protocols } = options;
    const links = new Map<string, Libp2pLink>();
    const node = await createLibp2p(await libp2pOptions(options));
    node.addEventListener('connection:open', ({ detail }) => {
      const link = new Libp2pLink(detail, limits);
      links.set(detail.id, link);
      detail.addEventListener('close', () => {
        if (links.delete(detail.id)) events.onLinkClosed(link);
      });
      events.onLink(link);
    });
    for (const protocol of protocols) {
      await node.handle(
        protocol,
        (stream, connection) => {
          const link = links.get(connection.id);
          if (link === undefined) stream.abort(new Error('connection is gone'));
          else events.onStream(link, protocol, new Libp2pStream(stream));
        },
        {
          // Twice ours: the library counts a stream until both sides have closed it.
          maxInboundStreams: limits.streamsPerProtocolMax * 2,
          maxOutboundStreams: limits.streamsPerProtocolMax * 2,
        },
      );
    }
    try {
      await node.start();
    } catch (cause) {
      await node.stop();
      throw listenFailure(options.listen, cause);
    }
    return new Libp2pCarrier(node, limits, links);
  }

  addresses(): string[] {
    return this.#node.getMultiaddrs().map((address) => address.toString());
  }

  async dial(peerId: string, addresses: readonly string[]): Promise<DialRefusal | null> {
    try {
      // A host name in an address is resolved by the socket at each dial, so a moved peer is found.
      const targets = addresses.map((address) => {
        const target = multiaddr(address);
        const named = target.getComponents().some((component) => component.name === 'p2p');
        return named ? target : target.encapsulate(`/p2p/${peerId}`);
      });
      const signal = AbortSignal.timeout(this.#limits.dialTimeoutMs);
      await this.#node.dial(targets, { signal });
      return null;
    } catch (error) {
      return { code: 'DIAL_FAILED', reason: reasonOf(error) };
    }
  }

  async stop(): Promise<void> {
    try {
      await this.#node.stop();
    } catch {
      for (const link of [...this.#links.values()]) link.abort('network closed');
    }
  }
}

class Libp2pLink implements Link {
  readonly id: string;
  readonly peerId: string;
  readonly address: string;
  readonly direction: Link['direction'];
  readonly openedAtMs = performance.now();
  readonly #connection: Connection;
  readonly #limits: NetworkLimits;

  constructor(connection: Connection, limits: NetworkLimits) {
    this.id = connection.id;
    this.peerId = connection.remotePeer.toString();
    this.address = connection.remoteAddr.toString();
    this.direction = connection.direction;
    this.#connection = connection;
    this.#limits = limits;
  }

  async openStream(protocol: string, timeoutMs: number): Promise<ByteStream | null> {
    try {
      const stream = await this.#connection.newStream(protocol, {
        signal: AbortSignal.timeout(timeoutMs),
        maxOutboundStreams: this.#limits.streamsPerProtocolMax * 2,
      });
      return new Libp2pStream(stream);
    } catch {
      return null;
    }
  }

  close(): void {
    const signal = AbortSignal.timeout(this.#limits.lingerMs);
    this.#connection.close({ signal }).catch((error) => this.abort(reasonOf(error)));
  }

  abort(reason: string): void {
    try {
      this.#connection.abort(new Error(reason));
    } catch {
      // Already gone.
    }
  }
}

/** What a stream of the multiplexer counts of its receive window. */
type Windowed = {
  readonly state: number;
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
  sendWindowUpdate(): void;
};

const ESTABLISHED = 3;

/**
 * Grants new window when half of it is used, as yamux' specification has it. The library does at
 * every frame, which doubles the frames, ciphers and system calls of small messages.
 */
function grantWindowByHalves(stream: Stream): void {
  const windowed = stream as unknown as Windowed;
  const grant = windowed.sendWindowUpdate;
  if (typeof grant !== 'function') return;
  windowed.sendWindowUpdate = () => {
    const { state, recvWindow, recvWindowCapacity } = windowed;
    if (state === ESTABLISHED && recvWindow - recvWindowCapacity < recvWindow / 2) return;
    grant.call(stream);
  };
}

class Libp2pStream implements ByteStream {
  readonly #stream: Stream;
  #resuming = false;
  #pauseAfterResume = false;

  constructor(stream: Stream) {
    grantWindowByHalves(stream);
    this.#stream = stream;
  }

  listen(events: StreamEvents): void {
    const stream = this.#stream;
    let closed = false;
    const close = (reason: string) => {
      if (closed) return;
      closed = true;
      events.onClose(reason);
    };
    // The library says drain at every window update, and sends what it holds in the microtask
    // after:
    // taking each as leave to write one more piece would pile pieces up to its write limit.
    stream.addEventListener('drain', () => {
      queueMicrotask(() => {
        if (!closed && stream.writeBufferLength < HELD_BYTES_MAX) events.onDrain();
      });
    });
    stream.addEventListener('end', () => {
      if (!closed) events.onEnd();
    });
    stream.addEventListener('close', ({ error }) => close(error?.message ?? 'closed'));
    stream.addEventListener('message', ({ data }) => {
      if (data instanceof Uint8Array) events.onBytes(data);
      else for (const chunk of data) events.onBytes(chunk);
    });
    // What happened between negotiation and now is told too, but not from inside this call.
    if (stream.status !== 'open') queueMicrotask(() => close('closed before use'));
    else if (stream.readableEnded) queueMicrotask(() => events.onEnd());
  }

  write(bytes: Uint8Array): boolean {
    try {
      return this.#stream.send(bytes);
    } catch {
      // The close event tells; until it comes there is nothing to wait for.
      return true;
    }
  }

  pause(): void {
    // Yamux would go on granting window to a stream paused from inside its own resume.
    if (this.#resuming) {
      this.#pauseAfterResume = true;
      return;
    }
    try {
      this.#stream.pause();
    } catch {
      // Closed: nothing more will come.
    }
  }

  resume(): void {
    this.#resuming = true;
    try {
      this.#stream.resume();
    } catch {
      // Closed: nothing more will come.
    }
    this.#resuming = false;
    if (!this.#pauseAfterResume) return;
    this.#pauseAfterResume = false;
    this.pause();
  }

  end(): void {
    this.#stream.close({ signal: AbortSignal.timeout(2000) }).catch((error) => {
      this.reset(reasonOf(error));
    });
  }

  reset(reason: string): void {
    try {
      this.#stream.abort(new Error(reason));
    } catch {
      // Already gone.
    }
  }
}

async function libp2pOptions(options: Libp2pCarrierOptions): Promise<Libp2pOptions> {
  const { limits } = options;
  return {
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.identitySeed),
    addresses: { listen: [...options.listen] },
    transports: [
      tcp({
        dialOpts: { noDelay: true, keepAlive: true },
        listenOpts: { noDelay: true, keepAlive: true },
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: limits.streamsPerConnectionMax,
        maxOutboundStreams: limits.streamsPerConnectionMax,
        streamOptions: {
          // A paused stream holds at most one window, so the window is the read buffer's bound.
          maxStreamWindowSize: limits.readBufferBytesMax,
          maxReadBufferLength: limits.readBufferBytesMax,
          maxWriteBufferLength: limits.writeBufferBytesMax,
        },
      }),
    ],
    connectionManager: {
      // Our own gate counts peers; each may hold two connections while a cross dial settles.
      maxConnections: (limits.peersMax + limits.essentialPeersMax) * 2 + 1,
      maxIncomingPendingConnections: limits.handshakesPendingMax * 2,
      inboundConnectionThreshold: limits.socketsPerHostPerSecondMax,
      inboundUpgradeTimeout: limits.upgradeTimeoutMs,
      inboundStreamProtocolNegotiationTimeout: limits.upgradeTimeoutMs,
      outboundStreamProtocolNegotiationTimeout: limits.upgradeTimeoutMs,
      dialTimeout: limits.dialTimeoutMs,
      addressDialTimeout: limits.dialTimeoutMs,
      maxPeerAddrsToDial: 8,
      reconnectRetries: 0,
    },
    connectionMonitor: { enabled: false },
    connectionGater: gater(limits.handshakesPendingMax, options.events),
  };
}

function gater(handshakesPendingMax: number, events: CarrierEvents): Gater {
  const pending = new Set<Socket>();
  type Peer = Parameters<NonNullable<Gater['denyInboundEncryptedConnection']>>[0];
  const denies = (peer: Peer) => peer.type !== 'Ed25519' || !events.admits(peer.toString());
  return {
    denyDialMultiaddr: () => false,
    denyInboundConnection(socket) {
      pending.add(socket);
      socket.addEventListener('close', () => pending.delete(socket));
      for (const oldest of pending) {
        if (pending.size <= handshakesPendingMax) break;
        pending.delete(oldest);
        oldest.abort(new Error('too many handshakes pending'));
      }
      return false;
    },
    denyOutboundConnection: (peer) => denies(peer),
    denyInboundEncryptedConnection: (peer) => denies(peer),
    denyOutboundEncryptedConnection: (peer) => denies(peer),
    denyInboundUpgradedConnection(peer, socket) {
      pending.delete(socket);
      return denies(peer);
    },
    denyOutboundUpgradedConnection: (peer) => denies(peer),
  };
}

function checkAddresses(listen: readonly string[]): void {
  for (const address of listen) {
    try {
      multiaddr(address);
    } catch (cause) {
      throw new UserError(EXIT.usage, `not a p2p address: ${address}`, { cause });
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function listenFailure(listen: readonly string[], cause: unknown): UserError {
  const where = listen.join(', ');
  const text = reasonOf(cause);
  if (text.includes('EADDRINUSE')) {
    return new UserError(EXIT.unavailable, `p2p address already in use: ${where}`, { cause });
  }
  if (text.includes('EACCES')) {
    return new UserError(EXIT.permission, `p2p address needs more rights: ${where}`, { cause });
  }
  return new UserError(EXIT.unavailable, `p2p cannot listen on ${where}`, { cause });
}
