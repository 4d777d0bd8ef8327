/**
 * `npm run bench:contracts`: what calls of the native contracts cost in gas and in time, with 128
 * validators and the longest address that one may have. Time is that of whole blocks, their tries
 * included; the best of several runs of the same block. A call that is slower for its gas than a
 * payment by much lets one sender fill blocks that take too long.
 */
import { type Abi, encodeFunctionData } from 'viem';
import { type BlockContext, executeBlock } from '#src/ledger/execute.ts';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { nodeDirectory } from '#src/ledger/payments/nodeDirectory.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { payoutItemsMax, payouts } from '#src/ledger/payments/payouts.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { tokenFactory } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { hasPendingChanges } from '#src/ledger/payments/validatorChanges.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { toHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { atOnce } from '#src/lib/steps.ts';
import { type Address, addressFromBytes, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashToBytes, keccakHash } from '#src/types/hash.ts';
import { ingressBytesMax, transactionGasMax } from '#src/types/limits.ts';
import { asEpoch, asGas, asWei } from '#src/types/units.ts';
import {
  bytes,
  COIN,
  coinbase,
  consortiumRegistry,
  governance,
  keyOf,
  Ledger,
  memberId,
  peerOf,
  start,
  validatorRegistry,
  type Wanted,
  zero32,
} from '../ledger/payments/rig.ts';
import { ann, clerk, courier, ShopWorld, till } from '../ledger/payments/shopWorld.ts';
import { type Person, payment, person } from '../ledger/samples.ts';

const validators = 128;
const rounds = 7;
const gasLimit = asGas(transactionGasMax);
const ledger = new Ledger({ members: validators, member: { roles: 5 } });

type Sending = { readonly to: Address; readonly data: Uint8Array; readonly value?: bigint };

type Scene = { readonly of?: Ledger; readonly from?: Person; readonly parts?: number };

/** The same block several times, on the same state; figures are of one of `parts` in a call. */
function measure(
  name: string,
  count: number,
  call: (n: number) => Sending,
  { of = ledger, from = person(0), parts = 1 }: Scene = {},
): void {
  const first = of.nonces.get(from.address) ?? 0n;
  const transactions = Array.from({ length: count }, (_, n) => {
    const { to, data, value = 0n } = call(n);
    const limit = data.length === 0 ? asGas(21_000n) : gasLimit;
    const fields = { nonce: first + BigInt(n), to, data, value: asWei(value), gasLimit: limit };
    return payment(from, { ...fields, maxFeePerGas: asWei(1n) });
  });
  const context: BlockContext = {
    parentHash: zero32,
    parentStateRoot: of.root,
    coinbase,
    rules: {
      chainId: 4242n,
      baseFeePerGas: asWei(1n),
      paymentLaneGasLimit: asGas(1n << 40n),
      evmLaneGasLimit: asGas(1n << 30n),
      paymentLaneBytesMax: 1 << 30,
    },
    ...{ ...of.facts, epoch: asEpoch(of.epoch) },
    ...{ prevRandao: zero32, blockHash: () => null },
  };
  let best = Number.POSITIVE_INFINITY;
  let gas = 0;
  let succeeded = 0;
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    const executed = atOnce(executeBlock(of.state, context, transactions));
    best = Math.min(best, performance.now() - began);
    assert(executed.ok, `${name} can be executed`);
    gas = Number(executed.value.gasUsed);
    succeeded = executed.value.receipts.filter((receipt) => receipt.succeeded).length;
  }
  const ended = succeeded === count ? '' : succeeded === 0 ? 'refused' : `${succeeded} succeed`;
  const all = count * parts;
  const figures = [gas / all, (best / all) * 1e3].map((figure) => figure.toFixed(0));
  print(name, ...figures, ((best / gas) * 1e6).toFixed(2), ended);
}

function print(name: string, gas = '', micros = '', rate = '', ended = ''): void {
  const cells = [name.padEnd(44), gas.padStart(10), micros.padStart(9), rate.padStart(9), ended];
  process.stdout.write(`${cells.join(' ')}\n`);
}

function time(name: string, count: number, run: () => unknown): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    for (let n = 0; n < count; n++) run();
    best = Math.min(best, performance.now() - began);
  }
  print(name, '', ((best / count) * 1e3).toFixed(0));
}

const encode = ([{ abi }, functionName, args]: Wanted) =>
  bytes(encodeFunctionData({ abi: abi as Abi, functionName, args }));
