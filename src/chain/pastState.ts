import type { SlotKey, StateReader } from '#src/ledger/state/reader.ts';
import { asHeight, type Height } from '#src/types/units.ts';
import type { HeldStore, Undo } from './store.ts';

/** A store, held or not, with what leads back from its newest state. */
export type Past = Omit<HeldStore, 'close'>;

/** The state after a final block; null where neither the window nor an archive has it. */
export function stateAfter(past: Past, height: Height): StateReader | null {
  if (height > past.height || height < 0n) return null;
  if (height === past.height) return past.state;
  const undos = undosSince(past, height);
  return undos === null ? past.archived(height) : pastState(past.state, undos);
}

/** How to take back all that followed a block, the oldest first; null beyond the window. */
export function undosSince(past: Past, height: Height): Undo[] | null {
  const undos: Undo[] = [];
  for (let h = height + 1n; h <= past.height; h++) {
    const undo = past.undo(asHeight(h));
    if (undo === null) return null;
    undos.push(undo);
  }
  return undos;
}

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
