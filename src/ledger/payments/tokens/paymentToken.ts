/**
 * PaymentToken (payments.md 2.3): one currency of one issuer, an ERC-20 and what belongs to it. It
 * lies at an address that shows its currency; TokenFactory makes it.
 */
import { type Address, canReceiveMoney, isTokenAddress } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { recipientOf } from '../addressStore.ts';
import { type Call, defineTemplate, type NativeContract, Revert, type View } from '../contract.ts';
import {
  cancelAuthorization,
  isSpent,
  permit,
  receiveWith,
  transferWith,
} from './authorizations.ts';
import { chainIdIn } from './factoryStore.ts';
import { executeHold, hold, holdData, releaseHold, renewHold } from './holds.ts';
import {
  attestReserve,
  burn,
  changePolicy,
  forceTransfer,
  mint,
  renounceRole,
  setFrozen,
  setPaused,
  setRole,
  setSupplyCap,
} from './issuing.ts';
import { isAllowed } from './policyStore.ts';
import { joined, VERSION } from './signatures.ts';
import { fail, log, tokenAbi } from './tokenAbi.ts';
import {
  allow,
  checkMovement,
  hasRole,
  move,
  needWithinLimits,
  resolved,
  spendAllowance,
  tokenOf,
  unfrozenOf,
} from './tokenStore.ts';

/** Units of every currency are millionths (payments.md 2.1, rule 6). */
const DECIMALS = 6n;
const referenceBytesMax = 1_024;
/** ERC-165, ERC-7699 (as it names itself), ERC-20. */
const INTERFACES = ['0x01ffc9a7', '0x1522573a', '0x36372b07'];
/** EIP-5267: name, version, chain and contract are in the domain. */
const DOMAIN_FIELDS = '0x0f';

/** Of ERC-3009, before the signature. */
const TERMS = 'address,address,uint256,uint256,uint256,bytes32';

const READ = 3_000n;
const WRITE = 6_000n;

