/** Transactions of a real chain, told call by call as geth tells them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeFunctionData, parseAbi } from 'viem';
import { validatorRegistry } from '#src/ledger/payments/validatorRegistry.ts';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import type { Block } from '#src/types/block.ts';
import { createAddress } from '#src/types/createAddress.ts';
import { type SignedTransaction, signAuthorization } from '#src/types/transaction.ts';
import { asGas, asHeight } from '#src/types/units.ts';
import { feeRecipient, people } from '../chain/network.ts';
import { World } from '../ledger/evm/world.ts';
import type { Person } from '../ledger/samples.ts';
import { compile } from '../solidity.ts';
import { openAccess, unlimitedAccess } from './harness.ts';
import { openChain } from './realChain.ts';

type Frame = {
  readonly type: string;
  readonly from: string;
  readonly to?: string;
  readonly gas: string;
  readonly gasUsed: string;
  readonly input: string;
  readonly value?: string;
  readonly output?: string;
  readonly error?: string;
  readonly revertReason?: string;
  readonly calls?: readonly Frame[];
  readonly logs?: readonly { address: string; data: string; index: string; position: string }[];
};

const [alice, bob, carol, dora] = people as [Person, Person, Person, Person];
const tracee = compile('test/rpc/Tracee.sol', 'Tracee');
const world = await World.create();
const at = await world.deploy(alice, tracee, 10_000n);
const leaf = createAddress(at, 1n);
const nobody = `0x${'ab'.repeat(20)}` as Address;
const registry = '0x4d50420000000000000000000000000000000001' as Address;
const members = parseAbi(['function memberOf(address account) returns (bytes32, uint64)']);
const salt = (byte: string) => `0x${byte.repeat(32)}`;
const open = { ...unlimitedAccess(), access: openAccess({ debug: true }) };
const rpc = await openChain(world.chain, {}, open);

const dataOf = (functionName: string, args: unknown[] = []) =>
  encodeFunctionData({ abi: tracee.abi, functionName, args });
const call = (name: string, args: unknown[] = [], from: Person = bob, more = 0) =>
  world.send(from, at, dataOf(name, args), { nonce: world.nonceOf(from, more) });
const trace = async (transaction: SignedTransaction, tracerConfig: object = {}) => {
  const config = { tracer: 'callTracer', tracerConfig };
  return (await rpc.ask('debug_traceTransaction', transaction.hash, config)) as Frame;
};
const run = async (name: string, args: unknown[] = [], tracerConfig: object = {}) => {
  const transaction = call(name, args);
  await world.block(transaction);
  return trace(transaction, tracerConfig);
};
/** Types, and what was called: one line a call. */
const lines = (frame: Frame, depth = 0): string[] => [
  `${' '.repeat(depth)}${frame.type} ${nameOf(frame.to)} ${frame.value ?? '-'}${
    frame.error === undefined ? '' : ` ${frame.error}`
  }`,
  ...(frame.calls ?? []).flatMap((inner) => lines(inner, depth + 1)),
];
const names = new Map<string, string>([
  ...([
    [at, 'tracee'],
    [leaf, 'leaf'],
    [nobody, 'nobody'],
    [registry, 'registry'],
  ] as const),
]);
const nameOf = (address: string | undefined) => names.get(address ?? '') ?? address ?? 'none';

