import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { toHex } from '#src/lib/bytes.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { council, encodeCall, findEvent } from './contract.ts';
import { type Membership, PROPOSAL, type ProposalInfo, SUPPORT } from './registry.ts';
import type { Session } from './session.ts';
import { describeProposal, timeOf } from './words.ts';

export type ProposedCall = {
  readonly contract: NativeContract;
  readonly name: string;
  readonly values: readonly unknown[];
};

/** An undecided proposal that makes this call, whoever made it. */
export function findProposal(
  { proposals }: Membership,
  { contract, name, values }: ProposedCall,
): ProposalInfo | null {
  const data = toHex(encodeCall(contract, name, ...values));
  const undecided: readonly number[] = [PROPOSAL.open, PROPOSAL.waiting, PROPOSAL.executable];
  const found = proposals.find(
    ({ state, calls }) =>
      undecided.includes(state) &&
      calls.some((call) => call.to.toLowerCase() === contract.address && call.data === data),
  );
  return found ?? null;
}

/** Proposes, and votes for it. */
export async function propose(
  session: Session,
  calls: readonly ProposedCall[],
  description: string,
): Promise<bigint> {
  const targets = calls.map(({ contract }) => contract.address);
  const datas = calls.map(({ contract, name, values }) => encodeCall(contract, name, ...values));
  const receipt = await session.send(council, 'propose', [targets, datas, 0n, description]);
  const id = findEvent(receipt, council, 'ProposalCreated')?.proposalId as bigint;
  session.report.say(`proposed: ${description} (proposal ${id})`, { proposalId: id });
  await castVote(session, id, SUPPORT.yes);
  return id;
}

/** Votes, tells how it stands, and executes what has passed with this vote and need not wait. */
export async function castVote(session: Session, id: bigint, support: number): Promise<void> {
  const words = ['no', 'yes', 'neither yes nor no'];
  await session.send(council, 'castVote', [id, BigInt(support), ZERO_HASH]);
  session.report.say(`voted ${words[support]} on proposal ${id}`, { proposalId: id });
  const membership = await session.membership();
  const proposal = membership.proposals.find((one) => one.id === id);
  if (proposal === undefined) return;
  if (proposal.state === PROPOSAL.executable) {
    session.report.say(`proposal ${id} has passed: it is executed right away`);
    await execute(session, proposal, membership);
    return;
  }
  session.report.say(standing(proposal, membership), { executed: false });
}

export async function execute(
  session: Session,
  proposal: ProposalInfo,
  membership: Membership,
): Promise<void> {
  const { id } = proposal;
  await session.send(council, 'execute', [id]);
  session.report.say(`executed proposal ${id}: ${describeProposal(proposal, membership)}`, {
    executed: true,
  });
}

/** How a proposal stands, and what has to happen next. */
export function standing(proposal: ProposalInfo, { members, governance }: Membership): string {
  const { id, state, votes, needed, voteEnd, executableAt } = proposal;
  const yes = votes.filter(({ support }) => support === SUPPORT.yes).length;
  if (state === PROPOSAL.waiting) {
    return `proposal ${id} has passed; from ${timeOf(executableAt)} on: mpbp vote execute ${id}`;
  }
  if (state === PROPOSAL.executable) return `proposal ${id} has passed: mpbp vote execute ${id}`;
  if (state !== PROPOSAL.open) return `proposal ${id} is decided`;
  const voted = new Set(votes.map(({ memberId }) => memberId));
  const others = members
    .filter(
      ({ memberId, status, roles }) => status === 1 && (roles & 3n) > 0n && !voted.has(memberId),
    )
    .map(({ memberId }) => memberId);
  return (
    `proposal ${id}: ${yes} of ${needed} votes that it needs (${governance.voters} members may ` +
    `vote), until ${timeOf(voteEnd)}; not voted yet: ${others.join(', ') || 'nobody'}; ` +
    `they run: mpbp vote yes ${id}`
  );
}
