/**
 * The node's peers: authenticated, bounded, and dialled for ever. Bytes in, verdicts out: what a
 * message means is the caller's business, who may send it and how much is decided here.
 *
 * - A peer is *connected* when both sides' hellos were equal on every channel. `onPeer(id, true)`
 *   comes before its first message, `onPeer(id, false)` after its last.
 * - Messages to a connected peer keep their order within a channel, and may be lost: when a queue
 *   overflows (the oldest go) and when a connection dies. The protocols above repeat themselves.
 * - Two links to one peer settle on one (see `linkToKeep`); messages may cross while they do.
 * - Callbacks are called synchronously. One that throws is our own bug and stops the process,
 *   except `onRequest`, whose failure is logged and refuses the request.
 */
import { Backoff } from '#p2p/backoff.ts';
import type { ByteStream, Carrier, CarrierEvents, Link } from '#p2p/carrier.ts';
import { Dialer } from '#p2p/dialer.ts';
import { encodeFrame } from '#p2p/frames.ts';
import type { Channel } from '#p2p/lanes.ts';
import { CHANNELS, messageBytesMax } from '#p2p/lanes.ts';
import { Libp2pCarrier } from '#p2p/libp2p.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import type { NetworkOptions } from '#p2p/options.ts';
import type { PeerInfo } from '#p2p/peer.ts';
import { linkToKeep, Peer } from '#p2p/peer.ts';
import { ask, REQUEST_PROTOCOL, refuse, serve } from '#p2p/requests.ts';
import type { SessionFailure } from '#p2p/session.ts';
import { PROTOCOLS, Session } from '#p2p/session.ts';
import type { Penalty } from '#p2p/standing.ts';
import { toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';

export type { Channel } from '#p2p/lanes.ts';
export { peerIdFromSeed } from '#p2p/libp2p.ts';
export type { NetworkLimits } from '#p2p/limits.ts';
export { DEFAULT_LIMITS } from '#p2p/limits.ts';
export type { NetworkOptions } from '#p2p/options.ts';
export type { PeerInfo } from '#p2p/peer.ts';
export type { Penalty } from '#p2p/standing.ts';

const NOBODY: ReadonlySet<string> = new Set();

export class Network {
  readonly #options: NetworkOptions;
  readonly #limits: NetworkLimits;
  readonly #log: Log;
  readonly #peers = new Map<string, Peer>();
  readonly #sessions = new Map<string, Session>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #lingering = new Set<NodeJS.Timeout>();
  readonly #carrier: Carrier;
  #isClosed = false;

  private constructor(options: NetworkOptions, carrier: Carrier) {
    this.#options = options;
    this.#limits = options.limits;
    this.#log = options.log;
    this.#carrier = carrier;
    this.#heartbeat = setInterval(() => this.#tick(), this.#limits.heartbeatMs);
    this.setPeers(options.peers);
  }

  /** Throws `UserError` where an address cannot be listened on. */
  static async open(options: NetworkOptions): Promise<Network> {
    assert(options.hello.length > 0, 'a hello says something');
    assert(options.hello.length <= options.limits.helloBytesMax, 'hello is too long');
    // Sockets may knock before there is a network to answer: they are turned away.
    let network: Network | null = null;
    const events: CarrierEvents = {
      admits: (peerId) => (network === null ? false : network.#admits(peerId)),
      onLink: (link) => network === null || network.#linkUp(link),
      onLinkClosed: (link) => network === null || network.#linkClosed(link),
      onStream: (link, protocol, stream) =>
        network === null || network.#accept(link, protocol, stream),
    };
    const carrier = await Libp2pCarrier.open({
      identitySeed: options.identitySeed,
      listen: options.listen,
      protocols: [...CHANNELS.map((channel) => PROTOCOLS[channel]), REQUEST_PROTOCOL],
      limits: options.limits,
      events,
    });
    network = new Network(options, carrier);
    return network;
  }

  get peerId(): string {
    return this.#carrier.peerId;
  }

  addresses(): string[] {
    return this.#carrier.addresses();
  }

  /** Whom to dial from now on, in place of those before. */
  setPeers(peers: NetworkOptions['peers']): void {
    const wanted = new Map(peers.map(({ peerId, addresses }) => [peerId, addresses]));
    for (const peer of this.#peers.values()) if (!wanted.has(peer.id)) peer.dialAt([], null);
    for (const [peerId, addresses] of wanted) this.#dialForEver(peerId, addresses);
  }

  /** Every peer we dial, are connected to, or remember the behaviour of. */
  peers(): PeerInfo[] {
    return [...this.#peers.values()].map((peer) => peer.info());
  }

  isConnected(peerId: string): boolean {
    return this.#peers.get(peerId)?.active != null;
  }

  /** False where the peer is not connected, or its full queue had to drop something. */
  send(peerId: string, channel: Channel, message: Uint8Array): boolean {
    this.#checkMessage(channel, message);
    const peer = this.#peers.get(peerId);
    return peer !== undefined && this.#sendFrame(peer, channel, encodeFrame(message));
  }

  /** To everybody connected; framed once. */
  broadcast(channel: Channel, message: Uint8Array): void {
    this.#checkMessage(channel, message);
    const frame = encodeFrame(message);
    for (const peer of this.#peers.values()) this.#sendFrame(peer, channel, frame);
  }

  /** Null on refusal, timeout, disconnection, or too many already in flight with this peer. */
  async request(
    peerId: string,
    request: Uint8Array,
    timeoutMs: number,
  ): Promise<Uint8Array | null> {
    assert(request.length > 0 && request.length <= this.#limits.requestBytesMax, 'request size');
    const peer = this.#peers.get(peerId);
    const link = peer?.active?.link;
    if (peer === undefined || link === undefined) return null;
    if (peer.asking >= this.#limits.requestsPerPeerMax) return null;
    peer.asking++;
    const answer = await ask({
      link,
      request,
      limits: this.#limits,
      timeoutMs,
      onOffence: (reason) => this.penalize(peerId, 'disconnect', reason),
    });
    peer.asking--;
    return answer;
  }

  /** What the caller found wrong with what this peer sent. The reason is ours, for the log. */
  penalize(peerId: string, penalty: Penalty, reason: string): void {
    const peer = this.#peers.get(peerId);
    if (peer === undefined) return;
    const nowMs = performance.now();
    const sentence = peer.standing.penalize(penalty, nowMs);
    const fields = { peer: peerId, penalty, reason, score: peer.standing.score(nowMs) };
    if (sentence === 'none') this.#log.debug('peer penalized', fields);
    else this.#log.warn(sentence === 'ban' ? 'peer banned' : 'peer disconnected', fields);
    if (sentence !== 'none') this.#disconnect(peer, reason);
  }

  /** No callback comes after this is called. Connections are closed within `closeTimeoutMs`. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#heartbeat);
    for (const timer of this.#lingering) clearTimeout(timer);
    for (const peer of this.#peers.values()) {
      peer.dialer?.stop();
      for (const session of peer.sessions) session.stop();
      peer.sessions.clear();
      peer.active = null;
    }
    this.#sessions.clear();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#limits.closeTimeoutMs);
    await Promise.race([this.#carrier.stop(), late]);
    clearTimeout(timer);
  }

  #checkMessage(channel: Channel, message: Uint8Array): void {
    const max = messageBytesMax(channel, this.#limits);
    assert(message.length > 0 && message.length <= max, `${channel} message size`);
  }

  #sendFrame(peer: Peer, channel: Channel, frame: Uint8Array): boolean {
    if (peer.active === null) return false;
    peer.messagesOut++;
    peer.bytesOut += frame.length;
    return peer.active.send(channel, frame);
  }

  #peer(peerId: string): Peer {
    let peer = this.#peers.get(peerId);
    if (peer === undefined) {
      peer = new Peer(peerId, this.#limits);
      this.#peers.set(peerId, peer);
    }
    return peer;
  }

  #admits(peerId: string): boolean {
    if (this.#isClosed || !this.#options.allowed().has(peerId)) return false;
    const peer = this.#peers.get(peerId);
    if (peer?.standing.isBanned(performance.now())) return false;
    if (peer !== undefined && peer.sessions.size > 0) return true;
    // Counted apart: nobody takes a place of those that are essential.
    const essential = this.#options.essential?.() ?? NOBODY;
    const isEssential = essential.has(peerId);
    let others = 0;
    for (const { id, sessions } of this.#peers.values()) {
      if (sessions.size > 0 && essential.has(id) === isEssential) others++;
    }
    return others < (isEssential ? this.#limits.essentialPeersMax : this.#limits.peersMax);
  }

  #dialForEver(peerId: string, addresses: readonly string[]): void {
    if (peerId === this.peerId || addresses.length === 0) return;
    const peer = this.#peer(peerId);
    if (peer.dialer !== null && `${peer.addresses}` === `${addresses}`) return;
    const { redialFirstMs, redialMaxMs } = this.#limits;
    let failures = 0;
    const dial = async () => {
      if (!this.#admits(peerId)) return;
      const refusal = await this.#carrier.dial(peerId, addresses);
      failures = refusal === null ? 0 : failures + 1;
      if (refusal === null || this.#isClosed) return;
      const fields = { peer: peerId, reason: refusal.reason };
      if (failures === 1) this.#log.info('peer not reachable', fields);
      else this.#log.debug('peer still not reachable', fields);
    };
    const dialer = new Dialer(dial, new Backoff(redialFirstMs, redialMaxMs, Math.random));
    peer.dialAt(addresses, dialer);
  }

  #linkUp(link: Link): void {
    if (this.#isClosed) {
      link.abort('network closed');
      return;
    }
    const peer = this.#peer(link.peerId);
    // A newer attempt from the same side replaces one that has not come to anything yet.
    for (const other of peer.sessions) {
      if (other.link.direction !== link.direction || other.isReady) continue;
      this.#drop(peer, other);
      other.link.abort('replaced by a newer connection');
    }
    const session: Session = new Session({
      link,
      hello: this.#options.hello,
      limits: this.#limits,
      intake: peer.intake,
      onReady: () => this.#sessionReady(peer, session),
      onMessage: (channel, message) => {
        peer.messagesIn++;
        peer.bytesIn += message.length;
        this.#options.onMessage(channel, peer.id, message);
      },
      onFailure: (failure) => this.#sessionFailed(peer, session, failure),
    });
    peer.sessions.add(session);
    this.#sessions.set(link.id, session);
    peer.dialer?.linkUp();
  }

  #sessionReady(peer: Peer, session: Session): void {
    const old = peer.active;
    const { peerId, address, direction } = session.link;
    if (old === null) {
      peer.active = session;
      peer.sinceUnixMs = Date.now();
      this.#log.info('peer connected', { peer: peerId, address, direction });
      this.#options.onPeer(peerId, true);
      return;
    }
    const kept = linkToKeep(old.link, session.link, this.peerId, this.#limits.crossDialMs);
    const fields = {
      peer: peerId,
      old: old.link.address,
      new: address,
      keptNew: kept !== old.link,
    };
    if (old.link.direction !== direction) this.#log.debug('two connections with a peer', fields);
    else this.#log.warn('same identity connected twice', fields);
    const loser = kept === old.link ? session : old;
    if (loser === old) peer.active = session;
    const timer = setTimeout(() => {
      this.#lingering.delete(timer);
      this.#drop(peer, loser);
      loser.link.close();
    }, this.#limits.lingerMs);
    this.#lingering.add(timer);
  }

  #sessionFailed(peer: Peer, session: Session, failure: SessionFailure): void {
    const why = 'reason' in failure ? failure.reason : null;
    const fields = { peer: peer.id, code: failure.code, why };
    switch (failure.code) {
      case 'HELLO_DIFFERS':
        this.#log.warn('peer is of another network or version', {
          ...fields,
          ours: toHex(this.#options.hello.subarray(0, 64)),
          theirs: toHex(failure.theirs.subarray(0, 64)),
        });
        // Not aborted: our own hello has to arrive, so that the other side can say why too.
        session.link.close();
        break;
      case 'BAD_FRAME':
      case 'BAD_HEARTBEAT':
      case 'SPOKE_TOO_SOON':
        this.penalize(peer.id, 'disconnect', failure.code);
        break;
      default:
        this.#log.debug('connection failed', fields);
        session.link.abort(failure.code);
    }
    this.#drop(peer, session);
  }

  #linkClosed(link: Link): void {
    const session = this.#sessions.get(link.id);
    const peer = this.#peers.get(link.peerId);
    if (session !== undefined && peer !== undefined) this.#drop(peer, session);
  }

  #disconnect(peer: Peer, reason: string): void {
    for (const session of [...peer.sessions]) {
      this.#drop(peer, session);
      session.link.abort(reason);
    }
  }

  /** The session is over; does nothing when it was already. The link is the caller's to close. */
  #drop(peer: Peer, session: Session): void {
    if (!peer.sessions.has(session) || this.#isClosed) return;
    const wasActive = peer.active === session;
    const wasStable =
      session.wasReady && performance.now() - session.link.openedAtMs > this.#limits.stableAfterMs;
    peer.forget(session);
    session.stop();
    this.#sessions.delete(session.link.id);
    if (peer.sessions.size === 0) peer.dialer?.linkDown(wasStable);
    if (!wasActive) return;
    this.#log.info('peer disconnected', { peer: peer.id });
    this.#options.onPeer(peer.id, false);
  }

  #accept(link: Link, protocol: string, stream: ByteStream): void {
    const session = this.#sessions.get(link.id);
    const peer = this.#peers.get(link.peerId);
    if (session === undefined || peer === undefined) {
      stream.reset('no session');
      return;
    }
    const channel = CHANNELS.find((name) => PROTOCOLS[name] === protocol);
    if (channel !== undefined) session.accept(channel, stream);
    else if (session.isGreeted) this.#serve(peer, stream);
    else stream.reset('not greeted');
  }

  #serve(peer: Peer, stream: ByteStream): void {
    if (peer.serving >= this.#limits.requestsPerPeerMax) {
      refuse(stream);
      return;
    }
    peer.serving++;
    serve({
      stream,
      limits: this.#limits,
      answer: (request) => this.#answer(peer, request),
      onOffence: (reason) => this.penalize(peer.id, 'disconnect', reason),
      onDone: () => {
        peer.serving--;
      },
    });
  }

  async #answer(peer: Peer, request: Uint8Array): Promise<Uint8Array | null> {
    if (this.#isClosed) return null;
    if (peer.intake.take(1, request.length, performance.now()) > 0) return null;
    try {
      const answer = await this.#options.onRequest(peer.id, request);
      if (answer === null || answer.length <= this.#limits.responseBytesMax) return answer;
      this.#log.error('answer is too long', { bytes: answer.length });
    } catch (error) {
      this.#log.error('request failed', { error: String(error) });
    }
    return null;
  }

  #tick(): void {
    const allowed = this.#options.allowed();
    for (const peer of this.#peers.values()) {
      if (!allowed.has(peer.id) && peer.sessions.size > 0) {
        this.#log.warn('peer is no longer allowed', { peer: peer.id });
        this.#disconnect(peer, 'no longer allowed');
      }
      for (const session of peer.sessions) session.tick();
    }
  }
}
