import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { parseAmount } from '#src/types/units.ts';
import { addressArgument, wholeNumber } from '../../arguments.ts';
import { findEvent, registry } from './contract.ts';
import { nameOwnNode } from './memberNode.ts';
import { findProposal, propose, standing } from './proposing.ts';
import { pickValidator, STATUS, type ValidatorInfo, whenItCounts } from './registry.ts';
import { Session, type SessionOptions, signing } from './session.ts';
import { coin, statusWord, timeOf } from './words.ts';

type Options = SessionOptions & { index?: number; to?: string };

/** Between two looks at the chain, with `--watch`. */
const watchMs = 500;

const anyIndex = wholeNumber(0, 2 ** 53 - 1);

function ofValidator(name: string): Command {
  return signing(new Command(name)).option(
    '--index <n>',
    'which validator, where the member has several',
    anyIndex,
  );
}

async function begin(options: Options): Promise<{ session: Session; own: ValidatorInfo }> {
  const session = await Session.open(options);
  session.needMember();
  const own = pickValidator(await session.membership(), session.memberId, options.index ?? null);
  return { session, own };
}

export function leaveCommand(): Command {
  return ofValidator('leave')
    .description('leave the set at the end of the epoch; the node goes on following')
    .option('--watch', 'wait until it is out', false)
    .addHelpText('after', '\nExample:\n  $ mpbp validator leave --keystore ./bank5 --watch')
    .action(async (options: Options & { watch: boolean }) => {
      const { session, own } = await begin(options);
      const { report } = session;
      const { index, status } = own;
      if (status === STATUS.leaving || status === STATUS.inactive) {
        report.say(`validator ${index} is ${statusWord(status)} already`, { index });
      } else {
        await session.send(registry, 'deactivateValidator', [index]);
        const when =
          own.inForce === null
            ? 'now: it was not in the set'
            : whenItCounts(await session.membership(), index);
        report.say(`validator ${index} leaves ${when}`, { index });
      }
      await keepFollowing(session, own);
      report.say(
        'until then it votes, so leave the node running; after that it follows and hands out ' +
          'blocks, a day at least. The stake: mpbp validator unbond all, once it is out; ' +
          'to come back: mpbp validator join',
      );
      if (options.watch) await untilOut(session, index);
      report.end();
    });
}

async function untilOut(session: Session, index: bigint): Promise<void> {
  for (;;) {
    const { validators, epoch } = await session.membership();
    if (validators.find((one) => one.index === index)?.inForce === null) {
      session.report.say(`validator ${index} is out of the set of epoch ${epoch.number}`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, watchMs));
  }
}

/** Nodes of validators that left are forgotten after a day. */
async function keepFollowing(session: Session, { ingress }: ValidatorInfo): Promise<void> {
  if (ingress === null) return;
  if (await nameOwnNode(session, ingress.peerId)) return;
  session.report.say(
    'others forget the node a day after it has left, unless the admin of the member runs: ' +
      `mpbp member node ${ingress.peerId}`,
  );
}

export function bondCommand(): Command {
  return ofValidator('bond')
    .description('add to the stake: 1 MPB is one vote')
    .argument('<amount>', 'MPB, such as 10')
    .addHelpText('after', '\nExample:\n  $ mpbp validator bond 10 --keystore ./bank5')
    .action(async (text: string, options: Options) => {
      const amount = amountOf(text);
      const { session, own } = await begin(options);
      const { index } = own;
      const values = [index, ZERO_ADDRESS, amount];
      const receipt = await session.send(registry, 'bond', values, amount);
      const total = findEvent(receipt, registry, 'StakeBonded')?.totalStake as bigint;
      session.report.say(`validator ${index} has ${coin(total)} at stake`, { index, stake: total });
      await tellWhen(session, own);
    });
}