const template = defineTemplate({
  name: 'PaymentToken',
  abi: tokenAbi,
  functions: {
    name: { gas: READ, run: (view) => of(view).name.get(view.state) },
    symbol: { gas: READ, run: (view) => of(view).symbol.get(view.state) },
    decimals: { gas: READ, run: () => DECIMALS },
    totalSupply: { gas: READ, run: (view) => of(view).supplies.get(view.state).total },
    balanceOf: { gas: READ, run: (view, account) => balanceOf(view, account).available },
    'transfer(address,uint256)': {
      gas: WRITE,
      run: (call, to, amount) => pay(call, call.sender, to, amount),
    },
    approve: {
      gas: WRITE,
      run: (call, spender, amount) => {
        tokenOf(call);
        allow(call, call.sender, spender, amount);
        return true;
      },
    },
    allowance: {
      gas: READ,
      run: (view, owner, spender) => of(view).allowances(owner)(spender).get(view.state),
    },
    'transferFrom(address,address,uint256)': { gas: WRITE, run: payFrom },
    permit: { gas: WRITE, run: permit },
    nonces: { gas: READ, run: (view, owner) => of(view).nonces(owner).get(view.state) },
    DOMAIN_SEPARATOR: { gas: READ, run: (view) => of(view).domainSeparator.get(view.state) },
    [`transferWithAuthorization(${TERMS},uint8,bytes32,bytes32)` as const]: {
      gas: WRITE,
      run: (call, ...[from, to, value, validAfter, validBefore, nonce, ...vrs]) =>
        transferWith(call, { from, to, value, validAfter, validBefore, nonce }, joined(...vrs)),
    },
    [`transferWithAuthorization(${TERMS},bytes)` as const]: {
      gas: WRITE,
      run: (call, from, to, value, validAfter, validBefore, nonce, signature) =>
        transferWith(call, { from, to, value, validAfter, validBefore, nonce }, signature),
    },
    [`receiveWithAuthorization(${TERMS},uint8,bytes32,bytes32)` as const]: {
      gas: WRITE,
      run: (call, ...[from, to, value, validAfter, validBefore, nonce, ...vrs]) =>
        receiveWith(call, { from, to, value, validAfter, validBefore, nonce }, joined(...vrs)),
    },
    [`receiveWithAuthorization(${TERMS},bytes)` as const]: {
      gas: WRITE,
      run: (call, from, to, value, validAfter, validBefore, nonce, signature) =>
        receiveWith(call, { from, to, value, validAfter, validBefore, nonce }, signature),
    },
    cancelAuthorization: { gas: WRITE, run: cancelAuthorization },
    authorizationState: {
      gas: READ,
      run: (view, authorizer, nonce) => {
        tokenOf(view);
        return isSpent(view.state, view.self, authorizer, nonce);
      },
    },
    currency: { gas: READ, run: (view) => of(view).currency.get(view.state) },
    transferWithMemo: {
      gas: WRITE,
      run: (call, to, amount, memo) => payWithMemo(call, call.sender, to, amount, memo),
    },
    transferFromWithMemo: {
      gas: WRITE,
      run: (call, from, to, amount, memo) => {
        spendAllowance(call, from, amount);
        payWithMemo(call, from, to, amount, memo);
        return true;
      },
    },
    mintWithMemo: { gas: WRITE, run: mint },
    burnWithMemo: { gas: WRITE, run: burn },
    supplyCap: { gas: READ, run: (view) => of(view).limits.get(view.state).supplyCap },
    setSupplyCap: { gas: WRITE, run: setSupplyCap },
    paused: { gas: READ, run: (view) => tokenOf(view).head.paused },
    pause: { gas: WRITE, run: (call) => setPaused(call, true) },
    unpause: { gas: WRITE, run: (call) => setPaused(call, false) },
    transferPolicyId: { gas: READ, run: (view) => tokenOf(view).head.transferPolicyId },
    changeTransferPolicyId: { gas: WRITE, run: changePolicy },
    'transfer(address,uint256,bytes)': {
      gas: WRITE,
      run: (call, to, amount, reference) =>
        payWithReference(call, call.sender, to, amount, reference),
    },
    'transferFrom(address,address,uint256,bytes)': {
      gas: WRITE,
      run: (call, from, to, amount, reference) => {
        spendAllowance(call, from, amount);
        return payWithReference(call, from, to, amount, reference);
      },
    },
    canSend: {
      gas: READ,
      run: (view, account) => mayDo(view, account, 'sender'),
    },
    canReceive: {
      gas: READ,
      run: (view, account) => {
        const to = recipientOf(view.state, account);
        return to !== null && canReceiveMoney(to) && mayDo(view, to, 'recipient');
      },
    },
    canTransfer: {
      gas: READ,
      run: (view, from, to, amount) => {
        const { head } = tokenOf(view);
        const { state, self: token } = view;
        try {
          const movement = resolved(state, { token, from, to, amount, hasMemo: false });
          checkMovement(state, head, movement);
          needWithinLimits(view, movement);
        } catch (error) {
          if (error instanceof Revert) return false;
          throw error;
        }
        return amount <= unfrozenOf(state, token, from);
      },
    },
    setFrozenTokens: {
      gas: WRITE,
      run: (call, account, amount) => {
        setFrozen(call, account, amount);
        return true;
      },
    },
    getFrozenTokens: {
      gas: READ,
      run: (view, account) => of(view).frozen(account).get(view.state),
    },
    forcedTransfer: {
      gas: WRITE,
      run: (call, from, to, amount) => {
        forceTransfer(call, from, to, amount);
        return true;
      },
    },
    hold: {
      gas: WRITE,
      run: (call, operationId, to, notary, value, timeToExpiration) => {
        hold(call, { operationId, from: call.sender, to, notary, value, timeToExpiration });
        return true;
      },
    },
    holdFrom: {
      gas: WRITE,
      run: (call, operationId, from, to, notary, value, timeToExpiration) => {
        hold(call, { operationId, from, to, notary, value, timeToExpiration });
        return true;
      },
    },
    executeHold: {
      gas: WRITE,
      run: (call, operationId, value) => {
        executeHold(call, operationId, value);
        return true;
      },
    },
    releaseHold: {
      gas: WRITE,
      run: (call, operationId) => {
        releaseHold(call, operationId);
        return true;
      },
    },
    renewHold: {
      gas: WRITE,
      run: (call, operationId, timeToExpiration) => {
        renewHold(call, operationId, timeToExpiration);
        return true;
      },
    },
    retrieveHoldData: {
      gas: READ,
      run: (view, operationId) => {
        tokenOf(view);
        return holdData(view.state, view.self, operationId);
      },
    },
    balanceOnHold: { gas: READ, run: (view, account) => balanceOf(view, account).held },
    netBalanceOf: {
      gas: READ,
      run: (view, account) => {
        const { available, held } = balanceOf(view, account);
        return available + held;
      },
    },
    totalSupplyOnHold: { gas: READ, run: (view) => of(view).supplies.get(view.state).held },
    attestReserve: { gas: WRITE, run: attestReserve },
    issuerMemberId: { gas: READ, run: (view) => of(view).issuerMemberId.get(view.state) },
    hasRole: {
      gas: READ,
      run: (view, role, account) => {
        tokenOf(view);
        return hasRole(view.state, view.self, role, account);
      },
    },
    grantRole: { gas: WRITE, run: (call, role, account) => setRole(call, role, account, true) },
    revokeRole: { gas: WRITE, run: (call, role, account) => setRole(call, role, account, false) },
    renounceRole: { gas: WRITE, run: renounceRole },
    supportsInterface: { gas: READ, run: (_, id) => INTERFACES.includes(id) },
    eip712Domain: {
      gas: READ,
      run: (view) => {
        const name = of(view).name.get(view.state);
        const chainId = chainIdIn(view.state);
        return [DOMAIN_FIELDS, name, VERSION, chainId, view.self, ZERO_HASH, []] as const;
      },
    },
  },
});

