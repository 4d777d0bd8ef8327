import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { JsonRpcProvider } from 'ethers';
import fc from 'fast-check';
import { decodeFunctionResult, encodeFunctionData } from 'viem';
import { fromHex, toHex, uintToBytes } from '#src/lib/bytes.ts';
import { type Address, formatAddress, tokenAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { createAddress } from '#src/types/createAddress.ts';
import { keccakHash } from '#src/types/hash.ts';
import { hashHeader } from '#src/types/header.ts';
import { listRoot } from '#src/types/listRoot.ts';
import { encodeReceipt } from '#src/types/receipt.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { feeRecipient, TinyNetwork } from '../chain/network.ts';
import { probe, World } from '../ledger/evm/world.ts';
import { validatorRegistry } from '../ledger/payments/rig.ts';
import { testWithVectors } from '../types/vectors.ts';
import { alice, bob, founders, openContracts, probeAt, readyChain } from './contractWorld.ts';
import { openAccess, unlimitedAccess } from './harness.ts';
import { specificationJudge } from './specification.ts';

const chain = await readyChain();
const { world, client } = await openContracts(chain);
for (let at = 0; at < 3; at++) world.backend.mine();
const { header: base, hash: baseHash } = world.backend.head;
const baseSeconds = Math.floor(base.consensus.timestampMs / 1_000);

const at = { address: probeAt, abi: probe.abi } as const;
const nobody = `0x${'ab'.repeat(20)}` as Address;
const other = `0x${'cd'.repeat(20)}` as Address;
const COIN = `0x${'ee'.repeat(20)}`;
const TRANSFER = keccakHash(new TextEncoder().encode('Transfer(address,address,uint256)'));
const dataOf = (functionName: string, args: readonly unknown[] = []) =>
  encodeFunctionData({ abi: probe.abi, functionName, args });
const word = (value: bigint | string) => toHex(uintToBytes(BigInt(value), 32));
const precompile = (number: number) => `0x${number.toString(16).padStart(40, '0')}`;
const hex = (value: bigint | number) => `0x${value.toString(16)}`;

type Log = Record<string, string> & { topics: string[] };
type Called = {
  returnData: string;
  gasUsed: string;
  status: string;
  logs: Log[];
  error?: { code: number; message: string; data?: string };
};
type Shown = Record<string, string> & { transactions: never[]; calls: Called[] };

const payloadOf = (blockStateCalls: object[], more: object = {}) => ({ blockStateCalls, ...more });
const simulate = async (blocks: object[], more: object = {}, at = 'latest') =>
  (await world.ask('eth_simulateV1', payloadOf(blocks, more), at)) as Shown[];
const refusalOf = async (blocks: object[], more: object = {}) => {
  const { error } = await world.call('eth_simulateV1', payloadOf(blocks, more));
  return [error?.code, error?.message] as const;
};
const callsOf = async (calls: object[], more: object = {}, block: object = {}) => {
  const [shown] = await simulate([{ ...block, calls }], more);
  return shown?.calls ?? assert.fail('a block');
};

describe('eth_simulateV1', () => {
  it('blocks stand on each other’s state, and on the chain', async () => {
    const set = { from: alice.address, to: probeAt, data: dataOf('set', [9n, 4n]) };
    const get = { to: probeAt, data: dataOf('values', [9n]) };
    const [first, second] = await simulate([{ calls: [get, set, get] }, { calls: [get, get] }]);
    assert.ok(first !== undefined && second !== undefined);
    const answers = [...first.calls, ...second.calls].map(({ returnData }) => returnData);
    assert.deepEqual(answers, [word(0n), '0x', word(4n), word(4n), word(4n)]);
    assert.equal(first.parentHash, baseHash);
    assert.equal(second.parentHash, first.hash);
    assert.deepEqual(
      [first.number, second.number, first.timestamp, second.timestamp],
      [base.height + 1n, base.height + 2n, baseSeconds + 1, baseSeconds + 2].map(hex),
    );
    assert.equal(first.baseFeePerGas, '0x0', 'nobody has to pay');
    const used = first.calls.reduce((sum, { gasUsed }) => sum + BigInt(gasUsed), 0n);
    assert.equal(BigInt(first.gasUsed ?? 0), used);
    assert.equal(await client.readContract({ ...at, functionName: 'values', args: [9n] }), 0n);
  });

  it('has the receipts that blocks with the same transactions then have', async () => {
    const fresh = await readyChain();
    const { world: own } = await openContracts(fresh);
    const [probeCall, registry] = [dataOf('spread', [[nobody, other], 3n]), validatorRegistry];
    const view = encodeFunctionData({ abi: registry.abi, functionName: 'getValidators' });
    const bond = encodeFunctionData({
      ...{ abi: registry.abi, functionName: 'deactivateValidator', args: [99] },
    });
    const rows: [Address | null, string, bigint][] = [
      [nobody, '0x', 5n],
      [probeAt, dataOf('set', [3n, 4n]), 0n],
      [probeAt, probeCall, 6n],
      [probeAt, dataOf('refuse', [1n]), 0n],
      [null, founders.bytecode, 0n],
      [registry.address, view, 0n],
      [registry.address, bond, 0n],
      [probeAt, dataOf('makeAndDie', [10n, nobody]), 0n],
    ];
    const gasLimit = asGas(900_000n);
    const { sender: from } = fresh.send(bob, nobody, '0x');
    const calls = rows.map(([to, input, value]) => {
      return { from, to, input, value: hex(value), gas: hex(gasLimit) };
    });
    const payload = payloadOf(calls.map((call) => ({ calls: [call] })));
    const shown = (await own.ask('eth_simulateV1', payload)) as Shown[];
    for (const [index, [to, data, value]] of rows.entries()) {
      const sent = fresh.send(bob, to, data, { value: asWei(value), gasLimit });
      const receipts = await fresh.block(sent);
      const told = shown[index];
      const what = `row ${index}`;
      assert.equal(told?.receiptsRoot, listRoot(receipts.map(encodeReceipt)), what);
      const [receipt] = receipts;
      assert.equal(told?.gasUsed, hex(receipt?.cumulativeGasUsed ?? 0n), what);
      assert.equal(told?.logsBloom, toHex(receipt?.logsBloom ?? new Uint8Array(0)), what);
      assert.equal(told?.calls[0]?.logs.length, receipt?.logs.length, what);
      assert.equal(told?.calls[0]?.status, receipt?.succeeded ? '0x1' : '0x0', what);
    }
    assert.match(shown[4]?.calls[0]?.returnData ?? '', /^0x60/, 'the code of a new contract');
    const address = createAddress(bob.address, fresh.nonceOf(bob) - 4n);
    assert.ok(fresh.chain.account(address), 'and it is where the nonce has it');
  });

  it('gaps between numbers are filled, and a block is hashed as the chain’s are', async () => {
    const number = base.height + 4n;
    const overrides = {
      ...{ number: hex(number), time: hex(baseSeconds + 100), gasLimit: hex(2_000_000) },
      ...{ feeRecipient: nobody, prevRandao: '0x7', baseFeePerGas: '0x5' },
    };
    const facts = { to: probeAt, data: dataOf('facts') };
    const hashAt = (back: bigint) => [
      { from: alice.address, to: probeAt, data: dataOf('remember', [back]) },
      { to: probeAt, data: dataOf('values', [back]) },
    ];
    const calls = [facts, ...hashAt(1n), ...hashAt(4n), ...hashAt(5n)];
    const blocks = await simulate([{ blockOverrides: overrides, calls }, {}]);
    assert.deepEqual(
      blocks.map((block) => [block.number, block.timestamp]),
      [1, 2, 3, 100, 101].map((after, index) => [
        hex(base.height + BigInt(index) + 1n),
        hex(baseSeconds + after),
      ]),
    );
    for (const [index, { parentHash }] of blocks.entries()) {
      assert.equal(parentHash, index === 0 ? baseHash : blocks[index - 1]?.hash);
    }
    const [told, ...hashes] = blocks[3]?.calls ?? [];
    const data = told?.returnData as `0x${string}`;
    const seen = decodeFunctionResult({ abi: probe.abi, functionName: 'facts', data });
    const want = [number, BigInt(baseSeconds + 100), 4242n, 5n, formatAddress(nobody), 7n];
    assert.deepEqual(seen, [...want, 2_000_000n]);
    const [, third, , beneath, , ancestor] = hashes.map(({ returnData }) => returnData);
    assert.deepEqual(
      [third, beneath, ancestor],
      [blocks[2]?.hash, baseHash, base.parentHash],
      'BLOCKHASH knows simulated blocks, the base and its ancestors',
    );
    const shown = blocks[4] ?? assert.fail();
    assert.deepEqual([shown.gasLimit, shown.miner], [hex(2_000_000), nobody], 'inherited');
    const header = {
      ...{ ...base, parentHash: blocks[3]?.hash as typeof baseHash, coinbase: nobody },
      ...{ height: base.height + 5n, gasLimit: 2_000_000n, gasUsed: 0n, baseFeePerGas: 0n },
      ...{ prevRandao: word(0n), stateRoot: word(0n), logsBloom: fromHex(shown.logsBloom ?? '') },
      ...{ transactionsRoot: shown.transactionsRoot, receiptsRoot: shown.receiptsRoot },
      consensus: { ...base.consensus, timestampMs: (baseSeconds + 101) * 1_000 },
    };
    assert.equal(hashHeader(header as typeof base), shown.hash);
  });

  it('coin that moves is told as if it were a token, in the order in which it moves', async () => {
    const spread = dataOf('spread', [[nobody, other], 3n]);
    const inner = dataOf('spread', [[nobody], 3n]);
    const calls = [
      { from: alice.address, to: nobody, value: '0x2' },
      { from: alice.address, to: probeAt, value: '0x6', data: spread },
      { from: alice.address, to: probeAt, data: dataOf('makeAndDie', [10n, nobody]) },
      { from: alice.address, to: probeAt, data: dataOf('payThenFail', [nobody, 1n]) },
      { from: alice.address, to: probeAt, data: dataOf('tryPay', [nobody, 1n]) },
      { from: alice.address, to: probeAt, data: dataOf('callOther', [probeAt, inner, 3n]) },
      { from: alice.address, value: '0x4', data: '0x00' },
      { from: alice.address, to: probeAt, data: dataOf('set', [1n, 1n]) },
    ];
    const [shown] = await simulate([{ calls }], { traceTransfers: true });
    assert.ok(shown !== undefined);
    const child = createAddress(probeAt, 1n);
    const { nonce } = chain.chain.account(alice.address) ?? assert.fail();
    const created = createAddress(alice.address, nonce + 6n);
    const moved = shown.calls.map(({ logs }) =>
      logs
        .filter(({ address }) => address === COIN)
        .map(({ topics: [topic, from, to], data }) => {
          assert.equal(topic, TRANSFER);
          return [`0x${from?.slice(26)}`, `0x${to?.slice(26)}`, BigInt(data ?? 0)];
        }),
    );
    assert.deepEqual(moved, [
      [[alice.address, nobody, 2n]],
      [[alice.address, probeAt, 6n], ...[nobody, other].map((to) => [probeAt, to, 3n])],
      [
        [probeAt, child, 10n],
        [child, nobody, 10n],
      ],
      [],
      [],
      [probeAt, nobody].map((to) => [probeAt, to, 3n]),
      [[alice.address, created, 4n]],
      [],
    ]);
    const all = shown.calls.flatMap(({ logs }) => logs);
    assert.deepEqual(
      all.map(({ logIndex }) => Number(logIndex)),
      [...all.keys()],
    );
    const last = all.at(-1);
    assert.deepEqual(
      [last?.blockHash, last?.transactionHash, last?.transactionIndex, last?.address],
      [shown.hash, shown.transactions[7], '0x7', probeAt],
    );
    const [quiet] = await simulate([{ calls }]);
    assert.equal(quiet?.receiptsRoot, shown.receiptsRoot, 'receipts are what they were');
    assert.equal(quiet?.calls.flatMap(({ logs }) => logs).length, 1);
  });

  it('a native contract’s payments are among the coin that moves', async () => {
    const coin = 10n ** 18n;
    const staked = await World.create(new TinyNetwork([10, 10, 10, 10]));
    const { world: own } = await openContracts(staked);
    const registry = validatorRegistry.address;
    const call = (functionName: string, args: readonly unknown[], value = 0n) => {
      const data = encodeFunctionData({ abi: validatorRegistry.abi, functionName, args });
      return { from: feeRecipient, to: registry, data, value: hex(value) };
    };
    const rich = { [feeRecipient]: { balance: hex(10n * coin) } };
    const bond = call('bond', [0n, ZERO_ADDRESS, coin], coin);
    const withdraw = call('withdrawUnbonded', [0n, nobody]);
    // Passes on what it is called with.
    const code = `0x365f5f375f5f365f5f73${registry.slice(2)}5af100`;
    const through = { ...withdraw, from: nobody, to: feeRecipient };
    const blocks = [
      { stateOverrides: rich, calls: [bond, call('unbond', [0n, coin])] },
      {
        blockOverrides: { time: hex(baseSeconds + 10 ** 9) },
        calls: [withdraw],
      },
    ];
    const contracted = [
      blocks[0] ?? {},
      { ...blocks[1], stateOverrides: { [feeRecipient]: { code } }, calls: [through] },
    ];
    const payload = payloadOf(blocks, { traceTransfers: true });
    const [first, second] = (await own.ask('eth_simulateV1', payload)) as Shown[];
    const [bonded, unbonded] = first?.calls ?? [];
    const pair = (log: Log | undefined) => log?.topics.slice(1).map((topic) => topic.slice(26));
    const bare = (address: string) => address.slice(2);
    assert.deepEqual([bonded?.error, unbonded?.error], [undefined, undefined]);
    assert.deepEqual(pair(bonded?.logs[0]), [feeRecipient, registry].map(bare));
    const again = payloadOf(contracted, { traceTransfers: true });
    const [, third] = (await own.ask('eth_simulateV1', again)) as Shown[];
    for (const [paid] of [second?.calls ?? [], third?.calls ?? []]) {
      assert.equal(paid?.error, undefined);
      assert.equal(paid?.logs[0]?.address, COIN);
      assert.deepEqual(pair(paid?.logs[0]), [registry, nobody].map(bare));
    }
  });

  it('precompiles are there, move, and give way to code, for one block', async () => {
    const data = '0xabcd';
    const hash = toHex(
      createHash('sha256')
        .update(fromHex(data) ?? '')
        .digest(),
    );
    const sha = { to: precompile(2), data };
    const there = { to: nobody, data };
    // Passes what it is called with on to the address, and its answer back.
    const code = `0x365f5f3760205f365f5f73${nobody.slice(2)}5af160205ff3`;
    const inside = { to: other, data };
    const move = { [precompile(2)]: { movePrecompileToAddress: nobody } };
    const blocks = await simulate([
      { calls: [sha, there] },
      { stateOverrides: { ...move, [other]: { code } }, calls: [sha, there, inside] },
      { calls: [sha, there, inside] },
      { stateOverrides: { [precompile(2)]: { code: '0x60075f5260205ff3' } }, calls: [sha] },
    ]);
    const told = blocks.map(({ calls }) => calls.map(({ returnData }) => returnData));
    assert.deepEqual(told, [
      [hash, '0x'],
      ['0x', hash, hash], // Nobody answers there any more: what was sent is left in memory.
      [hash, '0x', `${data}${'00'.repeat(30)}`],
      [word(7n)],
    ]);
    assert.equal(await world.ask('eth_call', sha), hash, 'eth_call knows precompiles, too');
    const gas = BigInt(String(await world.ask('eth_estimateGas', sha)));
    assert.equal(gas, BigInt(blocks[0]?.calls[0]?.gasUsed ?? 0));
    const { error } = await world.call('eth_call', sha, 'latest', move);
    assert.match(error?.message ?? '', /eth_simulateV1/);
  });

  it('failures are told call by call, with codes and the bytes of errors', async () => {
    const bond = encodeFunctionData({
      ...{ abi: validatorRegistry.abi, functionName: 'deactivateValidator', args: [99] },
    });
    const [refused, empty, native, burnt, jump, fine] = await callsOf(
      [
        { to: probeAt, data: dataOf('refuse', [9n]) },
        { to: probeAt, data: '0xdeadbeef' },
        { to: validatorRegistry.address, data: bond },
        { to: probeAt, data: dataOf('burnGas'), gas: hex(60_000) },
        { to: other },
        { to: probeAt, data: dataOf('values', [5n]) },
      ],
      {},
      { stateOverrides: { [other]: { code: '0x6003565b' } } },
    );
    assert.equal(refused?.error?.code, 3);
    assert.match(refused?.error?.data ?? '', /^0x[0-9a-f]{72}$/);
    assert.deepEqual([refused?.returnData, refused?.status, refused?.logs], ['0x', '0x0', []]);
    assert.deepEqual([empty?.error?.code, empty?.error?.data], [3, '0x']);
    assert.match(native?.error?.message ?? '', /^execution reverted: UnknownValidator\(99\)$/);
    assert.deepEqual(burnt?.error, { code: -32015, message: 'vm execution error: out of gas' });
    assert.equal(burnt?.gasUsed, hex(60_000));
    assert.equal(jump?.status, '0x1');
    assert.equal(fine?.returnData, word(77n));
  });

  it('state is overridden before a block, and later blocks go on with it', async () => {
    const key = keccakHash(Buffer.concat([uintToBytes(5n, 32), uintToBytes(1n, 32)]));
    const get = { to: probeAt, data: dataOf('values', [5n]) };
    const set = { to: probeAt, data: dataOf('set', [5n, 3n]) };
    const pay = { from: nobody, to: other, value: '0x9' };
    const [first, second, third, fourth] = await simulate([
      {
        stateOverrides: {
          [probeAt]: { stateDiff: { [key]: word(1n) } },
          [nobody]: { balance: '0x9', nonce: '0x7' },
        },
        calls: [get, set, pay],
      },
      { calls: [get] },
      { stateOverrides: { [nobody]: { balance: '0x9' } }, calls: [get, pay] },
      { stateOverrides: { [probeAt]: { state: {} } }, calls: [get] },
    ]);
    const read = (shown: Shown | undefined) => BigInt(shown?.calls[0]?.returnData ?? -1);
    assert.deepEqual([first, second, third, fourth].map(read), [1n, 3n, 3n, 0n]);
    const whole = await simulate(
      [{ stateOverrides: { [nobody]: { balance: '0x9', nonce: '0x7' } }, calls: [pay, pay] }].map(
        (block) => ({ ...block, calls: block.calls.slice(0, 1) }),
      ),
      { returnFullTransactions: true },
    );
    const [transaction] = whole[0]?.transactions as unknown as Record<string, unknown>[];
    assert.deepEqual(
      [transaction?.from, transaction?.nonce, transaction?.type, transaction?.value],
      [nobody, '0x7', '0x2', '0x9'],
    );
    assert.equal(transaction?.blockHash, whole[0]?.hash);
  });
});

describe('what eth_simulateV1 refuses', () => {
  const price = hex(world.backend.baseFeePerGas);
  const from = alice.address;
  const nonce = chain.chain.account(from)?.nonce ?? 0n;
  const one = (call: object) => [{ calls: [{ from, to: nobody, maxFeePerGas: price, ...call }] }];
  const strict = { validation: true };

  const moving = (...moves: [number | string, number | string][]) => {
    const at = (where: number | string) => (typeof where === 'string' ? where : precompile(where));
    const overrides = moves.map(([from, to]) => [at(from), { movePrecompileToAddress: at(to) }]);
    return [{ stateOverrides: Object.fromEntries(overrides) }];
  };
  const rows: [string, object[], object, number][] = [
    ['a nonce that was used', one({ nonce: hex(nonce - 1n) }), strict, -38010],
    ['a nonce ahead', one({ nonce: hex(nonce + 1n) }), strict, -38011],
    ['no fee', [{ calls: [{ from, to: nobody }] }], strict, -38012],
    [
      'a named fee below an overridden base fee',
      [
        {
          blockOverrides: { baseFeePerGas: '0x5' },
          calls: [{ from, gasPrice: '0x4', to: nobody }],
        },
      ],
      {},
      -38012,
    ],
    ['too little gas', one({ gas: '0x5207' }), {}, -38013],
    ['more than it has', [{ calls: [{ from: nobody, to: other, value: '0x1' }] }], {}, -38014],
    [
      'a fee that it cannot pay',
      [{ calls: [{ from: nobody, to: other, maxFeePerGas: price }] }],
      strict,
      -38014,
    ],
    [
      'gas over what is left of the block',
      [
        {
          blockOverrides: { gasLimit: hex(50_000) },
          calls: [{ to: nobody }, { to: nobody, gas: hex(29_001) }],
        },
      ],
      {},
      -38015,
    ],
    ['a number that does not rise', [{ blockOverrides: { number: hex(base.height) } }], {}, -38020],
    ['a time that does not rise', [{ blockOverrides: { time: hex(baseSeconds) } }], {}, -38021],
    ['a time that no block has', [{ blockOverrides: { time: hex(2 ** 39) } }], {}, -32602],
    [
      'a time that a filled gap has passed',
      [{ blockOverrides: { number: hex(base.height + 3n), time: hex(baseSeconds + 2) } }],
      {},
      -38021,
    ],
    ['long init code', one({ to: undefined, data: `0x${'00'.repeat(49_153)}` }), {}, -38025],
    ['257 blocks', Array.from({ length: 257 }, () => ({})), {}, -38026],
    ['a gap of 257', [{ blockOverrides: { number: hex(base.height + 257n) } }], {}, -38026],
    ['a number of 2^59', [{ blockOverrides: { number: hex(1n << 59n) } }], {}, -38026],
    ['a precompile that moves to itself', moving([1, 1]), {}, -38022],
    ['two that move to one place', moving([1, nobody], [2, nobody]), {}, -38023],
    ['no precompile that moves', moving([other, nobody]), {}, -32602],
    ['one that moves to what is overridden', moving([1, 2], [2, nobody]), {}, -32602],
    ['one that moves to a native contract', moving([1, validatorRegistry.address]), {}, -32602],
    ['blobs', one({ blobVersionedHashes: [word(1n)] }), {}, -32602],
    ['another chain', one({ chainId: '0x1' }), {}, -32602],
    ['no blocks', [], {}, -32602],
  ];
  for (const [what, blocks, more, code] of rows) {
    it(`${what}: ${code}`, async () => {
      const [got, message] = await refusalOf(blocks, more);
      assert.equal(got, code, message);
    });
  }

  it('without validation nonces and limits are forgiven, and 256 blocks are answered', async () => {
    const calls = [
      { from, to: nobody, nonce: hex(nonce + 9n) },
      { from: probeAt, to: nobody },
    ];
    for (const { status } of await callsOf(calls)) assert.equal(status, '0x1');
    const paid = [{ ...calls[1], from: probeAt, maxFeePerGas: price, gas: '0x5208' }];
    const rich = { stateOverrides: { [probeAt]: { balance: hex(10n ** 18n) } } };
    const [shown] = await callsOf(paid, strict, rich);
    assert.equal(shown?.status, '0x1', 'who has code may send, as in geth');
    assert.equal(
      (await simulate([{ blockOverrides: { number: hex(base.height + 256n) } }])).length,
      256,
    );
  });

  it('accounts as no chain has them are the caller’s doing, not a fault', async () => {
    const most = { balance: word(2n ** 256n - 1n) };
    const stateOverrides = { [nobody]: most, [other]: most };
    const calls = [{ from: nobody, to: other, value: '0x1' }];
    const [code, message] = await refusalOf([{ stateOverrides, calls }]);
    assert.equal(code, -32000);
    assert.match(message ?? '', /^overrides of what cannot be: an amount of wei/);
    const alone = await callsOf(calls, {}, { stateOverrides: { [nobody]: most } });
    assert.equal(alone[0]?.status, '0x1');
  });

  it('nor are slots as no contract writes them: a name of 2^47 bytes', async () => {
    const token = tokenAddress('EUR', new Uint8Array(5));
    const slots = { [word(0n)]: word(1n), [word(11n)]: word(2n ** 256n - 1n) };
    const stateOverrides = { [token]: { stateDiff: slots } };
    const calls = [{ to: token, data: '0x06fdde03' }];
    const [code, message] = await refusalOf([{ stateOverrides, calls }]);
    assert.equal(code, -32000);
    assert.match(message ?? '', /^overrides of what cannot be/);
  });

  it('all calls together have the gas of one view', async () => {
    const { world: small } = await openContracts(chain, { viewGasMax: 100_000n });
    const ask = (count: number) => {
      const calls = Array.from({ length: count }, () => ({ to: nobody }));
      return small.call(
        'eth_simulateV1',
        payloadOf([{ calls: calls.slice(2) }, { calls: calls.slice(0, 2) }]),
      );
    };
    assert.equal((await ask(4)).error, undefined);
    assert.equal((await ask(5)).error?.code, -38026);
    const burn = { to: probeAt, data: dataOf('burnGas') };
    const answer = await small.call('eth_simulateV1', payloadOf([{ calls: [burn] }]));
    const [shown] = answer.result as Shown[];
    assert.equal(shown?.calls[0]?.gasUsed, hex(100_000));
  });

  it('code without an end is ended, and an answer that is too long is refused', async () => {
    const blockOf = (code: string, blockOverrides: object = {}) =>
      payloadOf([
        { blockOverrides, stateOverrides: { [other]: { code } }, calls: [{ to: other }] },
      ]);
    const { world: slow } = await openContracts(chain, { viewMs: 400, viewGasMax: 10n ** 12n });
    const forever = blockOf('0x5b5f56', { gasLimit: hex(10n ** 12n) });
    const { error } = await slow.call('eth_simulateV1', forever);
    assert.match(error?.message ?? '', /^execution aborted \(timeout = 400 ms\)$/);
    const { world: short } = await openContracts(chain, { responseBytesMax: 100_000 });
    // 50,001 bytes of memory.
    const long = await short.call('eth_simulateV1', blockOf('0x61c3515ff3'));
    assert.equal(long.error?.code, -32003);
  });

  it('counts in the quota for each of its calls', async () => {
    const access = openAccess({ unlimited: new Set() });
    const { world: own } = await openContracts(chain, {}, { ...unlimitedAccess(), access });
    const calls = Array.from({ length: 200 }, () => ({ to: nobody }));
    assert.equal((await own.call('eth_simulateV1', payloadOf([{ calls }]))).error, undefined);
    // 4,000 of the 5,000 that are there at once; the next takes more than is left.
    assert.equal((await own.call('eth_simulateV1', payloadOf([{ calls }]))).error, undefined);
    assert.equal((await own.call('eth_chainId')).error?.code, -32005);
  });
});

describe('eth_simulateV1, asked nearly right questions', () => {
  const junk = fc.jsonValue({ maxDepth: 1 });
  /** Mostly left out; JSON does not know it. */
  const rare = (arbitrary: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
  const usual = ['0x0', '0x1', '0x5208', '0x186a0', hex(base.height + 2n), hex(baseSeconds + 9)];
  const number = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom<unknown>(...usual) },
    { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 1n << 64n }).map(hex) },
    { weight: 1, arbitrary: fc.constant(word(2n ** 256n - 1n)) },
    { weight: 1, arbitrary: junk },
  );
  const registry = validatorRegistry.address;
  const address = fc.constantFrom<unknown>(
    ...[alice.address, bob.address, alice.address, probeAt, registry, precompile(2), nobody, null],
  );
  const bytes = fc.oneof(
    fc.constantFrom('0x', dataOf('set', [1n, 2n]), dataOf('facts'), founders.bytecode),
    fc.uint8Array({ maxLength: 40 }).map(toHex),
  );
  const some = <T extends Record<string, fc.Arbitrary<unknown>>>(shape: T) =>
    fc.record(shape, { requiredKeys: [] });
  const call = some({
    ...{ from: address, to: address, value: rare(number), gas: rare(number), data: bytes },
    ...{ gasPrice: rare(number), maxFeePerGas: rare(number), maxPriorityFeePerGas: rare(number) },
    ...{ nonce: rare(number), accessList: rare(junk), authorizationList: rare(junk) },
  });
  const override = some({
    ...{ balance: number, nonce: number, code: bytes, movePrecompileToAddress: rare(address) },
    state: fc.constantFrom({}, { [word(1n)]: word(2n ** 256n - 1n) }),
  });
  const block = some({
    blockOverrides: some({
      ...{ number: rare(number), time: rare(number), gasLimit: rare(number) },
      ...{ baseFeePerGas: rare(number), prevRandao: rare(number), feeRecipient: rare(address) },
    }),
    stateOverrides: fc.dictionary(
      fc.constantFrom(nobody, probeAt, registry, alice.address, precompile(2)),
      override,
      { maxKeys: 2 },
    ),
    calls: fc.array(call, { maxLength: 3 }),
  });
  const item = fc.oneof({ weight: 20, arbitrary: block }, { weight: 1, arbitrary: junk });
  const payload = fc.record({
    ...{ validation: rare(fc.boolean()), traceTransfers: fc.boolean() },
    ...{ returnFullTransactions: fc.boolean() },
    blockStateCalls: fc.array(item, { minLength: 1, maxLength: 3 }),
  });

  it('answers or refuses 1,500 of them, each with a code', async () => {
    const known = (code: number) =>
      [-32000, -32602, -32003].includes(code) || (code <= -38010 && code >= -38026);
    let answered = 0;
    await fc.assert(
      fc.asyncProperty(payload, async (asked) => {
        const { error } = await world.call('eth_simulateV1', asked);
        if (error === undefined) answered++;
        else assert.ok(known(error.code), JSON.stringify([error, asked]));
      }),
      { numRuns: 1_500, seed: 20_28, endOnFailure: true },
    );
    assert.ok(answered > 200, `${answered} were answered`);
  });
});

