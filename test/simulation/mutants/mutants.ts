/**
 * Faults that are planted into agreement and into money, one at a time, to see whether the
 * simulator notices (design/consensus.md 3.4). `find` stands exactly once in the file. `by` says what has to notice:
 * random seeds, or a directed schedule, for those that chance cannot reach.
 */
export type Edit = { readonly file: string; readonly find: string; readonly replace: string };

export type Mutant = {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Other places, for a gate that stands several times. */
  readonly also?: readonly Edit[];
  readonly by: 'seeds' | 'schedules';
};

const own = 'consensus/core/ownVotes.ts';
const vote = 'consensus/core/vote.ts';
const messages = 'consensus/core/messages.ts';
const core = 'consensus/core/core.ts';

export const mutants: readonly Mutant[] = [
  {
    name: 'finalizes what it gave up',
    file: own,
    find: `{ statement }: Certificate): void {
  if (at.own[VoteKind.Nullify] !== null || at.own`,
    replace: `{ statement }: Certificate): void {
  if (at.own`,
    by: 'seeds',
  },
  {
    name: 'notarizes twice in a view',
    file: own,
    find: 'if (!maySign(s) || at.own[kind] !== null) return;',
    replace: 'if (!maySign(s) || (kind !== VoteKind.Notarize && at.own[kind] !== null)) return;',
    also: [
      {
        file: 'consensus/core/propose.ts',
        find: 'if (at.own[1] !== null || at.own[2] !== null || at.own[3] !== null) return;',
        replace: 'if (at.own[1] !== null && at.own[1].seq !== 0) return;',
      },
      {
        file: messages,
        find: 'if (view !== s.view || at.own[1] !== null || at.own[2] !== null) return;',
        replace: '',
      },
    ],
    by: 'seeds',
  },
  {
    name: 'forgets its votes at a restart',
    file: core,
    find: 'at.own[kind] = { statement: vote.statement, seq: 0, vote };',
    replace: '',
    by: 'seeds',
  },
  {
    name: 'sends a vote before it is on disk',
    file: own,
    find: "s.effects.push({ t: 'cast', seq, statement, block });",
    replace: `s.effects.push({ t: 'cast', seq, statement, block });
  const early = { statement, signer: s.me ?? 0, signature: new Uint8Array(64) };
  s.effects.push({ t: 'send', to: 'all', message: { t: 'vote', vote: early } });`,
    by: 'seeds',
  },
  {
    name: 'counts a vote before it is on disk',
    file: own,
    find: "s.effects.push({ t: 'cast', seq, statement, block });",
    replace: `s.effects.push({ t: 'cast', seq, statement, block });
  at.add({ statement, signer: s.me ?? 0, signature: new Uint8Array(64) }, s.options.set);`,
    by: 'seeds',
  },
  {
    name: 'never says anything again',
    file: 'consensus/core/standstill.ts',
    find: "report(s, { t: 'standstill', view: s.view });",
    replace: 'return;',
    by: 'seeds',
  },
  {
    name: 'keeps the vote and not the block',
    file: core,
    find: 's.blocks.set(block.hash, block);\n      const leads',
    replace: 'const leads',
    by: 'seeds',
  },
  {
    name: 'quorum of 2f + 1',
    file: 'src/types/validatorSet.ts',
    find: 'return 3n * weight > 2n * set.totalStake;',
    replace: 'return weight >= 2n * ((set.totalStake - 1n) / 3n) + 1n;',
    by: 'seeds',
  },
  {
    name: 'quorum of two thirds and not more',
    file: 'src/types/validatorSet.ts',
    find: 'return 3n * weight > 2n * set.totalStake;',
    replace: 'return 3n * weight >= 2n * set.totalStake;',
    by: 'seeds',
  },
  {
    name: 'forgets the view after the final one',
    file: 'consensus/core/tree.ts',
    find: 'if (view <= floor.view) s.views.delete(view);',
    replace: 'if (view <= floor.view + 1) s.views.delete(view);',
    by: 'seeds',
  },
  {
    name: 'never pushes finality',
    file: 'consensus/core/arming.ts',
    find: 'if (!hasUnfinalized(s)) return false;',
    replace: 'if (hasUnfinalized(s)) return false;',
    by: 'seeds',
  },
  {
    name: 'takes a signer twice',
    file: 'src/types/certificate.ts',
    find: 'if (validator === undefined || signer <= last)',
    replace: 'if (validator === undefined)',
    by: 'seeds',
  },
  {
    name: 'believes any certificate',
    file: 'src/types/certificate.ts',
    find: "return refuse({ code: 'CERTIFICATE_NO_QUORUM', weight, total: set.totalStake });",
    replace: '',
    by: 'seeds',
  },
  {
    name: 'does not look at skipped views',
    file: vote,
    find: 'if (s.views.get(v as View)?.nullified) continue;',
    replace: 'continue;',
    by: 'schedules',
  },
  {
    name: 'does not ask whether the parent is certified',
    file: vote,
    find: `    if (certified === null) {
      wantCertificates(s, parentView, parentView, leader);
      return false;
    }
    if (certified.statement.blockHash !== parentHash) {`,
    replace: '    if (certified !== null && certified.statement.blockHash !== parentHash) {',
    by: 'schedules',
  },
  {
    name: 'votes without executing',
    file: vote,
    find: "  else if (status === 'valid') castNotarize(s, at, block, parentView);",
    replace: '  else castNotarize(s, at, block, parentView);',
    by: 'seeds',
  },
  {
    name: 'goes on after the end of an epoch as if it were none',
    file: 'consensus/core/propose.ts',
    find: 'if (block?.epochEnd) return proposeAgain(s, block, parent.view);',
    replace: '',
    by: 'seeds',
  },
  {
    name: 'takes a child of the last block of an epoch',
    file: vote,
    find: "if ('epochEnd' in parent && parent.epochEnd) return false;",
    replace: '',
    by: 'schedules',
  },
  {
    name: 'waits for a heartbeat at the end of an epoch',
    file: 'consensus/core/arming.ts',
    find: 'return s.boundary && reached',
    replace: 'return false && reached',
    by: 'seeds',
  },
  {
    name: 'signs on in an epoch that is over',
    file: 'consensus/core/tree.ts',
    find: 's.ended = tip.epochEnd;',
    replace: '',
    by: 'schedules',
  },
  {
    name: 'does not tell how an epoch ended',
    file: 'consensus/engine/otherEpochs.ts',
    find: "if (this.#mayAnswer(peer)) send(peer, { t: 'certificate', certificate });",
    replace: '',
    by: 'schedules',
  },
  {
    name: 'does not count its own votes again after a restart',
    file: core,
    find: `      if (leads) at.proposal = { view, parentView, block, vote, justify: [] };
    }
    addVote(s, vote);`,
    replace: `      if (leads) at.proposal = { view, parentView, block, vote, justify: [] };
    }`,
    by: 'schedules',
  },
  {
    name: 'lets stale votes go unanswered',
    file: messages,
    find: `  recognise(s, vote);
  if (view <= s.floor.view) return help(s, from);`,
    replace: `  recognise(s, vote);
  if (view <= s.floor.view) return;`,
    by: 'schedules',
  },
  {
    name: 'never asks which of its votes its peers hold',
    file: 'consensus/core/state.ts',
    find: "me === null || options.record === 'proven'",
    replace: "me === null || options.record !== 'lost'",
    by: 'schedules',
  },
  {
    name: 'does not recognise a vote of its own',
    file: 'consensus/core/recall.ts',
    find: "  abstain(s, 'unknown-vote');",
    replace: '',
    by: 'schedules',
  },
  {
    name: 'signs again with a lost journal',
    file: 'consensus/core/recall.ts',
    find: "if (record === 'lost') abstain(s, 'record-lost');",
    replace: '',
    by: 'schedules',
  },
  {
    name: 'asks for no certificates',
    file: 'consensus/core/output.ts',
    find: "send(s, peer, { t: 'getCertificates', epoch: s.options.epoch, from, to });",
    replace: '',
    by: 'schedules',
  },
  {
    name: 'does not push what it waits for to the next leaders',
    file: 'consensus/core/arming.ts',
    find: 'if (s.pending) pushPending(s);',
    replace: '',
    by: 'schedules',
  },
  {
    name: 'waits for a dead leader every time',
    file: vote,
    find: "if (silent && s.suspects.has(leader)) return 'suspect';",
    replace: '',
    by: 'schedules',
  },
  {
    name: 'takes a block from the future',
    file: vote,
    find: `  if (early > 0) {
    wakeIn(s, early);
    return false;
  }
  return block.timestampMs`,
    replace: '  if (early > 0) return true;\n  return block.timestampMs',
    by: 'schedules',
  },
  {
    name: 'calls the same vote with two signatures a fault',
    file: 'consensus/core/views.ts',
    find: 'statementKey(same.statement) !== statementKey(statement)) return same;',
    replace: 'same.signature !== signature) return same;',
    also: [
      {
        file: 'consensus/core/views.ts',
        find: 'contradicts({ statement, signer }: Vote)',
        replace: 'contradicts({ statement, signer, signature }: Vote)',
      },
    ],
    by: 'schedules',
  },
  {
    name: 'calls giving up after notarizing a fault',
    file: 'consensus/core/views.ts',
    find: `if (kind === VoteKind.Notarize) return null;
    const other = kind === VoteKind.Nullify ? VoteKind.Finalize`,
    replace: 'const other = kind === VoteKind.Nullify ? VoteKind.Notarize',
    by: 'seeds',
  },
  {
    name: 'makes money when a hold is paid',
    file: 'src/ledger/payments/tokens/holds.ts',
    find: 'held: -value, available: 0n',
    replace: 'held: -value, available: value',
    by: 'seeds',
  },
  {
    name: 'loses money of a transfer',
    file: 'src/ledger/payments/tokens/tokenStore.ts',
    find: '{ ...taker, available: taker.available + value }',
    replace: 'taker',
    by: 'seeds',
  },
  {
    name: 'goes on counting what an order has let go',
    file: 'src/ledger/payments/orders/orderMoney.ts',
    find: 'escrowed.set(state, escrowed.get(state) - rest);',
    replace: '',
    by: 'seeds',
  },
];
