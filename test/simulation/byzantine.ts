/** The named adversaries of design/consensus.md 3.3: what each says instead of what it should. */
import type { Block, Floor, Proposal } from '#consensus/core/types.ts';
import type { Certificate } from '#src/types/certificate.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, View } from '#src/types/units.ts';
import { type Statement, type Vote, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { contentOf, makeBlock } from './ledger.ts';
import type { SimMessage, SimNode } from './node.ts';
import type { World } from './world.ts';

export const adversaries = [
  /** Two blocks in one view, each shown to a part of the network. */
  'equivocator',
  'silent',
  /** With each vote also the one that contradicts it. */
  'doubleVoter',
  /** A valid block on a parent of its choice. */
  'staleParent',
  /** Certificates over what a quorum never signed. */
  'forger',
  /** A block that breaks one rule. */
  'liar',
  /** Proposes just before, or after, the others lose patience. */
  'late',
  /** Speaks to some and not to others, anew for each message. */
  'selective',
  /** Never casts one kind of vote. */
  'withholder',
  /** Says again what it heard long ago, of old views and old epochs. */
  'replayer',
  /** Votes far ahead of everyone, and under wrong epochs. */
  'futurist',
  /** Proposals without their justification, or with one of other views. */
  'unjust',
] as const;

export type Behaviour =
  | 'honest'
  | (typeof adversaries)[number]
  /** Two nodes with one key, both by the book (arXiv 2004.10617). */
  | 'twin'
  /** By the book, on a disk that is now and then an old copy of itself. */
  | 'amnesiac';

const signature = new Uint8Array(64);
const overheardMax = 200;

/** True where the adversary has spoken in its own way and nothing else is to be sent. */
export function speakAs(node: SimNode, world: World, to: string, message: SimMessage): boolean {
  const { random, scheduler, network } = world;
  switch (node.behaviour) {
    case 'silent':
      return message.t !== 'payments';
    case 'equivocator':
      return isTurn(to, message) && equivocate(node, world, message.proposal);
    case 'staleParent':
      return isTurn(to, message) && proposeOnAnything(node, world, message.proposal);
    case 'liar':
      return isTurn(to, message) && lie(node, world, message.proposal);
    case 'unjust':
      return isTurn(to, message) && justifyBadly(node, world, message.proposal);
    case 'forger':
      if (message.t === 'vote' && to === 'all') forge(node, world, message.vote.statement);
      return false;
    case 'doubleVoter':
      if (message.t === 'vote' && to === 'all') voteTwice(node, world, message.vote);
      return false;
    case 'futurist':
      if (message.t === 'vote' && to === 'all') voteAhead(node, world, message.vote);
      return false;
    case 'withholder':
      return message.t === 'vote' && message.vote.statement.kind === (node.slot % 3) + 1;
    case 'late': {
      if (!isTurn(to, message)) return false;
      const wait = random.between(0.8, 2.1) * world.timing.leaderMs;
      scheduler.after(wait, () => node.say(to, message));
      return true;
    }
    case 'selective':
      if (to !== 'all') return random.chance(0.5);
      for (const other of world.nodes) {
        if (other !== node && random.chance(0.6)) network.send(node.slot, other.slot, message);
      }
      return true;
    case 'replayer':
      if (node.overheard.length < overheardMax) node.overheard.push(message);
      if (random.chance(0.2)) node.say('all', random.pick(node.overheard));
      if (random.chance(0.02)) node.overheard.shift();
      return false;
    default:
      return false;
  }
}

type ProposalMessage = { readonly t: 'proposal'; readonly proposal: Proposal };

function isTurn(to: string, message: SimMessage): message is ProposalMessage {
  return to === 'all' && message.t === 'proposal';
}

function equivocate(node: SimNode, world: World, proposal: Proposal): boolean {
  const { random, network, nodes, oracle } = world;
  const { block } = proposal;
  const parentState = node.stateAfter(block.parentHash);
  if (parentState === null || block.view !== proposal.view) return false;
  const { block: other, state } = makeBlock({
    parent: { hash: block.parentHash, height: (block.height - 1n) as Block['height'] },
    view: proposal.view,
    parentView: block.parentView,
    proposer: block.proposer,
    timestampMs: block.timestampMs + 1,
    payments: contentOf(block).payments.slice(1),
    parentState,
  });
  node.learnState(other.hash, state);
  oracle.sawBlock(other);
  const statement = { ...proposal.vote.statement, blockHash: other.hash };
  oracle.created(node.identity, statement);
  const twin: Proposal = { ...proposal, block: other, vote: { ...proposal.vote, statement } };
  for (const peer of nodes) {
    if (peer === node) continue;
    const choice = random.below(10);
    if (choice < 5) network.send(node.slot, peer.slot, { t: 'proposal', proposal });
    if (choice > 3) network.send(node.slot, peer.slot, { t: 'proposal', proposal: twin });
  }
  return true;
}

/** The floor, an older tip, one that failed, or the last block of the epoch. */
function proposeOnAnything(node: SimNode, world: World, proposal: Proposal): boolean {
  const { core } = node;
  if (core === null) return false;
  const { random } = world;
  const parents: (Block | Floor)[] = [core.floor, ...node.proposed.slice(-2)];
  if (proposal.block.epochEnd) parents.push(proposal.block);
  for (let at = core.block(proposal.block.parentHash); at !== null; ) {
    parents.push(at);
    at = core.block(at.parentHash);
  }
  const parent = random.pick(parents);
  const parentState = node.stateAfter(parent.hash);
  if (parentState === null || parent.view >= proposal.view) return true;
  const { block, state } = makeBlock({
    parent,
    view: proposal.view,
    parentView: parent.view,
    proposer: proposal.vote.signer,
    timestampMs: Math.max(proposal.block.timestampMs, parent.timestampMs + 1),
    payments: [`stale-${node.slot}-${proposal.view}-${random.below(1e9)}`],
    // The last block of an epoch as a parent: its child would claim the epoch that is over.
    parentState: { ...parentState, epoch: proposal.vote.statement.epoch },
  });
  node.learnState(block.hash, state);
  node.proposed.push(block);
  sendInstead(node, world, proposal, block);
  return true;
}

function lie(node: SimNode, world: World, proposal: Proposal): boolean {
  const { random } = world;
  const { block } = proposal;
  if (block.view !== proposal.view) return false;
  const content = contentOf(block);
  const { timestampMs } = node.core?.block(block.parentHash) ?? node.core?.floor ?? block;
  const lies: Partial<Block>[] = [
    { content: { ...content, stateRoot: `${content.stateRoot}!` } },
    { content: { ...content, payments: [...content.payments, 'forged'] } },
    { timestampMs },
    { timestampMs: timestampMs - 1 },
    { timestampMs: timestampMs + 1, transactions: 0 },
    { height: (block.height + 1n) as Block['height'] },
    { proposer: (block.proposer + 1) % world.nodes.length },
    { epochEnd: !block.epochEnd },
  ];
  const hash = `0x${random
    .below(2 ** 31)
    .toString(16)
    .padStart(64, '1')}` as Hash;
  world.oracle.lied(hash);
  sendInstead(node, world, proposal, { ...block, ...random.pick(lies), hash });
  return true;
}

function justifyBadly(node: SimNode, world: World, proposal: Proposal): boolean {
  const { random } = world;
  const justify = random.chance(0.5) ? [] : proposal.justify.slice(1);
  node.say('all', { t: 'proposal', proposal: { ...proposal, justify } });
  return true;
}

/** To some at once, to some when they have given the view up. */
function sendInstead(node: SimNode, world: World, proposal: Proposal, block: Block): void {
  const { random, network, nodes, oracle, scheduler } = world;
  const { hash, parentView } = block;
  oracle.sawBlock(block);
  const statement = { ...proposal.vote.statement, parentView, blockHash: hash };
  oracle.created(node.identity, statement);
  const vote = { ...proposal.vote, statement };
  const message: SimMessage = {
    t: 'proposal',
    proposal: { ...proposal, parentView, block, vote },
  };
  const late = random.chance(0.5);
  for (const peer of nodes) {
    if (peer === node) continue;
    const wait = late && random.chance(0.5) ? random.between(100, 200) : 0;
    scheduler.after(wait, () => network.send(node.slot, peer.slot, message));
  }
}

function forge(node: SimNode, world: World, statement: Statement): void {
  const { random, oracle } = world;
  const { core } = node;
  if (core === null || core.me === null) return;
  const kind = random.pick([VoteKind.Notarize, VoteKind.Nullify, VoteKind.Finalize]);
  const nullifies = kind === VoteKind.Nullify;
  const blockHash = (nullifies ? ZERO_HASH : `0x${'ab'.repeat(32)}`) as Hash;
  const parentView = (nullifies ? 0 : statement.parentView) as View;
  const epoch = (random.chance(0.2) ? statement.epoch + 1 : statement.epoch) as Epoch;
  const forged: Statement = { ...statement, kind, epoch, parentView, blockHash };
  const { me } = core;
  oracle.created(node.identity, forged);
  const all = core.options.set.validators.map((_, index) => index);
  const signers = random.pick([
    all, // who never signed
    all.map(() => me), // itself as often as it takes
    [me], // too few
  ]);
  const signatures = signers.map(() => signature);
  const certificate: Certificate = {
    statement: forged,
    setSize: all.length,
    signers,
    signatures,
  };
  node.say('all', { t: 'certificate', certificate });
}

function voteTwice(node: SimNode, world: World, { statement, signer }: Vote): void {
  const { oracle, random } = world;
  const kind = random.pick([VoteKind.Notarize, VoteKind.Nullify, VoteKind.Finalize]);
  const nullifies = kind === VoteKind.Nullify;
  if (!nullifies && statement.kind === VoteKind.Nullify) return;
  const other: Statement = nullifies
    ? { ...statement, kind, parentView: 0 as View, blockHash: ZERO_HASH }
    : { ...statement, kind };
  oracle.created(node.identity, other);
  node.say('all', { t: 'vote', vote: { statement: other, signer, signature } });
}

function voteAhead(node: SimNode, world: World, { statement, signer }: Vote): void {
  const { oracle, random } = world;
  const view = (statement.view + 1 + random.below(100)) as View;
  const epoch = (statement.epoch + (random.chance(0.2) ? 1 : 0)) as Epoch;
  const other: Statement = {
    kind: VoteKind.Nullify,
    epoch,
    view,
    parentView: 0 as View,
    blockHash: ZERO_HASH,
  };
  oracle.created(node.identity, other);
  node.say('all', { t: 'vote', vote: { statement: other, signer, signature } });
}
