/** The contracts' state at block 0: whatever a genesis says stands in their storage. */
import { keccak256 } from '#src/crypto/keccak.ts';
import { utf8 } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Genesis } from '#src/types/genesis.ts';
import { type Hash, hashFromBytes } from '#src/types/hash.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { formatIngress } from '#src/types/peerId.ts';
import { asWei } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Overlay } from '../state/overlay.ts';
import {
  CHANNEL_REGISTRY,
  MERCHANT_REGISTRY,
  PAYMENT_ORDERS,
  PAYOUTS,
  VALIDATOR_REGISTRY,
} from './addresses.ts';
import { contracts } from './contracts.ts';
import { foundContract } from './dispatch.ts';
import { fees } from './fees/feeStore.ts';
import { governanceSettings } from './governance.ts';
import { addAccount, writeMember } from './memberStore.ts';
import { channels } from './orders/channelStore.ts';
import { merchants } from './orders/merchantStore.ts';
import { orders } from './orders/orderStore.ts';
import { PAYOUTS_NAME, payoutStore } from './payouts.ts';
import { setValues } from './storage.ts';
import { factory } from './tokens/factoryStore.ts';
import { domainSeparator } from './tokens/signatures.ts';
import { addressOf, makeToken } from './tokens/tokenFactory.ts';
import { tokenAt } from './tokens/tokenStore.ts';
import { beginSpan, putInForce, writeEpoch } from './validatorChanges.ts';
import {
  KIND,
  store as registry,
  STATUS,
  settlePeers,
  validatorSetIn,
  WEI_PER_POWER,
} from './validatorStore.ts';

/** The genesis was parsed, so its values are possible ones. */
export function foundContracts(state: Overlay, genesis: Genesis, networkId: Hash): void {
  for (const { address } of contracts) foundContract(state, address);
  foundDomains(state, genesis.config.chainId);
  foundMembers(state, genesis);
  foundCurrencies(state, genesis);
  foundValidators(state, genesis, networkId);
  const { voteSeconds, delaySeconds } = genesis.config.governance;
  governanceSettings.voteSeconds.set(state, BigInt(voteSeconds));
  governanceSettings.delaySeconds.set(state, BigInt(delaySeconds));
}

/** What the validators of a genesis have at stake, in wei. */
export function foundingStake({ validators }: Genesis): bigint {
  return validators.reduce((sum, { stake }) => sum + stake * WEI_PER_POWER, 0n);
}

/** What is signed for a contract is signed for this chain. */
function foundDomains(state: Overlay, chainId: bigint): void {
  factory.chainId.set(state, chainId);
  const domain = domainSeparator('MPBP MerchantRegistry', chainId, MERCHANT_REGISTRY);
  merchants.domainSeparator.set(state, domain);
  const channelsDomain = domainSeparator('MPBP ChannelRegistry', chainId, CHANNEL_REGISTRY);
  channels.domainSeparator.set(state, channelsDomain);
  const ordersDomain = domainSeparator('MPBP PaymentOrders', chainId, PAYMENT_ORDERS);
  orders.domainSeparator.set(state, ordersDomain);
  const payoutsDomain = domainSeparator(PAYOUTS_NAME, chainId, PAYOUTS);
  payoutStore.domainSeparator.set(state, payoutsDomain);
}

function foundMembers(state: Overlay, { members, validators, timestamp }: Genesis): void {
  const since = { joinedAt: BigInt(timestamp), height: 0n };
  for (const { id, name, admin, roles } of members) {
    const memberId = memberIdOf(id);
    const legalEntityHash = hashFromBytes(keccak256(utf8(name)));
    const member = { memberId, admin, legalEntityHash, roles: BigInt(roles), endpoint: '', name };
    writeMember(state, member, since);
    for (const { operator } of validators.filter((validator) => validator.memberId === id)) {
      addAccount(state, operator, memberId, BigInt(roles));
    }
  }
}

/** As `createToken` and `mintWithMemo` would have done; a salt of zero. */
function foundCurrencies(state: Overlay, { currencies, timestamp }: Genesis): void {
  for (const { issuer, alloc, tokenPerGasE18, ...token } of currencies) {
    const issuerMemberId = memberIdOf(issuer);
    const account = genesisTokenAddress(token.currency, issuer);
    makeToken(state, account, { ...token, issuerMemberId });
    foundContract(state, account);
    const { balances, supplies } = tokenAt(account);
    let total = 0n;
    for (const [owner, available] of alloc) {
      balances(owner).set(state, { available, held: 0n, isFrozen: false, limits: 0n });
      total += available;
    }
    supplies.set(state, { total, held: 0n });
    if (tokenPerGasE18 === 0n) continue;
    fees.head.set(state, { isUsed: true, sponsorships: 0n });
    fees.rates(account).set(state, { tokenPerGasE18, updatedAt: BigInt(timestamp) });
  }
}

/** Where a currency of a genesis is. */
export function genesisTokenAddress(currency: string, issuer: string): Address {
  return addressOf(currency, memberIdOf(issuer), ZERO_HASH);
}

function foundValidators(state: Overlay, genesis: Genesis, networkId: Hash): void {
  const { config, validators } = genesis;
  const { unbondingSeconds, slashBps } = config.governance;
  registry.networkId.set(state, networkId);
  registry.unbondingSeconds.set(state, BigInt(unbondingSeconds));
  registry.slashBps.set(state, BigInt(slashBps));
  registry.epochBlocksMin.set(state, BigInt(config.epochBlocksMin));
  registry.count.set(state, BigInt(validators.length));
  for (const [at, validator] of validators.entries()) {
    const index = BigInt(at);
    const memberId = memberIdOf(validator.memberId);
    const { operator, feeRecipient, stake, consensusKey, peerId } = validator;
    const view = registry.validators(index);
    const publicKey = hashFromBytes(consensusKey);
    view.memberId.set(state, memberId);
    view.operator.set(state, operator);
    view.kind.set(state, KIND.stake);
    view.status.set(state, STATUS.active);
    view.feeRecipient.set(state, feeRecipient);
    view.publicKey.set(state, publicKey);
    view.stake.set(state, stake * WEI_PER_POWER);
    view.ingress.set(state, formatIngress(validator));
    registry.keyOwners(publicKey).set(state, index + 1n);
    const registrations = registry.registrations(memberId);
    registrations.set(state, registrations.get(state) + 1n);
    putInForce(state, index, validator);
    settlePeers(state, index, peerId);
    beginSpan(state, index, 0n);
  }
  const indices = validators.map((_, at) => BigInt(at));
  setValues(registry.active, state, indices, 0n);
  const beganAt = BigInt(genesis.timestamp);
  writeEpoch(state, 0n, { startHeight: 0n, beganAt }, validatorSetIn(state));
  state.changeAccount(VALIDATOR_REGISTRY, (account) => ({
    ...account,
    balance: asWei(foundingStake(genesis)),
  }));
}
