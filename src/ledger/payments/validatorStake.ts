/** Coin that validators answer with, and the weight that it gives them. */
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { checkWeights, validatorsMax } from '#src/types/validatorSet.ts';
import { GOVERNANCE } from './addresses.ts';
import type { Call } from './contract.ts';
import { fail, log } from './validatorAbi.ts';
import {
  enqueue,
  isWanted,
  KIND,
  POWER_END,
  powerOf,
  store,
  wantedPowers,
} from './validatorStore.ts';

/** Amounts of one validator that wait; a withdrawal frees their places. */
const unbondingsMax = 16;

type Powers = ReturnType<typeof wantedPowers>;

export function bond(call: Call, index: bigint, token: Address, amount: bigint): void {
  const { state, value } = call;
  if (token !== ZERO_ADDRESS) throw fail('UnknownToken', token);
  if (amount !== value || amount === 0n) throw fail('WrongAmount', amount, value);
  const { stake } = store.validators(index);
  const total = stake.get(state) + amount;
  changeStake(call, index, total);
  call.emit(log('StakeBonded', index, token, amount, total));
}

/** What is taken out of the stake loses its weight at the next boundary, and waits. */
export function unbond(call: Call, index: bigint, amount: bigint): void {
  const { state, now } = call;
  const before = store.validators(index).get(state);
  const { stake, kind, inForce } = before;
  if (amount === 0n || amount > stake) throw fail('StakeTooSmall', index, stake);
  if (!isWanted(before.status) && inForce.power > 0n) throw fail('StillInForce', index);
  const unbondings = store.unbondings(index);
  if (unbondings.length(state) >= unbondingsMax) {
    throw fail('TooManyUnbondings', BigInt(unbondingsMax));
  }
  const power = powerOf({ ...before, stake: stake - amount });
  if (isWanted(before.status) && kind === KIND.stake && power < 1n)
    throw fail('PowerTooSmall', index);
  changeStake(call, index, stake - amount);
  const withdrawableAt = now + store.unbondingSeconds.get(state);
  unbondings.push(state).set(state, { amount, withdrawableAt });
  call.emit(log('StakeUnbonded', index, amount, withdrawableAt));
}

export function withdraw({ state, now, pay }: Call, index: bigint, to: Address): void {
  const unbondings = store.unbondings(index);
  const count = unbondings.length(state);
  const all = Array.from({ length: count }, (_, at) => unbondings.at(at).get(state));
  const due = all.filter(({ withdrawableAt }) => withdrawableAt <= now);
  if (due.length === 0) throw fail('NothingToWithdraw', index);
  const rest = all.filter(({ withdrawableAt }) => withdrawableAt > now);
  for (let at = 0; at < count; at++) {
    unbondings.at(at).set(state, rest[at] ?? { amount: 0n, withdrawableAt: 0n });
  }
  for (let left = count; left > rest.length; left--) unbondings.pop(state);
  pay(
    to,
    due.reduce((sum, { amount }) => sum + amount, 0n),
  );
}

/** Of kind 1 the stake answers for faults and weighs nothing. */
function changeStake(call: Call, index: bigint, stake: bigint): void {
  const { state } = call;
  const validator = store.validators(index);
  const before = powerOf(validator.get(state));
  validator.stake.set(state, stake);
  const record = validator.get(state);
  const power = powerOf(record);
  if (power >= POWER_END) throw fail('PowerTooLarge', index);
  if (power === before) return;
  if (isWanted(record.status)) {
    enqueue(state, index);
    const powers = needPossible(call, index);
    if (power > before) needShare(call, index, powers);
  }
  call.emit(log('ValidatorVotingPowerUpdated', index, before, power));
}

/** The weights by index, where they are of a set; it is the one asked for, this change included. */
export function needPossible(call: Call, index: bigint): Powers {
  const powers = wantedPowers(call.state);
  switch (checkWeights([...powers.values()])?.code) {
    case 'SET_EMPTY':
      throw fail('LastValidator', index);
    case 'SET_TOO_LARGE':
      throw fail('TooManyValidators', BigInt(validatorsMax));
    case 'SET_STAKE':
      throw fail('PowerTooLarge', index);
    case undefined:
      return powers;
  }
}

/** One third alone can halt the network: nobody gets there without governance. */
export function needShare(call: Call, index: bigint, powers: Powers): void {
  if (call.sender === GOVERNANCE) return;
  const own = powers.get(index) ?? 0n;
  const total = [...powers.values()].reduce((sum, power) => sum + power, 0n);
  if (powers.size >= 4 && 3n * own >= total) throw fail('ShareTooLarge', index, own, total);
}
