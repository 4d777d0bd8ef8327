/**
 * R9 and design 2.14: what is done with messages of an epoch that this node is not in. Its sender
 * is behind and is told how that epoch ended, or this node is, and asks. The set of another epoch
 * is not at hand, so nothing here is verified, believed or blamed.
 */
import { answerIntervalMs } from '#consensus/core/limits.ts';
import type { Message } from '#consensus/core/types.ts';
import type { Clock } from '#src/lib/clock.ts';
import { asEpoch, type Epoch } from '#src/types/units.ts';
import { messageBytesMax } from './codec.ts';
import type { Position } from './journal.ts';
import type { Ledger } from './ports.ts';

const heldMessagesMax = 1_024;
/** So that a stranger cannot take the room of those who speak of the next epoch rightly. */
const heldOfOnePeerMax = 64;
const heldBytesMax = 4 * messageBytesMax;

type Held<Frame> = { readonly peer: string; readonly bytes: Frame };

export type OtherEpochsOptions = {
  readonly clock: Clock;
  readonly ledger: Pick<Ledger, 'transition'>;
  /** The epoch that this node is in. */
  here(): Epoch;
  send(peer: string, message: Message): void;
  /** Shows a peer what is final here: whoever has more answers. */
  tellStatus(peer: string): void;
  /** Fetches what is missing up to a place that a peer claims, proven range by range. */
  catchUp(to: Position): void;
  /** To the core after all. */
  pass(peer: string, message: Message): void;
};

/** `Frame` is a message as it came; only its length is looked at. */
export class OtherEpochs<Frame extends { readonly length: number } = Uint8Array> {
  readonly #options: OtherEpochsOptions;
  readonly #answeredAt = new Map<string, number>();
  #held: Held<Frame>[] = [];
  #heldBytes = 0;

  constructor(options: OtherEpochsOptions) {
    this.#options = options;
  }

  receive(peer: string, bytes: Frame, epoch: Epoch, message: Message | null): void {
    if (epoch > this.#options.here()) this.#isBehind(peer, bytes, epoch, message);
    else this.#help(peer, epoch, message);
  }

  /** What was held for the epoch that has begun, once. */
  release(): readonly Held<Frame>[] {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  #isBehind(peer: string, bytes: Frame, epoch: Epoch, message: Message | null): void {
    const { here, catchUp, tellStatus } = this.#options;
    if (epoch === here() + 1 && message?.t !== 'status') this.#hold({ peer, bytes });
    if (!this.#mayAnswer(peer)) return;
    if (message?.t === 'status' && message.certificate !== null) {
      catchUp({ epoch, view: message.certificate.statement.view });
    }
    tellStatus(peer);
  }

  #help(peer: string, epoch: Epoch, message: Message | null): void {
    const { ledger, here, pass, send } = this.#options;
    let certificate = ledger.transition(epoch);
    if (certificate === null || message?.t === 'certificate') return;
    const theirs = message?.t === 'status' ? message.certificate?.statement.blockHash : null;
    if (message !== null && theirs === certificate.statement.blockHash) {
      // At the base of this epoch, like everyone who has seen no more of it.
      if (epoch + 1 === here()) return pass(peer, message);
      // Who shows the end of one epoch stands in the next, and is told how that one ended.
      certificate = ledger.transition(asEpoch(epoch + 1));
      if (certificate === null) return;
    }
    if (this.#mayAnswer(peer)) send(peer, { t: 'certificate', certificate });
  }

  /** Keeps a message of the next epoch until it begins here, so that no proposal is lost to it. */
  #hold(held: Held<Frame>): void {
    if (this.#held.length >= heldMessagesMax) return;
    const ofPeer = this.#held.filter(({ peer }) => peer === held.peer);
    const bytes = ofPeer.reduce((sum, { bytes: { length } }) => sum + length, held.bytes.length);
    if (ofPeer.length >= heldOfOnePeerMax || bytes > messageBytesMax) return;
    if (this.#heldBytes + held.bytes.length > heldBytesMax) return;
    this.#held.push(held);
    this.#heldBytes += held.bytes.length;
  }

  /** Whether this peer's turn for an answer has come again; takes the turn. */
  #mayAnswer(peer: string): boolean {
    const now = this.#options.clock.now();
    if (now - (this.#answeredAt.get(peer) ?? Number.NEGATIVE_INFINITY) < answerIntervalMs) {
      return false;
    }
    this.#answeredAt.set(peer, now);
    return true;
  }
}

/** The epoch that a message speaks of; null where it speaks of none. */
export function epochOf(message: Message): Epoch | null {
  switch (message.t) {
    case 'vote':
      return message.vote.statement.epoch;
    case 'proposal':
      return message.proposal.vote.statement.epoch;
    case 'certificate':
      return message.certificate.statement.epoch;
    case 'certificates':
      return message.certificates[0]?.statement.epoch ?? null;
    case 'status':
      // Who has no certificate is at genesis.
      return message.certificate?.statement.epoch ?? asEpoch(0);
    case 'getCertificates':
    case 'recall':
    case 'recalled':
      return message.epoch;
    case 'getBlock':
    case 'block':
      return null;
  }
}
