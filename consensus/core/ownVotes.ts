/** The only way in which a vote comes into being, and the gates before it. */
import type { Certificate } from '#src/types/certificate.ts';
import type { View } from '#src/types/units.ts';
import { type Statement, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { report } from './output.ts';
import { leaderOf, recordOf, type State } from './state.ts';
import type { Block, NullifyReason } from './types.ts';
import type { ViewRecord } from './views.ts';

/** The only place where a vote comes into being; the caller has checked its rule. */
export function cast(
  s: State,
  at: ViewRecord,
  kind: VoteKind,
  block: Block | null,
  of: Statement | null = null,
): void {
  const { me, epoch } = s.options;
  if (me === null || at.own[kind] !== null) return;
  const statement: Statement = {
    kind,
    epoch,
    view: at.view,
    parentView: (block?.parentView ?? of?.parentView ?? 0) as View,
    blockHash: block?.hash ?? of?.blockHash ?? ZERO_HASH,
  };
  const seq = s.nextSeq++;
  at.own[kind] = { statement, seq, vote: null };
  s.casts.set(seq, { view: at.view, kind });
  s.effects.push({ t: 'cast', seq, statement, block });
}

export function nullify(s: State, why: NullifyReason): void {
  const at = recordOf(s, s.view);
  if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
  report(s, { t: 'nullify', view: s.view, leader: leaderOf(s), why });
  cast(s, at, VoteKind.Nullify, null);
}

export function finalize(s: State, at: ViewRecord, certificate: Certificate): void {
  if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
  cast(s, at, VoteKind.Finalize, null, certificate.statement);
}
