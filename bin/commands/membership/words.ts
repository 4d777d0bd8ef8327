/** What the contracts' numbers, calls and errors mean, for people. */
import { toHex } from '#src/lib/bytes.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { currencyOf, formatTokenAmount } from '#src/types/currency.ts';
import { type Hash, parseHash } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import { printable } from '../../output.ts';
import { limitText, subjectText, TOKEN_SENTENCES } from '../currency/words.ts';
import { decodeCall, decodeError } from './contract.ts';
import type { Membership, ProposalInfo } from './registry.ts';

/** payments.md 2.1, rule 11: from the lowest bit. */
const ROLES = [
  ...['validator', 'verifier', 'issuer', 'access', 'channel', 'connection', 'fxp', 'supervisor'],
  ...['auditor', 'sponsor'],
];

const STATUSES = [
  ...['unknown', 'registered', 'approved', 'ready', 'active', 'leaving', 'inactive', 'slashed'],
];
const STATES = ['open', 'passed, waits', 'passed', 'executed', 'defeated', 'canceled'];
const MEMBER_STATUSES = ['unknown', 'active', 'suspended', 'removed'];

export function statusWord(status: number): string {
  return STATUSES[status] ?? `status ${status}`;
}

export function stateWord(state: number): string {
  return STATES[state] ?? `state ${state}`;
}

export function memberStatusWord(status: number): string {
  return MEMBER_STATUSES[status] ?? `status ${status}`;
}

export function rolesText(roles: bigint): string {
  const names = ROLES.filter((_, bit) => (roles >> BigInt(bit)) % 2n === 1n);
  return names.length === 0 ? 'none' : names.join(',');
}

/** Null where a name is none. */
export function parseRoles(text: string): bigint | null {
  let roles = 0n;
  for (const name of text.split(',')) {
    const bit = ROLES.indexOf(name.trim().toLowerCase());
    if (bit < 0) return null;
    roles |= 1n << BigInt(bit);
  }
  return roles;
}

export const roleNames = ROLES.join(', ');

export function coin(wei: bigint): string {
  return `${formatAmount(asWei(wei))} MPB`;
}

export function short(hex: string): string {
  return hex.length <= 14 ? hex : `${hex.slice(0, 10)}…`;
}

