import { assert } from '#src/lib/failure.ts';
import { type Soon, type Steps, wait, walk } from '#src/lib/steps.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import type { CallObserver } from './calls.ts';
import type { Applied, LedgerContext } from './rules.ts';
import { Overlay } from './state/overlay.ts';
import type { StateReader } from './state/reader.ts';
import { applyTransaction } from './transfer.ts';

/** What each came to is handed to `onApplied` before the next one begins. */
export type Replay = {
  /** Null for those that nobody watches. */
  observerOf(index: number): CallObserver | null;
  onApplied(index: number, applied: Applied): void;
};

/**
 * Runs the beginning of a final block again on its parent's state, by the function that made the
 * block: nothing happens in a block before its first transaction. Nothing is sealed, and nothing
 * stays. Throws what the state and the observers throw.
 */
export function replayTransactions(
  parent: StateReader,
  context: LedgerContext,
  transactions: readonly SignedTransaction[],
  replay: Replay,
): Soon<void> {
  return walk(replaying(new Overlay(parent), context, transactions, replay));
}

function* replaying(
  state: Overlay,
  context: LedgerContext,
  transactions: readonly SignedTransaction[],
  { observerOf, onApplied }: Replay,
): Steps<void> {
  for (const [index, transaction] of transactions.entries()) {
    const observer = observerOf(index);
    const own = observer === null ? context : { ...context, observer };
    // Its lane had room for it, or it were not in the block.
    const applied = yield* wait(applyTransaction(state, transaction, own, () => true));
    assert(applied.ok, 'what is in a final block can be included again');
    onApplied(index, applied.value);
  }
}
