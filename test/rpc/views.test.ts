import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type BaseError,
  ContractFunctionRevertedError,
  encodeDeployData,
  encodeFunctionData,
} from 'viem';
import { toHex, uintToBytes } from '#src/lib/bytes.ts';
import type { RpcLimits } from '#src/rpc/limits.ts';
import type { Address } from '#src/types/address.ts';
import { keccakHash } from '#src/types/hash.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { probe } from '../ledger/evm/world.ts';
import {
  alice,
  bob,
  founders,
  foundersAt,
  openContracts,
  probeAt,
  readyChain,
} from './contractWorld.ts';

const nobody = `0x${'ab'.repeat(20)}` as Address;
const chain = await readyChain();
const opened = (limits: Partial<RpcLimits> = {}) => openContracts(chain, limits);
const { world, client } = await opened();
const at = { address: probeAt, abi: probe.abi } as const;
const dataOf = (functionName: string, args: readonly unknown[] = []) =>
  encodeFunctionData({ abi: probe.abi, functionName, args });
const slotOf = (key: bigint) =>
  keccakHash(Buffer.concat([uintToBytes(key, 32), uintToBytes(1n, 32)]));

describe('views of contracts', () => {
  it('are answered to viem, storage and the facts of the block included', async () => {
    assert.equal(await client.readContract({ ...at, functionName: 'values', args: [5n] }), 77n);
    const facts = await client.readContract({ ...at, functionName: 'facts' });
    const { header } = world.backend.head;
    const [height, , chainId, baseFee, coinbase] = facts as [
      bigint,
      bigint,
      bigint,
      bigint,
      string,
    ];
    assert.deepEqual([height, chainId, baseFee], [header.height, 4242n, header.baseFeePerGas]);
    assert.equal(coinbase.toLowerCase(), header.coinbase);
    const code = await world.ask('eth_call', {
      data: encodeDeployData({ abi: founders.abi, bytecode: founders.bytecode, args: [] }),
    });
    assert.ok(String(code).length > 200, 'a creation gives the code that it would leave');
  });

  it('revert with reason, with custom error data, and in geth’s words', async () => {
    const error = await client.simulateContract({ ...at, functionName: 'refuse', args: [9n] }).then(
      () => assert.fail('it reverts'),
      (thrown: BaseError) => thrown,
    );
    const reverted = error.walk((inner) => inner instanceof ContractFunctionRevertedError);
    assert.ok(reverted instanceof ContractFunctionRevertedError);
    assert.deepEqual([reverted.data?.errorName, reverted.data?.args], ['Refused', [9n]]);
    const data = encodeFunctionData({
      ...{ abi: founders.abi, functionName: 'makePayment', args: [nobody, 5n] },
    });
    for (const method of ['eth_call', 'eth_estimateGas']) {
      const answer = await world.call(method, { from: bob.address, to: foundersAt, data });
      assert.equal(answer.error?.code, 3);
      assert.equal(answer.error?.message, 'execution reverted: value differs from amount');
      assert.match(String(answer.error?.data), /^0x08c379a0/);
    }
    const panic = await world.call('eth_call', { to: probeAt, data: dataOf('items', [3n]) });
    assert.equal(panic.error?.code, 3, 'an empty array has no third item');
  });

  it('estimates are tight: with the estimate it succeeds, with one less it fails', async () => {
    const rows: { functionName: string; args: unknown[]; value?: bigint }[] = [
      { functionName: 'set', args: [6n, 7n] },
      { functionName: 'set', args: [5n, 0n] },
      { functionName: 'make', args: [10n] },
      { functionName: 'makeAndDie', args: [10n, nobody] },
      { functionName: 'spread', args: [[nobody, nobody], 3n], value: 6n },
    ];
    for (const { functionName, args, value = 0n } of rows) {
      const call = { from: bob.address, to: probeAt, data: dataOf(functionName, args) };
      const quantity = await world.ask('eth_estimateGas', {
        ...call,
        value: `0x${value.toString(16)}`,
      });
      const gas = BigInt(String(quantity));
      for (const [less, succeeds] of [
        [0n, true],
        [1n, false],
      ] as const) {
        const fresh = await readyChain();
        const fields = { gasLimit: asGas(gas - less), value: asWei(value) };
        const [receipt] = await fresh.block(fresh.call(bob, probeAt, functionName, args, fields));
        assert.equal(receipt?.succeeded, succeeds, `${functionName}, ${less} less`);
      }
    }
    const tooMuch = await world.call('eth_estimateGas', { to: probeAt, data: dataOf('burnGas') });
    assert.match(tooMuch.error?.message ?? '', /^gas required exceeds allowance \(1021064\)$/);
    // All that a block has for code, and the call's own 21,064; bytes of code have theirs.
    const largest = await world.call('eth_estimateGas', { data: '0x6160005ff3' });
    assert.ok(BigInt(String(largest.result)) > 4_915_200n, JSON.stringify(largest));
  });

  it('take overrides of accounts, of all storage or some of it, and of the block', async () => {
    const read = { to: probeAt, data: dataOf('values', [5n]) };
    const word = (value: bigint) => toHex(uintToBytes(value, 32));
    const ask = async (override: object, call: object = read) =>
      world.ask('eth_call', call, 'latest', { [probeAt]: override });
    assert.equal(await ask({ stateDiff: { [slotOf(5n)]: word(9n) } }), word(9n));
    assert.equal(await ask({ stateDiff: { [slotOf(6n)]: word(9n) } }), word(77n));
    assert.equal(await ask({ state: { [slotOf(6n)]: word(9n) } }), word(0n));
    // ADDRESS BALANCE, and its answer as a word.
    assert.equal(await ask({ balance: '0x2a', code: '0x30315f5260205ff3' }), word(42n));
    const created = { nonce: '0x5', code: `0x5f5f5ff05f5260205ff3` };
    assert.match(String(await ask(created)), /^0x0{24}[0-9a-f]{40}$/);
    const facts = await world.ask(
      'eth_call',
      { to: probeAt, data: dataOf('facts') },
      'latest',
      null,
      {
        ...{ number: '0x99', time: '0x11', baseFeePerGas: '0x5', feeRecipient: nobody },
        ...{ prevRandao: word(3n), gasLimit: '0x77' },
      },
    );
    const words = String(facts)
      .slice(2)
      .match(/.{64}/g)
      ?.map((text) => BigInt(`0x${text}`));
    assert.deepEqual(words, [0x99n, 0x11n, 4242n, 5n, BigInt(nobody), 3n, 0x77n]);
    const both = await world.call('eth_call', read, 'latest', {
      [probeAt]: { state: {}, stateDiff: {} },
    });
    assert.equal(both.error?.code, -32602);
  });

  it('#23 code that never ends is ended, and this thread goes on meanwhile', async () => {
    // JUMPDEST PUSH0 JUMP, and more gas than it can use in its time.
    const { world: slow } = await opened({ viewMs: 400, viewGasMax: 10n ** 12n });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 10);
    const began = performance.now();
    const { error } = await slow.call('eth_call', { to: probeAt, data: '0x' }, 'latest', {
      [probeAt]: { code: '0x5b5f56' },
    });
    clearInterval(timer);
    assert.equal(error?.code, -32005);
    assert.match(error?.message ?? '', /execution aborted \(timeout = 400 ms\)/);
    assert.ok(performance.now() - began < 10_000);
    assert.ok(ticks > 10, `${ticks} ticks`);
    const again = await slow.ask('eth_call', { to: probeAt, data: dataOf('values', [5n]) });
    assert.equal(BigInt(String(again)), 77n, 'and the next is answered');
  });

  it('ask the node for the hash of an ancestor once, not for each 20 gas', async () => {
    const { world: own } = await opened();
    for (let mined = 0; mined < 3; mined++) own.backend.mine();
    const headerAt = own.backend.headerAt.bind(own.backend);
    let asked = 0;
    own.backend.headerAt = (height) => {
      asked++;
      return headerAt(height);
    };
    // For ever: BLOCKHASH(1), POP.
    const overrides = { [nobody]: { code: `0x5b${'60014050'.repeat(20)}5f56` } };
    const call = { to: nobody, gas: '0x30d40' };
    const { error } = await own.call('eth_call', call, 'latest', overrides);
    assert.match(error?.message ?? '', /out of gas/);
    assert.ok(asked < 20, `${asked} headers`);
  });

  it('beyond the room to wait: -32005, and whoever waits is answered', async () => {
    const { world: busy } = await opened({ viewThreads: 1, viewsWaitingMax: 3 });
    const asked = Array.from({ length: 12 }, () =>
      busy.call('eth_call', { to: probeAt, data: dataOf('values', [5n]) }),
    );
    const answers = await Promise.all(asked);
    const codes = answers.map(({ error }) => error?.code ?? 0);
    assert.ok(codes.includes(-32005) && codes.includes(0), codes.join());
  });
});

