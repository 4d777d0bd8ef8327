/** How the core speaks: messages, requests, metrics, and when it wants to be woken. */
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import { answerIntervalMs, justifyBytesMax, justifyNullificationsMax } from './limits.ts';
import type { State } from './state.ts';
import type { Effect, Floor, Message, Peer, Proposal } from './types.ts';

export function send(s: State, to: Peer | 'all', message: Message): void {
  s.effects.push({ t: 'send', to, message });
}

export function sendProposal(s: State, proposal: Proposal): void {
  const { parentView } = proposal;
  const justify: Certificate[] = [];
  // Room for them is left in a message beside the largest block; a set of 128 fills it with 23.
  const eachBytes = 80 + 64 * s.options.set.validators.length;
  const justifyMax = Math.min(
    justifyBytesMax,
    justifyNullificationsMax,
    Math.floor(justifyBytesMax / eachBytes),
  );
  const parent = s.views.get(parentView);
  const certified =
    parentView === s.floor.view && parentView > 0
      ? s.floorCertificate
      : (parent?.finalized ?? parent?.notarized ?? null);
  if (certified !== null) justify.push(certified);
  for (let v = proposal.view - 1; v > parentView; v--) {
    if (justify.length > justifyMax) break;
    const nullified = s.views.get(v as View)?.nullified;
    if (nullified) justify.push(nullified);
  }
  send(s, 'all', { t: 'proposal', proposal: { ...proposal, justify } });
}

export function sendStatus(s: State, to: Peer | 'all'): void {
  const { height } = s.floor;
  send(s, to, { t: 'status', height, certificate: s.floorCertificate });
}

/** R9, at most once in a while for each peer. */
export function help(s: State, from: Peer): void {
  if (mayAnswer(s, from)) sendStatus(s, from);
}

/** Whether this peer's turn for an unasked answer has come again; takes the turn. */
export function mayAnswer(s: State, from: Peer): boolean {
  const last = s.answeredAt.get(from) ?? Number.NEGATIVE_INFINITY;
  if (s.now - last < answerIntervalMs) return false;
  s.answeredAt.set(from, s.now);
  return true;
}

/** Without this a payment known to one node makes it give up every view alone (design 2.8). */
export function pushPending(s: State): void {
  const { schedule, set } = s.options;
  const to = new Set<Peer>();
  for (let ahead = 0; ahead < 3; ahead++) {
    const index = schedule.leaderOf((s.view + ahead) as View);
    const peer = set.validators[index]?.peerId;
    if (index !== s.me && peer !== undefined) to.add(peer);
  }
  s.effects.push({ t: 'pushPending', to: [...to] });
}

export function wantBlock(
  s: State,
  hash: Hash,
  prefer: number,
  final: Certificate | null,
  far: boolean,
): void {
  const key = `block:${hash}`;
  s.wanted.add(key);
  const repeated = s.fetches.has(key);
  const peer = s.fetches.due(key, s.now, prefer);
  if (peer === null) return;
  if (final !== null && (far || repeated)) {
    const fromHeight = (s.floor.height + 1n) as Floor['height'];
    s.effects.push({ t: 'catchUp', fromHeight, certificate: final });
  }
  if (!far) send(s, peer, { t: 'getBlock', hash });
}

export function wantCertificates(s: State, from: View, to: View, prefer: number): void {
  const key = `certificates:${from}.${to}`;
  s.wanted.add(key);
  const peer = s.fetches.due(key, s.now, prefer);
  if (peer === null) return;
  send(s, peer, { t: 'getCertificates', epoch: s.options.epoch, from, to });
}

/** 1.5 to the number of views that failed in a row, beyond what pipelining explains. */
export function patience(s: State): number {
  return 1.5 ** Math.max(0, s.view - s.floor.view - 3);
}

export function timer(s: State, baseMs: number): number {
  return Math.min(s.options.timing.capMs, baseMs * patience(s));
}

/** True once the time has come; before that it makes sure that the core is woken then. */
export function reached(s: State, at: number): boolean {
  if (s.now >= at) return true;
  if (at < s.wakeAt) s.wakeAt = at;
  return false;
}

export function wakeIn(s: State, ms: number): void {
  reached(s, s.now + Math.max(1, ms));
}

export function scheduleWake(s: State): void {
  reached(s, Math.max(s.now + 1, s.fetches.nextAt()));
  if (s.wakeAt === s.wakeSent) return;
  s.wakeSent = s.wakeAt;
  s.effects.push({ t: 'wake', at: s.wakeAt });
}

export function report(s: State, metric: Extract<Effect, { t: 'report' }>['metric']): void {
  s.effects.push({ t: 'report', metric });
}

export function fatal(s: State, why: string): void {
  if (s.halted) return;
  s.halted = true;
  s.effects.push({ t: 'fatal', why });
}