describe('debug_traceTransaction', () => {
  it('tells each call in order, with what failed and was caught', async () => {
    const frame = await run('nested', [nobody]);
    assert.deepEqual(lines(frame), [
      'CALL tracee 0x0',
      ' CALL leaf 0x3',
      ' CALL leaf 0x0 execution reverted',
      ' STATICCALL leaf -',
      ' CALL nobody 0x5',
    ]);
    const [touched, failed, looked, paid] = frame.calls ?? [];
    const word = (value: number) => `0x${value.toString(16).padStart(64, '0')}`;
    assert.equal(touched?.output, word(8));
    assert.equal(failed?.revertReason, 'not today');
    assert.match(failed?.output ?? '', /^0x08c379a0/);
    assert.equal(looked?.output, word(7));
    assert.deepEqual(paid, {
      ...{ type: 'CALL', from: at, to: nobody, value: '0x5' },
      ...{ gas: paid?.gas, gasUsed: '0x0', input: '0x' },
    });
    // A payment from code comes with 2,300 gas of its own, and one 64th of the rest stays behind.
    assert.ok(BigInt(paid?.gas ?? 0) < BigInt(frame.gas) && BigInt(paid?.gas ?? 0) > 2_300n);
    assert.equal('logs' in frame, false, 'only where they are asked for');
  });

  it('tells logs with their place among the calls and in the block, of what stands', async () => {
    // Another transaction logs before it in its block, or after it.
    const [first, second] = [call('nested', [nobody]), call('nested', [nobody], carol)];
    await world.block(first, second);
    const frames = await Promise.all([first, second].map((one) => trace(one, { withLog: true })));
    const seen = frames.flatMap(({ logs = [], calls = [] }) => [
      ...logs.map(({ data, position, index }) => [Number(data), Number(position), Number(index)]),
      ...calls.flatMap((inner) => (inner.logs ?? []).map(({ index }) => ['leaf', Number(index)])),
    ]);
    const of = (from: number) => [
      [1, 0, from],
      [2, 1, from + 2],
      [3, 3, from + 3],
      ['leaf', from + 1],
    ];
    const order = world.chain.head.transactions.map(({ hash }) => hash);
    const firstIndex = order.indexOf(first.hash) * 4;
    assert.deepEqual(seen, [...of(firstIndex), ...of(4 - firstIndex)]);
    const lost = frames[0]?.calls?.[1];
    assert.equal(lost?.error, 'execution reverted');
    assert.equal(lost?.logs, undefined, 'what was taken back logged nothing');
  });

  it('tells delegated calls, precompiles, and calls that fail before they begin', async () => {
    const delegated = await run('delegated');
    assert.deepEqual(lines(delegated), ['CALL tracee 0x0', ' DELEGATECALL leaf 0x0']);
    assert.equal(delegated.calls?.[0]?.from, at, 'from is whose storage it is');
    const hashed = await run('hashed', ['0x1234']);
    const sha256 = `0x${'0'.repeat(39)}2`;
    assert.deepEqual(lines(hashed), ['CALL tracee 0x0', ` STATICCALL ${sha256} -`]);
    assert.equal(hashed.calls?.[0]?.output, hashed.output);
    const poor = await run('poor');
    assert.match(lines(poor)[1] ?? '', /^ CALL leaf 0xde0b6b3a7640000 insufficient balance for tr/);
  });

  it('tells creations and contracts that give themselves up', async () => {
    const made = await run('made', [salt('01'), nobody]);
    const child = made.calls?.[0]?.to ?? '';
    assert.deepEqual(lines(made), [
      'CALL tracee 0x0',
      ` CREATE2 ${child} 0xb`,
      ` CALL ${child} 0x0`,
      '  SELFDESTRUCT nobody 0xb',
    ]);
    assert.ok(made.calls?.[0]?.input.startsWith('0x60'), 'the init code');
    assert.ok((made.calls?.[0]?.output?.length ?? 0) > 100, 'the code');
    const { gas, gasUsed } = made.calls?.[1]?.calls?.[0] ?? {};
    assert.deepEqual([gas, gasUsed], ['0x0', '0x0']);
    const again = await run('again', [salt('02')]);
    assert.match(lines(again).at(-1) ?? '', /^ {2}CREATE2 none 0x0 contract address collision$/);
    const deployed = world.deployment(alice, compile('test/rpc/Tracee.sol', 'Leaf'), 9n);
    await world.block(deployed);
    const creation = await trace(deployed);
    assert.deepEqual(lines(creation), [`CREATE ${createAddress(alice.address, 1n)} 0x9`]);
    assert.equal(creation.input, toHex(deployed.data));
  });

  it('tells native contracts, from Solidity and by themselves', async () => {
    const roles = await run('roles', [registry, feeRecipient]);
    assert.deepEqual(lines(roles), ['CALL tracee 0x0', ' STATICCALL registry -']);
    assert.equal(roles.calls?.[0]?.output?.length, 2 + 128);
    const args = [feeRecipient] as const;
    const input = encodeFunctionData({ abi: members, functionName: 'memberOf', args });
    const [good, bad] = [world.send(bob, registry, input), world.send(carol, registry, '0x1234')];
    await world.block(good, bad);
    const [seen, refused] = [await trace(good), await trace(bad)];
    assert.deepEqual(lines(seen), ['CALL registry 0x0']);
    assert.equal(seen.output, roles.calls?.[0]?.output);
    assert.deepEqual(lines(refused), ['CALL registry 0x0 execution reverted']);
    assert.match(refused.output ?? '', /^0x[0-9a-f]{72}$/, 'an error of its own');
  });

  it('tells what an account that lends itself to code does (EIP-7702)', async () => {
    const nonce = world.nonceOf(dora);
    const lent = signAuthorization({ chainId: 0n, address: leaf, nonce }, dora.key);
    const look = encodeFunctionData({
      ...{ abi: compile('test/rpc/Tracee.sol', 'Leaf').abi, functionName: 'look' },
    });
    const lending = world.send(bob, dora.address, look, { type: 4, authorizationList: [lent] });
    await world.block(lending);
    const frame = await trace(lending);
    assert.deepEqual(lines(frame), [`CALL ${dora.address} 0x0`]);
    assert.equal(BigInt(frame.output ?? -1), 0n, 'its own storage');
  });

  it('tells a payment as one call', async () => {
    const memo = utf8('invoice 7');
    const paid = world.proposer.pay(bob, nobody, 12n, { data: memo });
    await world.block(paid);
    assert.deepEqual(await trace(paid), {
      ...{ type: 'CALL', from: bob.address, to: nobody, value: '0xc', input: toHex(memo) },
      ...{ gas: '0x7530', gasUsed: await gasUsed(paid) },
    });
  });

  it('tells only the top where nothing else is wanted', async () => {
    const frame = await run('nested', [nobody], { onlyTopCall: true, withLog: true });
    assert.deepEqual([lines(frame), frame.logs?.length], [['CALL tracee 0x0'], 3]);
  });

  it('tells why a transaction failed', async () => {
    const fails = await run('fails');
    assert.deepEqual([fails.error, fails.revertReason], ['execution reverted', 'not today']);
    const burns = await run('burns');
    assert.deepEqual([burns.error, burns.gasUsed], ['out of gas', burns.gas]);
    assert.equal(burns.output, undefined);
  });
});

