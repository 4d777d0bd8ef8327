import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MerklePatriciaTrie } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import { keccak256 } from '#src/crypto/keccak.ts';
import {
  assembleBlock as assemble,
  type BlockContext,
  executeBlock as execute,
} from '#src/ledger/execute.ts';
import { effectiveGasPrice } from '#src/ledger/gas.ts';
import { findDisorder, orderTransactions } from '#src/ledger/order.ts';
import type { LedgerRules } from '#src/ledger/rules.ts';
import {
  type Account,
  EMPTY_ACCOUNT,
  EMPTY_CODE_HASH,
  encodeAccount,
} from '#src/ledger/state/account.ts';
import { Overlay } from '#src/ledger/state/overlay.ts';
import { emptyState, type StateReader } from '#src/ledger/state/reader.ts';
import { toHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { SeededRandom } from '#src/lib/random.ts';
import { atOnce } from '#src/lib/steps.ts';
import { type Address, addressToBytes } from '#src/types/address.ts';
import { type Hash, keccakHash } from '#src/types/hash.ts';
import { EMPTY_TRIE_ROOT } from '#src/types/listRoot.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asEpoch, asGas, asHeight, asWei } from '#src/types/units.ts';
import { blank, payment, person } from './samples.ts';

/** Nothing here runs code, and so nothing waits. */
const executeBlock = (...of: Parameters<typeof execute>) => atOnce(execute(...of));
const assembleBlock = (...of: Parameters<typeof assemble>) => atOnce(assemble(...of));

const baseFee = 10n;
const coinbase = `0x${'cb'.repeat(20)}` as Address;
const rules: LedgerRules = {
  chainId: blank.chainId,
  baseFeePerGas: asWei(baseFee),
  paymentLaneGasLimit: asGas(1_000_000n),
  evmLaneGasLimit: asGas(300_000n),
  paymentLaneBytesMax: 5_000,
};
const people = Array.from({ length: 8 }, (_, number) => person(number));
const [alice, bob, carol] = people.map(({ address }) => address) as [Address, Address, Address];
const personOf = (address: Address) =>
  people.find((one) => one.address === address) ?? assert.fail('a known person');

type Balances = ReadonlyMap<Address, { nonce: bigint; balance: bigint }>;

function stateOf(accounts: Balances): { state: Overlay; root: Hash } {
  const state = new Overlay(emptyState);
  for (const [address, { nonce, balance }] of accounts) {
    state.setAccount(address, { ...EMPTY_ACCOUNT, nonce, balance: asWei(balance) });
  }
  return { state, root: state.seal(EMPTY_TRIE_ROOT).root };
}

function contextOn(root: Hash, fields: Partial<BlockContext> = {}): BlockContext {
  const parentHash = keccakHash(utf8('parent'));
  const block = { height: asHeight(1n), epoch: asEpoch(0), timestampMs: 1_790_000_001_000 };
  const chain = { prevRandao: parentHash, blockHash: () => null };
  return { parentHash, parentStateRoot: root, coinbase, rules, ...block, ...chain, ...fields };
}

/** The oracle: two maps, arithmetic of its own, nothing of the ledger's code. */
class Model {
  readonly accounts: Map<Address, { nonce: bigint; balance: bigint }>;

  constructor(accounts: Balances) {
    this.accounts = new Map([...accounts].map(([address, account]) => [address, { ...account }]));
  }

  of(address: Address): { nonce: bigint; balance: bigint } {
    const found = this.accounts.get(address) ?? { nonce: 0n, balance: 0n };
    this.accounts.set(address, found);
    return found;
  }

  /** The code of the refusal, or the gas that was used. */
  pay(tx: SignedTransaction, to: Address, miner: Address): string | bigint {
    const gas = gasByHand(tx);
    if (tx.gasLimit > 1n << 24n) return 'EXCEEDS_BLOCK_GAS_LIMIT';
    if (tx.gasLimit < gas) return 'INTRINSIC_GAS_TOO_LOW';
    if (tx.maxFeePerGas < baseFee) return 'FEE_CAP_TOO_LOW';
    const sender = this.of(tx.sender);
    if (sender.nonce !== tx.nonce) return 'NONCE';
    if (sender.balance < tx.gasLimit * tx.maxFeePerGas + tx.value) return 'INSUFFICIENT_FUNDS';
    const spare = tx.maxFeePerGas - baseFee;
    const tip = tx.type === 2 && tx.maxPriorityFeePerGas < spare ? tx.maxPriorityFeePerGas : spare;
    const fee = gas * (baseFee + tip);
    sender.nonce += 1n;
    sender.balance -= tx.value + fee;
    this.of(to).balance += tx.value;
    this.of(miner).balance += fee;
    return gas;
  }

  /** EIP-161: what is empty is not there. */
  alive(): Map<Address, { nonce: bigint; balance: bigint }> {
    const empty = ({ nonce, balance }: { nonce: bigint; balance: bigint }) =>
      nonce === 0n && balance === 0n;
    return new Map([...this.accounts].filter(([, account]) => !empty(account)));
  }

  /** By another library: a secure trie over RLP accounts. */
  async root(): Promise<string> {
    const trie = new MerklePatriciaTrie({ useKeyHashing: true });
    for (const [address, { nonce, balance }] of this.alive()) {
      const account = [nonce, balance, EMPTY_TRIE_ROOT, EMPTY_CODE_HASH];
      await trie.put(addressToBytes(address), RLP.encode(account));
    }
    return toHex(trie.root());
  }
}

/** EIP-2028, EIP-2930 and the floor of EIP-7623, counted once more. */
function gasByHand({ data, accessList }: SignedTransaction): bigint {
  const zeros = data.filter((byte) => byte === 0).length;
  const others = data.length - zeros;
  let gas = 21_000 + 4 * zeros + 16 * others;
  for (const { storageKeys } of accessList) gas += 2_400 + 1_900 * storageKeys.length;
  return BigInt(Math.max(gas, 21_000 + 10 * zeros + 40 * others));
}

function randomBalances(random: SeededRandom): Map<Address, { nonce: bigint; balance: bigint }> {
  const balances = new Map<Address, { nonce: bigint; balance: bigint }>();
  for (const { address } of people) {
    if (random.chance(0.1)) continue;
    const balance = BigInt(random.below(40_000_000));
    balances.set(address, { nonce: BigInt(random.below(3)), balance });
  }
  return balances;
}

/** Payments of every kind, most of them right, in runs of nonces for each sender. */
function randomPayments(random: SeededRandom, balances: Balances): SignedTransaction[] {
  const payments: SignedTransaction[] = [];
  for (const from of people) {
    let nonce = balances.get(from.address)?.nonce ?? 0n;
    for (let count = random.below(5); count > 0; count--) {
      const targets = [from.address, coinbase, random.pick(people).address, blank.to];
      const data = random.chance(0.3) ? random.bytes(random.below(40)) : new Uint8Array(0);
      const type = random.pick([0, 1, 2] as const);
      const maxFeePerGas = asWei(BigInt(random.chance(0.05) ? 9 : 10 + random.below(20)));
      const key = keccakHash(random.bytes(3));
      const accessList = [{ address: coinbase, storageKeys: random.chance(0.5) ? [key] : [] }];
      const tip = BigInt(random.below(Number(maxFeePerGas) + 1));
      payments.push(
        payment(from, {
          ...{ type, nonce, data, maxFeePerGas, maxPriorityFeePerGas: asWei(tip) },
          to: random.pick(targets),
          value: asWei(random.chance(0.3) ? 0n : BigInt(random.below(8_000_000))),
          gasLimit: asGas(random.chance(0.05) ? 21_000n : 21_000n + BigInt(random.below(20_000))),
          accessList: type !== 0 && random.chance(0.3) ? accessList : [],
        }),
      );
      nonce += random.chance(0.05) ? 2n : 1n;
    }
  }
  return payments;
}

function same(state: StateReader, model: Model, message: string): void {
  const addresses = new Set([...model.accounts.keys(), ...people.map(({ address }) => address)]);
  const alive = model.alive();
  for (const address of addresses) {
    const account = state.account(address);
    const got = account === null ? undefined : { nonce: account.nonce, balance: account.balance };
    assert.deepEqual(got, alive.get(address), `${message}: ${address}`);
  }
}

describe('execution', () => {
  it('gives what an independent model gives, block after block', async () => {
    for (let seed = 1; seed <= 120; seed++) {
      const random = new SeededRandom(seed);
      const miner = random.pick([coinbase, alice, bob]);
      const balances = randomBalances(random);
      const { state, root } = stateOf(balances);
      const model = new Model(balances);
      assert.equal(root, await model.root(), `seed ${seed}, genesis`);
      const context = contextOn(root, { coinbase: miner, parentHash: keccakHash(utf8(`${seed}`)) });
      const candidates = randomPayments(random, balances);
      const { transactions, outcome } = assembleBlock(state, context, candidates);

      const supply = [...model.accounts.values()].reduce((sum, { balance }) => sum + balance, 0n);
      let gas = 0n;
      for (const [index, tx] of transactions.entries()) {
        const used = model.pay(tx, tx.to ?? coinbase, miner);
        assert.equal(typeof used, 'bigint', `seed ${seed}: ${used}`);
        gas += used as bigint;
        const { type, succeeded, cumulativeGasUsed } = outcome.receipts[index] ?? assert.fail();
        assert.deepEqual([type, succeeded, cumulativeGasUsed], [tx.type, true, gas]);
      }
      const after = [...model.accounts.values()].reduce((sum, { balance }) => sum + balance, 0n);
      assert.equal(after, supply, `seed ${seed}: coin is neither made nor lost`);
      assert.equal(outcome.gasUsed, gas);
      assert.equal(outcome.receipts.length, transactions.length);
      same(outcome.state, model, `seed ${seed}`);
      assert.equal(outcome.stateRoot, await model.root(), `seed ${seed}`);

      const again = executeBlock(state, context, transactions);
      assert.ok(again.ok, `seed ${seed}: what was assembled executes`);
      assert.equal(again.value.stateRoot, outcome.stateRoot);
      assert.equal(again.value.receiptsRoot, outcome.receiptsRoot);
      assert.deepEqual(again.value.receiptBytes, outcome.receiptBytes);
      await nothingIncludableIsLost(candidates, transactions, model, miner, `seed ${seed}`);
    }
  });

  /** Of each sender a prefix is in the block, and what follows it was not possible. */
  async function nothingIncludableIsLost(
    candidates: readonly SignedTransaction[],
    chosen: readonly SignedTransaction[],
    model: Model,
    miner: Address,
    message: string,
  ): Promise<void> {
    const bytes = chosen.reduce((sum, { raw }) => sum + raw.length + 4, 0);
    const plain = chosen.filter(({ data }) => data.length === 0).length;
    const roomy = bytes < 3_500 && plain < 20;
    for (const { address } of people) {
      const own = candidates.filter(({ sender }) => sender === address);
      const taken = chosen.filter(({ sender }) => sender === address);
      assert.deepEqual(taken, own.slice(0, taken.length), `${message}: a prefix of ${address}`);
      const next = own[taken.length];
      // Only where later income cannot have paid for it, and no budget was short.
      if (next === undefined || !roomy) continue;
      const incomes = chosen.some(({ to }) => to === address) || address === miner;
      if (incomes) continue;
      const verdict = new Model(model.accounts).pay(next, next.to ?? coinbase, miner);
      const lane = chosen.filter(({ data }) => data.length > 0);
      const evmGas = lane.reduce((sum, { gasLimit }) => sum + gasLimit, 0n);
      if (next.data.length > 0 && evmGas + next.gasLimit > 200_000n) continue;
      assert.equal(typeof verdict, 'string', `${message}: ${address} nonce ${next.nonce} was left`);
    }
  }

  const rich: Balances = new Map([
    [alice, { nonce: 5n, balance: 10_000_000n }],
    [bob, { nonce: 0n, balance: 420_000n }],
  ]);
  const from = (address: Address, fields: Parameters<typeof payment>[1]) =>
    payment(personOf(address), { maxFeePerGas: asWei(20n), ...fields });

  const refusals: { when: string; transaction: SignedTransaction; code: string }[] = [
    {
      when: 'it makes a contract with more init code than EIP-3860 allows',
      transaction: from(alice, { nonce: 5n, to: null, data: new Uint8Array(49_153) }),
      code: 'INIT_CODE_TOO_LONG',
    },
    {
      when: 'it pays a system contract that is not there yet',
      transaction: from(alice, { nonce: 5n, to: `0x4d5042${'00'.repeat(16)}99` as Address }),
      code: 'ADDRESS_RESERVED',
    },
    {
      when: 'it pays coin to a virtual address, of which nobody has the key',
      transaction: from(alice, {
        nonce: 5n,
        to: `0x${'1f'.repeat(4)}${'fd'.repeat(10)}0102030405ff` as Address,
      }),
      code: 'ADDRESS_RESERVED',
    },
    {
      when: 'it asks for more gas than EIP-7825 allows',
      transaction: from(alice, { nonce: 5n, gasLimit: asGas((1n << 24n) + 1n) }),
      code: 'EXCEEDS_BLOCK_GAS_LIMIT',
    },
    {
      when: 'its gas limit is 20,999',
      transaction: from(alice, { nonce: 5n, gasLimit: asGas(20_999n) }),
      code: 'INTRINSIC_GAS_TOO_LOW',
    },
    {
      when: 'its gas limit is below the floor of its data',
      transaction: from(alice, { nonce: 5n, data: utf8('x'), gasLimit: asGas(21_039n) }),
      code: 'INTRINSIC_GAS_TOO_LOW',
    },
    {
      when: 'its fee cap is below the base fee',
      transaction: from(alice, { nonce: 5n, maxFeePerGas: asWei(9n) }),
      code: 'FEE_CAP_TOO_LOW',
    },
    { when: 'its nonce was used', transaction: from(alice, { nonce: 4n }), code: 'NONCE' },
    { when: 'its nonce leaves a gap', transaction: from(alice, { nonce: 6n }), code: 'NONCE' },
    {
      when: 'the sender has one wei too little',
      transaction: from(bob, { value: asWei(1n) }),
      code: 'INSUFFICIENT_FUNDS',
    },
    {
      when: 'the sender does not exist',
      transaction: from(carol, {}),
      code: 'INSUFFICIENT_FUNDS',
    },
  ];
  const generous = { ...rules, paymentLaneGasLimit: asGas(1n << 30n) };
  for (const { when, transaction, code } of refusals) {
    it(`67: a block is invalid when of a payment ${when}`, () => {
      const { state, root } = stateOf(rich);
      const verdict = executeBlock(state, contextOn(root, { rules: generous }), [transaction]);
      assert.ok(!verdict.ok && verdict.refusal.code === 'BLOCK_TRANSACTION_INVALID');
      assert.equal(verdict.refusal.refusal.code, code);
      const { transactions, outcome } = assembleBlock(state, contextOn(root), [transaction]);
      assert.deepEqual(transactions, [], 'and a proposer leaves it out');
      assert.equal(outcome.stateRoot, root);
    });
  }

  it('spends the last wei: value, and all the gas at the price that is really paid', () => {
    const { state, root } = stateOf(rich);
    const all = from(bob, { value: asWei(0n), maxPriorityFeePerGas: asWei(10n) });
    const verdict = executeBlock(state, contextOn(root), [all]);
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.value.state.account(bob), { ...EMPTY_ACCOUNT, nonce: 1n });
    assert.equal(verdict.value.state.account(coinbase)?.balance, 420_000n);
    assert.equal(verdict.value.state.account(blank.to ?? bob), null, 'EIP-161: nothing was made');
  });

  it('3607: an account with code sends nothing', () => {
    const state = new Overlay(emptyState);
    const codeHash = state.setCode(utf8('code'));
    const account: Account = { ...EMPTY_ACCOUNT, balance: asWei(10n ** 9n) };
    state.setAccount(alice, { ...account, codeHash });
    const { root } = state.seal(EMPTY_TRIE_ROOT);
    const verdict = executeBlock(state, contextOn(root), [from(alice, {})]);
    assert.ok(!verdict.ok && verdict.refusal.code === 'BLOCK_TRANSACTION_INVALID');
    assert.equal(verdict.refusal.refusal.code, 'SENDER_NOT_EOA');
  });

  it('a block of which a payment in the middle is invalid names its index', () => {
    const { state, root } = stateOf(rich);
    const nonces = [5n, 6n, 8n, 9n];
    const verdict = executeBlock(
      state,
      contextOn(root),
      nonces.map((nonce) => from(alice, { nonce })),
    );
    assert.ok(!verdict.ok && verdict.refusal.code === 'BLOCK_TRANSACTION_INVALID');
    assert.equal(verdict.refusal.index, 2);
    assert.deepEqual(verdict.refusal.refusal, { code: 'NONCE', want: 7n, got: 8n });
  });

  it('what is really paid for gas', () => {
    const rows = [
      { when: 'legacy', type: 0, cap: 25n, tip: 25n, want: 25n },
      { when: 'legacy at the base fee', type: 0, cap: 10n, tip: 10n, want: 10n },
      { when: 'access list', type: 1, cap: 17n, tip: 17n, want: 17n },
      { when: '1559 without a tip', type: 2, cap: 25n, tip: 0n, want: 10n },
      { when: '1559 with a tip below the cap', type: 2, cap: 25n, tip: 3n, want: 13n },
      { when: '1559 with a tip just at the cap', type: 2, cap: 25n, tip: 15n, want: 25n },
      { when: '1559 with a tip that the cap cuts', type: 2, cap: 25n, tip: 16n, want: 25n },
    ] as const;
    for (const { when, type, cap, tip, want } of rows) {
      const prices = { maxFeePerGas: asWei(cap), maxPriorityFeePerGas: asWei(tip) };
      const transaction = payment(personOf(alice), { type, ...prices });
      assert.equal(effectiveGasPrice(transaction, asWei(baseFee)), want, when);
    }
  });

  it('what data and access lists cost', () => {
    const rows = [
      { when: 'nothing', data: '', want: 21_000n },
      { when: 'a zero byte', data: '\0', want: 21_010n },
      { when: 'another byte', data: 'x', want: 21_040n },
      { when: 'a memo', data: 'invoice 7', want: 21_360n },
    ];
    const { state, root } = stateOf(rich);
    for (const { when, data, want } of rows) {
      const transaction = from(alice, { nonce: 5n, data: utf8(data), gasLimit: asGas(50_000n) });
      const verdict = executeBlock(state, contextOn(root), [transaction]);
      assert.ok(verdict.ok && verdict.value.gasUsed === want, when);
    }
    const accessList = [{ address: bob, storageKeys: [keccakHash(utf8('a'))] }];
    const transaction = from(alice, { nonce: 5n, accessList, gasLimit: asGas(50_000n) });
    const verdict = executeBlock(state, contextOn(root), [transaction]);
    assert.ok(verdict.ok && verdict.value.gasUsed === 25_300n);
  });
});

