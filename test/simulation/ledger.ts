import type { Block, Floor } from '#consensus/core/types.ts';
import type { Hash } from '#src/types/hash.ts';
import type { Epoch, Height, View } from '#src/types/units.ts';

/** A payment of the simulation: an identity is all that agreement can get wrong about it. */
export type Payment = string;

export type SimContent = {
  readonly payments: readonly Payment[];
  /** Commits to everything paid so far, as a state root does. */
  readonly stateRoot: string;
};

export const genesis: Floor = {
  view: 0 as View,
  hash: digest('genesis') as Hash,
  height: 0n as Height,
  timestampMs: 0,
};
export const genesisRoot = digest('empty');

export function contentOf(block: Block): SimContent {
  return block.content as SimContent;
}

export function makeBlock(fields: {
  parent: Block | Floor;
  view: View;
  parentView: View;
  proposer: number;
  timestampMs: number;
  payments: readonly Payment[];
  parentRoot: string;
}): Block {
  const { parent, view, parentView, proposer, timestampMs, payments } = fields;
  const stateRoot = nextRoot(fields.parentRoot, payments);
  const text = [parent.hash, view, parentView, proposer, timestampMs, stateRoot].join('|');
  return {
    hash: digest(text) as Hash,
    parentHash: parent.hash,
    height: (parent.height + 1n) as Height,
    epoch: 0 as Epoch,
    view,
    parentView,
    proposer,
    timestampMs,
    transactions: payments.length,
    epochEnd: false,
    content: { payments, stateRoot } satisfies SimContent,
  };
}

export function nextRoot(parentRoot: string, payments: readonly Payment[]): string {
  return digest(`${parentRoot}|${payments.join(',')}`);
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
