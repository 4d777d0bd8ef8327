import type { Block, Floor } from '#consensus/core/types.ts';
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, Height, Stake, View } from '#src/types/units.ts';
import { makeValidatorSet, type ValidatorSet } from '#src/types/validatorSet.ts';
import { applyDeeds, type Money } from './money.ts';

/**
 * A payment of the simulation: an identity is all that agreement can get wrong about it. One that
 * begins with `#` changes the validators: `#join:identity:stake:nonce`, `#stake:…`, `#leave:…`,
 * `#rotate:…`. What comes after a `$` moves money (money.ts).
 */
export type Payment = string;

/** A validator: who it is, and which of its keys it votes with. */
export type Member = {
  readonly identity: number;
  readonly generation: number;
  readonly stake: bigint;
};

/** Everything that follows from the chain up to a block. */
export type SimState = {
  /** Commits to everything paid so far, as a state root does. */
  readonly root: string;
  /** Of the epoch of the next block. */
  readonly members: readonly Member[];
  readonly pending: readonly Payment[];
  readonly money: Money;
  readonly epoch: number;
  readonly epochStart: bigint;
};

export type SimContent = { readonly payments: readonly Payment[]; readonly stateRoot: string };

/** Few, so that many epochs fit into a simulated second. */
export const epochBlocksMin = 3n;

export const genesis: Floor = {
  view: 0 as View,
  hash: digest('genesis') as Hash,
  height: 0n as Height,
  timestampMs: 0,
};

export function genesisState(members: readonly Member[]): SimState {
  const money = null;
  return { root: digest('empty'), members, pending: [], money, epoch: 0, epochStart: 1n };
}

export function contentOf(block: Block): SimContent {
  return block.content as SimContent;
}

export function applyPayments(
  state: SimState,
  height: bigint,
  payments: readonly Payment[],
): { state: SimState; epochEnd: boolean } {
  const { money, results } = applyDeeds(state.money, height, payments);
  const root = digest(`${state.root}|${payments.join(',')}${results}`);
  const pending = [...state.pending, ...payments.filter((payment) => payment.startsWith('#'))];
  const isDue = pending.length > 0 && height >= state.epochStart + epochBlocksMin;
  if (!isDue) return { state: { ...state, root, pending, money }, epochEnd: false };
  let members = state.members;
  for (const change of pending) members = changed(members, change);
  if (spellMembers(members) === spellMembers(state.members)) {
    return { state: { ...state, root, pending: [], money }, epochEnd: false };
  }
  const { epoch } = state;
  const next = { root: digest(`${root}|${spellMembers(members)}`), members, pending: [], money };
  return { state: { ...next, epoch: epoch + 1, epochStart: height + 1n }, epochEnd: true };
}

/** A change that makes no sense changes nothing. */
function changed(members: readonly Member[], payment: Payment): readonly Member[] {
  const [kind, who, amount] = payment.slice(1).split(':');
  const identity = Number(who);
  const at = members.find((member) => member.identity === identity);
  const others = members.filter((member) => member !== at);
  if (kind === 'join' && at === undefined) {
    return [...members, { identity, generation: 0, stake: BigInt(amount ?? 1) }];
  }
  if (at === undefined) return members;
  if (kind === 'leave') return others.length > 0 ? others : members;
  if (kind === 'stake') return [...others, { ...at, stake: BigInt(amount ?? 1) }];
  return [...others, { ...at, generation: at.generation + 1 }];
}

function spellMembers(members: readonly Member[]): string {
  return members
    .map(({ identity, generation, stake }) => `${identity}.${generation}.${stake}`)
    .sort()
    .join(',');
}

/** The key of a generation: it does not sort like the identities, so that positions change. */
export function keyOf({ identity, generation }: Member): Uint8Array {
  const key = new Uint8Array(32);
  key[0] = (identity * 37 + generation * 101 + 11) & 0xff;
  key[1] = identity;
  key[2] = generation;
  return key;
}

export function setOf(members: readonly Member[]): ValidatorSet {
  return makeValidatorSet(
    members.map((member) => {
      const address = `0x${member.identity.toString(16).padStart(40, '0')}` as Address;
      return {
        consensusKey: keyOf(member),
        peerId: `v${member.identity}`,
        stake: member.stake as Stake,
        memberId: `member-${member.identity}`,
        operator: address,
        feeRecipient: address,
      };
    }),
  );
}

export function makeBlock(fields: {
  parent: Pick<Block, 'hash' | 'height'>;
  view: View;
  parentView: View;
  proposer: number;
  timestampMs: number;
  payments: readonly Payment[];
  parentState: SimState;
}): { block: Block; state: SimState } {
  const { parent, view, parentView, proposer, timestampMs, payments, parentState } = fields;
  const height = (parent.height + 1n) as Height;
  const { state, epochEnd } = applyPayments(parentState, height, payments);
  const { epoch } = parentState;
  const stateRoot = state.root;
  const text = [parent.hash, epoch, view, parentView, proposer, timestampMs, stateRoot].join('|');
  const block: Block = {
    hash: digest(text) as Hash,
    parentHash: parent.hash,
    height,
    epoch: epoch as Epoch,
    view,
    parentView,
    proposer,
    timestampMs,
    transactions: payments.length,
    epochEnd,
    content: { payments, stateRoot } satisfies SimContent,
  };
  return { block, state };
}

/** Two 53-bit multiplicative mixes (after cyrb53): collisions do not happen at this scale. */
function digest(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  // Four times, so that it is as long as a real hash.
  const half = (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
  return `0x${half.repeat(4)}`;
}
