/**
 * ValidatorRegistry, 0x4d5042…0002: who decides, with what weight, at what stake (payments.md 2.3,
 * consensus.md 2.13 and 2.14).
 *
 *     register -> governance approves -> READY -> [boundary] active -> leave -> [boundary] inactive
 *
 * Nothing here changes the set at once: what is asked for waits for the boundary of the epoch.
 * `getValidator` shows what was asked for, `getActiveValidatorSet` what is in force. The stake of
 * all validators, and what waits to be withdrawn, is the balance of this contract's account. For
 * the storage see validatorStore.ts.
 */
import { ed25519Verify, isSoundEd25519Key } from '#src/crypto/ed25519.ts';
import { type Address, canReceiveMoney } from '#src/types/address.ts';
import { type Hash, hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import { parseIngress } from '#src/types/peerId.ts';
import { encodePossession } from '#src/types/possession.ts';
import { GOVERNANCE, VALIDATOR_REGISTRY } from './addresses.ts';
import { type Call, defineContract } from './contract.ts';
import { judge } from './evidence.ts';
import { actsFor, isActiveMember, isAdminOf, ROLE, standingOf } from './memberStore.ts';
import { fail, log, validatorAbi } from './validatorAbi.ts';
import { readyAgeBlocksMax } from './validatorChanges.ts';
import { bond, needPossible, needShare, unbond, withdraw } from './validatorStake.ts';
import {
  enqueue,
  isWanted,
  KIND,
  ownerOfPeer,
  POWER_END,
  peerIdOf,
  powerOf,
  STATUS,
  settlePeers,
  store,
  type ValidatorView,
  weigh,
} from './validatorStore.ts';
import { epochAt, operatorsInForce, publicRecord, recordsInForce } from './validatorViews.ts';

export { nodeDirectory } from './nodeDirectory.ts';
export { hasPendingChanges } from './validatorChanges.ts';
export { validatorSetIn } from './validatorStore.ts';

const registrationsPerMemberMax = 32n;

export const validatorRegistry = defineContract({
  name: 'ValidatorRegistry',
  address: VALIDATOR_REGISTRY,
  abi: validatorAbi,
  functions: {
    registerValidator: { gas: 1_200_000n, run: register },
    activateValidator: {
      gas: 40_000n,
      isGoverned: true,
      run: (call, index) => {
        needGovernance(call);
        const { state } = call;
        const validator = known(call, index);
        needStatus(call, index, STATUS.registered, STATUS.inactive);
        const peerId = peerIdOf({ ingress: validator.ingress.get(state) });
        needFreePeer(call, index, peerId);
        validator.status.set(state, STATUS.approved);
        settlePeers(state, index, peerId);
        const power = powerOf(validator.get(state));
        call.emit(log('ValidatorActivated', index, power, nextBoundary(call) + 1n));
      },
    },
    deactivateValidator: { gas: 60_000n, isGoverned: true, run: deactivate },
    rotateValidator: { gas: 1_200_000n, run: rotate },
    updateValidatorVotingPower: {
      gas: 60_000n,
      isGoverned: true,
      run: (call, index, power) => {
        needGovernance(call);
        const { state } = call;
        const validator = known(call, index);
        if (validator.kind.get(state) === KIND.stake) throw fail('PowerFollowsStake', index);
        if (power >= POWER_END) throw fail('PowerTooLarge', index);
        const before = validator.power.get(state);
        validator.power.set(state, power);
        if (isWanted(validator.status.get(state))) {
          if (power < 1n) throw fail('PowerTooSmall', index);
          enqueue(state, index);
          needPossible(call, index);
        }
        call.emit(log('ValidatorVotingPowerUpdated', index, before, power));
      },
    },
    setFeeRecipient: {
      gas: 40_000n,
      run: (call, index, feeRecipient) => {
        const validator = owned(call, index);
        needAccount(feeRecipient);
        validator.feeRecipient.set(call.state, feeRecipient);
        if (isWanted(validator.status.get(call.state))) enqueue(call.state, index);
      },
    },
    setIngress: {
      gas: 80_000n,
      run: (call, index, ingress) => {
        const validator = owned(call, index);
        const { state } = call;
        const peerId = needIngress(call, index, ingress);
        const before = peerIdOf({ ingress: validator.ingress.get(state) });
        validator.ingress.set(state, ingress);
        settlePeers(state, index, before, peerId);
        if (isWanted(validator.status.get(state))) enqueue(state, index);
      },
    },
    bond: {
      gas: 60_000n,
      run: (call, index, token, amount) => {
        const validator = owned(call, index);
        needActiveMember(call, validator);
        bond(call, index, token, amount);
      },
    },
    unbond: {
      gas: 70_000n,
      run: (call, index, amount) => {
        owned(call, index);
        unbond(call, index, amount);
      },
    },
    withdrawUnbonded: {
      gas: 60_000n,
      run: (call, index, to) => {
        owned(call, index);
        needAccount(to);
        withdraw(call, index, to);
      },
    },
    signalReady: { gas: 80_000n, run: signalReady },
    submitEvidence: { gas: 200_000n, run: judge },
    getValidators: { gas: 20_000n, run: operatorsInForce },
    getActiveValidatorSet: { gas: 50_000n, run: recordsInForce },
    getValidator: {
      gas: 10_000n,
      run: (call, index) => {
        if (index >= store.count.get(call.state)) throw fail('UnknownValidator', index);
        return publicRecord(call.state, index);
      },
    },
    validatorSetAt: { gas: 20_000n, run: epochAt },
  },
});

function register(
  call: Call,
  publicKey: Uint8Array,
  proof: Uint8Array,
  kind: bigint,
  feeRecipient: Address,
  ingress: string,
): bigint {
  const { state, sender } = call;
  const { memberId, roles } = standingOf(state, sender);
  if (roles === 0n) throw fail('NotAuthorized', sender);
  if (kind !== KIND.stake && kind !== KIND.authority) throw fail('InvalidKind', kind);
  const role = kind === KIND.stake ? ROLE.validator : ROLE.verifier;
  if ((roles & role) === 0n) throw fail('MissingRole', role);
  needAccount(feeRecipient);
  const registrations = store.registrations(memberId);
  const count = registrations.get(state);
  if (count >= registrationsPerMemberMax) {
    throw fail('TooManyRegistrations', registrationsPerMemberMax);
  }
  const index = store.count.get(state);
  needIngress(call, index, ingress);
  const key = takeKey(call, index, publicKey, proof, sender);
  registrations.set(state, count + 1n);
  store.count.set(state, index + 1n);
  const validator = store.validators(index);
  validator.memberId.set(state, memberId);
  validator.operator.set(state, sender);
  validator.kind.set(state, kind);
  validator.status.set(state, STATUS.registered);
  validator.feeRecipient.set(state, feeRecipient);
  validator.addedAtHeight.set(state, call.block.height);
  validator.publicKey.set(state, key);
  validator.ingress.set(state, ingress);
  call.emit(log('ValidatorRegistered', index, memberId, kind, publicKey));
  return index;
}

function deactivate(call: Call, index: bigint): void {
  const { state } = call;
  const validator = call.sender === GOVERNANCE ? known(call, index) : owned(call, index);
  const { registered, approved, ready, active, leaving, inactive } = STATUS;
  needStatus(call, index, registered, approved, ready, active);
  const isInForce = validator.inForce.power.get(state) > 0n;
  const wasWanted = isWanted(validator.status.get(state));
  validator.status.set(state, isInForce ? leaving : inactive);
  if (isInForce) enqueue(state, index);
  else {
    validator.deactivatedAtHeight.set(state, call.block.height);
    weigh(state, index);
    settlePeers(state, index, peerIdOf({ ingress: validator.ingress.get(state) }));
  }
  if (wasWanted) needPossible(call, index);
  const last = isInForce ? nextBoundary(call) : call.block.height;
  call.emit(log('ValidatorDeactivated', index, last + 1n));
}

/** Of several before one boundary the last counts; every key is used up all the same. */
function rotate(call: Call, index: bigint, publicKey: Uint8Array, proof: Uint8Array): void {
  const { state } = call;
  const validator = owned(call, index);
  needActiveMember(call, validator);
  const status = validator.status.get(state);
  if (status === STATUS.leaving) throw fail('WrongStatus', index, status);
  const key = takeKey(call, index, publicKey, proof, validator.operator.get(state));
  const before = validator.publicKey.get(state);
  validator.publicKey.set(state, key);
  // After a fault: a new key is what makes it a candidate again.
  if (status === STATUS.slashed) validator.status.set(state, STATUS.registered);
  if (isWanted(validator.status.get(state))) enqueue(state, index);
  call.emit(log('ValidatorRotated', index, hashToBytes(before), publicKey));
}

function signalReady(call: Call, index: bigint, height: bigint, blockHash: Hash): void {
  const { state, block } = call;
  const validator = owned(call, index);
  needActiveMember(call, validator);
  needStatus(call, index, STATUS.approved, STATUS.ready);
  if (height > block.height || block.height - height > readyAgeBlocksMax) {
    throw fail('InvalidHeight', height, block.height);
  }
  if (powerOf(validator.get(state)) < 1n) throw fail('PowerTooSmall', index);
  validator.status.set(state, STATUS.ready);
  validator.readyHeight.set(state, height);
  validator.readyAtMs.set(state, BigInt(block.timestampMs));
  validator.readyHash.set(state, blockHash);
  enqueue(state, index);
  needShare(call, index, needPossible(call, index));
}

// --- the checks ----------------------------------------------------------------------------------

function needGovernance({ sender }: Call): void {
  if (sender !== GOVERNANCE) throw fail('NotAuthorized', sender);
}

function known({ state }: Call, index: bigint): ValidatorView {
  if (index >= store.count.get(state)) throw fail('UnknownValidator', index);
  return store.validators(index);
}

/** For its operator, as long as the member has it, and for the member's admin. */
function owned(call: Call, index: bigint): ValidatorView {
  const { state, sender } = call;
  const validator = known(call, index);
  const memberId = validator.memberId.get(state);
  const isOperator = sender === validator.operator.get(state) && actsFor(state, sender, memberId);
  if (!isOperator && !isAdminOf(state, sender, memberId)) throw fail('NotAuthorized', sender);
  return validator;
}

function needActiveMember({ state }: Call, validator: ValidatorView): void {
  const memberId = validator.memberId.get(state);
  if (!isActiveMember(state, memberId)) throw fail('MemberNotActive', memberId);
}

function needStatus({ state }: Call, index: bigint, ...allowed: readonly bigint[]): void {
  const status = store.validators(index).status.get(state);
  if (!allowed.includes(status)) throw fail('WrongStatus', index, status);
}

/** Coin that is nobody's, or spoils a contract's sums. */
function needAccount(account: Address): void {
  if (!canReceiveMoney(account)) throw fail('InvalidAccount', account);
}

/** Its peer id. A candidate only says it; whom the members admit then has it. */
function needIngress(call: Call, index: bigint, text: string): string {
  const ingress = parseIngress(text);
  if (ingress === null) throw fail('InvalidIngress', text);
  needFreePeer(call, index, ingress.peerId);
  return ingress.peerId;
}

function needFreePeer({ state }: Call, index: bigint, peerId: string): void {
  const owner = ownerOfPeer(state, peerId);
  if (owner !== null && owner !== index) throw fail('PeerTaken', peerId);
}

function takeKey(
  { state }: Call,
  index: bigint,
  publicKey: Uint8Array,
  proof: Uint8Array,
  operator: Address,
): Hash {
  if (publicKey.length !== 32) throw fail('InvalidKey', publicKey);
  const key = hashFromBytes(publicKey);
  const owner = store.keyOwners(key);
  if (owner.get(state) !== 0n) throw fail('KeyUsed', publicKey);
  if (!isSoundEd25519Key(publicKey)) throw fail('InvalidKey', publicKey);
  const message = encodePossession(store.networkId.get(state), operator);
  if (!ed25519Verify(publicKey, message, proof)) throw fail('InvalidProof', publicKey);
  owner.set(state, index + 1n);
  return key;
}

/** The first height that may end the epoch. */
function nextBoundary({ state, block }: Call): bigint {
  const epoch = store.epoch.get(state);
  const earliest = store.epochs(epoch).startHeight.get(state) + store.epochBlocksMin.get(state);
  return earliest > block.height ? earliest : block.height;
}
