/** What is known of one peer, connected or not: behaviour, traffic, and the sessions it has. */
import type { Direction, Link } from '#p2p/carrier.ts';
import type { Dialer } from '#p2p/dialer.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import { Intake } from '#p2p/rate.ts';
import type { Session } from '#p2p/session.ts';
import { Standing } from '#p2p/standing.ts';

export type PeerInfo = {
  peerId: string;
  /** To be dialled for ever. */
  isConfigured: boolean;
  /** Null while not connected. */
  connection: { address: string; direction: Direction; sinceUnixMs: number } | null;
  messagesIn: number;
  messagesOut: number;
  bytesIn: number;
  bytesOut: number;
  queueMessages: number;
  queueBytes: number;
  /** Outgoing messages dropped because the queue was full. */
  dropped: number;
  /** 0 is good; see standing.ts. */
  score: number;
  isBanned: boolean;
};

export class Peer {
  readonly id: string;
  readonly standing: Standing;
  readonly intake: Intake;
  readonly sessions = new Set<Session>();
  /** The ready session that messages leave by. */
  active: Session | null = null;
  sinceUnixMs = 0;
  dialer: Dialer | null = null;
  addresses: readonly string[] = [];
  messagesIn = 0;
  messagesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  asking = 0;
  serving = 0;
  #droppedEarlier = 0;

  constructor(id: string, limits: NetworkLimits) {
    this.id = id;
    this.standing = new Standing(limits.banMs);
    this.intake = new Intake(
      limits.inboundMessagesPerSecondMax,
      limits.inboundBytesPerSecondMax,
      performance.now(),
    );
  }

  forget(session: Session): void {
    if (this.sessions.delete(session)) this.#droppedEarlier += session.queue.dropped;
    if (this.active === session) this.active = null;
  }

  /** A peer that moved, or is to be dialled for the first time, or no more (null). */
  dialAt(addresses: readonly string[], dialer: Dialer | null): void {
    this.dialer?.stop();
    this.dialer = dialer;
    this.addresses = addresses;
    if (this.sessions.size === 0) dialer?.start();
  }

  info(): PeerInfo {
    const nowMs = performance.now();
    const link = this.active?.link ?? null;
    const sum = { messages: 0, bytes: 0, dropped: this.#droppedEarlier };
    for (const { queue } of this.sessions) {
      sum.messages += queue.messages;
      sum.bytes += queue.bytes;
      sum.dropped += queue.dropped;
    }
    return {
      peerId: this.id,
      isConfigured: this.dialer !== null,
      connection:
        link === null
          ? null
          : { address: link.address, direction: link.direction, sinceUnixMs: this.sinceUnixMs },
      messagesIn: this.messagesIn,
      messagesOut: this.messagesOut,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      queueMessages: sum.messages,
      queueBytes: sum.bytes,
      dropped: sum.dropped,
      score: this.standing.score(nowMs),
      isBanned: this.standing.isBanned(nowMs),
    };
  }
}

/**
 * Which of two working links to the same peer stays. Both sides must choose alike, or each closes
 * the other's and they meet again and again:
 *
 * - dialled by both sides at about the same time: the one dialled by the smaller peer id;
 * - else the newer: whoever dialled it no longer had the older.
 */
export function linkToKeep(older: Link, newer: Link, selfId: string, crossDialMs: number): Link {
  const isCross = older.direction !== newer.direction;
  if (!isCross || newer.openedAtMs - older.openedAtMs > crossDialMs) return newer;
  const ours = older.direction === 'outbound' ? older : newer;
  const theirs = ours === older ? newer : older;
  return selfId < theirs.peerId ? ours : theirs;
}
