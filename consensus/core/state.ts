import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import type { Vote, VoteKind } from '#src/types/vote.ts';
import { Fetches } from './fetches.ts';
import type { Block, CoreOptions, Effect, Event, Floor, Peer } from './types.ts';
import { ViewRecord } from './views.ts';

/** What one node knows of one epoch. Only the rules of this folder change it. */
export type State = {
  readonly options: CoreOptions;
  /** Own position in the set; null for a node that does not sign in this epoch. */
  me: number | null;
  /** Who has told which votes of ours they hold; null once that is enough to sign. */
  recall: { readonly heard: Set<number>; askedAt: number } | null;
  /** The epoch's last block is final: nothing more is signed in it. */
  ended: boolean;
  view: View;
  /** The newest final block; nothing at or below its view is kept. */
  floor: Floor;
  floorCertificate: Certificate | null;
  /** Both clocks, as of the event that is being handled. */
  now: number;
  wall: number;
  enteredAt: number;
  /** From when this view's timers run; null while there is nothing to do. */
  armedAt: number | null;
  retriedAt: number;
  statusAt: number;
  pending: boolean;
  /** A change of the validators waits for blocks to reach its boundary. */
  boundary: boolean;
  stopping: boolean;
  halted: boolean;
  building: { view: View; parentHash: Hash } | null;
  nextSeq: number;
  /** The highest view with a certificate of any kind. */
  highestCertified: number;
  wakeAt: number;
  wakeSent: number;
  effects: Effect[];
  readonly views: Map<View, ViewRecord>;
  readonly blocks: Map<Hash, Block>;
  readonly execution: Map<Hash, 'pending' | 'valid' | 'invalid'>;
  /** Votes on their way to the disk, by the sequence number that `durable` will name. */
  readonly casts: Map<number, { view: View; kind: VoteKind }>;
  /** Leaders that let this node's timer run out, until they are heard of again. */
  readonly suspects: Set<number>;
  readonly answeredAt: Map<Peer, number>;
  /** The newest vote of each validator, whatever became of its view. */
  readonly newestVotes: Map<number, Vote>;
  readonly fetches: Fetches;
  /** What this step found missing: fetches of anything else are forgotten. */
  wanted: Set<string>;
};

export function makeState(
  options: CoreOptions,
  floor: Floor,
  floorCertificate: Certificate | null,
): State {
  const peers = options.set.validators.map((validator) => validator.peerId);
  const { fetchRetryMs, fetchRetryMaxMs } = options.timing;
  const { me } = options;
  return {
    options,
    me,
    recall:
      me === null || options.record === 'proven'
        ? null
        : { heard: new Set([me]), askedAt: Number.NEGATIVE_INFINITY },
    ended: false,
    view: (floor.view + 1) as View,
    floor,
    floorCertificate,
    now: 0,
    wall: 0,
    enteredAt: 0,
    armedAt: null,
    retriedAt: Number.NEGATIVE_INFINITY,
    statusAt: Number.NEGATIVE_INFINITY,
    pending: false,
    boundary: false,
    stopping: false,
    halted: false,
    building: null,
    nextSeq: 1,
    highestCertified: floor.view,
    wakeAt: Number.POSITIVE_INFINITY,
    wakeSent: Number.POSITIVE_INFINITY,
    effects: [],
    views: new Map(),
    blocks: new Map(),
    execution: new Map(),
    casts: new Map(),
    suspects: new Set(),
    answeredAt: new Map(),
    newestVotes: new Map(),
    fetches: new Fetches(peers, me, fetchRetryMs, fetchRetryMaxMs),
    wanted: new Set(),
  };
}

/**
 * The state in which the next epoch begins: its views start again at 1 on the boundary block. What
 * belongs to the process goes over; sequence numbers too, so that a late `durable` names nothing.
 */
export function nextEpoch(
  s: State,
  { options, floor, certificate }: Extract<Event, { t: 'epoch' }>,
): State {
  const answered = s.options.me !== null && s.recall === null;
  const twice = s.options.record === 'asked' || s.options.record === 'proven';
  const record = answered ? (twice ? 'proven' : 'asked') : options.record;
  return {
    ...makeState({ ...options, record }, { ...floor, view: 0 as View }, certificate),
    now: s.now,
    wall: s.wall,
    statusAt: s.statusAt,
    stopping: s.stopping,
    nextSeq: s.nextSeq,
    answeredAt: s.answeredAt,
  };
}

export function leaderOf(s: State): number {
  return s.options.schedule.leaderOf(s.view);
}

export function recordOf(s: State, view: View): ViewRecord {
  let record = s.views.get(view);
  if (record === undefined) {
    record = new ViewRecord(view);
    s.views.set(view, record);
  }
  return record;
}