describe('lanes', () => {
  const many: Balances = new Map(
    people.map(({ address }) => [address, { nonce: 0n, balance: 10n ** 15n }]),
  );
  const { state, root } = stateOf(many);
  const context = contextOn(root);
  const run = (length: number, fields: Parameters<typeof payment>[1]) =>
    Array.from({ length }, (_, nonce) =>
      payment(personOf(alice), { ...fields, nonce: BigInt(nonce) }),
    );
  /** Of alice, in order, asking for so much gas each. */
  const asking = (...gas: bigint[]) =>
    gas.map((limit, nonce) =>
      payment(personOf(alice), { gasLimit: asGas(limit), nonce: BigInt(nonce) }),
    );
  /** Far longer than a memo. */
  const long = { data: new Uint8Array(100_000).fill(1), gasLimit: asGas(5_000_000n) };

  const rows = [
    {
      when: 'a payment asks for more gas than its lane has left',
      transactions: asking(400_000n, 400_000n, 990_000n),
      lane: 'payment',
      fits: 2,
    },
    {
      when: 'payments are more bytes than their lane has',
      transactions: run(50, {}),
      lane: 'payment',
      // 5,000 bytes; each payment has its string header of at most 4 bytes.
      fits: Math.floor(5_000 / ((run(1, {})[0]?.raw.length ?? 0) + 4)),
    },
    {
      when: 'calls with much data are more bytes than their lane has',
      transactions: run(12, long),
      lane: 'evm',
      // A mebibyte.
      fits: 10,
    },
  ];
  for (const { when, transactions, lane, fits } of rows) {
    it(`66: a block is invalid when ${when}`, () => {
      const verdict = executeBlock(state, context, transactions);
      assert.ok(!verdict.ok && verdict.refusal.code === 'BLOCK_LANE_FULL');
      assert.ok(Math.abs(verdict.refusal.index - fits) <= 1, `index ${verdict.refusal.index}`);
      assert.equal(verdict.refusal.lane, lane);
      const built = assembleBlock(state, context, transactions);
      assert.equal(built.transactions.length, verdict.refusal.index, 'a proposer stops there');
      assert.ok(executeBlock(state, context, built.transactions).ok);
    });
  }

  it('one lane that is full leaves the other one open', () => {
    const calls = run(12, long);
    const payments = people.slice(1).map((from) => payment(from, {}));
    const built = assembleBlock(state, context, [...calls, ...payments]);
    assert.equal(built.transactions.length, 10 + payments.length);
  });

  it('who asks for much and uses little crowds nobody out, whoever comes first', () => {
    const half = people.length / 2;
    const greedy = people
      .slice(0, half)
      .map((from) => payment(from, { gasLimit: asGas(700_000n) }));
    const honest = people.slice(half).map((from) => payment(from, {}));
    for (let at = 0; at < 16; at++) {
      const here = { ...context, parentHash: keccakHash(utf8(`parent ${at}`)) };
      const { transactions } = assembleBlock(state, here, [...greedy, ...honest]);
      for (const one of [...greedy, ...honest]) assert.ok(transactions.includes(one), `${at}`);
      assert.ok(executeBlock(state, here, transactions).ok);
    }
  });

  it('a memo makes no call of a payment', () => {
    const memo = { data: utf8('invoice 7'), gasLimit: asGas(100_000n) };
    const payments = people.map((from) => payment(from, memo));
    const { transactions } = assembleBlock(state, context, [
      ...run(10, long).slice(1),
      ...payments,
    ]);
    for (const one of payments) assert.ok(transactions.includes(one));
  });

  it('ends a block when the proposer has no more time, and the block is valid', () => {
    const candidates = people.flatMap((from) =>
      [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].map((nonce) => payment(from, { nonce })),
    );
    const whole = assembleBlock(state, context, candidates).transactions;
    const part = assembleBlock(state, context, candidates, () => false).transactions;
    assert.ok(part.length > 0 && part.length < whole.length, `${part.length}`);
    assert.deepEqual(part, whole.slice(0, part.length));
    assert.ok(executeBlock(state, context, part).ok);
  });

  it('a sender whose payment does not fit has no later one in the block', () => {
    const [first, second, third] = asking(21_000n, 990_000n, 21_000n);
    const other = payment(personOf(bob), {});
    const candidates = [first, second, third, other].filter((item) => item !== undefined);
    const built = assembleBlock(state, context, candidates);
    const nonces = built.transactions.filter(({ sender }) => sender === alice);
    assert.deepEqual(nonces, [first]);
    assert.ok(built.transactions.includes(other));
  });
});

