import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { wholeNumber } from '../arguments.ts';
import { Client, defaultRpc } from '../client.ts';
import { makeOutput, printable } from '../output.ts';
import { council } from './membership/contract.ts';
import { castVote, execute, standing } from './membership/proposing.ts';
import {
  type Membership,
  PROPOSAL,
  type ProposalInfo,
  readMembership,
  SUPPORT,
} from './membership/registry.ts';
import { Session, type SessionOptions, signing } from './membership/session.ts';
import { describeProposal, stateWord } from './membership/words.ts';

export function voteCommand(): Command {
  const vote = new Command('vote').description(
    'what members are asked to decide, with what it would do; and the vote on it',
  );
  vote
    .command('list', { isDefault: true })
    .description('open proposals in words')
    .option('--all', 'decided ones too', false)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp vote')
    .action(list);
  for (const [name, support] of Object.entries(SUPPORT)) {
    signing(vote.command(name))
      .description(`vote ${name} on a proposal; a vote that makes it pass executes it, too`)
      .argument('<id>', 'the number that mpbp vote shows', wholeNumber(1, 2 ** 53 - 1))
      .addHelpText(
        'after',
        `\nExample:\n  $ mpbp vote ${name} 1 --keystore devnet/wallets/member-1`,
      )
      .action(async (id: number, options: SessionOptions) => {
        const session = await Session.open(options);
        session.needMember();
        known(await session.membership(), id);
        await castVote(session, BigInt(id), support);
        session.report.end();
      });
  }
  signing(vote.command('execute'))
    .description('do what has passed, where it had to wait')
    .argument('<id>', 'the proposal', wholeNumber(1, 2 ** 53 - 1))
    .addHelpText('after', '\nExample:\n  $ mpbp vote execute 1')
    .action(async (id: number, options: SessionOptions) => {
      const session = await Session.open(options);
      const membership = await session.membership();
      await execute(session, known(membership, id), membership);
      session.report.end();
    });
  signing(vote.command('cancel'))
    .description("take back one's own proposal")
    .argument('<id>', 'the proposal', wholeNumber(1, 2 ** 53 - 1))
    .addHelpText('after', '\nExample:\n  $ mpbp vote cancel 1')
    .action(async (id: number, options: SessionOptions) => {
      const session = await Session.open(options);
      await session.send(council, 'cancel', [BigInt(id)]);
      session.report.say(`proposal ${id} is taken back`);
      session.report.end();
    });
  return vote;
}

async function list(options: { all: boolean; rpc: string; json: boolean }): Promise<void> {
  const membership = await readMembership(new Client(options.rpc));
  const undecided: readonly number[] = [PROPOSAL.open, PROPOSAL.waiting, PROPOSAL.executable];
  const shown = membership.proposals.filter(
    ({ state }) => options.all || undecided.includes(state),
  );
  const data = shown.map((proposal) => ({
    ...proposal,
    would: describeProposal(proposal, membership),
  }));
  const text =
    shown.length === 0
      ? 'nothing waits for a vote'
      : shown.map((proposal) => describe(proposal, membership)).join('\n\n');
  makeOutput(options.json).result(data, text);
}

function describe(proposal: ProposalInfo, membership: Membership): string {
  const { id, proposer, state, description } = proposal;
  return [
    `${id}  ${stateWord(state)}, by ${proposer}: ${printable(description)}`,
    ...describeProposal(proposal, membership).map((call) => `   would ${call}`),
    `   ${standing(proposal, membership)}`,
  ].join('\n');
}

function known({ proposals }: Membership, id: number): ProposalInfo {
  const found = proposals.find((proposal) => proposal.id === BigInt(id));
  if (found !== undefined) return found;
  throw new UserError(EXIT.usage, `there is no proposal ${id} among the newest; see: mpbp vote`);
}
