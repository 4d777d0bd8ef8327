/**
 * The way into the set, a step at a time, each from what the chain says now:
 *
 *     register -> propose admission -> bond -> [members vote] -> node synced -> READY -> [boundary]
 */
import { ed25519PublicKey, ed25519Sign } from '#src/crypto/ed25519.ts';
import { toHex } from '#src/lib/bytes.ts';
import { assert, EXIT, UserError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { parseHash } from '#src/types/hash.ts';
import { formatIngress } from '#src/types/peerId.ts';
import { encodePossession } from '#src/types/possession.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Client } from '../../client.ts';
import { findEvent, registry } from './contract.ts';
import { nameOwnNode } from './memberNode.ts';
import { readNode, whyNotSynced } from './ownNode.ts';
import { findProposal, type ProposedCall, propose, standing } from './proposing.ts';
import { type Membership, nextBoundary, STATUS, type ValidatorInfo } from './registry.ts';
import type { Session } from './session.ts';
import { coin, statusWord } from './words.ts';

export const weiPerVote = 10n ** 18n;
/** As the contract has it: an older READY says nothing about now. */
const readyAgeMsMax = 60_000;

export type JoinPlan = {
  /** The validator's own first, then those of a rotation. */
  readonly consensusSeeds: readonly Uint8Array[];
  readonly networkId: string;
  readonly peerId: string;
  readonly addresses: readonly string[];
  /** In wei; for a validator that is weighed by stake. */
  readonly stake: bigint;
  /** Votes for one that is weighed by the members; null for one by stake. */
  readonly authority: bigint | null;
  readonly feeRecipient: Address;
  readonly node: Client;
};

/** Does what is due, and says what has to happen next. True when it is in the set. */
export async function joinStep(session: Session, plan: JoinPlan): Promise<boolean> {
  session.needMember();
  const keys: string[] = plan.consensusSeeds.map((seed) => toHex(ed25519PublicKey(seed)));
  const membership = await session.membership();
  const own = membership.validators.find(({ consensusKey }) => keys.includes(consensusKey));
  if (own === undefined) {
    await register(session, plan);
    return joinStep(session, plan);
  }
  switch (own.status) {
    case STATUS.registered:
    case STATUS.inactive:
      return askForAdmission(session, plan, own, membership);
    case STATUS.approved:
      return getReady(session, plan, own);
    case STATUS.ready:
      return waitForBoundary(session, plan, own, membership);
    case STATUS.active:
      return tellActive(session, own, membership);
    case STATUS.slashed:
      throw new UserError(
        EXIT.badData,
        `validator ${own.index} was put out for a proven fault: it comes back with a new key ` +
          '(mpbp validator rotate), which the members then admit anew',
      );
    default:
      session.report.say(
        `validator ${own.index} is ${statusWord(own.status)}: it leaves ` +
          `${nextBoundary(membership)}; join again after that`,
        { index: own.index, status: statusWord(own.status) },
      );
      return false;
  }
}

/** The key's signature over network and operator: nobody else can register it. */
export function provePossession(seed: Uint8Array, networkId: string, operator: Address) {
  return ed25519Sign(seed, encodePossession(parseHash(networkId) ?? ZERO_HASH, operator));
}

async function register(session: Session, plan: JoinPlan): Promise<void> {
  const { networkId, peerId, addresses, authority, feeRecipient } = plan;
  const [consensusSeed] = plan.consensusSeeds;
  assert(consensusSeed !== undefined, 'a node has a consensus key');
  if (addresses.length === 0) {
    throw new UserError(
      EXIT.usage,
      'the key is not registered yet: say where other nodes reach this one, with ' +
        '--address /ip4/192.0.2.1/tcp/30303',
    );
  }
  const proof = provePossession(consensusSeed, networkId, session.wallet.address);
  const publicKey = ed25519PublicKey(consensusSeed);
  const kind = authority === null ? 0n : 1n;
  const ingress = formatIngress({ peerId, addresses });
  const values = [publicKey, proof, kind, feeRecipient, ingress];
  const receipt = await session.send(registry, 'registerValidator', values);
  const index = findEvent(receipt, registry, 'ValidatorRegistered')?.index as bigint;
  session.report.say(`registered as validator ${index}: key ${toHex(publicKey)}`, {
    index,
    consensusKey: toHex(publicKey),
  });
  // So that it has the chain by the time it is admitted.
  if (await nameOwnNode(session, peerId)) return;
  session.report.say(
    'others let the node in once the validator is admitted; before that, if the admin of the ' +
      `member runs: mpbp member node ${peerId}`,
  );
}

async function askForAdmission(
  session: Session,
  plan: JoinPlan,
  own: ValidatorInfo,
  membership: Membership,
): Promise<boolean> {
  const { report } = session;
  const { index, memberId } = own;
  const admit: ProposedCall = { contract: registry, name: 'activateValidator', values: [index] };
  const weigh: ProposedCall = {
    contract: registry,
    name: 'updateValidatorVotingPower',
    values: [index, plan.authority ?? 0n],
  };
  const before = findProposal(membership, admit);
  if (before !== null) {
    report.say(standing(before, membership), { index, proposalId: before.id, waitsFor: 'votes' });
  } else if (session.mayVote(membership)) {
    const calls = plan.authority === null ? [admit] : [admit, weigh];
    await propose(session, calls, `admit validator ${index} of ${memberId}`);
    report.say('next, once the vote has passed: run this command again', { index });
  } else {
    report.say(
      'this member may not propose: another member has to run ' +
        `mpbp validator propose ${index}; then run this command again`,
      { index, waitsFor: 'proposal' },
    );
  }
  await bondIfNeeded(session, plan, own);
  const now = (await session.membership()).validators.find((one) => one.index === index);
  return now?.status === STATUS.approved ? getReady(session, plan, now) : false;
}

async function bondIfNeeded(session: Session, plan: JoinPlan, own: ValidatorInfo): Promise<void> {
  if (own.kind !== 0 || own.power >= 1n) return;
  const { index } = own;
  const none = '0x0000000000000000000000000000000000000000';
  await session.send(registry, 'bond', [index, none, plan.stake], plan.stake);
  session.report.say(`bonded ${coin(plan.stake)}: ${plan.stake / weiPerVote} votes`, { index });
}

async function getReady(session: Session, plan: JoinPlan, own: ValidatorInfo): Promise<boolean> {
  const { report, client } = session;
  const { index } = own;
  await bondIfNeeded(session, plan, own);
  const facts = await readNode(plan.node);
  if (facts.peerId !== plan.peerId || !facts.consensusKeys.includes(own.consensusKey)) {
    throw new UserError(
      EXIT.badData,
      `${plan.node.url} is another node: it has not the keys of this data directory; name the ` +
        'own node with --node URL',
    );
  }
  const reason = await whyNotSynced(plan.node, client);
  if (reason !== null) {
    report.say(`admitted; ${reason}; run this command again`, { index, waitsFor: 'sync' });
    return false;
  }
  const [top, height] = [BigInt(await client.call<string>('eth_blockNumber')), facts.height];
  const said = height < top ? height : top;
  const block = await client.call<{ hash: string }>(
    'eth_getBlockByNumber',
    `0x${said.toString(16)}`,
    false,
  );
  await session.send(registry, 'signalReady', [index, said, block.hash]);
  report.say(`said READY with block ${said}`, { index, ready: said });
  const membership = await session.membership();
  const now = membership.validators.find((one) => one.index === index) ?? own;
  if (now.status === STATUS.active) return tellActive(session, now, membership);
  report.say(`validator ${index} votes ${nextBoundary(membership)}`, { waitsFor: 'boundary' });
  return false;
}

async function waitForBoundary(
  session: Session,
  plan: JoinPlan,
  own: ValidatorInfo,
  membership: Membership,
): Promise<boolean> {
  // Said too long ago, it would not count at the boundary.
  if (membership.timestampMs - own.readyAtMs > readyAgeMsMax / 2) {
    return getReady(session, plan, own);
  }
  session.report.say(`validator ${own.index} is ready and votes ${nextBoundary(membership)}`, {
    index: own.index,
    waitsFor: 'boundary',
  });
  return false;
}

function tellActive(session: Session, own: ValidatorInfo, membership: Membership): boolean {
  const { index, inForce } = own;
  if (inForce === null) return false;
  const total = membership.validators.reduce((sum, one) => sum + (one.inForce?.power ?? 0n), 0n);
  session.report.say(
    `validator ${index} is in the set of epoch ${membership.epoch.number} with ` +
      `${inForce.power} of ${total} votes`,
    { index, epoch: membership.epoch.number, power: inForce.power, waitsFor: null },
  );
  return true;
}