describe('order', () => {
  const parentHash = keccakHash(utf8('order'));
  const all = people
    .slice(0, 4)
    .flatMap((from) => [0n, 1n, 2n].map((nonce) => payment(from, { nonce })));

  it('is senders by the hash of parent and sender, then nonces', () => {
    const ordered = orderTransactions(parentHash, all);
    const rank = (address: Address) =>
      toHex(
        keccak256(
          Buffer.concat([Buffer.from(parentHash.slice(2), 'hex'), addressToBytes(address)]),
        ),
      );
    const keys = ordered.map(({ sender, nonce }) => `${rank(sender)}.${nonce}`);
    assert.deepEqual(keys, [...keys].sort());
    assert.equal(findDisorder(parentHash, ordered), null);
    const other = orderTransactions(keccakHash(utf8('another parent')), all);
    assert.notDeepEqual(
      other.map(({ hash }) => hash),
      ordered.map(({ hash }) => hash),
      'another parent, another order',
    );
  });

  it('67: of any other order the first wrong place is named', () => {
    const ordered = orderTransactions(parentHash, all);
    const placeOf = new Map(ordered.map(({ hash }, at) => [hash, at]));
    for (let seed = 1; seed <= 300; seed++) {
      const shuffled = new SeededRandom(seed).shuffle(all);
      const places = shuffled.map(({ hash }) => placeOf.get(hash) ?? -1);
      const wrong = places.findIndex((place, at) => at > 0 && place <= (places[at - 1] ?? 0));
      assert.equal(findDisorder(parentHash, shuffled), wrong < 0 ? null : wrong, `seed ${seed}`);
    }
  });

  it('67: a payment twice is disorder', () => {
    const [first] = all;
    assert.ok(first !== undefined);
    assert.equal(findDisorder(parentHash, [first, first]), 1);
    const { state, root } = stateOf(new Map([[alice, { nonce: 0n, balance: 10n ** 9n }]]));
    const verdict = executeBlock(state, contextOn(root, { parentHash }), [first, first]);
    assert.ok(!verdict.ok && verdict.refusal.code === 'BLOCK_ORDER' && verdict.refusal.index === 1);
  });
});

