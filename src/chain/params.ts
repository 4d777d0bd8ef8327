import type { HistoryEntry } from '#src/history/history.ts';
import type { LedgerRules } from '#src/ledger/rules.ts';
import type { StateChanges } from '#src/ledger/state/reader.ts';
import type { Block } from '#src/types/block.ts';
import type { Electorate } from '#src/types/electorate.ts';
import type { Hash } from '#src/types/hash.ts';

/** What a network's genesis fixes, in the form in which the chain uses it. */
export type ChainParams = {
  readonly chainId: bigint;
  readonly networkId: Hash;
  /** Of the parameters that every header repeats. */
  readonly paramsHash: Hash;
  readonly rules: LedgerRules;
  /** Of the first epoch. */
  readonly electorate: Electorate;
  readonly genesis: {
    readonly block: Block;
    readonly changes: StateChanges;
    readonly history: readonly HistoryEntry[];
  };
};