export function unbondCommand(): Command {
  return ofValidator('unbond')
    .description('take out of the stake; it can be withdrawn some time later')
    .argument('<amount>', 'MPB, or "all" for a validator that has left')
    .addHelpText('after', '\nExample:\n  $ mpbp validator unbond 5 --keystore ./bank5')
    .action(async (text: string, options: Options) => {
      const given = text === 'all' ? null : amountOf(text);
      const { session, own } = await begin(options);
      const { index } = own;
      const amount = given ?? own.stake;
      const receipt = await session.send(registry, 'unbond', [index, amount]);
      const event = findEvent(receipt, registry, 'StakeUnbonded');
      const at = Number(event?.withdrawableAt ?? 0n);
      session.report.say(
        `${coin(amount)} of validator ${index} can be withdrawn from ${timeOf(at)} on, ` +
          'and answers for faults until then: mpbp validator withdraw',
        { index, amount, withdrawableAt: at },
      );
      await tellWhen(session, own);
    });
}

export function withdrawCommand(): Command {
  return ofValidator('withdraw')
    .description('get back what was unbonded and has waited long enough')
    .option('--to <address>', 'where to; the own account if left out')
    .addHelpText('after', '\nExample:\n  $ mpbp validator withdraw --keystore ./bank5')
    .action(async (options: Options) => {
      const { session, own } = await begin(options);
      const { index, unbondings } = own;
      const { timestampMs } = await session.membership();
      const isDue = ({ withdrawableAt }: { withdrawableAt: number }) =>
        withdrawableAt * 1_000 <= Math.max(timestampMs, Date.now());
      const due = unbondings.filter(isDue).reduce((sum, { amount }) => sum + amount, 0n);
      const rest = unbondings.filter((one) => !isDue(one));
      const next = rest.map(({ withdrawableAt }) => withdrawableAt).sort((a, b) => a - b)[0];
      const later = next === undefined ? 'nothing more waits' : `more is due ${timeOf(next)}`;
      if (due === 0n) {
        session.report.say(`nothing of validator ${index} is due now; ${later}`, { index });
        session.report.end();
        return;
      }
      const to =
        options.to === undefined ? session.wallet.address : addressArgument(options.to, '--to');
      await session.send(registry, 'withdrawUnbonded', [index, to]);
      session.report.say(`${coin(due)} went to ${formatAddress(to)}; ${later}`, { index, due });
      session.report.end();
    });
}

export function proposeCommand(): Command {
  return signing(new Command('propose'))
    .description("propose the admission of another member's validator")
    .argument('<index>', 'the validator', anyIndex)
    .addHelpText('after', '\nExample:\n  $ mpbp validator propose 4')
    .action(async (at: number, options: SessionOptions) => {
      const session = await Session.open(options);
      session.needMember();
      const membership = await session.membership();
      const { index, memberId } = pickValidator(membership, null, at);
      const call = { contract: registry, name: 'activateValidator', values: [index] };
      const before = findProposal(membership, call);
      if (before !== null) session.report.say(standing(before, membership));
      else await propose(session, [call], `admit validator ${index} of ${memberId}`);
      session.report.end();
    });
}

async function tellWhen(session: Session, before: ValidatorInfo): Promise<void> {
  const membership = await session.membership();
  const own = membership.validators.find(({ index }) => index === before.index);
  const { report } = session;
  if (own === undefined || own.power === before.power) report.say('its votes stay as they are');
  else if (own.inForce === null)
    report.say(`it would vote with ${own.power}; it is not in the set`);
  else if (!own.isQueued || own.inForce.power === own.power) {
    report.say(`it votes with ${own.power} from now on`, { power: own.power });
  } else {
    const change = `${before.inForce?.power ?? 0n} to ${own.power}`;
    report.say(`its votes go from ${change} ${whenItCounts(membership, own.index)}`, {
      power: own.power,
    });
  }
  report.end();
}

function amountOf(text: string): bigint {
  const amount = parseAmount(text);
  if (amount.ok && amount.value > 0n) return amount.value;
  throw new UserError(EXIT.usage, `amount: "${text.slice(0, 80)}" should be MPB like 12.50`);
}
