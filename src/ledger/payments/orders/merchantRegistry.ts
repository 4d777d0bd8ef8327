/**
 * MerchantRegistry, 0x4d5042…0020 (payments.md 2.3): who sells, through which member, and to which
 * account its money goes. One legal entity is one merchant, and a channel's code is one merchant's
 * (1.5, R1). A settlement account changes slowly, and never without its owner's word (R5).
 */
import { concatBytes, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import {
  type Address,
  addressToBytes,
  canReceiveMoney,
  isReservedAddress,
  ZERO_ADDRESS,
} from '#src/types/address.ts';
import { tokenAmountMax } from '#src/types/currency.ts';
import { type Hash, hashToBytes, keccakHash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { MERCHANT_REGISTRY } from '../addresses.ts';
import { type Call, defineContract } from '../contract.ts';
import { isConduit, isOperatorOf, ROLE } from '../memberStore.ts';
import { policyExists } from '../tokens/policyStore.ts';
import {
  digest,
  RECOVERY_GAS,
  signerOf,
  structHash,
  typeHash,
  type Word,
} from '../tokens/signatures.ts';
import { CHANNEL, channelHead } from './channelStore.ts';
import { fail, log, merchantAbi } from './merchantAbi.ts';
import {
  type Fee,
  feesOf,
  hasRight,
  MERCHANT,
  merchantHead,
  merchants,
  RIGHT,
  RIGHTS_ALL,
} from './merchantStore.ts';

/** Long enough that a merchant whose keys were stolen can speak up. */
export const settlementDelaySeconds = 86_400n;
const displayNameBytesMax = 64;
export const feesMax = 8;
const BPS = 10_000n;

const REGISTRATION = typeHash(
  'MerchantRegistration(bytes32 merchantId,bytes32 legalEntityHash,string displayName,' +
    'bytes2 country,uint16 mcc,bytes32 acquirerId,address settlementAccount,' +
    'uint64 payerPolicyId,bool autoRoute)',
);
const SETTLEMENT = typeHash('SettlementAccount(bytes32 merchantId,address account,uint256 nonce)');
const SCHEDULE = typeHash(
  'FeeSchedule(bytes32 merchantId,bytes32 channelId,bytes32 feesHash,uint256 nonce)',
);

export const merchantRegistry = defineContract({
  name: 'MerchantRegistry',
  address: MERCHANT_REGISTRY,
  abi: merchantAbi,
  functions: {
    registerMerchant: {
      gas: 20_000n,
      /** Active from now on, whatever `status` says. Whoever signs is its settlement account. */
      run: (call, m, signature) => {
        const { state } = call;
        const { merchantId, legalEntityHash, displayName, country, mcc, acquirerId } = m;
        const { settlementAccount, payerPolicyId, autoRoute } = m;
        needAccess(call, acquirerId);
        if (merchantId === ZERO_HASH) throw fail('InvalidMerchant', merchantId);
        if (legalEntityHash === ZERO_HASH) throw fail('InvalidMerchant', merchantId);
        if (merchantHead(state, merchantId) !== null) throw fail('MerchantExists', merchantId);
        const other = merchants.byEntity(legalEntityHash);
        const taken = other.get(state);
        if (taken !== ZERO_HASH) throw fail('LegalEntityTaken', legalEntityHash, taken);
        if (!isDisplayName(displayName)) throw fail('InvalidDisplayName', displayName);
        if (!policyExists(state, payerPolicyId)) throw fail('UnknownPolicy', payerPolicyId);
        needSettlementAccount(call, settlementAccount);
        const words = [keccakHash(utf8(displayName)), leftWord(country), mcc, acquirerId];
        const rest = [settlementAccount, payerPolicyId, autoRoute ? 1n : 0n];
        const terms = structHash(REGISTRATION, merchantId, legalEntityHash, ...words, ...rest);
        if (signer(call, terms, signature) !== settlementAccount) {
          throw fail('InvalidSignature', settlementAccount);
        }
        const record = merchants.merchants(merchantId);
        const status = MERCHANT.active;
        record.head.set(state, { settlementAccount, status, autoRoute, country, mcc });
        record.acquirerId.set(state, acquirerId);
        record.legalEntityHash.set(state, legalEntityHash);
        record.payerPolicyId.set(state, payerPolicyId);
        record.displayName.set(state, displayName);
        other.set(state, merchantId);
        merchants.keys(merchantId)(settlementAccount).set(state, RIGHTS_ALL);
        const told = [settlementAccount, displayName, country, mcc] as const;
        call.emit(log('MerchantRegistered', merchantId, legalEntityHash, acquirerId, ...told));
        call.emit(log('OrderKeySet', merchantId, settlementAccount, RIGHTS_ALL, true));
        return merchantId;
      },
    },
    setStatus: {
      gas: 8_000n,
      run: (call, merchantId, status, reasonHash) => {
        const { head, acquirerId } = needMerchant(call, merchantId);
        needAccess(call, acquirerId);
        if (head.status === MERCHANT.closed) throw fail('MerchantClosed', merchantId);
        if (status < MERCHANT.active || status > MERCHANT.closed) {
          throw fail('InvalidStatus', status);
        }
        merchants.merchants(merchantId).head.set(call.state, { ...head, status });
        call.emit(log('MerchantStatusChanged', merchantId, status, reasonHash, acquirerId));
      },
    },
    setOrderKey: {
      gas: 8_000n,
      run: (call, merchantId, key, rights, allowed) => {
        const { state, sender } = call;
        needMerchant(call, merchantId);
        if (!hasRight(state, merchantId, sender, RIGHT.admin)) throw fail('NotAuthorized', sender);
        if (rights === 0n || rights > RIGHTS_ALL) throw fail('InvalidRights', rights);
        if (key === ZERO_ADDRESS || isReservedAddress(key)) throw fail('InvalidAccount', key);
        const own = merchants.keys(merchantId)(key);
        const before = own.get(state);
        own.set(state, allowed ? before | rights : before & ~rights);
        call.emit(log('OrderKeySet', merchantId, key, rights, allowed));
      },
    },
    proposeSettlementAccount: {
      gas: 8_000n,
      /** Sent by the new account, which so agrees to it; signed by a key of the merchant's. */
      run: (call, merchantId, account, signature) => {
        const { state, sender, now } = call;
        needMerchant(call, merchantId);
        if (sender !== account) throw fail('NotAuthorized', sender);
        needSettlementAccount(call, account);
        needMerchantSignature(call, merchantId, signature, (nonce) =>
          structHash(SETTLEMENT, merchantId, account, nonce),
        );
        const effectiveAt = now + settlementDelaySeconds;
        merchants.merchants(merchantId).proposed.set(state, { account, effectiveAt });
        call.emit(log('SettlementAccountProposed', merchantId, account, effectiveAt));
      },
    },
    confirmSettlementAccount: {
      gas: 8_000n,
      run: (call, merchantId) => {
        const { state, now } = call;
        const { head, acquirerId } = needMerchant(call, merchantId);
        needAccess(call, acquirerId);
        const record = merchants.merchants(merchantId);
        const { account, effectiveAt } = record.proposed.get(state);
        if (account === ZERO_ADDRESS) throw fail('NothingProposed', merchantId);
        if (now < effectiveAt) throw fail('NotYetEffective', merchantId, effectiveAt);
        record.proposed.set(state, { account: ZERO_ADDRESS, effectiveAt: 0n });
        record.head.set(state, { ...head, settlementAccount: account });
        call.emit(log('SettlementAccountChanged', merchantId, head.settlementAccount, account));
      },
    },
    bindChannel: {
      gas: 8_000n,
      run: (call, merchantId, channelId, merchantCode, creditedAccountHash) => {
        const { state } = call;
        const { acquirerId } = needMerchant(call, merchantId);
        needAccess(call, acquirerId);
        const channel = channelHead(state, channelId);
        if (channel === null) throw fail('UnknownChannel', channelId);
        if (channel.status === CHANNEL.closed) throw fail('ChannelClosed', channelId);
        const bad = (what: string) => fail('InvalidBinding', channelId, what);
        if (merchantCode === ZERO_HASH) throw bad('channelMerchantCode');
        // A result would match it that names no account, whoever was credited.
        if (creditedAccountHash === ZERO_HASH) throw bad('creditedAccountHash');
        const owner = merchants.byChannelCode(channelId)(merchantCode);
        const taken = owner.get(state);
        if (taken !== ZERO_HASH && taken !== merchantId) {
          throw fail('ChannelCodeTaken', channelId, merchantCode, taken);
        }
        const bound = merchants.channels(merchantId)(channelId);
        const before = bound.merchantCode.get(state);
        if (before !== ZERO_HASH) merchants.byChannelCode(channelId)(before).set(state, ZERO_HASH);
        bound.set(state, { merchantCode, creditedAccountHash });
        owner.set(state, merchantId);
        const told = [channelId, merchantCode, creditedAccountHash] as const;
        call.emit(log('ChannelBound', merchantId, ...told));
      },
    },
    setFeeSchedule: {
      gas: 10_000n,
      run: (call, merchantId, channelId, fees, signature) => {
        const { state } = call;
        const { acquirerId } = needMerchant(call, merchantId);
        needAccess(call, acquirerId);
        const totalBps = checkFees(fees);
        const feesHash = hashFees(fees);
        needMerchantSignature(call, merchantId, signature, (nonce) =>
          structHash(SCHEDULE, merchantId, channelId, feesHash, nonce),
        );
        const number = merchants.feeListCount.get(state) + 1n;
        merchants.feeListCount.set(state, number);
        for (const { receiver, bps, fixedAmount, kind } of fees) {
          const item = merchants.feeLists(number).push(state);
          item.to.set(state, { receiver, fixedAmount });
          item.bps.set(state, bps);
          item.kind.set(state, kind);
        }
        merchants.schedules(merchantId)(channelId).set(state, number);
        call.emit(log('FeeScheduleSet', merchantId, channelId, feesHash, totalBps));
      },
    },
    getMerchant: {
      gas: 5_000n,
      run: (view, merchantId) => {
        const { state } = view;
        const { head, acquirerId } = needMerchant(view, merchantId);
        const record = merchants.merchants(merchantId);
        return {
          ...{ merchantId, ...head, acquirerId },
          legalEntityHash: record.legalEntityHash.get(state),
          displayName: record.displayName.get(state),
          payerPolicyId: record.payerPolicyId.get(state),
        };
      },
    },
    merchantByChannelCode: {
      gas: 5_000n,
      run: ({ state }, channelId, code) => merchants.byChannelCode(channelId)(code).get(state),
    },
    merchantByLegalEntity: {
      gas: 5_000n,
      run: ({ state }, legalEntityHash) => merchants.byEntity(legalEntityHash).get(state),
    },
    isOrderKey: {
      gas: 5_000n,
      run: ({ state }, merchantId, key, right) => hasRight(state, merchantId, key, right),
    },
    feeSchedule: {
      gas: 5_000n,
      run: ({ state }, merchantId, channelId) =>
        feesOf(state, merchants.schedules(merchantId)(channelId).get(state)),
    },
    signatureNonce: {
      gas: 5_000n,
      run: ({ state }, merchantId) => merchants.nonces(merchantId).get(state),
    },
    DOMAIN_SEPARATOR: { gas: 5_000n, run: ({ state }) => merchants.domainSeparator.get(state) },
  },
});

/** As `abi.encode(Fee[])` without its head: four words each. */
export function hashFees(fees: readonly Fee[]): Hash {
  const words = fees.flatMap(({ receiver, bps, fixedAmount, kind }) => [
    concatBytes(new Uint8Array(12), addressToBytes(receiver)),
    uintToBytes(bps, 32),
    uintToBytes(fixedAmount, 32),
    hashToBytes(kind),
  ]);
  return keccakHash(concatBytes(...words));
}

function checkFees(fees: readonly Fee[]): bigint {
  if (fees.length > feesMax) throw fail('TooManyFees', BigInt(fees.length), BigInt(feesMax));
  let total = 0n;
  for (const [index, { receiver, bps, fixedAmount }] of fees.entries()) {
    total += bps;
    const isSound = canReceiveMoney(receiver) && total <= BPS;
    if (!isSound || fixedAmount > tokenAmountMax) throw fail('InvalidFee', BigInt(index));
  }
  return total;
}

type Seen = Pick<Call, 'state'>;

function needMerchant({ state }: { state: Parameters<typeof merchantHead>[0] }, merchantId: Hash) {
  const head = merchantHead(state, merchantId);
  if (head === null) throw fail('UnknownMerchant', merchantId);
  return { head, acquirerId: merchants.merchants(merchantId).acquirerId.get(state) };
}

function needAccess({ state, sender }: Call, memberId: Hash): void {
  if (!isOperatorOf(state, sender, memberId, ROLE.access)) throw fail('NotAuthorized', sender);
}

/** Nobody between payer and merchant can be the merchant (R3). */
function needSettlementAccount({ state }: Seen, account: Address): void {
  const isSound = canReceiveMoney(account) && !isConduit(state, account);
  if (!isSound) throw fail('InvalidAccount', account);
}

/** By a key with the right ADMIN; each is good once. */
function needMerchantSignature(
  call: Call,
  merchantId: Hash,
  signature: Uint8Array,
  termsOf: (nonce: bigint) => Hash,
): void {
  const nonces = merchants.nonces(merchantId);
  const nonce = nonces.get(call.state);
  const by = signer(call, termsOf(nonce), signature);
  if (by === null || !hasRight(call.state, merchantId, by, RIGHT.admin)) {
    throw fail('InvalidSignature', by ?? ZERO_ADDRESS);
  }
  nonces.set(call.state, nonce + 1n);
}

function signer({ state, spend }: Call, terms: Hash, signature: Uint8Array): Address | null {
  spend(RECOVERY_GAS);
  return signerOf(digest(merchants.domainSeparator.get(state), terms), signature);
}

/** `bytesN` stands at the left of its word. */
function leftWord(bytes: string): Word {
  return bytes.padEnd(66, '0') as Hash;
}

/**
 * Controls, and what turns or hides text: a wallet shows the name where somebody decides. By code
 * point, since the tables of Unicode differ between runtimes.
 */
const UNSHOWN = [
  ...[[0x00, 0x1f] as const, [0x7f, 0x9f] as const, [0xad, 0xad] as const, [0x61c, 0x61c] as const],
  ...[[0x115f, 0x1160] as const, [0x180e, 0x180e] as const, [0x200b, 0x200f] as const],
  ...[[0x2028, 0x202e] as const, [0x2060, 0x206f] as const, [0x3164, 0x3164] as const],
  ...[[0xfeff, 0xfeff] as const, [0xffa0, 0xffa0] as const, [0xfff9, 0xfffb] as const],
  [0xe0000, 0xe0fff] as const,
];
/** Inside of a name only: one that is nothing else looks like none. */
const SPACES = [
  ...[[0x20, 0x20] as const, [0xa0, 0xa0] as const, [0x1680, 0x1680] as const],
  ...[[0x2000, 0x200a] as const, [0x202f, 0x202f] as const, [0x205f, 0x205f] as const],
  [0x3000, 0x3000] as const,
];

function isDisplayName(text: string): boolean {
  const { length } = utf8(text);
  if (length === 0 || length > displayNameBytesMax) return false;
  const points = [...text].map((character) => character.codePointAt(0) ?? 0);
  const ends = [points.at(0) ?? 0, points.at(-1) ?? 0];
  return !points.some((point) => isIn(UNSHOWN, point)) && !ends.some((end) => isIn(SPACES, end));
}

function isIn(ranges: readonly (readonly [number, number])[], point: number): boolean {
  return ranges.some(([from, to]) => point >= from && point <= to);
}
