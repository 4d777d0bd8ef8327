import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { CHANNEL_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { channelRegistry, slaSecondsMax } from '#src/ledger/payments/orders/channelRegistry.ts';
import { CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { fromHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress, parseAddress } from '#src/types/address.ts';
import { type Hash, keccakHash, parseHash } from '#src/types/hash.ts';
import { memberIdOf, memberText } from '#src/types/memberId.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { addressArgument, wholeNumber } from '../../arguments.ts';
import { Client, defaultRpc } from '../../client.ts';
import { chooseWallet } from '../../keystoreFolder.ts';
import { makeOutput, printable, table } from '../../output.ts';
import { view } from '../membership/contract.ts';
import { refusedInWords, type SessionOptions, signing } from '../membership/session.ts';
import { timeOf } from '../membership/words.ts';
import { type Field, signDocument } from './signing.ts';
import { channelSentences, idOf, openSession, secondsArgument, textOf } from './words.ts';

type RegisterOptions = SessionOptions & {
  kind: string;
  resultKey: string;
  connection: string;
  ackWithin: string;
  resultWithin: string;
};

export function registerChannelCommand(): Command {
  return signing(new Command('register'))
    .description('register a rail of yours; for accounts of members with the role channel')
    .argument('<channel>', 'what it is called on the chain, up to 32 bytes')
    .requiredOption('--kind <text>', 'such as card, bank or wallet')
    .requiredOption('--result-key <address>', 'whose signature the rail’s results have')
    .requiredOption('--connection <address>', 'which brings them: of a member’s, role connection')
    .option('--ack-within <time>', 'how soon the rail acknowledges, like 90s, 15m, 2h or 30d', '1m')
    .option('--result-within <time>', 'and from then on says how it ended', '15m')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp channel register CARD --kind card \\\n' +
        '      --result-key 0x90F79bf6EB2c4f870365E785982E1f101E93b906 \\\n' +
        '      --connection 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65 \\\n' +
        '      --keystore devnet/wallets/member-1\n\n' +
        'Then acquirers bind their merchants to it: mpbp merchant bind-channel CARD',
    )
    .action(async (text: string, options: RegisterOptions) => {
      const channelId = idOf(text, 'channel');
      const channel = {
        ...{ channelId, kind: idOf(options.kind, '--kind'), status: 0n },
        resultKey: addressArgument(options.resultKey, '--result-key'),
        connection: addressArgument(options.connection, '--connection'),
        ackSla: slaArgument(options.ackWithin, '--ack-within'),
        resultSla: slaArgument(options.resultWithin, '--result-within'),
      };
      const session = await openSession(options, channelSentences);
      const member = session.needMember();
      const wanted = [{ ...channel, memberId: memberIdOf(member) }];
      await session.send(channelRegistry, 'registerChannel', wanted);
      session.report.say(`${spell(channelId)} is registered by ${member}`, { channelId });
      session.report.end();
    });
}

function slaArgument(text: string, what: string): bigint {
  const seconds = secondsArgument(text, what);
  if (seconds <= slaSecondsMax) return seconds;
  throw new UserError(EXIT.usage, `${what} should be at most ${slaSecondsMax / 86_400n}d`);
}

const STATUSES = new Map(Object.entries(CHANNEL));

export function statusChannelCommand(): Command {
  return signing(new Command('status'))
    .description('set a rail to active, suspended or closed')
    .argument('<channel>', 'what it is called on the chain')
    .argument('<status>', 'active, suspended, or closed for good')
    .option('--reason <text>', 'why; only its hash is told')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp channel status CARD suspended --reason "maintenance until 6"',
    )
    .action(async (id: string, name: string, options: SessionOptions & { reason?: string }) => {
      const status = STATUSES.get(name);
      if (status === undefined) {
        const names = [...STATUSES.keys()].join(', ');
        throw new UserError(EXIT.usage, `the status should be one of ${names}`);
      }
      const reason = options.reason === undefined ? ZERO_HASH : keccakHash(utf8(options.reason));
      await change(id, options, {
        method: 'setStatus',
        values: [status, reason],
        says: `is ${name}`,
      });
    });
}

export function connectionCommand(): Command {
  return signing(new Command('connection'))
    .description('let another account bring what the rail says')
    .argument('<channel>', 'what it is called on the chain')
    .argument('<address>', 'an account of a member with the role connection')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp channel connection CARD 0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65',
    )
    .action(async (id: string, text: string, options: SessionOptions) => {
      const account = addressArgument(text, 'address');
      const says = `is connected by ${formatAddress(account)}`;
      await change(id, options, { method: 'setConnection', values: [account], says });
    });
}

type HeartbeatOptions = SessionOptions & { open: number; seen?: number };

export function heartbeatCommand(): Command {
  return signing(new Command('heartbeat'))
    .description('say that the connection is alive (the connection itself)')
    .argument('<channel>', 'which it works for')
    .option('--open <n>', 'how many orders it is working on', wholeNumber(0, 2 ** 32 - 1), 0)
    .option(
      '--seen <block>',
      'the last block that it saw, else the newest',
      wholeNumber(0, 2 ** 48),
    )
    .addHelpText('after', '\nExample:\n  $ mpbp channel heartbeat CARD --open 3 --keystore relay')
    .action(async (id: string, options: HeartbeatOptions) => {
      const newest = () => new Client(options.rpc).call<string>('eth_blockNumber');
      const values = [BigInt(options.seen ?? (await newest())), BigInt(options.open)];
      await change(id, options, { method: 'heartbeat', values, says: 'is connected' });
    });
}

