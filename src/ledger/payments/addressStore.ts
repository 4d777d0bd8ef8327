/**
 * What AddressRegistry keeps, and what tokens ask of it: whose a virtual address is, and which
 * account a member vouches for.
 *
 * Storage: 0 masters, 1 aliases.
 */
import { type Address, isVirtualAddress, virtualParts, ZERO_ADDRESS } from '#src/types/address.ts';
import type { StateReader } from '../state/reader.ts';
import { ADDRESS_REGISTRY } from './addresses.ts';
import { address, bytes32, fixedBytes, mapping, packed, storage, struct, uint } from './storage.ts';

export const addressBook = storage(ADDRESS_REGISTRY, {
  /** Written once: what is paid to a virtual address is the same account's for ever. */
  masters: mapping(fixedBytes(4), address),
  aliases: mapping(
    bytes32,
    struct({
      /** `changes`: how often it was set; what was signed for one change is for no other. */
      head: packed({ account: address, changes: uint(64) }),
      hostingMemberId: bytes32,
    }),
  ),
});

/** Who gets what is paid to this address; null of a virtual one that nobody registered. */
export function recipientOf(state: StateReader, to: Address): Address | null {
  if (!isVirtualAddress(to)) return to;
  const master = addressBook.masters(virtualParts(to).masterId).get(state);
  return master === ZERO_ADDRESS ? null : master;
}