/** At this address there is, or may be, a token. */
export function paymentTokenAt(address: Address): NativeContract | null {
  return isTokenAddress(address) ? template(address) : null;
}

function of(view: View) {
  return tokenOf(view).token;
}

function balanceOf(view: View, account: Address) {
  return of(view).balances(account).get(view.state);
}

function mayDo(view: View, account: Address, side: 'sender' | 'recipient'): boolean {
  return isAllowed(view.state, tokenOf(view).head.transferPolicyId, account, side);
}

function pay(call: Call, from: Address, to: Address, amount: bigint, hasMemo = false): true {
  const { head } = tokenOf(call);
  const movement = resolved(call.state, { token: call.self, from, to, amount, hasMemo });
  checkMovement(call.state, head, movement);
  move(call, movement);
  return true;
}

function payFrom(call: Call, from: Address, to: Address, amount: bigint): true {
  tokenOf(call);
  spendAllowance(call, from, amount);
  return pay(call, from, to, amount);
}

function payWithMemo(call: Call, from: Address, to: Address, amount: bigint, memo: Hash): void {
  pay(call, from, to, amount, memo !== ZERO_HASH);
  call.emit(log(call.self, 'TransferWithMemo', from, to, amount, memo));
}

/** ERC-7699: up to 32 bytes stand in the log as they are, of more their hash. */
function payWithReference(
  call: Call,
  from: Address,
  to: Address,
  amount: bigint,
  reference: Uint8Array,
): true {
  if (reference.length > referenceBytesMax) {
    throw fail('ReferenceTooLong', BigInt(reference.length), BigInt(referenceBytesMax));
  }
  pay(call, from, to, amount, reference.length > 0);
  call.emit(log(call.self, 'TransferReference', loggedReference(reference)));
  return true;
}

function loggedReference(reference: Uint8Array): Hash {
  if (reference.length > 32) return keccakHash(reference);
  const word = new Uint8Array(32);
  word.set(reference);
  return hashFromBytes(word);
}
