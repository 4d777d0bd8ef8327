/** R4, R5 and R6: what this validator does about a view, its block and its leader. */
import type { View } from '#src/types/units.ts';
import { VoteKind } from '#src/types/vote.ts';
import { fatal, patience, reached, timer, wakeIn, wantBlock, wantCertificates } from './output.ts';
import { castFinalize, castNotarize, castNullify, maySign } from './ownVotes.ts';
import { leaderOf, recordOf, type State } from './state.ts';
import { ensureExecuted } from './tree.ts';
import type { Block, Floor, NullifyReason, Proposal } from './types.ts';
import type { ViewRecord } from './views.ts';

/** R5, and the execution and fetching that it needs. */
export function followNotarized(s: State): void {
  for (const at of s.views.values()) {
    const certificate = at.notarized ?? at.finalized;
    if (certificate === null) continue;
    const { blockHash } = certificate.statement;
    const block = s.blocks.get(blockHash);
    if (block === undefined) {
      wantBlock(s, blockHash, s.options.schedule.leaderOf(at.view), at.finalized, false);
      continue;
    }
    const status = s.execution.get(blockHash);
    if (status === undefined) ensureExecuted(s, block);
    else if (status === 'invalid') return fatal(s, 'a notarized block is invalid here');
    else if (status === 'valid' && at.notarized !== null) castFinalize(s, at, at.notarized);
  }
}

/** R4. */
export function notarize(s: State): void {
  const at = recordOf(s, s.view);
  const proposal = at.proposal;
  if (!maySign(s) || proposal === null) return;
  if (at.own[VoteKind.Notarize] !== null || at.equivocated || at.refused) return;
  const { block, parentView } = proposal;
  if (!isCovered(s, at, proposal)) return;
  if (!isRepeated(proposal)) {
    const parent = block.parentHash === s.floor.hash ? s.floor : s.blocks.get(block.parentHash);
    if (parent === undefined) return;
    if (!fitsParent(s, at, block, parent)) {
      at.refused = true;
      return;
    }
    if (!isTimely(s, at, block)) return;
  }
  const status = s.execution.get(block.hash);
  if (status === undefined) ensureExecuted(s, block);
  else if (status === 'invalid') at.refused = true;
  else if (status === 'valid') castNotarize(s, at, block, parentView);
}

/** R10: the last block of an epoch, proposed again on its own notarization. */
function isRepeated({ block, view }: Proposal): boolean {
  return block.epochEnd && block.view < view;
}

/** R4 d, e: the parent is certified and every view in the open interval is nullified. */
function isCovered(s: State, at: ViewRecord, proposal: Proposal): boolean {
  const { block, parentView } = proposal;
  const parentHash = isRepeated(proposal) ? block.hash : block.parentHash;
  const leader = s.options.schedule.leaderOf(at.view);
  if (parentView < s.floor.view || parentView >= at.view) {
    at.refused = true;
    return false;
  }
  if (parentView === s.floor.view) {
    if (parentHash !== s.floor.hash) {
      at.refused = true;
      return false;
    }
  } else {
    const parent = s.views.get(parentView);
    const certified = parent?.finalized ?? parent?.notarized ?? null;
    if (certified === null) {
      wantCertificates(s, parentView, parentView, leader);
      return false;
    }
    if (certified.statement.blockHash !== parentHash) {
      at.refused = true;
      return false;
    }
  }
  for (let v = at.view - 1; v > parentView; v--) {
    if (s.views.get(v as View)?.nullified) continue;
    wantCertificates(s, (parentView + 1) as View, v as View, leader);
    return false;
  }
  return true;
}

/** What can be judged without executing; a failure is permanent. */
function fitsParent(s: State, at: ViewRecord, block: Block, parent: Block | Floor): boolean {
  // R10: nothing else may extend the last block of an epoch.
  if ('epochEnd' in parent && parent.epochEnd) return false;
  if (block.view !== at.view || block.proposer !== s.options.schedule.leaderOf(at.view)) {
    return false;
  }
  if (block.height !== parent.height + 1n) return false;
  if (block.timestampMs <= parent.timestampMs) return false;
  const { minEmptyIntervalMs } = s.options.timing;
  return block.transactions > 0 || block.timestampMs >= parent.timestampMs + minEmptyIntervalMs;
}

/** Design 2.10: a local reason not to vote yet, never one to call a block invalid. */
function isTimely(s: State, at: ViewRecord, block: Block): boolean {
  const { maxFutureMs, maxPastMs } = s.options.timing;
  const early = block.timestampMs - maxFutureMs - s.wall;
  if (early > 0) {
    wakeIn(s, early);
    return false;
  }
  return block.timestampMs >= at.receivedWall - maxPastMs * patience(s);
}

/** R6. */
export function giveUp(s: State): void {
  const at = recordOf(s, s.view);
  if (!maySign(s)) return;
  if (at.own[VoteKind.Nullify] !== null || at.own[VoteKind.Finalize] !== null) return;
  const why = reasonToGiveUp(s, at);
  if (why !== null) castNullify(s, why);
}

function reasonToGiveUp(s: State, at: ViewRecord): NullifyReason | null {
  const leader = leaderOf(s);
  if (at.refused) return 'invalid';
  if (at.equivocated) return 'equivocation';
  if (at.leaderNullified) return 'leader-nullified';
  if (s.stopping && leader === s.me && at.own[1] === null) return 'stopping';
  if (s.armedAt === null) return null;
  const silent = at.proposal === null && at.own[1] === null && s.building === null;
  if (silent && s.suspects.has(leader)) return 'suspect';
  if (silent && reached(s, s.armedAt + timer(s, s.options.timing.leaderMs))) {
    if (leader !== s.me) s.suspects.add(leader);
    return 'leader-timeout';
  }
  return reached(s, s.armedAt + timer(s, s.options.timing.advanceMs)) ? 'advance-timeout' : null;
}
