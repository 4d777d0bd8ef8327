import { Command } from 'commander';
import { POLICY } from '#src/ledger/payments/tokens/policyStore.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { addressArgument, wholeNumber } from '../arguments.ts';
import { Client, defaultRpc } from '../client.ts';
import { makeOutput, table } from '../output.ts';
import { limitCommand } from './currency/limits.ts';
import {
  makePolicy,
  type NewPolicyOptions,
  newPolicy,
  openPolicies,
  policies,
} from './currency/policies.ts';
import { attestCommand, thresholdCommand } from './currency/travelRule.ts';
import { view } from './membership/contract.ts';
import { refusedInWords, type SessionOptions, signing } from './membership/session.ts';

const policyId = wholeNumber(0, 2 ** 53 - 1);

export function policyCommand(): Command {
  const policy = new Command('policy').description(
    'who may pay whom: lists of accounts, what one takes, limits, attested orders',
  );
  signing(policy.command('create'))
    .description('make a list of accounts that currencies and receivers refer to by its number')
    .option('--allow-only <list>', 'these addresses and nobody else')
    .option('--deny <list>', 'everybody but these addresses')
    .option('--admin <address>', 'who alone changes it; the own wallet if left out')
    .addHelpText('after', '\nExample:\n  $ mpbp policy create --deny 0x7099…79C8,0x3C44…93BC')
    .action(create);
  for (const name of ['allow', 'deny'] as const) {
    signing(policy.command(name))
      .description(name === 'allow' ? 'let a policy allow an account' : 'no longer let it')
      .argument('<id>', 'which policy', policyId)
      .argument('<address>', 'whom')
      .addHelpText('after', `\nExample:\n  $ mpbp policy ${name} 7 0x7099…79C8`)
      .action((id: number, whom: string, options: SessionOptions) =>
        change(name === 'allow', id, whom, options),
      );
  }
  policy
    .command('show')
    .description('what a policy is, and whether it allows an account')
    .argument('<id>', 'which policy', policyId)
    .argument('[address]', 'whom')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp policy show 7 0x7099…79C8')
    .action(show);
  signing(policy.command('receive'))
    .description('what the own account takes; without an option, what it takes now')
    .option('--senders <id>', 'from whom: a policy; 1 is everybody', policyId)
    .option('--tokens <id>', 'which currencies: a policy of their addresses; 1 is all', policyId)
    .option('--memo <when>', 'needed: with a memo only; or free')
    .option('--of <address>', "show somebody else's")
    .addHelpText('after', '\nExample:\n  $ mpbp policy receive --memo needed --senders 7')
    .action(receive);
  for (const command of [limitCommand(), thresholdCommand(), attestCommand()]) {
    policy.addCommand(command);
  }
  return policy;
}

type Making = SessionOptions & NewPolicyOptions & { admin?: string };

async function create(options: Making): Promise<void> {
  const { allowOnly, deny, admin: adminText } = options;
  if ((allowOnly === undefined) === (deny === undefined)) {
    throw new UserError(EXIT.usage, 'one of --allow-only and --deny');
  }
  const wanted = newPolicy(options);
  const admin = adminText === undefined ? null : addressArgument(adminText, '--admin');
  const session = await openPolicies(options);
  const id = await makePolicy(session, wanted, admin ?? session.wallet.address);
  const { report } = session;
  report.say(`made policy ${id}, for: mpbp token policy --id ${id}`, { policyId: id });
  report.end();
}

/** A list of who may gets the account, or a list of who may not loses it. */
async function change(
  allows: boolean,
  id: number,
  whomText: string,
  options: SessionOptions,
): Promise<void> {
  const whom = addressArgument(whomText, 'address');
  const session = await openPolicies(options);
  const [type] = await read(session.client, id);
  const [name, isListed] =
    type === POLICY.whitelist
      ? ['modifyPolicyWhitelist', allows]
      : ['modifyPolicyBlacklist', !allows];
  await session.send(policies, name, [BigInt(id), whom, isListed]);
  const does = allows ? 'allows' : 'does not allow';
  session.report.say(`policy ${id} ${does} ${formatAddress(whom)}`, { policyId: id, whom, allows });
  session.report.end();
}

