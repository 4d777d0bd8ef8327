/** R1 and R7: votes become certificates, and certificates take the node from view to view. */
import type { Certificate } from '#src/types/certificate.ts';
import type { View } from '#src/types/units.ts';
import { type Vote, VoteKind } from '#src/types/vote.ts';
import { relayToAllMax } from './limits.ts';
import { fatal, report, send } from './output.ts';
import { recognise } from './recall.ts';
import { recordOf, type State } from './state.ts';
import type { Message } from './types.ts';

export function addVote(s: State, vote: Vote): void {
  const { statement, signer } = vote;
  const { kind, view } = statement;
  const at = recordOf(s, view);
  if (view >= s.view - 1) s.suspects.delete(signer);
  noteNewest(s, vote);
  const first = at.contradicts(vote);
  const isNew = at.add(vote, s.options.set);
  if (isNew && first !== null) {
    report(s, { t: 'equivocation', view, signer, first, second: vote });
  }
  if (signer === s.options.schedule.leaderOf(view)) {
    if (kind === VoteKind.Nullify) at.leaderNullified = true;
    if (kind === VoteKind.Notarize && first !== null) at.equivocated = true;
  }
  if (!isNew || at.certificates[kind] !== null) return;
  const certificate = at.certificateOf(statement, s.options.set);
  if (certificate !== null) addCertificate(s, certificate, true);
}

export function addCertificate(s: State, certificate: Certificate, formedHere: boolean): void {
  const { statement, signers, signatures } = certificate;
  const { kind, view, epoch, blockHash } = statement;
  if (epoch !== s.options.epoch || view <= s.floor.view) return;
  const at = recordOf(s, view);
  const known = at.certificates[kind];
  if (known !== null) {
    if (known.statement.blockHash !== blockHash) fatal(s, 'two blocks certified in one view');
    return;
  }
  at.certificates[kind] = certificate;
  for (const [position, signer] of signers.entries()) {
    const signature = signatures[position];
    if (signature === undefined) continue;
    const vote = { statement, signer, signature };
    noteNewest(s, vote);
    if (!formedHere) recognise(s, vote);
  }
  if (at.finalized !== null && at.nullified !== null) {
    return fatal(s, 'a view both finalized and nullified: over a third of the stake lies');
  }
  if (view > s.highestCertified) s.highestCertified = view;
  s.effects.push({ t: 'keep', certificate });
  if (formedHere) relay(s, certificate);
}

function noteNewest(s: State, vote: Vote): void {
  const newest = s.newestVotes.get(vote.signer);
  if (newest === undefined || newest.statement.view < vote.statement.view) {
    s.newestVotes.set(vote.signer, vote);
  }
}

function relay(s: State, certificate: Certificate): void {
  const { set, schedule } = s.options;
  const message: Message = { t: 'certificate', certificate };
  const n = set.validators.length;
  if (n <= relayToAllMax) return send(s, 'all', message);
  const next = (certificate.statement.view + 1) as View;
  const targets = new Set([schedule.leaderOf(next)]);
  // Three more, another three at each node and view, so that a certificate spreads without a hub.
  for (let k = 1; k <= 3; k++) targets.add(((s.me ?? 0) + next * 7 + k * 31) % n);
  for (const index of targets) {
    const peer = set.validators[index]?.peerId;
    if (peer !== undefined && index !== s.me) send(s, peer, message);
  }
}

/** R1. */
export function enterHighest(s: State): void {
  if (s.highestCertified >= s.view) enter(s, (s.highestCertified + 1) as View);
}

export function enter(s: State, view: View): void {
  if (view <= s.view) return;
  s.view = view;
  s.enteredAt = s.now;
  s.retriedAt = s.now;
  s.armedAt = null;
  s.building = null;
  // What waited may be in the block that opened this view: have it looked at again.
  s.pending = false;
  s.effects.push({ t: 'lookForPending' });
  report(s, { t: 'view', view });
}