const gasUsed = async ({ hash }: SignedTransaction) => {
  const receipt = (await rpc.ask('eth_getTransactionReceipt', hash)) as { gasUsed: string };
  return receipt.gasUsed;
};

describe('each block', () => {
  it('comes to the same when it is run again, transaction by transaction', async () => {
    const { length } = people;
    assert.ok(length > 4);
    // Each builds on what those before it in the block did.
    await world.block(
      world.proposer.pay(alice, carol.address, 1_000n),
      call('nested', [nobody], bob),
      call('made', [salt('07'), bob.address], carol),
      call('fails', [], dora),
    );
    let traced = 0;
    for (let height = 1n; height <= world.chain.head.header.height; height++) {
      const block = world.chain.blockAt(asHeight(height)) as Block;
      const at = `0x${height.toString(16)}`;
      const all = (await rpc.ask('debug_traceBlockByNumber', at)) as List;
      assert.deepEqual(await rpc.ask('debug_traceBlockByHash', block.hash), all);
      const hashes = block.transactions.map(({ hash }) => hash);
      assert.deepEqual(
        all.map(({ txHash }) => txHash),
        hashes,
      );
      for (const [index, transaction] of block.transactions.entries()) {
        const { result } = all[index] ?? assert.fail('one for each');
        assert.deepEqual(await trace(transaction), result);
        assert.equal(result.gasUsed, await gasUsed(transaction));
        traced++;
      }
    }
    assert.ok(traced >= 20, `${traced} transactions`);
  });
});

type List = readonly { txHash: string; result: Frame }[];

