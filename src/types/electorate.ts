import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { addressFromBytes, addressToBytes } from './address.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  type RlpItem,
  rlpBytes,
  rlpToUint,
  uintToRlp,
} from './rlp.ts';
import { asStake, type Epoch } from './units.ts';
import {
  checkValidatorSet,
  makeValidatorSet,
  type Validator,
  type ValidatorSet,
  validatorsMax,
} from './validatorSet.ts';

/** Who may certify: the set of an epoch, and the network in whose name they sign. */
export type Electorate = {
  readonly set: ValidatorSet;
  readonly epoch: Epoch;
  readonly networkId: Uint8Array;
};

const textBytesMax = 256;
const setBytesMax = validatorsMax * (32 + 8 + 40 + 2 * textBytesMax + 32);

/** RLP list of `[consensusKey 32, peerId, stake, memberId, operator 20, feeRecipient 20]`. */
export function encodeValidators({ validators }: ValidatorSet): Uint8Array {
  return encodeRlp(
    validators.map((validator) => [
      validator.consensusKey,
      Buffer.from(validator.peerId),
      uintToRlp(validator.stake),
      Buffer.from(validator.memberId),
      addressToBytes(validator.operator),
      addressToBytes(validator.feeRecipient),
    ]),
  );
}

export type ValidatorsRefusal = { code: 'VALIDATORS'; index: number };

/** A set that somebody else names: it is worth what the hash in a certified header makes of it. */
export function decodeValidators(bytes: Uint8Array): Verdict<ValidatorSet, ValidatorsRefusal> {
  const list = decodeRlp(bytes, setBytesMax);
  if (!list.ok || !isRlpList(list.value)) return refuse({ code: 'VALIDATORS', index: -1 });
  const items = list.value;
  if (items.length < 1 || items.length > validatorsMax) {
    return refuse({ code: 'VALIDATORS', index: -1 });
  }
  const validators: Validator[] = [];
  let total = 0n;
  for (const [index, item] of items.entries()) {
    const validator = validatorFrom(item);
    const before = validators.at(-1);
    const isInOrder =
      validator !== null &&
      (before === undefined || Buffer.compare(before.consensusKey, validator.consensusKey) < 0);
    if (!isInOrder) return refuse({ code: 'VALIDATORS', index });
    total += validator.stake;
    if (total >= 1n << 63n) return refuse({ code: 'VALIDATORS', index });
    validators.push(validator);
  }
  if (checkValidatorSet(validators) !== null) return refuse({ code: 'VALIDATORS', index: -1 });
  return accept(makeValidatorSet(validators));
}

function validatorFrom(item: RlpItem): Validator | null {
  if (!isRlpList(item) || item.length !== 6) return null;
  const consensusKey = rlpBytes(item[0], 32);
  const stake = rlpToUint(item[2], 8);
  const operator = rlpBytes(item[4], 20);
  const feeRecipient = rlpBytes(item[5], 20);
  const peerId = textFrom(item[1]);
  const memberId = textFrom(item[3]);
  if (consensusKey === null || operator === null || feeRecipient === null) return null;
  if (stake === null || stake < 1n || stake >= 1n << 63n) return null;
  if (peerId === null || memberId === null) return null;
  return {
    consensusKey,
    peerId,
    stake: asStake(stake),
    memberId,
    operator: addressFromBytes(operator),
    feeRecipient: addressFromBytes(feeRecipient),
  };
}

function textFrom(item: RlpItem | undefined): string | null {
  if (!(item instanceof Uint8Array) || item.length > textBytesMax) return null;
  const text = Buffer.from(item).toString('utf8');
  return Buffer.from(text, 'utf8').equals(item) ? text : null;
}
