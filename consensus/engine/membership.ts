import { makeSchedule } from '#consensus/core/schedule.ts';
import type { AbstainReason, CoreOptions, Timing } from '#consensus/core/types.ts';
import { bytesEqual } from '#src/lib/bytes.ts';
import type { Log } from '#src/lib/log.ts';
import type { Epoch, View } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { type Abstention, mattersIn } from './journal.ts';
import type { Signer } from './ports.ts';

/** Which validator of an epoch this node is, if any, and with which key. */
export function membershipOf(
  { epoch, set }: { readonly epoch: Epoch; readonly set: ValidatorSet },
  options: {
    readonly networkId: Uint8Array;
    readonly timing: Timing;
    readonly unfinalizedMax: number;
    readonly signers: readonly Signer[];
    readonly journal: { readonly isAccepted: boolean; readonly seqMin: number };
  },
  journal: {
    readonly abstention: Abstention | null;
    signFrom(epoch: Epoch, chainSeq: number): View;
  },
): { core: CoreOptions; signer: Signer | null } {
  const { networkId, timing, unfinalizedMax, signers } = options;
  let me: number | null = null;
  let signer: Signer | null = null;
  for (const [index, { consensusKey }] of set.validators.entries()) {
    const mine = signers.find(({ publicKey }) => bytesEqual(publicKey, consensusKey));
    if (mine === undefined) continue;
    me = index;
    signer = mine;
  }
  const { abstention } = journal;
  const whole = options.journal.isAccepted ? 'accepted' : 'sound';
  const record = abstention === 'until recalled' ? 'lost' : whole;
  if (record !== 'lost' && abstention !== null && mattersIn(abstention, epoch)) me = null;
  const schedule = makeSchedule(set, epoch, networkId);
  const signFrom = journal.signFrom(epoch, options.journal.seqMin);
  return { core: { epoch, set, me, timing, unfinalizedMax, schedule, record, signFrom }, signer };
}

const REMEDY =
  'if another process has this key, stop it; the node signs again two epochs from now, and ' +
  'mpbp validator rotate brings epochs and a new key; see docs/consensus.md';

export function warnOfAbstention(log: Log, why: AbstainReason, epoch: Epoch): void {
  const what =
    why === 'unknown-vote'
      ? 'a vote with our key that this node did not cast: it signs no more, for now'
      : 'consensus journal lost: this node signs nothing, for now';
  log.error(what, { epoch, remedy: REMEDY });
}

export function warnOfLostJournal(log: Log, journal: number, chain: number): void {
  // Signing after forgetting what was signed is how honest validators double-sign.
  log.error('consensus journal lost, or older than the chain: this node follows', {
    journal,
    chain,
    remedy: REMEDY,
  });
}