describe('debug_traceCall', () => {
  it('traces a call that changes nothing, with overrides', async () => {
    const asked = { from: bob.address, to: at, data: dataOf('nested', [nobody]) };
    const config = { tracerConfig: { withLog: true } };
    const frame = (await rpc.ask('debug_traceCall', asked, 'latest', config)) as Frame;
    assert.equal(lines(frame).length, 5);
    assert.equal(frame.logs?.at(-1)?.index, '0x3');
    const estimate = (await rpc.ask('eth_estimateGas', asked)) as string;
    assert.ok(BigInt(frame.gasUsed) <= BigInt(estimate));
    const stateOverrides = { [nobody]: { code: '0x60006000fd' } };
    const refused = (await rpc.ask('debug_traceCall', asked, 'latest', {
      stateOverrides,
    })) as Frame;
    assert.match(lines(refused).at(-1) ?? '', /^ CALL nobody 0x5 execution reverted$/);
    assert.equal(refused.error, 'execution reverted');
    const number = { to: nobody, data: '0x' };
    const code = { [nobody]: { code: '0x435f5260205ff3' } };
    const blockOverrides = { number: '0x99' };
    const seen = { stateOverrides: code, blockOverrides };
    const told = (await rpc.ask('debug_traceCall', number, 'latest', seen)) as Frame;
    assert.equal(BigInt(told.output ?? 0), 0x99n);
  });

  it("tells a native contract's logs", async () => {
    const { address: to, abi } = validatorRegistry;
    const data = encodeFunctionData({ abi, functionName: 'deactivateValidator', args: [1n] });
    const asked = { from: feeRecipient, to, data };
    const config = { tracerConfig: { withLog: true } };
    const frame = (await rpc.ask('debug_traceCall', asked, 'latest', config)) as Frame;
    assert.equal(frame.error, undefined);
    assert.ok((frame.logs?.length ?? 0) > 0);
    assert.equal(frame.logs?.[0]?.address, to);
  });
});

