import type { SlotKey, StateReader } from '#src/ledger/state/reader.ts';
import type { Undo } from './store.ts';

/** The newest state with the changes of some blocks taken back, the oldest of them first. */
export function pastState(newest: StateReader, undos: readonly Undo[]): StateReader {
  return {
    account: (address) => {
      for (const { accounts } of undos) {
        const before = accounts.get(address);
        if (before !== undefined) return before;
      }
      return newest.account(address);
    },
    slot: (address, key: SlotKey) => {
      for (const { slots } of undos) {
        const before = slots.get(address)?.get(key);
        if (before !== undefined) return before;
      }
      return newest.slot(address, key);
    },
    code: (hash) => newest.code(hash),
    trieNode: () => null,
  };
}
