import { Command } from 'commander';
import { keccak256 } from '#src/crypto/keccak.ts';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import { isName, memberIdOf } from '#src/types/memberId.ts';
import { addressArgument } from '../arguments.ts';
import { Client, defaultRpc } from '../client.ts';
import { makeOutput, table } from '../output.ts';
import { consortium } from './membership/contract.ts';
import { setNode } from './membership/memberNode.ts';
import { findProposal, propose, standing } from './membership/proposing.ts';
import { readMembership } from './membership/registry.ts';
import { Session, type SessionOptions, signing } from './membership/session.ts';
import { memberStatusWord, parseRoles, roleNames, rolesText } from './membership/words.ts';

export function memberCommand(): Command {
  const member = new Command('member').description('who belongs to the consortium');
  member
    .command('list')
    .description('members, their admins and what they may do')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp member list')
    .action(list);
  signing(member.command('add'))
    .description('propose to the other members that they admit one more')
    .requiredOption('--id <text>', 'short name of the new member')
    .requiredOption('--admin <address>', 'the account that will act for it')
    .requiredOption('--roles <list>', `of ${roleNames}`)
    .option('--legal-entity <text>', 'whose hash goes on record; the short name if left out')
    .option('--endpoint <url>', 'where it can be asked', '')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp member add --id bank-5 --admin 0xf39F…2266 --roles validator \\\n' +
        '      --keystore devnet/wallets/member-0',
    )
    .action(add);
  signing(member.command('node'))
    .description("name a node of one's own member: the others let it in, validator or not")
    .argument('<peer-id>', 'as mpbp keys list shows it')
    .option('--remove', 'take the name back', false)
    .addHelpText('after', '\nExample:\n  $ mpbp member node 12D3KooW… --keystore ./bank5')
    .action(async (peerId: string, options: SessionOptions & { remove: boolean }) => {
      const session = await Session.open(options);
      await setNode(session, peerId, !options.remove);
      session.report.end();
    });
  return member;
}

async function list(options: { rpc: string; json: boolean }): Promise<void> {
  const { members } = await readMembership(new Client(options.rpc));
  const rows = members.map(({ memberId, admin, roles, status }) => [
    ...[memberId, formatAddress(admin), rolesText(roles), memberStatusWord(status)],
  ]);
  makeOutput(options.json).result(members, table([['member', 'admin', 'roles', ''], ...rows]));
}

type AddOptions = SessionOptions & {
  id: string;
  admin: string;
  roles: string;
  legalEntity?: string;
  endpoint: string;
};

async function add(options: AddOptions): Promise<void> {
  const admin = addressArgument(options.admin, '--admin');
  const roles = parseRoles(options.roles);
  if (roles === null) {
    throw new UserError(EXIT.usage, `--roles: "${options.roles}" should be of ${roleNames}`);
  }
  if (!isName(options.id) || utf8(options.id).length > 32) {
    throw new UserError(EXIT.usage, '--id: letters, digits and spaces, 32 bytes at most');
  }
  const session = await Session.open(options);
  session.needMember();
  const membership = await session.membership();
  if (membership.members.some(({ memberId }) => memberId === options.id)) {
    throw new UserError(EXIT.usage, `there is a member ${options.id} already`);
  }
  const wanted = {
    memberId: memberIdOf(options.id),
    admin,
    legalEntityHash: hashFromBytes(keccak256(utf8(options.legalEntity ?? options.id))),
    roles,
    status: 1n,
    joinedAt: 0n,
    endpoint: options.endpoint,
  };
  const call = { contract: consortium, name: 'addMember', values: [wanted] };
  const before = findProposal(membership, call);
  if (before === null) await propose(session, [call], `admit member ${options.id}`);
  else session.report.say(standing(before, membership), { proposalId: before.id });
  session.report.end();
}
