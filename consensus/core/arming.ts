/** Design 2.8: when there is work, so that timers run and a leader may propose. */
import { hasOneHonest } from '#src/types/validatorSet.ts';
import { VoteKind } from '#src/types/vote.ts';
import { pushPending, reached } from './output.ts';
import { recordOf, type State } from './state.ts';
import { findParent, hasUnfinalized } from './tree.ts';

/** Design 2.8: a view's timers run from here, so that an idle network stays silent. */
export function arm(s: State): void {
  if (s.armedAt !== null) return;
  const at = recordOf(s, s.view);
  const armed =
    s.pending ||
    tipIsBoundary(s) ||
    tipIsOpen(s) ||
    boundaryDue(s) ||
    heartbeatDue(s) ||
    at.proposal !== null ||
    at.weightOf(VoteKind.Notarize) > 0n ||
    hasOneHonest(at.weightOf(VoteKind.Nullify), s.options.set);
  if (!armed) return;
  s.armedAt = s.now;
  if (s.pending) pushPending(s);
}

/** A notarized tip is work: without this the last payment before an idle hour stays unfinal. */
export function tipIsOpen(s: State): boolean {
  if (!hasUnfinalized(s)) return false;
  return reached(s, s.enteredAt + s.options.timing.minEmptyIntervalMs);
}

/** Validators that were voted in wait for blocks, not for a heartbeat (besu#11109). */
export function boundaryDue(s: State): boolean {
  return s.boundary && reached(s, s.enteredAt + s.options.timing.minEmptyIntervalMs);
}

/** The last block of an epoch is work until it is final: it is proposed again at once. */
function tipIsBoundary(s: State): boolean {
  const parent = findParent(s, s.view);
  return parent.t === 'found' && s.blocks.get(parent.hash)?.epochEnd === true;
}

/** A new network makes its first block at once, so that everyone sees that it lives. */
export function heartbeatDue(s: State): boolean {
  const { heartbeatMs, minEmptyIntervalMs } = s.options.timing;
  const isNew = s.floor.height === 0n;
  return reached(s, s.enteredAt + (isNew ? minEmptyIntervalMs : heartbeatMs));
}
