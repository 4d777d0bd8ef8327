import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { parseAmount } from '#src/types/units.ts';
import { addressArgument, wholeNumber } from '../arguments.ts';
import { openDataDir, resolveDataDir } from '../dataDir.ts';
import { openNodeKeys, publicKeysOf } from '../nodeKeys.ts';
import { evidenceCommand } from './membership/evidenceCommand.ts';
import { joinStep } from './membership/join.ts';
import { listCommand } from './membership/listCommand.ts';
import { ownNode } from './membership/ownNode.ts';
import { rotateStep } from './membership/rotate.ts';
import { Session, type SessionOptions, signing } from './membership/session.ts';
import {
  bondCommand,
  leaveCommand,
  proposeCommand,
  unbondCommand,
  withdrawCommand,
} from './membership/stakeCommands.ts';

/** Between two looks at the chain, with `--watch`. */
const watchMs = 500;

export function validatorCommand(): Command {
  const validator = new Command('validator').description(
    'who decides: join, leave, stake, keys; every change takes effect at the end of an epoch',
  );
  validator.addCommand(listCommand());
  validator.addCommand(joinCommand());
  validator.addCommand(leaveCommand());
  validator.addCommand(bondCommand());
  validator.addCommand(unbondCommand());
  validator.addCommand(withdrawCommand());
  validator.addCommand(rotateCommand());
  validator.addCommand(proposeCommand());
  validator.addCommand(evidenceCommand());
  return validator;
}

type NodeOptions = SessionOptions & {
  dataDir: string;
  keysPasswordFile?: string;
  node?: string;
  watch: boolean;
};
type JoinOptions = NodeOptions & {
  address?: string[];
  stake: string;
  authority?: number;
  feeRecipient?: string;
};

function withNode(command: Command): Command {
  return signing(command)
    .requiredOption('--data-dir <dir>', "the node's data directory, for its keys")
    .option('--keys-password-file <file>', 'password of the node keys')
    .option('--node <url>', "JSON-RPC of that node; as the directory's settings say if left out")
    .option('--watch', 'go on until it is done', false);
}

function joinCommand(): Command {
  return withNode(new Command('join'))
    .description('do the next step on the way into the set; run it again for the next one')
    .option('--address <multiaddr...>', 'where others reach the node: /dns4/node.bank/tcp/30303')
    .option('--stake <MPB>', 'what to bond; 1 MPB is one vote', '1')
    .option('--authority <votes>', 'a weight by vote rather than by stake', wholeNumber(1, 2 ** 53))
    .option('--fee-recipient <address>', 'where its fees go; the own account if left out')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp validator join --data-dir ./node5 \\\n' +
        '      --address /ip4/127.0.0.1/tcp/30350 \\\n' +
        '      --stake 10 --keystore ./bank5 --node http://127.0.0.1:8550 --watch',
    )
    .action(join);
}

async function join(options: JoinOptions): Promise<void> {
  const dataDir = resolveDataDir(options.dataDir);
  const { networkId } = openDataDir(dataDir);
  const keys = await openNodeKeys(dataDir, options.keysPasswordFile ?? null);
  const { peerId } = await publicKeysOf(keys);
  const { consensusSeeds } = keys;
  const stake = parseAmount(options.stake);
  if (!stake.ok || stake.value === 0n) {
    throw new UserError(EXIT.usage, `--stake: "${options.stake}" is not an amount like 12.50`);
  }
  const session = await Session.open(options);
  const plan = {
    ...{ consensusSeeds, networkId, peerId, stake: stake.value },
    addresses: [options.address ?? []].flat(),
    authority: options.authority === undefined ? null : BigInt(options.authority),
    feeRecipient:
      options.feeRecipient === undefined
        ? session.wallet.address
        : addressArgument(options.feeRecipient, '--fee-recipient'),
    node: ownNode(dataDir, options.node),
  };
  await repeat(() => joinStep(session, plan), session, options.watch);
}

function rotateCommand(): Command {
  return withNode(new Command('rotate'))
    .description('give a validator a new consensus key; run it again for the next step')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp validator rotate --data-dir ./node5 --keystore ./bank5 \\\n' +
        '      --node http://127.0.0.1:8550',
    )
    .action(async (options: NodeOptions) => {
      const dataDir = resolveDataDir(options.dataDir);
      const { networkId } = openDataDir(dataDir);
      const session = await Session.open(options);
      const keysPassword = options.keysPasswordFile ?? null;
      const plan = { dataDir, keysPassword, networkId, node: ownNode(dataDir, options.node) };
      await repeat(() => rotateStep(session, plan), session, options.watch);
    });
}

/** The same thing said again is not said again. */
async function repeat(
  step: () => Promise<boolean>,
  session: Session,
  watch: boolean,
): Promise<void> {
  session.report.onlyNews = watch;
  while (!(await step()) && watch) await new Promise((resolve) => setTimeout(resolve, watchMs));
  session.report.end();
}
