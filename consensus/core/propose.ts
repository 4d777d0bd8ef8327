import type { View } from '#src/types/units.ts';
import { boundaryDue, heartbeatDue, tipIsOpen } from './arming.ts';
import { reached, wakeIn, wantCertificates } from './output.ts';
import { castNotarize, maySign } from './ownVotes.ts';
import { leaderOf, recordOf, type State } from './state.ts';
import { findParent } from './tree.ts';
import type { Block } from './types.ts';

/** R3: once a view, when there is work, on a parent that is certified and executed. */
export function propose(s: State): void {
  const { timing } = s.options;
  if (!maySign(s) || leaderOf(s) !== s.me || s.armedAt === null || s.stopping) return;
  if (s.building !== null) return;
  const at = recordOf(s, s.view);
  if (at.own[1] !== null || at.own[2] !== null || at.own[3] !== null) return;
  const parent = findParent(s, s.view);
  if (parent.t === 'missing') {
    return wantCertificates(s, (s.floor.view + 1) as View, parent.view, leaderOf(s));
  }
  const block = s.blocks.get(parent.hash) ?? null;
  const base = parent.hash === s.floor.hash ? s.floor : block;
  if (base === null) return;
  if (base !== s.floor && s.execution.get(parent.hash) !== 'valid') return;
  if (block?.epochEnd) return proposeAgain(s, block, parent.view);
  const timestampMs = Math.max(s.wall, base.timestampMs + 1);
  if (timestampMs > s.wall + timing.maxFutureMs / 2) {
    wakeIn(s, timestampMs - timing.maxFutureMs / 2 - s.wall);
    return;
  }
  const deep = base.height - s.floor.height >= BigInt(s.options.unfinalizedMax);
  const withPayments = s.pending && !deep;
  const mayBeEmpty = emptyIsDue(s, deep, base.timestampMs, timestampMs);
  if (!withPayments && !mayBeEmpty) return;
  s.building = { view: s.view, parentHash: parent.hash };
  s.effects.push({
    t: 'build',
    view: s.view,
    parent: base,
    parentView: parent.view,
    timestampMs,
    mayBeEmpty,
    withPayments,
  });
}

/** R10: nothing but itself may stand on the last block of an epoch, until it is final. */
function proposeAgain(s: State, block: Block, parentView: View): void {
  const at = recordOf(s, s.view);
  at.ownBlock = block;
  castNotarize(s, at, block, parentView);
}

/** Without payments: to finish a tip, as a heartbeat, or to get past too long a chain. */
function emptyIsDue(
  s: State,
  deep: boolean,
  parentTimestampMs: number,
  timestampMs: number,
): boolean {
  const { timing } = s.options;
  const early = parentTimestampMs + timing.minEmptyIntervalMs - timestampMs;
  if (early > 0) {
    wakeIn(s, early);
    return false;
  }
  if (tipIsOpen(s) || heartbeatDue(s) || boundaryDue(s)) return true;
  return deep && reached(s, (s.armedAt ?? s.now) + timing.leaderMs / 2);
}
