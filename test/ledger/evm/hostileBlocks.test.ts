/** Blocks of transactions that want to break the budgets, made, checked and run again. */
import assert from 'node:assert/strict';
import { it, mock } from 'node:test';
import { EVM } from '@ethereumjs/evm';
import { estimate } from '#src/ledger/evm/simulate.ts';
import { simulateBlocks } from '#src/ledger/evm/simulateBlocks.ts';
import { assembleBlock, type BlockContext, executeBlock } from '#src/ledger/execute.ts';
import { replayTransactions } from '#src/ledger/replayTransactions.ts';
import { type Applied, blockGasLimit, type LedgerRules } from '#src/ledger/rules.ts';
import { EMPTY_ACCOUNT } from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateReader } from '#src/ledger/state/reader.ts';
import { concatBytes, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import type { Address } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import {
  type SignedTransaction,
  signAuthorization,
  type TransactionFields,
} from '#src/types/transaction.ts';
import { asEpoch, asGas, asHeight, asWei } from '#src/types/units.ts';
import { TinyNetwork } from '../../chain/network.ts';
import { chainId, payment, person } from '../samples.ts';

const rounds = Number(process.env.MPBP_HOSTILE_ROUNDS ?? 30);
const seed = Number(process.env.MPBP_HOSTILE_SEED ?? 1_311);
const people = Array.from({ length: 24 }, (_, number) => person(number));
/** Calls what logs what it sees. */
const witness = person(24);
const anyHeader = new TinyNetwork().params.genesis.block.header;
const rulesWith = (code: bigint): LedgerRules => ({
  chainId,
  baseFeePerGas: asWei(10n),
  paymentLaneGasLimit: asGas(40_000_000n),
  evmLaneGasLimit: asGas(code),
  paymentLaneBytesMax: 500_000,
});

const at = (number: number) => `0x${number.toString(16).padStart(40, '0')}` as Address;
/** What stands at `contract(index)`. */
const codes = [
  // Burns all of its gas.
  '5b5f56',
  // Fails at once; gives back; stores and clears what was there (a refund).
  'fe',
  '5f5ffd',
  '5f5f555f6001555f600255',
  // Creates what its call data is, with all that it has, and destroys itself.
  '365f5f37365f47f050',
  '365f5f375f365f5ff55033ff',
  // Calls its caller, a precompile and itself with all its gas.
  '5f5f5f5f5f335af1505f5f60805f60015afa505f5f5f5f5f305af1',
  '61ffff5f5f375f5fa0615fff5ff3',
  // Logs what it sees of gas and block.
  '5a5f5241602052486040523a60605260805fa0',
];
const contract = (index: number) => at(0xc0de00 + index);
/** Init code: nothing, 0xEF, too long, all its gas, much code, a little, fails, gives itself up. */
const inits = [
  '',
  '60ef5f5360015ff3',
  '6160015ff3',
  '5b5f56',
  '6160005ff3',
  '60205ff3',
  'fe',
  '33ff',
];

function stateOf() {
  const state = new Overlay(emptyState);
  for (const [index, code] of codes.entries()) {
    const codeHash = state.setCode(bytesOf(code));
    state.setAccount(contract(index), {
      ...EMPTY_ACCOUNT,
      nonce: 1n,
      balance: asWei(99n),
      codeHash,
    });
    for (let slot = 0; slot < 3; slot++) {
      const key = slot.toString(16).padStart(64, '0');
      state.setSlot(contract(index), key, Uint8Array.of(7));
    }
  }
  for (const { address } of [...people, witness]) {
    state.setAccount(address, { ...EMPTY_ACCOUNT, balance: asWei(10n ** 12n) });
  }
  return { state, root: state.seal(EMPTY_TRIE_ROOT).root };
}

function contextOn(root: Hash, parentHash: Hash, rules: LedgerRules): BlockContext {
  return {
    ...{ parentHash, parentStateRoot: root, coinbase: at(0xcb), rules },
    ...{ height: asHeight(1n), epoch: asEpoch(0), timestampMs: 1_790_000_001_000 },
    ...{ prevRandao: parentHash, blockHash: () => null },
  };
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

function hostile(random: SeededRandom, nonces: Map<Address, bigint>): SignedTransaction {
  const from = random.pick(people);
  const nonce = nonces.get(from.address) ?? 0n;
  const type = random.pick([0, 1, 2, 2, 4, 4] as const);
  const targets = [
    ...codes.map((_, index) => contract(index)),
    ...[1, 2, 3, 4, 5, 6, 8, 9, 0x100].map(at),
    ...[at(0x0a), random.pick(people).address, random.pick(people).address, from.address],
    ...['0x4d50420000000000000000000000000000000001' as Address, from.address],
  ];
  const to = type !== 4 && random.chance(0.3) ? null : random.pick(targets);
  const garbage = new Uint8Array(random.pick([0, 4, 100, 256, 257, 4_000]));
  garbage.fill(random.below(2));
  const data = to === null ? concatBytes(bytesOf(random.pick(inits)), garbage) : garbage;
  const accessList =
    type === 0 || random.chance(0.6)
      ? []
      : Array.from({ length: random.pick([1, 20, 400]) }, () => ({
          address: random.pick(targets),
          storageKeys: random.chance(0.5) ? [] : [keccakHash(uintToBytes(nonce, 8))],
        }));
  const authorizationList =
    type !== 4
      ? []
      : Array.from({ length: random.pick([1, 1, 2, 2, 2, 30]) }, () => {
          const lender = random.chance(0.4) ? from : random.pick(people);
          const own = (nonces.get(lender.address) ?? 0n) + (lender === from ? 1n : 0n);
          const address = random.chance(0.1) ? at(0) : random.pick(targets);
          return signAuthorization({ chainId: 0n, address, nonce: own }, lender.key);
        });
  const gas = random.pick([60_000, 90_000, 300_000, 1_100_000, 1_300_000, 16_777_216]);
  const gasLimit = asGas(BigInt(gas + random.pick([0, 0, 1, random.below(60_000)])));
  const fields: Partial<TransactionFields> = {
    ...{ type, nonce, to, data, accessList, authorizationList },
    ...{
      gasLimit: gasLimit > 1n << 24n ? asGas(1n << 24n) : gasLimit,
      value: asWei(BigInt(random.below(3))),
    },
  };
  nonces.set(from.address, nonce + (random.chance(0.99) ? 1n : 0n));
  return payment(from, fields);
}

/** Where blocks are only asked for, the same comes of the same calls. */
async function assertSimulated(
  state: StateReader,
  context: BlockContext,
  transactions: readonly SignedTransaction[],
  ends: readonly Applied[],
): Promise<void> {
  const { height, timestampMs, coinbase, prevRandao, parentHash: hash } = context;
  const header = { ...anyHeader, height: asHeight(0n), gasLimit: blockGasLimit(context.rules) };
  const calls = transactions.map(({ gasLimit: gas, ...fields }) => ({ ...fields, gas }));
  const block = { height, timestampMs, gasLimit: null, coinbase, prevRandao, baseFeePerGas: null };
  const simulated = await simulateBlocks(
    { state, header, hash, rules: context.rules, blockHash: () => null },
    [{ ...block, overrides: new Map(), precompiles: null, calls }],
    { validates: true, logsTransfers: false, gasMax: 1n << 60n },
  );
  assert.ok(simulated.ok, simulated.ok ? '' : JSON.stringify(simulated.refusal, String));
  const told = simulated.value[0]?.calls.map((call) => ({ ...call }));
  const want = ends.map(({ ended, reason, output, gasUsed, logs }) => {
    return { ended, reason, output, gasUsed, logs };
  });
  assert.deepEqual(told, want);
}

it(`${rounds} hostile blocks come to the same made, checked and run again`, async () => {
  const random = new SeededRandom(seed);
  let included = 0;
  const types = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const { state, root } = stateOf();
    const rules = rulesWith(random.pick([100_000n, 300_000n, 1_000_000n]));
    const nonces = new Map<Address, bigint>();
    const candidates = Array.from({ length: 90 }, () => hostile(random, nonces));
    const seen = { to: contract(codes.length - 1), gasLimit: asGas(60_000n) };
    candidates.unshift(payment(witness, seen));
    const parentHash = keccakHash(utf8(`parent ${round}`));
    const context = contextOn(root, parentHash, rules);
    const { transactions, outcome } = await assembleBlock(state, context, candidates);
    assert.ok(outcome.gasUsed <= blockGasLimit(rules), `${round}`);
    const checked = await executeBlock(state, context, transactions);
    assert.ok(checked.ok, `${round}`);
    assert.equal(checked.value.stateRoot, outcome.stateRoot);
    assert.equal(checked.value.receiptsRoot, outcome.receiptsRoot);
    let cumulative = 0n;
    const ends: Applied[] = [];
    await replayTransactions(state, context, transactions, {
      observerOf: () => null,
      onApplied: (index, applied) => {
        cumulative += applied.gasUsed;
        ends.push(applied);
        const receipt = outcome.receipts[index];
        assert.equal(receipt?.cumulativeGasUsed, cumulative);
        assert.equal(receipt.succeeded, applied.ended === 'well');
        types.add(`${applied.ended} ${applied.reason}`);
      },
    });
    await assertSimulated(state, context, transactions, ends);
    included += transactions.length;
  }
  assert.ok(included > rounds * 5, `${included} were in blocks`);
  if (process.env.SHOW) console.log(included, [...types]);
});

it('what is refused when its turn comes takes no room from payments', async () => {
  const half = people.length / 2;
  const most = asGas(300_000n);
  const greedy = people
    .slice(0, half)
    .map((from) => payment(from, { to: contract(0), gasLimit: most }));
  const honest = people.slice(half).map((from) => payment(from, {}));
  const { state, root } = stateOf();
  for (let round = 0; round < 8; round++) {
    const rules = { ...rulesWith(100_000n), paymentLaneGasLimit: asGas(1_252_000n) };
    const context = contextOn(root, keccakHash(utf8(`parent ${round}`)), rules);
    const { transactions } = await assembleBlock(state, context, [...greedy, ...honest]);
    const missing = honest.filter((one) => !transactions.includes(one)).length;
    assert.equal(missing, 0, `${round}`);
    assert.ok((await executeBlock(state, context, transactions)).ok);
  }
});

it('a fault of the library fails the transaction, and keeps its budget', async () => {
  const library = EVM.prototype as unknown as { runInterpreter(): Promise<never> };
  const fault = mock.method(library, 'runInterpreter', async () => {
    throw new RangeError('a fault');
  });
  try {
    const { state, root } = stateOf();
    const context = contextOn(root, keccakHash(utf8('parent')), rulesWith(100_000n));
    const [from] = people;
    assert.ok(from !== undefined);
    const fields = { to: contract(0), data: new Uint8Array(300), gasLimit: asGas(1_000_000n) };
    const { transactions, outcome } = await assembleBlock(state, context, [payment(from, fields)]);
    assert.ok(fault.mock.callCount() > 0);
    assert.equal(transactions.length, 1);
    assert.equal(outcome.gasUsed, 100_000n + 21_000n + 1_200n);
    assert.equal(outcome.receipts[0]?.succeeded, false);
  } finally {
    fault.mock.restore();
  }
});

it('what no block has room for is not estimated', async () => {
  const [from] = people;
  assert.ok(from !== undefined);
  const { state, root } = stateOf();
  const rules = rulesWith(100_000n);
  const context = contextOn(root, keccakHash(utf8('parent')), rules);
  const { chainId, baseFeePerGas, evmLaneGasLimit: laneGas } = rules;
  const block = { ...context, chainId, baseFeePerGas, gasLimit: laneGas };
  const data = new Uint8Array(0);
  for (const length of [41, 42]) {
    const accessList = Array.from({ length }, (_, n) => ({ address: at(n), storageKeys: [] }));
    const fields = { to: null, value: asWei(0n), data, accessList };
    const question = { ...fields, sender: from.address, gasPrice: 0n, laneGas };
    const found = await estimate(state, block, question, 1n << 24n);
    const gasLimit = asGas(found.t === 'gas' ? found.gas : 1n << 24n);
    const { transactions } = await assembleBlock(state, context, [
      payment(from, { ...fields, gasLimit }),
    ]);
    assert.equal(found.t, length === 41 ? 'gas' : 'fails');
    assert.equal(transactions.length, length === 41 ? 1 : 0);
  }
});

it('candidates that run code after all take no place of payments', async () => {
  const half = people.length / 2;
  const greedy = people
    .slice(0, half)
    .map((from) => payment(from, { to: contract(0), gasLimit: asGas(200_000n) }));
  const honest = people.slice(half).map((from) => payment(from, {}));
  const { state, root } = stateOf();
  const rules = { ...rulesWith(100_000n), paymentLaneGasLimit: asGas(BigInt(half) * 21_000n) };
  const context = contextOn(root, keccakHash(utf8('parent')), rules);
  const { transactions } = await assembleBlock(state, context, [...greedy, ...honest]);
  const missing = honest.filter((one) => !transactions.includes(one)).length;
  assert.equal(missing, 0);
});
