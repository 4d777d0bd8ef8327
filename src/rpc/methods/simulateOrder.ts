/**
 * `mpbp_simulateOrder` (payments.md 2.4): what would come of a payment that is sent now. What makes
 * blocks runs it, its fee with it, on the state of the newest final block; nothing of it stays.
 */
import { findFee, holdFee } from '#src/ledger/fees.ts';
import { callGas, standardGas } from '#src/ledger/gas.ts';
import { PAYMENT_ORDERS, PAYOUTS } from '#src/ledger/payments/addresses.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { contractAt } from '#src/ledger/payments/contracts.ts';
import { runMessage } from '#src/ledger/payments/dispatch.ts';
import { paidTokenOf } from '#src/ledger/payments/fees/paidToken.ts';
import { tokenAt, unfrozenOf } from '#src/ledger/payments/tokens/tokenStore.ts';
import { type Applied, gasLimitFor, type LedgerContext } from '#src/ledger/rules.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { applyTransaction, type InclusionRefusal } from '#src/ledger/transfer.ts';
import { toHex } from '#src/lib/bytes.ts';
import { systemClock } from '#src/lib/clock.ts';
import type { Verdict } from '#src/lib/failure.ts';
import { atOnce } from '#src/lib/steps.ts';
import { type Address, formatAddress, isTokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { currencyOf } from '#src/types/currency.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import { type SignedTransaction, unsignedTransaction } from '#src/types/transaction.ts';
import { asGas, asHeight, asWei } from '#src/types/units.ts';
import type { Backend } from '../backend.ts';
import type { Methods } from '../dispatch.ts';
import { invalidParam } from '../errors.ts';
import { quantity } from '../formats.ts';
import { type CodedError, codedError } from '../payments/codedErrors.ts';
import { type Movement, movementsIn, refusedItemsIn } from '../payments/movements.ts';
import { formatOrder } from '../payments/orderView.ts';
import { headState } from '../resolve.ts';
import { type Call, readCall } from './callParams.ts';

export function simulateOrderMethods(backend: Backend): Methods {
  const run = ([call]: readonly unknown[]) => simulate(backend, readCall(call, 0));
  return [['mpbp_simulateOrder', { paramsMax: 1, units: 60, run }]];
}

function simulate(backend: Backend, call: Call): unknown {
  const contract = contractOf(call);
  const before = headState(backend);
  const block = nextBlock(backend);
  const { transaction, isGasKnown } = asTransaction(call, contract, before, block);
  const fee = findFee(before, transaction, block);
  const after = new Overlay(before);
  // Native contracts run at once, and no code of the EVM does.
  const applied = atOnce(applyTransaction(after, transaction, block, () => false));
  const outcome = outcomeOf(applied);
  const { gasUsed, logs, output, error } = outcome;
  const paid = { ...fee, amount: fee.amountFor(gasUsed) };
  const inCoin = fee.token === null && gasUsed > 0n ? [networkFeeOf(paid)] : [];
  const sendable = isGasKnown && applied.ok ? sendableOf(before, transaction, block) : null;
  const orderId = orderIn(contract, transaction.data, error === null ? output : null);
  const { height } = backend.head.header;
  return {
    blockNumber: quantity(height),
    ...{ succeeded: error === null, error },
    movements: [...movementsIn(logs, before), ...inCoin].map(formatMovement),
    refusedItems: refusedItemsIn(logs).map(({ item, to, amount, error: reason }) => ({
      ...{ item: quantity(item), to: formatAddress(to), amount: quantity(amount), error: reason },
    })),
    networkFee: {
      ...{ payer: formatAddress(fee.payer), isSponsored: fee.sponsorship !== null },
      ...{ ...tokenNames(fee.token), amount: quantity(paid.amount) },
      amountMax: quantity(fee.amountFor(transaction.gasLimit)),
    },
    gas: { used: quantity(gasUsed), limit: quantity(transaction.gasLimit) },
    sendable,
    order: orderId === null ? null : formatOrder(after, height, orderId),
  };
}

function contractOf({ from, to }: Call): NativeContract {
  // Nobody has this address: it stands for none given.
  if (from === ZERO_ADDRESS) throw invalidParam(0, '"from" says who would send it');
  const isPayment = to !== null && (to === PAYMENT_ORDERS || to === PAYOUTS || isTokenAddress(to));
  const contract = isPayment ? contractAt(to) : null;
  if (contract !== null) return contract;
  throw invalidParam(0, '"to" should be PaymentOrders, Payouts or a currency');
}

/** As if it were proposed now. */
function nextBlock({ head, rules }: Backend): LedgerContext {
  const { height, coinbase, prevRandao, consensus } = head.header;
  const timestampMs = Math.max(systemClock.wall(), consensus.timestampMs + 1);
  const blockHash = () => null;
  return { height: asHeight(height + 1n), timestampMs, rules, coinbase, prevRandao, blockHash };
}

type Asked = { readonly transaction: SignedTransaction; readonly isGasKnown: boolean };

/** At the network's price where none is named; with the gas that it takes, and some for other amounts. */
function asTransaction(
  call: Call,
  { address }: NativeContract,
  state: StateReader,
  block: LedgerContext,
): Asked {
  const { from, value, data, type, accessList } = call;
  const { chainId, baseFeePerGas } = block.rules;
  const price = call.price > 0n ? call.price : baseFeePerGas;
  const fields = {
    ...{ type, chainId, nonce: (state.account(from) ?? EMPTY_ACCOUNT).nonce },
    ...{ maxFeePerGas: asWei(price), maxPriorityFeePerGas: asWei(type === 2 ? call.tip : price) },
    ...{ to: address, value: asWei(value), data, accessList, authorizationList: [] },
  };
  const limit = gasLimitFor(fields, block.rules);
  const need = call.gas === null ? gasNeeded(call, state, block, limit) : null;
  const room = need === null ? 0n : need.gas + need.gas / 10n;
  const gasLimit = asGas(call.gas ?? (room < limit ? room : limit));
  const isGasKnown = need === null || need.isKnown;
  return { transaction: unsignedTransaction({ ...fields, gasLimit }, from), isGasKnown };
}

/** Without the fee, which has to be known first; of a call that is refused it says little. */
function gasNeeded(call: Call, state: StateReader, block: LedgerContext, limit: bigint) {
  const { from: sender, to, data, accessList } = call;
  const contract = contractOf(call);
  const fields = { to, data, accessList, authorizationList: [] };
  const gas = limit - standardGas(fields);
  const message = { sender, to: contract, value: 0n, data, gas: gas > 0n ? gas : 0n };
  const { gasUsed, ended } = runMessage(new Overlay(state), block, message);
  return { gas: callGas(fields, gasUsed), isKnown: ended === 'well' };
}

type Failed = CodedError & { readonly message: string; readonly data: string | null };
type Outcome = Pick<Applied, 'gasUsed' | 'logs' | 'output'> & { readonly error: Failed | null };

/** What no block takes costs nothing. */
function outcomeOf(applied: Verdict<Applied, InclusionRefusal>): Outcome {
  if (!applied.ok) {
    const { code: name, ...rest } = applied.refusal;
    const values = Object.entries(rest).map(([field, value]) => [field, spell(value)] as const);
    const message = [name, ...values.map(([field, value]) => `${field} ${value}`)].join(', ');
    const error = { name, arguments: Object.fromEntries(values), message, data: null };
    return { gasUsed: asGas(0n), logs: [], output: new Uint8Array(0), error };
  }
  const { ended, reason, gasUsed, logs, output } = applied.value;
  if (ended === 'well') return { gasUsed, logs, output, error: null };
  const coded = codedError(output) ?? { name: 'OUT_OF_GAS', arguments: {} };
  return { gasUsed, logs, output, error: { ...coded, message: reason, data: toHex(output) } };
}

function spell(value: bigint | number | string): string {
  return typeof value === 'string' ? formatAddress(value as Address) : quantity(value);
}

/** The most that the sender could pay in this token, with the gas of this transaction. */
function sendableOf(state: StateReader, transaction: SignedTransaction, block: LedgerContext) {
  const { sender, to } = transaction;
  const token = to !== null && isTokenAddress(to) ? to : paidTokenOf(state, transaction);
  if (token === null || !isTokenAddress(token)) return null;
  if (!tokenAt(token).head.get(state).exists) return null;
  const left = new Overlay(state);
  holdFee(left, findFee(state, transaction, block));
  return { ...tokenNames(token), amount: quantity(unfrozenOf(left, token, sender)) };
}

/** The one that a call makes or names. */
function orderIn(
  { address, functions }: NativeContract,
  data: Uint8Array,
  output: Uint8Array | null,
) {
  if (address !== PAYMENT_ORDERS) return null;
  const called = functions.get(toHex(data.subarray(0, 4)));
  if (called?.name === 'createOrder') return output === null ? null : hashFromBytes(output);
  const namesOrder = called?.inputs.signature.startsWith('(bytes32') === true;
  return namesOrder && data.length >= 36 ? hashFromBytes(data.subarray(4, 36)) : null;
}

// --- as it goes out ------------------------------------------------------------------------------

/** In coin it has no log; who gets it is known when somebody proposes the block. */
function networkFeeOf({ payer, amount }: { payer: Address; amount: bigint }): Movement {
  const none = { token: null, to: null, feeKind: null, orderId: null };
  return { ...none, kind: 'networkFee', from: payer, amount };
}

function formatMovement({ kind, token, from, to, amount, feeKind, orderId }: Movement) {
  return {
    ...{ kind, ...tokenNames(token), from: formatAddress(from) },
    ...{ to: to === null ? null : formatAddress(to), amount: quantity(amount), feeKind, orderId },
  };
}

function tokenNames(token: Address | null) {
  if (token === null) return { token, currency: null };
  return { token: formatAddress(token), currency: currencyOf(token) };
}
