/**
 * Governance, 0x4d5042…0003: the members decide, one vote each, by more than two thirds of all who
 * may vote (payments.md 2.3). A proposal is a list of calls that this contract makes as itself once
 * it has passed: all of them, or none.
 *
 * How many may vote is counted when a proposal is made, and only who could vote before then may
 * vote on it. Tracks 0 and 1 are alike; the emergency track comes with what it is to guard.
 *
 * Storage: 0 count and settings, 1 proposals, 2 ballots. Slashed stake collects on this account.
 */
import { parseAbi } from 'abitype';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { StateReader } from '../state/reader.ts';
import { GOVERNANCE } from './addresses.ts';
import {
  type Call,
  commonErrors,
  defineContract,
  errorsOf,
  eventsOf,
  long,
  Revert,
} from './contract.ts';
import { isVoter, standingOf, votersIn, votesSince } from './memberStore.ts';
import {
  address,
  array,
  bool,
  bytes,
  bytes32,
  mapping,
  setValues,
  storage,
  string,
  struct,
  uint,
  valuesOf,
} from './storage.ts';

/** `state` of the ABI. */
const STATE = {
  open: 0n,
  waiting: 1n,
  executable: 2n,
  executed: 3n,
  defeated: 4n,
  canceled: 5n,
} as const;

const VOTE = { against: 0n, for: 1n, abstain: 2n } as const;
const ORDINARY_TRACKS = 2n;

const callsMax = 16;
const callBytesMax = 8 * 1024;
const descriptionCharsMax = 1024;
/** Storing a word, and calling. */
const GAS_PER_WORD = 2_500n;
const GAS_PER_CALL = 10_000n;

const abi = parseAbi([
  long(
    'function propose(address[] targets, bytes[] calldatas, uint8 track, string description)',
    'returns (uint256 proposalId)',
  ),
  'function castVote(uint256 proposalId, uint8 support, bytes32 reasonHash)',
  'function execute(uint256 proposalId)',
  'function cancel(uint256 proposalId)',
  'function ratify(uint256 proposalId)',
  'function state(uint256 proposalId) view returns (uint8)',
  long(
    'function proposalVotes(uint256 proposalId) view returns (uint256 againstVotes, uint256',
    'forVotes, uint256 abstainVotes, uint256 quorum)',
  ),
  long(
    'event ProposalCreated(uint256 indexed proposalId, bytes32 indexed proposerMemberId,',
    'uint8 track, address[] targets, bytes[] calldatas, uint48 voteEnd, uint48 executableAt,',
    'string description)',
  ),
  long(
    'event VoteCast(uint256 indexed proposalId, bytes32 indexed memberId, uint8 support,',
    'uint256 weight, bytes32 reasonHash)',
  ),
  'event ProposalExecuted(uint256 indexed proposalId)',
  'event ProposalCanceled(uint256 indexed proposalId)',
  'event EmergencyApplied(uint256 indexed proposalId, uint48 lapsesAt)',
  'event EmergencyLapsed(uint256 indexed proposalId)',
  'error NotAuthorized(address caller)',
  'error TrackNotSupported(uint8 track)',
  'error InvalidCalls(uint256 targets, uint256 calldatas, uint256 limit)',
  'error CallTooLong(uint256 index, uint256 length, uint256 limit)',
  'error NotGoverned(uint256 index, address target)',
  'error DescriptionTooLong(uint256 length, uint256 limit)',
  'error UnknownProposal(uint256 proposalId)',
  'error WrongState(uint256 proposalId, uint8 state)',
  'error VotingClosed(uint256 proposalId, uint48 voteEnd)',
  'error InvalidSupport(uint8 support)',
  'error AlreadyVoted(uint256 proposalId, bytes32 memberId)',
  'error NotAVoterThen(uint256 proposalId, bytes32 memberId)',
  'error CallFailed(uint256 index, bytes reason)',
  ...commonErrors,
]);

