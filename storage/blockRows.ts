import type { BlockRecord } from '#src/chain/store.ts';
import { encodeHistoryEntry, type HistoryEntry } from '#src/history/history.ts';
import { concatBytes, uintToBytes } from '#src/lib/bytes.ts';
import { addressToBytes } from '#src/types/address.ts';
import { hashToBytes } from '#src/types/hash.ts';
import { encodeRlp } from '#src/types/rlp.ts';
import type { Change } from './shelf.ts';
import { stateRows } from './stateRows.ts';
import { encodeUndo } from './undo.ts';

/** All that one final block writes. */
export function blockRows(record: BlockRecord): Change[] {
  const out: Change[] = [];
  const { height, changes } = record;
  const at = heightKey(height);
  out.push({ table: 'blocks', key: at, value: record.block });
  out.push({ table: 'senders', key: at, value: record.senders });
  out.push({ table: 'heights', key: hashToBytes(record.hash), value: at });
  out.push({ table: 'receipts', key: at, value: encodeRlp(record.receipts) });
  for (const [index, hash] of record.transactions.entries()) {
    const place = placeOf(height, index);
    out.push({ table: 'transactions', key: hashToBytes(hash), value: place });
  }
  const seen = new Map<string, number>();
  for (const entry of record.history) {
    // One account may have two entries of one transaction, as the proposer that pays has.
    const place = `${entry.account}.${entry.index}`;
    const nth = seen.get(place) ?? 0;
    seen.set(place, nth + 1);
    out.push({ table: 'history', key: historyKey(entry, nth), value: encodeHistoryEntry(entry) });
  }
  stateRows(changes, out);
  if (record.nextEpoch !== null) {
    const { epoch, boundary, validators } = record.nextEpoch;
    const value = concatBytes(heightKey(boundary), validators);
    out.push({ table: 'epochs', key: uintToBytes(BigInt(epoch), 8), value });
  }
  out.push({ table: 'undo', key: at, value: encodeUndo(changes.before) });
  return out;
}

export function heightKey(height: bigint): Uint8Array {
  const key = new Uint8Array(8);
  viewOf(key).setBigUint64(0, height);
  return key;
}

function placeOf(height: bigint, index: number): Uint8Array {
  const place = new Uint8Array(12);
  viewOf(place).setBigUint64(0, height);
  viewOf(place).setUint32(8, index);
  return place;
}

function historyKey(entry: HistoryEntry, nth: number): Uint8Array {
  const { account, height, index } = entry;
  return concatBytes(addressToBytes(account), placeOf(height, index), uintToBytes(BigInt(nth), 4));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