async function read(client: Client, id: number): Promise<readonly [type: bigint, admin: Address]> {
  const asked = () => view(client, policies, 'policyData', BigInt(id));
  const [type, admin] = await refusedInWords(asked);
  return [type as bigint, admin as Address];
}

const KINDS = ['these accounts and nobody else', 'everybody but these accounts', 'of three others'];

async function show(
  id: number,
  whomText: string | undefined,
  { rpc, json }: { rpc: string; json: boolean },
): Promise<void> {
  const client = new Client(rpc);
  const whom = whomText === undefined ? null : addressArgument(whomText, 'address');
  const [type, admin] = await read(client, id);
  const kind = KINDS[Number(type)] ?? `${type}`;
  const rows = [
    ['policy', `${id}`],
    ['allows', kind],
    ['admin', admin === ZERO_ADDRESS ? 'nobody: it never changes' : formatAddress(admin)],
  ];
  const data = { policyId: id, type, admin };
  if (whom === null) return makeOutput(json).result(data, table(rows));
  const may = async (name: string) => (await view(client, policies, name, BigInt(id), whom))[0];
  const [sends, receives] = [
    (await may('isAuthorizedSender')) === true,
    (await may('isAuthorizedRecipient')) === true,
  ];
  const does = (is: boolean) => (is ? 'yes' : 'no');
  rows.push(['lets it send', does(sends)], ['lets it receive', does(receives)]);
  makeOutput(json).result({ ...data, whom, sends, receives }, table(rows));
}

type Receiving = SessionOptions & {
  senders?: number;
  tokens?: number;
  memo?: string;
  of?: string;
};

async function receive(options: Receiving): Promise<void> {
  const { senders, tokens, memo, of, rpc, json } = options;
  if (memo !== undefined && memo !== 'needed' && memo !== 'free') {
    throw new UserError(EXIT.usage, '--memo: needed or free');
  }
  const changes = senders !== undefined || tokens !== undefined || memo !== undefined;
  if (of !== undefined) {
    if (changes) throw new UserError(EXIT.usage, '--of shows, and changes nothing');
    const rule = await ruleOf(new Client(rpc), addressArgument(of, '--of'));
    return makeOutput(json).result(rule, ruleText(rule));
  }
  const session = await openPolicies(options);
  const before = await ruleOf(session.client, session.wallet.address);
  if (!changes) return makeOutput(json).result(before, ruleText(before));
  const rule = {
    senders: senders === undefined ? before.senders : BigInt(senders),
    tokens: tokens === undefined ? before.tokens : BigInt(tokens),
    requireMemo: memo === undefined ? before.requireMemo : memo === 'needed',
  };
  const { recovery } = before;
  const values = [rule.senders, rule.tokens, recovery, rule.requireMemo];
  await session.send(policies, 'setReceivePolicy', values);
  session.report.say(ruleText({ ...rule, recovery }), rule);
  session.report.end();
}

type Rule = { senders: bigint; tokens: bigint; requireMemo: boolean; recovery: Address };

async function ruleOf(client: Client, account: Address): Promise<Rule> {
  const [isSet, ...rest] = await view(client, policies, 'receivePolicy', account);
  const [senders, tokens, recovery, requireMemo] = rest as [bigint, bigint, Address, boolean];
  // Who has said nothing takes everything.
  if (isSet !== true) return { senders: 1n, tokens: 1n, requireMemo: false, recovery };
  return { senders, tokens, requireMemo, recovery };
}

function ruleText({ senders, tokens, requireMemo }: Rule): string {
  return table([
    ['from', senders === 1n ? 'everybody' : `whom policy ${senders} allows`],
    ['currencies', tokens === 1n ? 'all' : `which policy ${tokens} allows`],
    ['memo', requireMemo ? 'needed' : 'free'],
  ]);
}