const store = storage(GOVERNANCE, {
  count: uint(64),
  voteSeconds: uint(48),
  delaySeconds: uint(48),
  proposals: mapping(
    uint(256),
    struct({
      proposer: bytes32,
      voteEnd: uint(48),
      /** 0 until it has passed. */
      executableAt: uint(48),
      height: uint(64),
      track: uint(8),
      isExecuted: bool,
      isCanceled: bool,
      voters: uint(64),
      against: uint(64),
      for: uint(64),
      abstain: uint(64),
      targets: array(address),
      calldatas: array(bytes),
      description: string,
    }),
  ),
  /** 1 + support; 0 where a member has not voted. */
  ballots: mapping(uint(256), mapping(bytes32, uint(8))),
});

export { stateOf as proposalState, store as governanceStore };

const fail = errorsOf(abi);
const log = eventsOf(GOVERNANCE, abi);

export const governance = defineContract({
  name: 'Governance',
  address: GOVERNANCE,
  abi,
  functions: {
    propose: {
      gas: 100_000n,
      run: (call, targets, calldatas, track, description) => {
        const { state, now, block } = call;
        const memberId = voter(call);
        if (track >= ORDINARY_TRACKS) throw fail('TrackNotSupported', track);
        needGoverned(call, targets, calldatas);
        if (description.length > descriptionCharsMax) {
          const length = BigInt(description.length);
          throw fail('DescriptionTooLong', length, BigInt(descriptionCharsMax));
        }
        call.spend(GAS_PER_WORD * BigInt(Math.ceil(description.length / 32)));
        const id = store.count.get(state) + 1n;
        store.count.set(state, id);
        const voteEnd = now + store.voteSeconds.get(state);
        const proposal = store.proposals(id);
        proposal.proposer.set(state, memberId);
        proposal.voteEnd.set(state, voteEnd);
        proposal.height.set(state, block.height);
        proposal.track.set(state, track);
        proposal.voters.set(state, votersIn(state));
        setValues(proposal.targets, state, targets, targets[0] ?? GOVERNANCE);
        setValues(proposal.calldatas, state, calldatas, new Uint8Array(0));
        proposal.description.set(state, description);
        const earliest = now + store.delaySeconds.get(state);
        const calls = [targets, calldatas] as const;
        const times = [voteEnd, earliest] as const;
        call.emit(log('ProposalCreated', id, memberId, track, ...calls, ...times, description));
        return id;
      },
    },
    castVote: {
      gas: 50_000n,
      run: (call, id, support, reasonHash) => {
        const { state, now } = call;
        const memberId = voter(call);
        const proposal = known(state, id);
        needState(call, id, STATE.open, STATE.waiting, STATE.executable, STATE.defeated);
        const voteEnd = proposal.voteEnd.get(state);
        if (now > voteEnd) throw fail('VotingClosed', id, voteEnd);
        if (support > VOTE.abstain) throw fail('InvalidSupport', support);
        if (votesSince(state, memberId) >= proposal.height.get(state)) {
          throw fail('NotAVoterThen', id, memberId);
        }
        const ballot = store.ballots(id)(memberId);
        if (ballot.get(state) !== 0n) throw fail('AlreadyVoted', id, memberId);
        ballot.set(state, support + 1n);
        const counter = [proposal.against, proposal.for, proposal.abstain][Number(support)];
        counter?.set(state, counter.get(state) + 1n);
        const passed = 3n * proposal.for.get(state) > 2n * proposal.voters.get(state);
        if (passed && proposal.executableAt.get(state) === 0n) {
          proposal.executableAt.set(state, now + store.delaySeconds.get(state));
        }
        call.emit(log('VoteCast', id, memberId, support, 1n, reasonHash));
      },
    },
    execute: {
      gas: 30_000n,
      run: (call, id) => {
        const { state } = call;
        if (standingOf(state, call.sender).roles === 0n) throw fail('NotAuthorized', call.sender);
        const proposal = known(state, id);
        needState(call, id, STATE.executable);
        proposal.isExecuted.set(state, true);
        const targets = valuesOf(proposal.targets, state);
        const calldatas = valuesOf(proposal.calldatas, state);
        for (const [at, target] of targets.entries()) {
          call.spend(GAS_PER_CALL);
          try {
            call.invoke(target, calldatas[at] ?? new Uint8Array(0));
          } catch (error) {
            if (!(error instanceof Revert)) throw error;
            throw fail('CallFailed', BigInt(at), error.data);
          }
        }
        call.emit(log('ProposalExecuted', id));
      },
    },
    cancel: {
      gas: 30_000n,
      run: (call, id) => {
        const { state } = call;
        const memberId = voter(call);
        const proposal = known(state, id);
        if (proposal.proposer.get(state) !== memberId) throw fail('NotAuthorized', call.sender);
        needState(call, id, STATE.open, STATE.waiting, STATE.executable);
        proposal.isCanceled.set(state, true);
        call.emit(log('ProposalCanceled', id));
      },
    },
    ratify: {
      gas: 10_000n,
      run: ({ state }, id) => {
        throw fail('TrackNotSupported', known(state, id).track.get(state));
      },
    },
    state: { gas: 5_000n, run: ({ state, now }, id) => stateOf(state, id, now) },
    proposalVotes: {
      gas: 5_000n,
      run: ({ state }, id) => {
        const proposal = known(state, id);
        const { against, abstain, voters } = proposal;
        const votes = [against, proposal.for, abstain].map((count) => count.get(state));
        const [no = 0n, yes = 0n, neither = 0n] = votes;
        return [no, yes, neither, (2n * voters.get(state)) / 3n + 1n] as const;
      },
    },
  },
});

