import { memberStore } from '#src/ledger/payments/consortiumRegistry.ts';
import { governanceStore, proposalState } from '#src/ledger/payments/governance.ts';
import { valuesOf } from '#src/ledger/payments/storage.ts';
import { store } from '#src/ledger/payments/validatorStore.ts';
import { publicRecord } from '#src/ledger/payments/validatorViews.ts';
import { trimSlot } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateReader } from '#src/ledger/state/reader.ts';
import { toHex } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { hashToBytes } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import type { Backend } from '../backend.ts';
import { quantity } from '../formats.ts';

/** Of what was ever proposed, the newest. */
const proposalsMax = 64;

/**
 * Who belongs to the consortium, who decides, and what waits for a vote or for the boundary of an
 * epoch: what `mpbp validator`, `mpbp vote` and `mpbp member` show, read from one final block.
 */
export function membership(backend: Backend): unknown {
  const { height, consensus } = backend.head.header;
  const past = backend.stateAt(height);
  assert(past !== null, 'the state of the head is kept');
  const state: StateReader = {
    ...emptyState,
    slot: (address, key) => trimSlot(past.slot(address, new Uint8Array(Buffer.from(key, 'hex')))),
  };
  const now = BigInt(Math.floor(consensus.timestampMs / 1_000));
  return {
    blockNumber: quantity(height),
    timestampMs: quantity(consensus.timestampMs),
    epoch: epoch(state),
    governance: {
      voters: quantity(memberStore.voters.get(state)),
      voteSeconds: quantity(governanceStore.voteSeconds.get(state)),
      delaySeconds: quantity(governanceStore.delaySeconds.get(state)),
      unbondingSeconds: quantity(store.unbondingSeconds.get(state)),
    },
    members: members(state),
    validators: validators(state),
    proposals: proposals(state, now),
  };
}

function epoch(state: StateReader) {
  const number = store.epoch.get(state);
  const start = store.epochs(number).startHeight.get(state);
  const blocksMin = store.epochBlocksMin.get(state);
  return {
    number: quantity(number),
    startBlock: quantity(start),
    blocksMin: quantity(blocksMin),
    /** The first block that may be the last of the epoch. */
    endBlockMin: quantity(start + blocksMin),
  };
}

function members(state: StateReader) {
  return valuesOf(memberStore.memberIds, state).map((id) => {
    const { name, admin, roles, status } = memberStore.members(id).get(state);
    const fields = { admin, roles: quantity(roles), status: quantity(status) };
    return { memberId: memberText(id), id, name, ...fields };
  });
}

function validators(state: StateReader) {
  const count = Number(store.count.get(state));
  return Array.from({ length: count }, (_, at) => {
    const index = BigInt(at);
    const record = publicRecord(state, index);
    const { inForce, isQueued, readyHeight, readyAtMs } = store.validators(index).get(state);
    const waiting = store.unbondings(index);
    const unbondings = Array.from({ length: waiting.length(state) }, (_, place) => {
      const { amount, withdrawableAt } = waiting.at(place).get(state);
      return { amount: quantity(amount), withdrawableAt: quantity(withdrawableAt) };
    });
    const { power, publicKey, peerId, feeRecipient } = inForce;
    return {
      index: quantity(index),
      memberId: memberText(record.memberId),
      operator: record.operator,
      kind: quantity(record.kind),
      status: quantity(record.status),
      power: quantity(record.votingPower),
      stake: quantity(record.stake),
      consensusKey: toHex(record.publicKey),
      feeRecipient: record.feeRecipient,
      ingress: record.ingress,
      /** What it is in this epoch; null outside the set. */
      inForce:
        power === 0n
          ? null
          : {
              ...{ power: quantity(power), consensusKey: toHex(hashToBytes(publicKey)) },
              ...{ peerId, feeRecipient },
            },
      isQueued,
      readyBlock: quantity(readyHeight),
      readyAtMs: quantity(readyAtMs),
      unbondings,
    };
  });
}

function proposals(state: StateReader, now: bigint) {
  const last = Number(governanceStore.count.get(state));
  const first = Math.max(0, last - proposalsMax);
  const memberIds = valuesOf(memberStore.memberIds, state);
  return Array.from({ length: last - first }, (_, at) => {
    const id = BigInt(first + at + 1);
    const view = governanceStore.proposals(id);
    const ballots = governanceStore.ballots(id);
    const votes = memberIds.flatMap((memberId) => {
      const support = ballots(memberId).get(state);
      const voter = memberText(memberId);
      return support === 0n ? [] : [{ memberId: voter, support: quantity(support - 1n) }];
    });
    const calldatas = valuesOf(view.calldatas, state);
    const calls = valuesOf(view.targets, state).map((to, place) => ({
      to,
      data: toHex(calldatas[place] ?? new Uint8Array(0)),
    }));
    return {
      id: quantity(id),
      proposer: memberText(view.proposer.get(state)),
      state: quantity(proposalState(state, id, now)),
      needed: quantity((2n * view.voters.get(state)) / 3n + 1n),
      voteEnd: quantity(view.voteEnd.get(state)),
      executableAt: quantity(view.executableAt.get(state)),
      description: view.description.get(state),
      ...{ votes, calls },
    };
  });
}
