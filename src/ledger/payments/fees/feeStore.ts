/**
 * What FeeManager keeps: what a unit of gas costs in each currency, in which one an account wants to
 * pay, who pays for whom, and what was collected for each validator.
 *
 * Storage: 0 head, 1 rates, 2 payers, 3 sponsorships, 4 sponsoredCalls, 5 collected.
 */
import { feeRateBits, tokenAmountBits } from '#src/types/currency.ts';
import { FEE_MANAGER } from '../addresses.ts';
import { address, bool, fixedBytes, mapping, packed, storage, struct, uint } from '../storage.ts';

const amount = uint(tokenAmountBits);

export const fees = storage(FEE_MANAGER, {
  /** `isUsed`: whether anything below was ever set; where not, nobody has to look there. */
  head: packed({ isUsed: bool, sponsorships: uint(64) }),
  /** Base units of the token for a unit of gas, times 10^18; zero where it pays no fees. */
  rates: mapping(address, packed({ tokenPerGasE18: uint(feeRateBits), updatedAt: uint(48) })),
  payers: mapping(address, packed({ token: address, isSponsored: bool })),
  /** By user. A `remaining` of nothing is no sponsorship. */
  sponsorships: mapping(
    address,
    struct({
      by: packed({ sponsor: address, until: uint(48), isForAll: bool }),
      /** The zero address is the coin. */
      what: packed({ token: address, remaining: amount }),
      number: uint(64),
    }),
  ),
  /** By the number of a sponsorship: functions that it is for, where it is not for all. */
  sponsoredCalls: mapping(uint(64), mapping(fixedBytes(4), bool)),
  /** By fee recipient and token. */
  collected: mapping(address, mapping(address, amount)),
});
