/** What peers and the driver say. Every signature has been verified by then. */
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { View } from '#src/types/units.ts';
import { type Statement, type Vote, VoteKind } from '#src/types/vote.ts';
import { addCertificate, addVote } from './certificates.ts';
import { justifyNullificationsMax, viewsAheadMax } from './limits.ts';
import { help, mayAnswer, send, sendProposal } from './output.ts';
import { castNotarize, castNullify } from './ownVotes.ts';
import { onRecall, onRecalled, recognise } from './recall.ts';
import { recordOf, type State } from './state.ts';
import type { Block, BuildOutcome, Message, Peer, Proposal } from './types.ts';

export function onMessage(s: State, from: Peer, message: Message): void {
  switch (message.t) {
    case 'proposal':
      return onProposal(s, from, message.proposal);
    case 'vote':
      return onVote(s, from, message.vote);
    case 'certificate':
      return addCertificate(s, message.certificate, false);
    case 'certificates':
      for (const certificate of message.certificates) addCertificate(s, certificate, false);
      return;
    case 'status':
      return onStatus(s, from, message.certificate);
    case 'getCertificates':
      return onGetCertificates(s, from, message.from, message.to);
    case 'getBlock': {
      const block = s.blocks.get(message.hash);
      if (block !== undefined) send(s, from, { t: 'block', block });
      return;
    }
    case 'block':
      return onBlock(s, message.block);
    case 'recall':
      return onRecall(s, from, message.epoch);
    case 'recalled':
      return onRecalled(s, from, message.epoch, message.votes);
  }
}

/** What a peer has as final: where that is less than ours, it is told. */
function onStatus(s: State, from: Peer, certificate: Certificate | null): void {
  const isOfEpoch = certificate?.statement.epoch === s.options.epoch;
  // A peer at genesis or at the base of this epoch has nothing of this epoch to show.
  const theirs = isOfEpoch ? certificate.statement.view : 0;
  if (theirs < s.floor.view) help(s, from);
  else if (certificate !== null) addCertificate(s, certificate, false);
}

function onVote(s: State, from: Peer, vote: Vote): void {
  const { epoch, view } = vote.statement;
  if (epoch !== s.options.epoch) return;
  recognise(s, vote);
  if (view <= s.floor.view) return help(s, from);
  if (view > s.view + viewsAheadMax) return;
  addVote(s, vote);
  if (view < s.view) explain(s, from, view);
}

function onProposal(s: State, from: Peer, proposal: Proposal): void {
  const { view, block, vote } = proposal;
  const { statement, signer } = vote;
  if (block.epoch !== s.options.epoch) return;
  if (view <= s.floor.view) return help(s, from);
  if (view > s.view + viewsAheadMax) return;
  const leader = s.options.schedule.leaderOf(view);
  const speaksOfBlock =
    statement.kind === VoteKind.Notarize &&
    statement.epoch === block.epoch &&
    statement.view === view &&
    statement.parentView === proposal.parentView &&
    statement.blockHash === block.hash;
  if (signer !== leader || !speaksOfBlock) return;
  if (!isProposable(block, statement)) return;
  for (const certificate of proposal.justify) addCertificate(s, certificate, false);
  if (view <= s.floor.view) return;
  const at = recordOf(s, view);
  if (at.proposal === null) {
    at.proposal = proposal;
    at.receivedWall = s.wall;
    s.blocks.set(block.hash, block);
  } else if (at.proposal.block.hash !== block.hash && !at.equivocated) {
    at.equivocated = true;
  }
  addVote(s, vote);
}

/** R10: only the last block of an epoch is ever proposed again, and then on itself. */
export function isProposable(
  block: Pick<Block, 'view' | 'parentView' | 'epochEnd'>,
  { view, parentView }: Statement,
): boolean {
  const isNew = block.view === view && block.parentView === parentView;
  return isNew || (block.epochEnd && block.view < view && block.view <= parentView);
}

function onBlock(s: State, block: Block): void {
  // Unasked blocks are not kept: only a certified hash, or an ancestor of one, is ever wanted.
  if (!s.fetches.has(`block:${block.hash}`) || block.height <= s.floor.height) return;
  s.blocks.set(block.hash, block);
}

function onGetCertificates(s: State, from: Peer, low: View, high: View): void {
  if (low <= s.floor.view) help(s, from);
  const found: Certificate[] = [];
  for (let v = high; v >= low && found.length < justifyNullificationsMax; v--) {
    if (v <= s.floor.view || v > s.view + viewsAheadMax) {
      if (v <= s.floor.view) break;
      v = Math.min(v, s.view + viewsAheadMax + 1) as View;
      continue;
    }
    const at = s.views.get(v);
    const best = at?.finalized ?? at?.notarized ?? at?.nullified ?? null;
    if (best !== null) found.push(best);
    if (at?.notarized && at.nullified && best === at.notarized) found.push(at.nullified);
  }
  if (found.length > 0) send(s, from, { t: 'certificates', certificates: found });
}

export function onDurable(s: State, seq: number, signature: Uint8Array): void {
  const cast = s.casts.get(seq);
  s.casts.delete(seq);
  const { me } = s;
  if (cast === undefined || me === null) return;
  const at = s.views.get(cast.view);
  const own = at?.own[cast.kind];
  if (at === undefined || own === undefined || own === null) return;
  const vote: Vote = { statement: own.statement, signer: me, signature };
  own.vote = vote;
  const block = at.ownBlock;
  if (cast.kind === VoteKind.Notarize && block !== null) {
    const { parentView } = own.statement;
    at.proposal = { view: at.view, parentView, block, vote, justify: [] };
    at.receivedWall = s.wall;
    sendProposal(s, at.proposal);
  } else {
    send(s, 'all', { t: 'vote', vote });
  }
  addVote(s, vote);
}

export function onBuilt(s: State, view: View, parentHash: Hash, outcome: BuildOutcome): void {
  const asked = s.building;
  if (asked === null || asked.view !== view || asked.parentHash !== parentHash) return;
  s.building = null;
  const at = recordOf(s, view);
  if (view !== s.view || at.own[1] !== null || at.own[2] !== null) return;
  if (outcome.t === 'nothing') {
    s.pending = false;
  } else if (outcome.t === 'failed') {
    castNullify(s, 'build-failed');
  } else {
    const { block } = outcome;
    s.blocks.set(block.hash, block);
    s.execution.set(block.hash, 'valid');
    at.ownBlock = block;
    castNotarize(s, at, block, block.parentView);
  }
}

/** A peer still votes in a view that this node has left: give it the certificate that led out. */
function explain(s: State, from: Peer, view: View): void {
  const at = s.views.get(view);
  const certificate = at?.notarized ?? at?.nullified ?? null;
  if (certificate !== null && mayAnswer(s, from)) send(s, from, { t: 'certificate', certificate });
}
