/** The consortium as `mpbp_getMembership` tells it, with numbers as numbers. */
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Address } from '#src/types/address.ts';
import { type Ingress, parseIngress } from '#src/types/peerId.ts';
import type { Client } from '../../client.ts';

export type MemberInfo = {
  readonly memberId: string;
  /** As contracts have it. */
  readonly id: string;
  readonly name: string;
  readonly admin: Address;
  readonly roles: bigint;
  readonly status: number;
};

export type ValidatorInfo = {
  readonly index: bigint;
  readonly memberId: string;
  readonly operator: Address;
  /** 0 by stake, 1 by the members' vote. */
  readonly kind: number;
  readonly status: number;
  readonly power: bigint;
  readonly stake: bigint;
  readonly consensusKey: string;
  readonly feeRecipient: Address;
  readonly ingress: Ingress | null;
  readonly inForce: { readonly power: bigint; readonly consensusKey: string } | null;
  readonly isQueued: boolean;
  readonly readyAtMs: number;
  readonly unbondings: readonly { readonly amount: bigint; readonly withdrawableAt: number }[];
};

export type ProposalInfo = {
  readonly id: bigint;
  readonly proposer: string;
  readonly state: number;
  readonly needed: number;
  readonly voteEnd: number;
  readonly executableAt: number;
  readonly description: string;
  readonly votes: readonly { readonly memberId: string; readonly support: number }[];
  readonly calls: readonly { readonly to: Address; readonly data: string }[];
};

export type Membership = {
  readonly height: bigint;
  readonly timestampMs: number;
  readonly epoch: { readonly number: bigint; readonly endBlockMin: bigint };
  readonly governance: {
    readonly voters: number;
    readonly delaySeconds: number;
    readonly unbondingSeconds: number;
  };
  readonly members: readonly MemberInfo[];
  readonly validators: readonly ValidatorInfo[];
  readonly proposals: readonly ProposalInfo[];
};

/** `status` of a member and of a validator, `state` of a proposal, in the contracts' numbers. */
export const MEMBER = { active: 1, suspended: 2, removed: 3 } as const;
export const STATUS = {
  registered: 1,
  approved: 2,
  ready: 3,
  active: 4,
  leaving: 5,
  inactive: 6,
  slashed: 7,
} as const;
export const PROPOSAL = {
  open: 0,
  waiting: 1,
  executable: 2,
  executed: 3,
  defeated: 4,
  canceled: 5,
} as const;
export const SUPPORT = { no: 0, yes: 1, abstain: 2 } as const;

type Quantities<T> = {
  [K in keyof T]: T[K] extends bigint | number ? string : T[K];
};
type Raw = {
  blockNumber: string;
  timestampMs: string;
  epoch: Quantities<Membership['epoch']>;
  governance: Quantities<Membership['governance']>;
  members: Quantities<MemberInfo>[];
  validators: (Omit<
    Quantities<ValidatorInfo>,
    'ingress' | 'inForce' | 'unbondings' | 'isQueued'
  > & {
    ingress: string;
    isQueued: boolean;
    inForce: { power: string; consensusKey: string } | null;
    unbondings: { amount: string; withdrawableAt: string }[];
  })[];
  proposals: (Omit<Quantities<ProposalInfo>, 'votes'> & {
    votes: { memberId: string; support: string }[];
  })[];
};

export async function readMembership(client: Client): Promise<Membership> {
  const raw = await client.call<Raw>('mpbp_getMembership');
  const { epoch, governance } = raw;
  return {
    height: BigInt(raw.blockNumber),
    timestampMs: Number(raw.timestampMs),
    epoch: { number: BigInt(epoch.number), endBlockMin: BigInt(epoch.endBlockMin) },
    governance: {
      voters: Number(governance.voters),
      delaySeconds: Number(governance.delaySeconds),
      unbondingSeconds: Number(governance.unbondingSeconds),
    },
    members: raw.members.map((member) => ({
      ...member,
      roles: BigInt(member.roles),
      status: Number(member.status),
    })),
    validators: raw.validators.map(validatorFrom),
    proposals: raw.proposals.map((proposal) => ({
      ...proposal,
      id: BigInt(proposal.id),
      state: Number(proposal.state),
      needed: Number(proposal.needed),
      voteEnd: Number(proposal.voteEnd),
      executableAt: Number(proposal.executableAt),
      votes: proposal.votes.map(({ memberId, support }) => ({
        memberId,
        support: Number(support),
      })),
    })),
  };
}

function validatorFrom(raw: Raw['validators'][number]): ValidatorInfo {
  const { inForce } = raw;
  return {
    ...raw,
    index: BigInt(raw.index),
    kind: Number(raw.kind),
    status: Number(raw.status),
    power: BigInt(raw.power),
    stake: BigInt(raw.stake),
    ingress: parseIngress(raw.ingress),
    inForce: inForce === null ? null : { ...inForce, power: BigInt(inForce.power) },
    readyAtMs: Number(raw.readyAtMs),
    unbondings: raw.unbondings.map(({ amount, withdrawableAt }) => ({
      amount: BigInt(amount),
      withdrawableAt: Number(withdrawableAt),
    })),
  };
}

/** The validator by its number, or the only one of a member. */
export function pickValidator(
  { validators }: Membership,
  memberId: string | null,
  index: number | null,
): ValidatorInfo {
  if (index !== null) {
    const found = validators.find((validator) => validator.index === BigInt(index));
    if (found !== undefined) return found;
    throw new UserError(EXIT.usage, `there is no validator ${index}; see: mpbp validator list`);
  }
  const own = validators.filter((validator) => validator.memberId === memberId);
  const [only, second] = own;
  if (only !== undefined && second === undefined) return only;
  const which = own.map((validator) => validator.index).join(', ');
  throw new UserError(
    EXIT.usage,
    only === undefined
      ? `member ${memberId ?? '(none)'} has no validator; register one: mpbp validator join`
      : `member ${memberId} has validators ${which}: say which with --index`,
  );
}

/** How long until a block: while a change waits, blocks come at least this often. */
const blockSeconds = 0.2;

/** `at the end of epoch 3, at the earliest at block 40, about 2 s from now`. */
export function nextBoundary({ height, epoch }: Membership): string {
  const earliest = epoch.endBlockMin > height ? epoch.endBlockMin : height + 1n;
  const seconds = Math.max(1, Math.ceil(Number(earliest - height) * blockSeconds));
  return (
    `at the end of epoch ${epoch.number}, at the earliest with block ${earliest} ` +
    `(about ${seconds} s from now)`
  );
}

/** When what was just asked for a validator counts; its block may have been the epoch's last. */
export function whenItCounts(membership: Membership, index: bigint): string {
  const own = membership.validators.find((one) => one.index === index);
  if (own === undefined || own.isQueued) return nextBoundary(membership);
  return `from now on: epoch ${membership.epoch.number} has begun with it`;
}
