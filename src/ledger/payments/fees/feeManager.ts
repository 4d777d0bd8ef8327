/**
 * FeeManager, 0x4d5042…0004 (payments.md 2.3): fees in a currency, and fees that somebody else pays,
 * without a special transaction. What a transaction pays is found in `ledger/fees.ts`; what was paid
 * in a currency waits here for the validator that made the block, so that no policy of a token can
 * stop a block.
 */
import { parseAbi } from 'abitype';
import { type Address, isReservedAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { feeRateMax, tokenAmountMax } from '#src/types/currency.ts';
import { COIN_ADDRESS, FEE_MANAGER, GOVERNANCE } from '../addresses.ts';
import { type Call, commonErrors, defineContract, errorsOf, eventsOf, long } from '../contract.ts';
import { ROLE, standingOf } from '../memberStore.ts';
import { tokenErrors } from '../tokens/tokenAbi.ts';
import { checkReceiver, headOf, move } from '../tokens/tokenStore.ts';
import { fees } from './feeStore.ts';

const abi = parseAbi([
  'function setUserToken(address token)',
  'function userTokens(address user) view returns (address token)',
  'function setFeeRate(address token, uint256 tokenPerGasE18)',
  long(
    'function feeRate(address token) view returns (uint256 tokenPerGasE18, uint48',
    'updatedAt)',
  ),
  long(
    'function setSponsorship(address user, address token, uint256 budget, uint48 until, bytes4[]',
    'selectors)',
  ),
  long(
    'function sponsorshipOf(address user) view returns (address sponsor, address token, uint256',
    'remaining, uint48 until)',
  ),
  'function distributeFees(address validator, address token)',
  'function collectedFees(address validator, address token) view returns (uint256)',
  'event UserTokenSet(address indexed user, address indexed token)',
  'event FeeRateSet(address indexed token, uint256 tokenPerGasE18)',
  long(
    'event SponsorshipSet(address indexed sponsor, address indexed user, address token, uint256',
    'budget, uint48 until)',
  ),
  // `payer`: who sent the transaction; `sponsor`: who paid for it, zero where that is the same.
  long(
    'event TransactionFee(address indexed payer, address indexed token, address indexed sponsor,',
    'uint256 amount)',
  ),
  'event FeesDistributed(address indexed validator, address indexed token, uint256 amount)',
  'error NotAuthorized(address caller)',
  'error InvalidAccount(address account)',
  'error InvalidRate(uint256 tokenPerGasE18)',
  'error TokenPaysNoFees(address token)',
  'error InvalidBudget(uint256 budget)',
  'error InvalidUntil(uint48 until)',
  'error TooManySelectors(uint256 count, uint256 limit)',
  'error AlreadySponsored(address user, address sponsor, uint48 until)',
  'error NothingCollected(address validator, address token)',
  ...tokenErrors,
  ...commonErrors,
]);

const fail = errorsOf(abi);
export const feeLog = eventsOf(FEE_MANAGER, abi);

const selectorsMax = 16;
const READ = 3_000n;
const WRITE = 6_000n;

export const feeManager = defineContract({
  name: 'FeeManager',
  address: FEE_MANAGER,
  abi,
  functions: {
    setUserToken: {
      gas: WRITE,
      /** The zero address is no choice; ERC-7528's is the coin, and no currency ever. */
      run: (call, token) => {
        const { state, sender } = call;
        if (token !== ZERO_ADDRESS && token !== COIN_ADDRESS) needRate(call, token);
        const own = fees.payers(sender);
        own.set(state, { ...own.get(state), token });
        use(call);
        call.emit(feeLog('UserTokenSet', sender, token));
      },
    },
    userTokens: { gas: READ, run: ({ state }, user) => fees.payers(user).get(state).token },
    setFeeRate: {
      gas: WRITE,
      isGoverned: true,
      run: (call, token, tokenPerGasE18) => {
        const { state, sender, now } = call;
        if (sender !== GOVERNANCE) throw fail('NotAuthorized', sender);
        headOf(state, token);
        if (tokenPerGasE18 > feeRateMax) throw fail('InvalidRate', tokenPerGasE18);
        fees.rates(token).set(state, { tokenPerGasE18, updatedAt: now });
        use(call);
        call.emit(feeLog('FeeRateSet', token, tokenPerGasE18));
      },
    },
    feeRate: {
      gas: READ,
      run: ({ state }, token) => {
        const { tokenPerGasE18, updatedAt } = fees.rates(token).get(state);
        return [tokenPerGasE18, updatedAt] as const;
      },
    },
    setSponsorship: { gas: WRITE, run: setSponsorship },
    sponsorshipOf: {
      gas: READ,
      run: ({ state }, user) => {
        const { by, what } = fees.sponsorships(user);
        const { sponsor, until } = by.get(state);
        const { token, remaining } = what.get(state);
        return [sponsor, token, remaining, until] as const;
      },
    },
    distributeFees: {
      gas: WRITE,
      /** Anyone may ask for it: the money goes to the validator. */
      run: (call, validator, token) => {
        const { state } = call;
        const collected = fees.collected(validator)(token);
        const amount = collected.get(state);
        if (amount === 0n) throw fail('NothingCollected', validator, token);
        const head = headOf(state, token);
        if (head.paused) throw fail('EnforcedPause');
        const parties = { from: FEE_MANAGER, to: validator };
        const movement = { token, ...parties, amount, hasMemo: true, isFee: true };
        checkReceiver(state, head, movement);
        collected.set(state, 0n);
        move(call, movement);
        call.emit(feeLog('FeesDistributed', validator, token, amount));
      },
    },
    collectedFees: {
      gas: READ,
      run: ({ state }, validator, token) => fees.collected(validator)(token).get(state),
    },
  },
});

/**
 * One sponsor pays for a user at a time. What a user gives up (a budget of nothing, set by itself or
 * by its sponsor), what is used up or over, makes place for another; so does anybody's sponsorship
 * for one of a member with the role SPONSOR, who answers for it to the consortium.
 */
function setSponsorship(
  call: Call,
  user: Address,
  token: Address,
  budget: bigint,
  until: bigint,
  selectors: readonly `0x${string}`[],
): void {
  const { state, sender, now } = call;
  if (user === ZERO_ADDRESS || isReservedAddress(user)) throw fail('InvalidAccount', user);
  const record = fees.sponsorships(user);
  const before = record.by.get(state);
  const isEnd = budget === 0n;
  if (!isEnd && user === sender) throw fail('InvalidAccount', user);
  const isOwn = before.sponsor === sender || (isEnd && user === sender);
  const runs = before.until > now && record.what.get(state).remaining > 0n;
  if (runs && !isOwn && !(isSponsor(call, sender) && !isSponsor(call, before.sponsor))) {
    throw fail('AlreadySponsored', user, before.sponsor, before.until);
  }
  if (budget > tokenAmountMax) throw fail('InvalidBudget', budget);
  if (!isEnd && until <= now) throw fail('InvalidUntil', until);
  if (selectors.length > selectorsMax) {
    throw fail('TooManySelectors', BigInt(selectors.length), BigInt(selectorsMax));
  }
  if (!isEnd && token !== ZERO_ADDRESS) needRate(call, token);
  const head = fees.head.get(state);
  const number = head.sponsorships + 1n;
  fees.head.set(state, { isUsed: true, sponsorships: number });
  record.by.set(state, { sponsor: sender, until, isForAll: selectors.length === 0 });
  record.what.set(state, { token, remaining: budget });
  record.number.set(state, number);
  for (const selector of selectors) fees.sponsoredCalls(number)(selector).set(state, true);
  fees.payers(user).set(state, { ...fees.payers(user).get(state), isSponsored: !isEnd });
  call.emit(feeLog('SponsorshipSet', sender, user, token, budget, until));
}

function isSponsor({ state }: Call, account: Address): boolean {
  return (standingOf(state, account).roles & ROLE.sponsor) !== 0n;
}

function needRate({ state }: Call, token: Address): void {
  headOf(state, token);
  if (fees.rates(token).get(state).tokenPerGasE18 === 0n) throw fail('TokenPaysNoFees', token);
}

function use({ state }: Call): void {
  const head = fees.head.get(state);
  if (!head.isUsed) fees.head.set(state, { ...head, isUsed: true });
}