const to = (contract: NativeContract, name: string, ...args: readonly unknown[]): Sending => ({
  to: contract.address,
  data: encode([contract, name, args]),
});
const registry = (name: string, ...args: readonly unknown[]) =>
  to(validatorRegistry, name, ...args);
const council = (name: string, ...args: readonly unknown[]) => to(governance, name, ...args);
const consortium = (name: string, ...args: readonly unknown[]) =>
  to(consortiumRegistry, name, ...args);

/** As long as it may be. */
function longIngress(peer: number): string {
  const head = `${peerOf(peer)} /dns4/${`${'a'.repeat(60)}.`.repeat(3)}`;
  return `${head}${'b'.repeat(ingressBytesMax - head.length - 6)}/tcp/1`;
}

const activate = encode([validatorRegistry, 'activateValidator', [0n]]);
/** Governed, and full: its words are not zero. */
const longCall = (n: number) => {
  const data = new Uint8Array(8 * 1_024).fill(1 + (n % 200));
  data.set(activate);
  return toHex(data);
};
const vote = (view: number) => {
  const bytesOfVote = new Uint8Array(169);
  bytesOfVote.set(utf8('MPBP-CONSENSUS-1'));
  bytesOfVote.set(hashToBytes(ledger.networkId), 16);
  for (const at of [48, 64, 104]) bytesOfVote[at] = 1;
  bytesOfVote[103] = view;
  return toHex(bytesOfVote);
};
const proposal = (calls: readonly string[]) =>
  council('propose', Array(calls.length).fill(validatorRegistry.address), calls, 0, '');

const newAccount = (n: number) => addressFromBytes(uintToBytes((0xaan << 152n) + BigInt(n), 20));

/** A bank's euros: what a currency costs, and what a batch saves. */
function measureTokens(): void {
  const of = ['Euro', 'EUR', 'EUR', memberId(0), person(0).address, zero32];
  const made = ledger.send(person(0), [tokenFactory, 'createToken', of]);
  const address = String(made.logs[0]?.args.token).toLowerCase() as Address;
  const token = paymentTokenAt(address);
  assert(made.ok && token !== null, 'there is a currency');
  const euro = (name: string, ...args: readonly unknown[]) => to(token, name, ...args);
  const minted = ledger.send(person(0), [token, 'mintWithMemo', [person(0).address, COIN, zero32]]);
  assert(minted.ok, 'there is money');
  const memo = keccakHash(utf8('a memo'));
  measure('transfer of a token to a new account', 2_000, (n) =>
    euro('transfer', newAccount(n), 1n),
  );
  measure('transfer of a token to one account', 2_000, () => euro('transfer', newAccount(0), 1n));
  measure('transferWithMemo', 2_000, (n) => euro('transferWithMemo', newAccount(n), 1n, memo));
  measure('approve', 2_000, (n) => euro('approve', newAccount(n), 1n));
  const items = (first: number, ofOne: boolean) =>
    Array.from({ length: payoutItemsMax }, (_, n) => ({
      to: newAccount(ofOne ? 0 : first + n),
      ...{ amount: 1n, memo },
    }));
  const batch = (n: number, ofOne: boolean, atomic: boolean) =>
    to(
      payouts,
      'payoutBatch',
      address,
      items(n * payoutItemsMax, ofOne),
      toHex(uintToBytes(BigInt(n), 32)),
      atomic,
    );
  const parts = payoutItemsMax;
  measure('payoutBatch to new accounts, an item', 8, (n) => batch(n, false, true), { parts });
  measure('payoutBatch to one account, an item', 8, (n) => batch(n, true, true), { parts });
  const nobody = Array.from({ length: payoutItemsMax }, () => ({
    ...{ to: ZERO_ADDRESS, amount: 1n, memo: zero32 },
  }));
  const refused = (n: number) =>
    to(payouts, 'payoutBatch', address, nobody, toHex(uintToBytes(BigInt(n), 32)), false);
  measure('payoutBatch to nobody, an item', 8, refused, { parts });
}

/** What lies under hundreds of blocks is at hand after the first round, as in a node's cache. */
function flat(state: StateReader): StateReader {
  const known = new Map<string, unknown>();
  const once = <T>(key: string, find: () => T): T => {
    if (!known.has(key)) known.set(key, find());
    return known.get(key) as T;
  };
  return {
    account: (address) => once(address, () => state.account(address)),
    slot: (address, key) => once(`${address} ${key}`, () => state.slot(address, key)),
    code: (hash) => state.code(hash),
    trieNode: (owner, path) => once(`${owner}/${path}`, () => state.trieNode(owner, path)),
  };
}

