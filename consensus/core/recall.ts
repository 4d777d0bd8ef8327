/**
 * Design 2.12: who restarts asks its peers which of its votes they hold. A record that was restored
 * from an old copy, or a second process with the same key, shows itself by a vote that this node
 * does not know of; it then signs nothing more in this epoch. Nothing is signed before a quorum
 * (own stake included) has answered; without a quorum nothing could be decided anyway. Where the
 * operator answers for a record that is lost, what peers hold takes its place.
 */
import type { Epoch } from '#src/types/units.ts';
import { isQuorum } from '#src/types/validatorSet.ts';
import { statementKey, type Vote } from '#src/types/vote.ts';
import { recalledVotesMax } from './limits.ts';
import { reached, report, send } from './output.ts';
import { recordOf, type State } from './state.ts';
import type { AbstainReason, Peer } from './types.ts';

/** Asks until enough have answered; then, and only then, signing begins. */
export function recall(s: State): void {
  const { recall: open, me } = s;
  if (open === null || me === null) return;
  const { set, epoch, timing, record } = s.options;
  let weight = 0n;
  for (const index of open.heard) weight += set.validators[index]?.stake ?? 0n;
  if (isQuorum(weight, set)) {
    s.recall = null;
    report(s, { t: 'recalled' });
    if (record === 'lost') abstain(s, 'record-lost');
    return;
  }
  if (!reached(s, open.askedAt + timing.retryMs)) return;
  open.askedAt = s.now;
  reached(s, s.now + timing.retryMs);
  for (const [index, { peerId }] of set.validators.entries()) {
    if (!open.heard.has(index)) send(s, peerId, { t: 'recall', epoch });
  }
}

/** The votes of whoever asks, newest views first, and its newest one whatever became of its view. */
export function onRecall(s: State, from: Peer, epoch: Epoch): void {
  if (epoch !== s.options.epoch) return;
  const signer = s.options.set.validators.findIndex(({ peerId }) => peerId === from);
  if (signer < 0) return;
  const votes: Vote[] = [];
  for (const at of [...s.views.values()].sort((a, b) => b.view - a.view)) {
    if (votes.length >= recalledVotesMax) break;
    votes.push(...at.votesOf(signer));
  }
  const newest = s.newestVotes.get(signer);
  if (votes.length === 0 && newest !== undefined) votes.push(newest);
  send(s, from, { t: 'recalled', epoch, votes });
}

export function onRecalled(s: State, from: Peer, epoch: Epoch, votes: readonly Vote[]): void {
  if (epoch !== s.options.epoch) return;
  for (const vote of votes) if (vote.signer === s.me) recognise(s, vote);
  const index = s.options.set.validators.findIndex(({ peerId }) => peerId === from);
  if (index >= 0) s.recall?.heard.add(index);
}

/** A verified vote with our key. At or below the floor it can do no harm: nothing is signed there. */
export function recognise(s: State, vote: Vote): void {
  const { statement, signer } = vote;
  if (signer !== s.me || statement.view <= s.floor.view) return;
  const at = recordOf(s, statement.view);
  const own = at.own[statement.kind];
  if (own !== null && statementKey(own.statement) === statementKey(statement)) return;
  if (own === null && s.recall !== null && s.options.record === 'accepted') {
    at.own[statement.kind] = { statement, seq: 0, vote };
    s.effects.push({ t: 'adopt', vote });
    return;
  }
  abstain(s, 'unknown-vote');
}

function abstain(s: State, why: AbstainReason): void {
  s.me = null;
  s.recall = null;
  report(s, { t: 'abstain', why });
}