describe('eth_createAccessList', () => {
  type Listed = {
    accessList: { address: string; storageKeys: string[] }[];
    gasUsed: string;
    error?: string;
  };
  const list = async (call: object) => (await world.ask('eth_createAccessList', call)) as Listed;
  const gasOf = async (call: object) =>
    BigInt((await world.ask('eth_estimateGas', call)) as string);

  it('lists the slots that a call reads, and the gas with them listed', async () => {
    const call = { from: alice.address, to: probeAt, data: dataOf('values', [5n]) };
    const { accessList, gasUsed, error } = await list(call);
    assert.deepEqual(accessList, [{ address: probeAt, storageKeys: [slotOf(5n)] }]);
    assert.equal(error, undefined);
    assert.equal(BigInt(gasUsed), await gasOf({ ...call, accessList }));
    assert.notEqual(BigInt(gasUsed), await gasOf(call));
  });

  it('is empty, and an estimate, where no code runs', async () => {
    const call = { from: alice.address, to: nobody, value: '0x1' };
    assert.deepEqual(await list(call), { accessList: [], gasUsed: '0x5208' });
  });

  it('of a call that reverts is there all the same, with the reason beside it', async () => {
    const pay = encodeFunctionData({
      ...{ abi: founders.abi, functionName: 'makePayment', args: [nobody, 2n] },
    });
    const { accessList, error } = await list({ from: alice.address, to: foundersAt, data: pay });
    assert.match(error ?? '', /^execution reverted/);
    assert.ok(Array.isArray(accessList));
  });
});