describe('overlay', () => {
  type Flat = { accounts: Map<Address, Account>; slots: Map<string, Uint8Array> };
  const slotNames = Array.from({ length: 6 }, (_, at) =>
    Buffer.from(uintToBytes(BigInt(at), 32)).toString('hex'),
  );
  const copy = ({ accounts, slots }: Flat): Flat => ({
    accounts: new Map(accounts),
    slots: new Map(slots),
  });

  function randomWrites(random: SeededRandom, state: Overlay, flat: Flat): void {
    for (let writes = random.below(12); writes >= 0; writes--) {
      const { address } = random.pick(people);
      if (random.chance(0.5)) {
        const empty =
          random.chance(0.2) && ![...flat.slots.keys()].some((k) => k.startsWith(address));
        const balance = asWei(empty ? 0n : BigInt(1 + random.below(1_000)));
        const nonce = empty ? 0n : BigInt(random.below(5));
        state.changeAccount(address, (account) => ({ ...account, nonce, balance }));
        if (empty) flat.accounts.delete(address);
        else flat.accounts.set(address, { ...EMPTY_ACCOUNT, nonce, balance });
      } else if (flat.accounts.has(address)) {
        const key = random.pick(slotNames);
        const value = random.chance(0.3) ? new Uint8Array(0) : Uint8Array.of(1 + random.below(255));
        state.setSlot(address, key, value);
        if (value.length === 0) flat.slots.delete(`${address}/${key}`);
        else flat.slots.set(`${address}/${key}`, value);
      }
    }
  }

  function agrees(state: StateReader, flat: Flat, message: string): void {
    for (const { address } of people) {
      const account = state.account(address);
      const want = flat.accounts.get(address);
      assert.equal(account?.balance, want?.balance, message);
      assert.equal(account?.nonce, want?.nonce, message);
      for (const key of slotNames) {
        const value = flat.slots.get(`${address}/${key}`) ?? new Uint8Array(0);
        assert.deepEqual(state.slot(address, key), value, message);
      }
    }
  }

  async function rootByLibrary({ accounts, slots }: Flat): Promise<string> {
    const trie = new MerklePatriciaTrie({ useKeyHashing: true });
    for (const [address, account] of accounts) {
      const storage = new MerklePatriciaTrie({ useKeyHashing: true });
      for (const [place, value] of slots) {
        const [owner, key = ''] = place.split('/');
        if (owner !== address) continue;
        await storage.put(new Uint8Array(Buffer.from(key, 'hex')), RLP.encode(value));
      }
      const { nonce, balance, codeHash } = account;
      const encoded = RLP.encode([nonce, balance, storage.root(), codeHash]);
      await trie.put(addressToBytes(address), encoded);
    }
    return toHex(trie.root());
  }

  it('four deep, with reverts, equals one flat state; undoing goes back', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new SeededRandom(seed);
      let flat: Flat = { accounts: new Map(), slots: new Map() };
      let parent: StateReader = emptyState;
      let root: Hash = EMPTY_TRIE_ROOT;
      for (let depth = 0; depth < 4; depth++) {
        const state: Overlay = new Overlay(parent);
        const old = copy(flat);
        for (let step = 0; step < 4; step++) {
          const kept = copy(flat);
          const checkpoint = state.checkpoint();
          randomWrites(random, state, flat);
          if (random.chance(0.4)) {
            state.revertTo(checkpoint);
            flat = kept;
          }
          agrees(state, flat, `seed ${seed}, depth ${depth}, step ${step}`);
        }
        const sealed = state.seal(root);
        const message = `seed ${seed}, depth ${depth}`;
        assert.equal(sealed.root, await rootByLibrary(flat), message);
        agrees(state, flat, message);
        const { accounts, slots, before } = sealed.changes;
        const undone = copy(flat);
        for (const [address, account] of accounts) {
          assert.equal(account?.balance, flat.accounts.get(address)?.balance, message);
        }
        for (const [address, account] of before.accounts) {
          if (account === null) undone.accounts.delete(address);
          else undone.accounts.set(address, account);
        }
        for (const [address, values] of before.slots) {
          assert.deepEqual([...values.keys()], [...(slots.get(address)?.keys() ?? [])], message);
          for (const [key, value] of values) {
            if (value.length === 0) undone.slots.delete(`${address}/${key}`);
            else undone.slots.set(`${address}/${key}`, value);
          }
        }
        agrees(parent, old, `${message}: the parent is as it was`);
        assert.equal(await rootByLibrary(undone), await rootByLibrary(old), `${message}: undone`);
        assert.equal(root, await rootByLibrary(old), message);
        parent = state;
        root = sealed.root;
      }
    }
  });

  it('does not change after it was sealed', () => {
    const state = new Overlay(emptyState);
    state.seal(EMPTY_TRIE_ROOT);
    const write = () => state.setAccount(alice, { ...EMPTY_ACCOUNT, nonce: 1n });
    assert.throws(write, { name: 'InvariantError' });
    assert.throws(() => state.setSlot(alice, slotNames[0] ?? '', Uint8Array.of(1)), {
      name: 'InvariantError',
    });
    assert.equal(state.account(alice), null);
  });

  it('an account in a trie is nonce, balance, storage root and code hash', () => {
    const account = { ...EMPTY_ACCOUNT, nonce: 1n, balance: asWei(10n ** 18n) };
    const want = RLP.encode([1n, 10n ** 18n, EMPTY_TRIE_ROOT, EMPTY_CODE_HASH]);
    assert.deepEqual(encodeAccount(account), new Uint8Array(want));
  });
});