type Change = {
  readonly method: string;
  /** What the call takes after the channel. */
  readonly values: readonly unknown[];
  readonly says: string;
};

async function change(id: string, options: SessionOptions, wanted: Change): Promise<void> {
  const { method, values, says } = wanted;
  const channelId = idOf(id, 'channel');
  const session = await openSession(options, channelSentences);
  await session.send(channelRegistry, method, [channelId, ...values]);
  session.report.say(`${spell(channelId)} ${says}`, { channelId });
  session.report.end();
}

// --- a new result key ----------------------------------------------------------------------------

const RESULT_KEY: readonly Field[] = [
  ['bytes32', 'channelId'],
  ['address', 'key'],
  ['uint256', 'nonce'],
];

/** Where the new key is, which is not where the member's is. */
export function proveKeyCommand(): Command {
  return signing(new Command('prove-key'))
    .description('sign with a new result key that it is there, for `mpbp channel rotate-key`')
    .argument('<channel>', 'which it is to sign for')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp channel prove-key CARD --keystore new-result-key > key.json',
    )
    .action(async (text: string, options: SessionOptions) => {
      const channelId = idOf(text, 'channel');
      const client = new Client(options.rpc);
      const chainId = Number(BigInt(await client.call<string>('eth_chainId')));
      const [nonce] = await view(client, channelRegistry, 'signatureNonce', channelId);
      const { address } = chooseWallet(options.keystore, options.from ?? null);
      const key = formatAddress(address);
      const domain = { name: 'MPBP ChannelRegistry', chainId, verifyingContract: CHANNEL_REGISTRY };
      const message = { channelId, key, nonce: String(nonce) };
      const document = { domain, primaryType: 'ResultKey', fields: RESULT_KEY, message };
      const { signature } = await signDocument(document, options);
      process.stdout.write(`${JSON.stringify({ channelId, key, signature }, null, 2)}\n`);
    });
}

export function rotateKeyCommand(): Command {
  return signing(new Command('rotate-key'))
    .description('give a rail a new result key; the old one counts no longer')
    .argument('<file>', 'what `mpbp channel prove-key` printed')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp channel rotate-key key.json --keystore devnet/wallets/member-1',
    )
    .action(async (file: string, options: SessionOptions) => {
      const { channelId, key, signature } = readProof(file);
      const session = await openSession(options, channelSentences);
      await session.send(channelRegistry, 'rotateResultKey', [channelId, key, signature]);
      const said = `the results of ${spell(channelId)} are signed by ${formatAddress(key)} now`;
      session.report.say(said, { channelId, key: formatAddress(key) });
      session.report.end();
    });
}

function readProof(file: string): { channelId: Hash; key: Address; signature: Uint8Array } {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(EXIT.badData, `${file}: ${(error as Error).message}`);
  }
  const proof = (given ?? {}) as Readonly<Record<string, unknown>>;
  const channelId = parseHash(String(proof.channelId));
  const key = parseAddress(String(proof.key));
  const signature = /^0x[0-9a-f]{130}$/.test(String(proof.signature))
    ? fromHex(String(proof.signature))
    : null;
  if (channelId !== null && key.ok && signature !== null) {
    return { channelId, key: key.value, signature };
  }
  throw new UserError(EXIT.badData, `${file} is not what \`mpbp channel prove-key\` printed`);
}

// --- what everybody sees -------------------------------------------------------------------------

type Channel = {
  channelId: Hash;
  memberId: Hash;
  kind: Hash;
  resultKey: Address;
  connection: Address;
  ackSla: bigint;
  resultSla: bigint;
  status: bigint;
};

export function showChannelCommand(): Command {
  return new Command('show')
    .description('a rail as everybody sees it, and when its connection was last heard of')
    .argument('<channel>', 'what it is called on the chain')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp channel show CARD')
    .action(async (text: string, options: { rpc: string; json: boolean }) => {
      const id = idOf(text, 'channel');
      const client = new Client(options.rpc);
      const ask = (name: string) =>
        refusedInWords(() => view(client, channelRegistry, name, id), channelSentences);
      const [found] = await ask('getChannel');
      const [at, lastSeenBlock, openItems] = (await ask('lastHeartbeat')) as readonly bigint[];
      const heartbeat = at === 0n ? null : { at, lastSeenBlock, openItems };
      const channel = found as Channel;
      const rows = [
        ...describe(channel),
        ['last heard of', heartbeat === null ? 'never' : timeOf(Number(at))],
        ['it works on', heartbeat === null ? '' : `${openItems} orders`],
      ];
      makeOutput(options.json).result({ ...channel, heartbeat }, table(rows));
    });
}

function describe(channel: Channel): string[][] {
  const names = new Map([...STATUSES].map(([name, status]) => [status as bigint, name]));
  return [
    ['channel', spell(channel.channelId)],
    ['status', names.get(channel.status) ?? `${channel.status}`],
    ['kind', spell(channel.kind)],
    ['member', printable(memberText(channel.memberId))],
    ['result key', formatAddress(channel.resultKey)],
    ['connection', formatAddress(channel.connection)],
    ['acknowledges within', `${channel.ackSla} s`],
    ['a result within', `${channel.resultSla} s`],
  ];
}

function spell(id: Hash): string {
  return printable(textOf(id));
}