describe('eth_simulateV1 for libraries', () => {
  it('viem: simulateBlocks and simulateCalls, with the changes of balances', async () => {
    const [block] = await client.simulateBlocks({
      blocks: [
        {
          blockOverrides: { number: base.height + 1n },
          stateOverrides: [{ address: nobody, balance: 10n }],
          calls: [
            { account: nobody, to: other, value: 4n },
            { to: probeAt, abi: probe.abi, functionName: 'values', args: [5n] },
            { to: probeAt, abi: probe.abi, functionName: 'refuse', args: [5n] },
          ],
        },
      ],
    } as Parameters<typeof client.simulateBlocks>[0]);
    const [paid, read, failed] = block?.calls ?? [];
    assert.deepEqual([paid?.status, read?.result, failed?.status], ['success', 77n, 'failure']);
    assert.equal(paid?.gasUsed, 21_000n);
    const {
      results,
      assetChanges,
      block: last,
    } = await client.simulateCalls({
      account: alice.address,
      traceAssetChanges: true,
      calls: [
        { to: nobody, value: 7n },
        { to: probeAt, abi: probe.abi, functionName: 'values', args: [5n] },
        { to: probeAt, abi: probe.abi, functionName: 'refuse', args: [5n] },
      ],
    });
    assert.equal(results[0]?.status, 'success');
    assert.equal(results[1]?.result, 77n);
    assert.equal(results[2]?.status, 'failure');
    assert.match(String(results[2]?.error), /Refused/);
    assert.equal(last.number, base.height + 1n);
    assert.deepEqual(
      assetChanges.map(({ value }) => value.diff),
      [-7n],
    );
  });

  it('ethers: raw', async () => {
    const provider = new JsonRpcProvider(world.url, 4242, { staticNetwork: true });
    try {
      const payload = payloadOf([{ calls: [{ to: probeAt, data: dataOf('values', [5n]) }] }]);
      const [shown] = await provider.send('eth_simulateV1', [payload, 'latest']);
      assert.equal(shown.calls[0].returnData, word(77n));
    } finally {
      provider.destroy();
    }
  });

  testWithVectors('its answers are of the shape of execution-apis', 'execution-apis', async () => {
    const judge = specificationJudge();
    const calls = [
      { from: alice.address, to: nobody, value: '0x1' },
      { to: probeAt, data: dataOf('set', [1n, 2n]) },
      { to: probeAt, data: dataOf('refuse', [1n]) },
      { to: probeAt, data: dataOf('burnGas'), gas: hex(50_000) },
    ];
    for (const full of [false, true]) {
      const more = { traceTransfers: true, returnFullTransactions: full };
      const answer = await simulate([{ calls }, {}], more);
      assert.equal(judge('eth_simulateV1', answer), null);
    }
  });
});