/** Of one shop without fees, each by whom it is for; signed before the clock runs. */
function measureOrders(): void {
  const count = 100;
  const world = new ShopWorld();
  // Each block of the ledger is a second later.
  const [payBy, captureBy, refundBy] = [1n, 2n, 3n].map((n) => world.now + n * 1_000_000n);
  const terms = { payBy, captureBy, refundBy } as { payBy: bigint };
  const many = (change: Parameters<ShopWorld['create']>[0]) =>
    Array.from({ length: count }, () => world.create({ ...terms, ...change }));
  const on = (name: string, ...args: readonly unknown[]) => to(paymentOrders, name, ...args);
  const [charged, held, kept, settled] = [0n, 1n, 1n, 0n].map((captureMode) =>
    many({ captureMode, amount: 10n }),
  ) as [Hash[], Hash[], Hash[], Hash[]];
  for (const id of [...kept, ...settled]) world.do(ann, 'pay', id);
  const orders = Array.from({ length: count }, () => world.order(terms));
  world.ledger.state = flat(world.ledger.state);
  const create = (n: number) => on('createOrder', orders[n]?.terms, orders[n]?.signature);
  const scene = (from: Person) => ({ of: world.ledger, from });
  measure('createOrder, routed at once', count, create, scene(courier));
  measure('pay, taken at once', count, (n) => on('pay', charged[n]), scene(ann));
  measure('pay, into a hold', count, (n) => on('pay', held[n]), scene(ann));
  measure('capture', count, (n) => on('capture', kept[n], 10n), scene(till));
  measure('voidOrder', count, (n) => on('voidOrder', kept[n]), scene(till));
  measure('refund', count, (n) => on('refund', settled[n], 1n, zero32), scene(clerk));
}

const longSet = ledger.send(person(0), [validatorRegistry, 'setIngress', [0n, longIngress(0)]]);
assert(longSet.ok, 'an address may be as long as that');

print('', 'gas', 'us', 'ms/Mgas');
measure('a payment to a new account', 2_000, (n) => ({
  to: newAccount(n),
  data: new Uint8Array(0),
}));
measure('setFeeRecipient', 300, (n) =>
  registry('setFeeRecipient', 0n, person(1 + (n % 2)).address),
);
measure('setIngress, the longest', 300, (n) =>
  registry('setIngress', 0n, longIngress(n % 2 ? 0 : 200)),
);
measure('bond, more weight', 50, () => ({
  ...registry('bond', 0n, ZERO_ADDRESS, COIN),
  value: COIN,
}));
measure('unbond, less weight', 5, () => registry('unbond', 0n, COIN));
measure('getValidator, the longest address', 500, () => registry('getValidator', 0n));
measure('getActiveValidatorSet', 20, () => registry('getActiveValidatorSet'));
measure('getValidators', 50, () => registry('getValidators'));
measure('validatorSetAt', 300, () => registry('validatorSetAt', 1n));
measure('submitEvidence, wrong signature', 300, () =>
  registry('submitEvidence', 0n, vote(0), vote(9)),
);
measure('registerValidator, a used key', 50, () =>
  registry('registerValidator', toHex(keyOf(1)), '0x', 0, person(0).address, longIngress(200)),
);
measure('propose 4 calls of 8 KiB', 6, (n) => proposal(Array<string>(4).fill(longCall(n))));
measure('propose 1 short call', 300, () => proposal([toHex(activate)]));
measure('castVote, no such proposal', 300, () => council('castVote', 999n, 1, zero32));
measure('setNode', 8, (n) => consortium('setNode', memberId(0), toHex(keyOf(200 + n)), true));
measure('setOperator', 300, (n) =>
  consortium('setOperator', memberId(0), person(1_000 + n).address, 1n, true),
);
measure('getMember', 300, () => consortium('getMember', memberId(0)));
measure('hasRole', 300, () => consortium('hasRole', keccakHash(utf8('nobody')), 1n));
measureTokens();
measureOrders();
time('hasPendingChanges, at each change of the pool', 10_000, () =>
  hasPendingChanges(ledger.state),
);
time('nodeDirectory, for a block that may change it', 50, () =>
  nodeDirectory(ledger.state, BigInt(start)),
);
