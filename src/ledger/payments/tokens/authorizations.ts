/**
 * Money that moves by a signature which anybody may submit: ERC-2612 allowances and ERC-3009
 * payments. What was signed is for this token on this chain, once.
 */
import type { Address } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import type { StateReader } from '../../state/reader.ts';
import type { Call } from '../contract.ts';
import { digest, joined, RECOVERY_GAS, signerOf, structHash, typeHash } from './signatures.ts';
import { fail, log } from './tokenAbi.ts';
import { allow, checkMovement, move, resolved, tokenAt, tokenOf } from './tokenStore.ts';

const PERMIT = typeHash(
  'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)',
);
const TIMES = 'uint256 validAfter,uint256 validBefore';
const payment = (name: string) =>
  typeHash(`${name}(address from,address to,uint256 value,${TIMES},bytes32 nonce)`);
const TRANSFER = payment('TransferWithAuthorization');
const RECEIVE = payment('ReceiveWithAuthorization');
const CANCEL = typeHash('CancelAuthorization(address authorizer,bytes32 nonce)');

export type Authorization = {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  /** Unix seconds: after this one, before that one. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly nonce: Hash;
};

export function permit(
  call: Call,
  owner: Address,
  spender: Address,
  value: bigint,
  deadline: bigint,
  ...vrs: [v: bigint, r: Hash, s: Hash]
): void {
  const { state, now } = call;
  const { token } = tokenOf(call);
  if (now > deadline) throw fail('ERC2612ExpiredSignature', deadline);
  const nonces = token.nonces(owner);
  const nonce = nonces.get(state);
  const struct = structHash(PERMIT, owner, spender, value, nonce, deadline);
  const signer = signerIn(call, call.self, struct, joined(...vrs));
  if (signer !== owner) throw fail('ERC2612InvalidSigner', signer ?? ZERO, owner);
  nonces.set(state, nonce + 1n);
  allow(call, owner, spender, value);
}

/** Anybody submits it. */
export function transferWith(call: Call, signed: Authorization, signature: Uint8Array): void {
  settle(call, TRANSFER, signed, signature);
}

/** Only the receiver submits it, who so can do more with it in one step. */
export function receiveWith(call: Call, signed: Authorization, signature: Uint8Array): void {
  if (call.sender !== signed.to) throw fail('CallerNotReceiver', call.sender, signed.to);
  settle(call, RECEIVE, signed, signature);
}

function settle(call: Call, type: Hash, signed: Authorization, signature: Uint8Array): void {
  const { head } = tokenOf(call);
  const { from, to, value: amount } = signed;
  takeAuthorization(call, call.self, type, signed, signature);
  const movement = resolved(call.state, { token: call.self, from, to, amount, hasMemo: false });
  checkMovement(call.state, head, movement);
  move(call, movement);
}

/** Checks what was signed and marks it as spent; whoever calls this moves the money. */
export function takeAuthorization(
  call: Call,
  token: Address,
  type: Hash,
  { from, to, value, validAfter, validBefore, nonce }: Authorization,
  signature: Uint8Array,
): void {
  const { now } = call;
  if (now <= validAfter) throw fail('AuthorizationNotYetValid', validAfter);
  if (now >= validBefore) throw fail('AuthorizationExpired', validBefore);
  const struct = structHash(type, from, to, value, validAfter, validBefore, nonce);
  needSigner(call, token, from, struct, signature);
  spend(call, token, from, nonce);
  call.emit(log(token, 'AuthorizationUsed', from, nonce));
}

export { RECEIVE as RECEIVE_TYPE };

export function cancelAuthorization(
  call: Call,
  authorizer: Address,
  nonce: Hash,
  ...vrs: [v: bigint, r: Hash, s: Hash]
): void {
  tokenOf(call);
  needSigner(call, call.self, authorizer, structHash(CANCEL, authorizer, nonce), joined(...vrs));
  spend(call, call.self, authorizer, nonce);
  call.emit(log(call.self, 'AuthorizationCanceled', authorizer, nonce));
}

export function isSpent(
  state: StateReader,
  token: Address,
  authorizer: Address,
  nonce: Hash,
): boolean {
  return tokenAt(token).authorizations(authorizer)(nonce).get(state);
}

function spend({ state }: Call, token: Address, authorizer: Address, nonce: Hash): void {
  const spent = tokenAt(token).authorizations(authorizer)(nonce);
  if (spent.get(state)) throw fail('AuthorizationSpent', authorizer, nonce);
  spent.set(state, true);
}

function needSigner(
  call: Call,
  token: Address,
  wanted: Address,
  struct: Hash,
  signature: Uint8Array,
): void {
  if (signerIn(call, token, struct, signature) !== wanted) throw fail('InvalidSignature', wanted);
}

function signerIn(
  { state, spend: pay }: Call,
  token: Address,
  struct: Hash,
  signature: Uint8Array,
): Address | null {
  pay(RECOVERY_GAS);
  return signerOf(digest(tokenAt(token).domainSeparator.get(state), struct), signature);
}

const ZERO = `0x${'00'.repeat(20)}` as Address;
