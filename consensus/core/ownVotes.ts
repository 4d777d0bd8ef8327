/** The only way in which a vote comes into being, and the gates before it. */
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import { type Statement, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { report } from './output.ts';
import { leaderOf, recordOf, type State } from './state.ts';
import type { Block, NullifyReason } from './types.ts';
import type { ViewRecord } from './views.ts';

/** Whether this node signs at all, now: in the set, sure of its own record, the epoch not over. */
export function maySign(s: State): boolean {
  return s.me !== null && s.recall === null && !s.ended;
}

/** R4. The block rides to the journal: a final block whose body nobody kept is lost. */
export function castNotarize(s: State, at: ViewRecord, block: Block, parentView: View): void {
  cast(s, at, { kind: VoteKind.Notarize, parentView, blockHash: block.hash }, block);
}

/** R6. */
export function castNullify(s: State, why: NullifyReason): void {
  const at = recordOf(s, s.view);
  if (!maySign(s)) return;
  if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
  report(s, { t: 'nullify', view: s.view, leader: leaderOf(s), why });
  const nothing = { parentView: 0 as View, blockHash: ZERO_HASH };
  cast(s, at, { kind: VoteKind.Nullify, ...nothing }, null);
}

/** R5. */
export function castFinalize(s: State, at: ViewRecord, { statement }: Certificate): void {
  if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
  const { parentView, blockHash } = statement;
  cast(s, at, { kind: VoteKind.Finalize, parentView, blockHash }, null);
}

type Content = { readonly kind: VoteKind; readonly parentView: View; readonly blockHash: Hash };

function cast(s: State, at: ViewRecord, content: Content, block: Block | null): void {
  const { kind } = content;
  if (at.view < s.options.signFrom) return;
  if (!maySign(s) || at.own[kind] !== null) return;
  const statement: Statement = { ...content, epoch: s.options.epoch, view: at.view };
  const seq = s.nextSeq++;
  at.own[kind] = { statement, seq, vote: null };
  s.casts.set(seq, { view: at.view, kind });
  s.effects.push({ t: 'cast', seq, statement, block });
}
