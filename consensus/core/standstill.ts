import type { Certificate } from '#src/types/certificate.ts';
import { standstillViewsMax, statusIntervalMs, viewsAheadMax } from './limits.ts';
import { pushPending, reached, report, send, sendProposal, sendStatus } from './output.ts';
import { leaderOf, recordOf, type State } from './state.ts';
import { hasUnfinalized } from './tree.ts';

/** R11, bounded: an unbounded standstill makes the congestion that prolongs it (TON 4.3). */
export function retry(s: State): void {
  if (reached(s, s.statusAt + statusIntervalMs)) {
    s.statusAt = s.now;
    sendStatus(s, 'all');
    reached(s, s.now + statusIntervalMs);
  }
  const at = recordOf(s, s.view);
  const undecided = at.own[1] !== null || at.own[2] !== null;
  if (s.armedAt === null && !undecided && !hasUnfinalized(s)) return;
  if (!reached(s, s.retriedAt + s.options.timing.retryMs)) return;
  s.retriedAt = s.now;
  reached(s, s.now + s.options.timing.retryMs);
  report(s, { t: 'standstill', view: s.view });
  sendStatus(s, 'all');
  const newest = [...s.views.values()].sort((a, b) => b.view - a.view);
  const certificates: Certificate[] = [];
  for (const record of newest.slice(0, standstillViewsMax)) {
    if (record.notarized !== null) certificates.push(record.notarized);
    if (record.nullified !== null) certificates.push(record.nullified);
  }
  if (certificates.length > 0) send(s, 'all', { t: 'certificates', certificates });
  for (const record of newest.slice(0, viewsAheadMax)) {
    for (const own of [record.own[1], record.own[2], record.own[3]]) {
      if (own?.vote) send(s, 'all', { t: 'vote', vote: own.vote });
    }
  }
  if (at.proposal !== null && leaderOf(s) === s.me) sendProposal(s, at.proposal);
  if (s.pending) pushPending(s);
}
