import { decodeRlp, isRlpList, type RlpItem } from '#src/types/rlp.ts';
import { DamageError } from './shelf.ts';

/** Of values whose checksum held; another shape means that this program did not write them. */
export function listOf(item: RlpItem | undefined): readonly RlpItem[] {
  const decoded = item instanceof Uint8Array ? decodeRlp(item, item.length) : null;
  const value = decoded === null ? item : decoded.ok ? decoded.value : undefined;
  if (!isRlpList(value)) throw new DamageError('a stored list is not one');
  return value;
}

export function bytesOf(item: RlpItem | undefined): Uint8Array {
  if (!(item instanceof Uint8Array)) throw new DamageError('a stored string is not one');
  return item;
}