/** Genesis. */
export const governanceSettings = {
  voteSeconds: store.voteSeconds,
  delaySeconds: store.delaySeconds,
} as const;

// --- the checks ----------------------------------------------------------------------------------

/** The member for which the caller votes: it is active and validates or verifies, and so may he. */
function voter({ state, sender }: Call): Hash {
  const standing = standingOf(state, sender);
  if (!isVoter(standing)) throw fail('NotAuthorized', sender);
  return standing.memberId;
}

function needGoverned(
  call: Call,
  targets: readonly Address[],
  calldatas: readonly Uint8Array[],
): void {
  const count = targets.length;
  if (count < 1 || count > callsMax || calldatas.length !== count) {
    throw fail('InvalidCalls', BigInt(count), BigInt(calldatas.length), BigInt(callsMax));
  }
  for (const [at, target] of targets.entries()) {
    const data = calldatas[at] ?? new Uint8Array(0);
    if (data.length > callBytesMax) {
      throw fail('CallTooLong', BigInt(at), BigInt(data.length), BigInt(callBytesMax));
    }
    call.spend(GAS_PER_CALL + GAS_PER_WORD * BigInt(Math.ceil(data.length / 32)));
    if (!call.isGoverned(target, data)) throw fail('NotGoverned', BigInt(at), target);
  }
}

function known(state: StateReader, id: bigint): ReturnType<typeof store.proposals> {
  const proposal = store.proposals(id);
  if (proposal.proposer.get(state) === ZERO_HASH) throw fail('UnknownProposal', id);
  return proposal;
}

function needState({ state, now }: Call, id: bigint, ...allowed: readonly bigint[]): void {
  const current = stateOf(state, id, now);
  if (!allowed.includes(current)) throw fail('WrongState', id, current);
}

function stateOf(state: StateReader, id: bigint, now: bigint): bigint {
  const proposal = known(state, id);
  if (proposal.isExecuted.get(state)) return STATE.executed;
  if (proposal.isCanceled.get(state)) return STATE.canceled;
  const executableAt = proposal.executableAt.get(state);
  if (executableAt > 0n) return now < executableAt ? STATE.waiting : STATE.executable;
  return now > proposal.voteEnd.get(state) ? STATE.defeated : STATE.open;
}
