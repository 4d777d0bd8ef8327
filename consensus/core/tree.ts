/** R2 and R8: which block is the parent, which blocks are final, and what has to be executed. */
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import { rangeGapMin } from './limits.ts';
import { fatal, wantBlock } from './output.ts';
import { leaderOf, type State } from './state.ts';
import type { Block, Floor } from './types.ts';

/**
 * R2: the newest certified block below `view`; or, where a view between is neither certified nor
 * nullified here, that view.
 */
export function findParent(
  s: State,
  view: View,
): { t: 'found'; view: View; hash: Hash } | { t: 'missing'; view: View } {
  for (let v = view - 1; v > s.floor.view; v--) {
    const at = s.views.get(v as View);
    const certified = at?.finalized ?? at?.notarized ?? null;
    if (certified !== null) {
      return { t: 'found', view: v as View, hash: certified.statement.blockHash };
    }
    if (at === undefined || at.nullified === null) return { t: 'missing', view: v as View };
  }
  return { t: 'found', view: s.floor.view, hash: s.floor.hash };
}

/** R8. The highest finalization whose path to the floor is here and executed. */
export function commitFinal(s: State): void {
  let best: Certificate | null = null;
  for (const at of s.views.values()) {
    if (at.finalized === null) continue;
    if (best === null || at.view > best.statement.view) best = at.finalized;
  }
  if (best === null) return;
  const path = pathToFloor(s, best);
  if (path === null) return;
  for (const block of path) {
    const status = s.execution.get(block.hash);
    if (status === 'invalid') return fatal(s, 'a final block is invalid here');
    if (status !== 'valid') return ensureExecuted(s, block);
  }
  const tip = path.at(-1);
  if (tip === undefined) return;
  s.effects.push({ t: 'commit', blocks: path, certificate: best });
  // R10: what is left of this epoch is to answer those who have not seen its end.
  s.ended = tip.epochEnd;
  const { hash, height, timestampMs } = tip;
  advance(s, { view: best.statement.view, hash, height, timestampMs }, best);
}

/** Blocks from above the floor to the certified one, oldest first; asks for what is missing. */
function pathToFloor(s: State, certificate: Certificate): Block[] | null {
  const path: Block[] = [];
  let hash = certificate.statement.blockHash;
  while (hash !== s.floor.hash) {
    const block = s.blocks.get(hash);
    const child = path.at(-1);
    if (block === undefined) {
      const far = child !== undefined && child.height - s.floor.height > rangeGapMin;
      wantBlock(s, hash, leaderOf(s), certificate, far);
      return null;
    }
    if (block.height <= s.floor.height) {
      fatal(s, 'a finalized block does not descend from the final chain');
      return null;
    }
    path.push(block);
    hash = block.parentHash;
  }
  return path.reverse();
}

export function advance(s: State, floor: Floor, certificate: Certificate): void {
  s.floor = floor;
  s.floorCertificate = certificate;
  for (const view of s.views.keys()) if (view <= floor.view) s.views.delete(view);
  for (const [hash, block] of s.blocks) {
    // By view too: a height is whatever its proposer wrote.
    if (block.height > floor.height && block.view > floor.view) continue;
    s.blocks.delete(hash);
    s.execution.delete(hash);
  }
  for (const [seq, cast] of s.casts) if (cast.view <= floor.view) s.casts.delete(seq);
  if (floor.view > s.highestCertified) s.highestCertified = floor.view;
}

/** Executes the oldest ancestor that is not executed; the next one follows on its result. */
export function ensureExecuted(s: State, block: Block): void {
  let next = block;
  while (next.parentHash !== s.floor.hash) {
    const parentStatus = s.execution.get(next.parentHash);
    if (parentStatus === 'valid') break;
    if (parentStatus !== undefined) return;
    const parent = s.blocks.get(next.parentHash);
    if (parent === undefined) {
      if (next.height > s.floor.height + 1n) {
        wantBlock(s, next.parentHash, next.proposer, null, false);
      }
      return;
    }
    next = parent;
  }
  if (s.execution.has(next.hash)) return;
  s.execution.set(next.hash, 'pending');
  s.effects.push({ t: 'execute', block: next });
}

export function hasUnfinalized(s: State): boolean {
  for (const at of s.views.values()) if (at.notarized ?? at.finalized) return true;
  return false;
}