describe('a trace that cannot be had', () => {
  const codeOf = async (method: string, ...params: unknown[]) => {
    const { error } = await rpc.call(method, ...params);
    return [error?.code, error?.message] as const;
  };

  it('says why', async () => {
    const { hash } = world.chain.head.transactions[0] ?? assert.fail();
    const none = salt('00');
    const rows: [string, unknown[], number, RegExp][] = [
      ['debug_traceTransaction', [none], -32000, /^transaction not found$/],
      ['debug_traceTransaction', [hash, { tracer: 'prestateTracer' }], -32602, /is callTracer/],
      ['debug_traceTransaction', [hash, { tracer: '{step: 1}' }], -32602, /is callTracer/],
      ['debug_traceTransaction', [hash, { timeout: 'soon' }], -32602, /a duration such as 5s/],
      ['debug_traceTransaction', [hash, { tracerConfig: { withLog: 1 } }], -32602, /boolean/],
      ['debug_traceBlockByNumber', ['0x0'], -32000, /genesis is not traceable/],
      ['debug_traceBlockByNumber', ['0xffff'], -32001, /header not found/],
      ['debug_traceBlockByHash', [none], -32001, /header not found/],
      ['debug_traceCall', [{ to: at }, 'latest', { txIndex: '0x0' }], -32602, /txIndex/],
      ['debug_traceCall', [{ to: at, gas: '0x10' }, 'latest'], -32000, /out of gas/],
    ];
    for (const [method, params, code, message] of rows) {
      const [got, words] = await codeOf(method, ...params);
      assert.equal(got, code, JSON.stringify(params));
      assert.match(words ?? '', message);
    }
  });

  it('is refused where the state before it is not kept', async () => {
    const { hash } = world.chain.blockAt(asHeight(1n))?.transactions[0] ?? assert.fail();
    const stateAt = rpc.backend.stateAt;
    rpc.backend.stateAt = (height) => (height === 0n ? null : stateAt(height));
    const [code, message] = await codeOf('debug_traceTransaction', hash);
    rpc.backend.stateAt = stateAt;
    assert.equal(code, -32000);
    assert.match(message ?? '', /^state of block 0x0 is pruned/);
    const calls = [{ to: at, data: dataOf('fails') }];
    const rows: [string, ...unknown[]][] = [
      ['debug_traceTransaction', hash],
      ['eth_call', calls[0], 'latest'],
      ['eth_estimateGas', calls[0], 'latest'],
      ['eth_simulateV1', { blockStateCalls: [{ calls }] }, 'latest'],
    ];
    for (const [method, ...params] of rows) {
      let looks = 0;
      rpc.backend.stateAt = (height) => (looks++ === 0 ? stateAt(height) : null);
      const late = await codeOf(method, ...params);
      rpc.backend.stateAt = stateAt;
      assert.deepEqual(late, [-32000, 'the state is not kept any more'], `${method} while it read`);
    }
  });

  it('is bounded: calls, bytes, time', async () => {
    const small = { traceFramesMax: 50, traceBytesMax: 10_000 };
    const bounded = await openChain(world.chain, small, open);
    const many = async (calls: number, bytes: number, config: object = {}) => {
      const data = dataOf('many', [BigInt(calls), BigInt(bytes)]);
      return bounded.call('debug_traceCall', { to: at, data }, 'latest', config);
    };
    const counted = (await many(49, 0)).result as Frame;
    assert.equal(counted.calls?.length, 49);
    const tooMany = await many(50, 0);
    assert.deepEqual(
      [tooMany.error?.code, tooMany.error?.message],
      [-32003, 'too much to tell: more than 50 calls'],
    );
    const tooLong = await many(20, 500);
    assert.equal(tooLong.error?.message, 'too much to tell: more than 10000 bytes');
    const top = (await many(5_000, 500, { tracerConfig: { onlyTopCall: true } })).result as Frame;
    assert.equal(top.calls, undefined);
    const endless = { stateOverrides: { [nobody]: { code: '0x5b5f56' } }, timeout: '1ms' };
    const late = await bounded.call('debug_traceCall', { to: nobody }, 'latest', endless);
    assert.equal(late.error?.code, -32005);
    assert.match(late.error?.message ?? '', /^execution aborted \(timeout = 1 ms\)$/);
    assert.equal(((await many(2, 0)).result as Frame).calls?.length, 2, 'and the next is answered');
  });

  it('has as many levels as there is gas for', async () => {
    // Calls itself with all its gas: five zeros, ADDRESS, GAS, CALL.
    const stateOverrides = { [nobody]: { code: '0x5f5f5f5f5f305af1' } };
    const asked = { to: nobody, gas: '0x989680' };
    const config = { stateOverrides };
    let frame = (await rpc.ask('debug_traceCall', asked, 'latest', config)) as Frame | undefined;
    let depth = 0;
    for (; frame !== undefined; frame = frame.calls?.[0]) depth++;
    assert.ok(depth > 300, `${depth} levels`);
  });

  it('with the limits of every node is an answer that is not too long', async () => {
    const data = dataOf('many', [9_990n, 100n]);
    const gas = '0x989680';
    const frame = (await rpc.ask('debug_traceCall', { to: at, data, gas }, 'latest')) as Frame;
    assert.ok((frame.calls?.length ?? 0) > 9_000 || frame.error === 'out of gas');
    const million = dataOf('many', [1_000_000n, 0n]);
    const { error } = await rpc.call('debug_traceCall', { to: at, data: million, gas }, 'latest');
    assert.equal(error?.message, 'too much to tell: more than 10000 calls');
  });
});

describe('a trace that does not fit its receipt', () => {
  it('is not told', async () => {
    const { hash } = world.chain.head.transactions[0] ?? assert.fail();
    const receiptsAt = rpc.backend.receiptsAt;
    rpc.backend.receiptsAt = (height) =>
      (receiptsAt(height) ?? []).map((receipt) => ({
        ...receipt,
        cumulativeGasUsed: asGas(receipt.cumulativeGasUsed + 1n),
      }));
    const { error } = await rpc.call('debug_traceTransaction', hash);
    rpc.backend.receiptsAt = receiptsAt;
    assert.equal(error?.code, -32603);
  });
});