export function timeOf(unixSeconds: number): string {
  return new Date(unixSeconds * 1_000).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What the calls of a proposal would do. */
export function describeProposal({ calls }: ProposalInfo, membership: Membership): string[] {
  return calls.map(({ to, data }) => describeCall(to, data, membership));
}

function describeCall(to: `0x${string}`, data: string, { validators }: Membership): string {
  const call = decodeCall(to as never, data);
  if (call === null) return `call ${to} with ${short(data)}, which this program does not know`;
  const [first, second] = call.values;
  const validator = (index: unknown) => {
    const known = validators.find((one) => one.index === index);
    return `validator ${index}${known === undefined ? '' : ` of ${known.memberId}`}`;
  };
  const member = (id: unknown) => `member ${memberName(id)}`;
  switch (call.name) {
    case 'activateValidator':
      return `admit ${validator(first)}, once it says that it is ready`;
    case 'deactivateValidator':
      return `take ${validator(first)} out of the set`;
    case 'updateValidatorVotingPower':
      return `give ${validator(first)} ${second} votes`;
    case 'addMember': {
      const { memberId, admin, roles } = first as {
        memberId: string;
        admin: `0x${string}`;
        roles: bigint;
      };
      const may = rolesText(roles);
      return `admit ${member(memberId)}, admin ${formatAddress(admin as never)}, roles ${may}`;
    }
    case 'setRoles':
      return `give ${member(first)} the roles ${rolesText(second as bigint)}`;
    case 'setStatus':
      return `make ${member(first)} ${memberStatusWord(Number(second))}`;
    case 'setLimit': {
      const [subject, token, direction, unit, amount, count] = call.values as LimitValues;
      const whom = subjectText(subject);
      const way = direction === 0n ? 'out' : 'in';
      return `see to it that ${limitText({ whom, token, direction: way, unit, amount, count })}`;
    }
    case 'setFeeRate': {
      const [token, perGasE18] = call.values as readonly [Address, bigint];
      const amount = formatTokenAmount((perGasE18 * 1_000_000n) / 10n ** 18n);
      return `let a million gas cost ${amount} ${currencyOf(token)} (${formatAddress(token)})`;
    }
    case 'setAccountPermission':
      return `set the permission of account ${first} to ${second}`;
    default:
      return `${call.contract}.${call.name}(${call.values.map(spell).join(', ')})`;
  }
}

type LimitValues = readonly [Hash, Address, bigint, bigint, bigint, bigint];

/** Of a revert, from the error's bytes; null where they are no error that is known. */
/** `own`: of the contract that was called, where its errors mean something else. */
export function describeRevert(data: string, own: Sentences = {}): string | null {
  const error = decodeError(data);
  if (error === null) return null;
  const say = own[error.name] ?? SENTENCES[error.name];
  if (say !== undefined) return say(...error.values);
  return `${error.name}(${error.values.map(spell).join(', ')})`;
}

type Sentence = (...values: readonly unknown[]) => string;
export type Sentences = Readonly<Record<string, Sentence>>;

const SENTENCES: Sentences = {
  ...TOKEN_SENTENCES,
  NotAuthorized: (who) =>
    `the account ${who} may not do this: it needs the member's admin or operator, or a member ` +
    'that may vote',
  MemberNotActive: (id) => `member ${memberName(id)} is suspended or removed`,
  MissingRole: (role) => `the member lacks the role ${rolesText(role as bigint)}`,
  UnknownValidator: (index) => `there is no validator ${index}`,
  WrongStatus: (index, status) =>
    `validator ${index} is ${statusWord(Number(status))}: this cannot be done to it now`,
  InvalidAccount: (account) => `${account} cannot be used here`,
  InvalidIngress: () => 'the addresses should be like /ip4/192.0.2.1/tcp/30303, four at most',
  InvalidKey: () => 'this is no sound Ed25519 key',
  InvalidProof: () => 'the key has not signed for this operator on this network',
  KeyUsed: (key) => `the key ${short(spell(key))} was used before; each key is used once`,
  PeerTaken: (peer) => `the node ${peer} belongs to another validator`,
  TooManyRegistrations: (limit) => `a member may register ${limit} validators`,
  TooManyValidators: (limit) => `the set has at most ${limit} validators`,
  LastValidator: (index) => `validator ${index} is the last: without it nobody would decide`,
  PowerFollowsStake: (index) => `the votes of validator ${index} follow its stake`,
  PowerTooSmall: (index) => `validator ${index} would have less than one vote (1 MPB of stake)`,
  PowerTooLarge: () => 'more votes than can be counted',
  ShareTooLarge: (index, own, total) =>
    `validator ${index} would have ${own} of ${total} votes, a third or more: it could stop the ` +
    'network alone',
  InvalidHeight: (height, current) => `block ${height} is too old or to come (now ${current})`,
  StakeTooSmall: (index, stake) => `validator ${index} has ${coin(stake as bigint)} at stake`,
  StillInForce: (index) => `validator ${index} is in the set until the end of the epoch`,
  TooManyUnbondings: (limit) => `${limit} amounts wait already: withdraw what is due first`,
  NothingToWithdraw: (index) => `nothing of validator ${index} is due`,
  EvidenceOutOfTime: (epoch, current) => `epoch ${epoch} is too long ago (now ${current})`,
  AlreadyPunished: (index, epoch) => `validator ${index} was punished for epoch ${epoch} already`,
  NoFault: () => 'these two votes are no fault',
  BadSignature: () => 'a vote is not signed by this validator',
  UnknownProposal: (id) => `there is no proposal ${id}; see: mpbp vote list`,
  WrongState: (id, state) => `proposal ${id} is ${stateWord(Number(state))}`,
  VotingClosed: (id, end) => `voting on proposal ${id} ended ${timeOf(Number(end))}`,
  AlreadyVoted: (id, who) => `member ${memberName(who)} has voted on proposal ${id} already`,
  NotAVoterThen: (id, who) =>
    `member ${memberName(who)} may not vote on proposal ${id}: it joined after that was made`,
  CallFailed: (at, reason) => {
    const inner = describeRevert(spell(reason)) ?? spell(reason);
    return `call ${at} of the proposal fails: ${inner}`;
  },
  ItemFailed: (item, _code, reason) =>
    `payment ${Number(item) + 1} of the batch fails, and with it all: ` +
    `${describeRevert(spell(reason)) ?? spell(reason)}`,
  MemberExists: (id) => `there is a member ${memberName(id)} already`,
  UnknownMember: (id) => `there is no member ${memberName(id)}`,
  MemberRemoved: (id) => `member ${memberName(id)} was removed, for good`,
  TooManyMembers: (limit) => `there are ${limit} members already`,
  LastVotingMember: () => 'this is the last member that may vote',
  AccountTaken: (account, id) => `${account} is the account of member ${memberName(id)}`,
};

export function memberName(id: unknown): string {
  const hash = parseHash(String(id));
  return printable(hash === null ? String(id) : memberText(hash), 64);
}

function spell(value: unknown): string {
  return value instanceof Uint8Array ? toHex(value) : printable(String(value), 200);
}
