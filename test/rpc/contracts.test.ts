import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Contract, isCallException, JsonRpcProvider } from 'ethers';
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  defineChain,
  encodeFunctionData,
  http,
} from 'viem';
import { uintToBytes } from '#src/lib/bytes.ts';
import { formatAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { asHeight } from '#src/types/units.ts';
import {
  addMember,
  COIN,
  consortiumRegistry,
  governance,
  Ledger,
  memberId,
  validatorRegistry,
} from '../ledger/payments/rig.ts';
import { person } from '../ledger/samples.ts';
import { openWorld } from './harness.ts';

const world = await openWorld();
const ledger = new Ledger();
world.backend.stateAt = (height) =>
  height < asHeight(0n)
    ? null
    : {
        account: (address) => ledger.state.account(address),
        slot: (address, key) => {
          const stored = ledger.state.slot(address, Buffer.from(key).toString('hex'));
          return uintToBytes(BigInt(`0x0${Buffer.from(stored).toString('hex')}`), 32);
        },
        code: (hash) => ledger.state.code(hash) ?? new Uint8Array(0),
      };
const chain = defineChain({
  ...{ id: 4242, name: 'test', nativeCurrency: { name: 'MPB', symbol: 'MPB', decimals: 18 } },
  rpcUrls: { default: { http: [world.url] } },
});
const viem = createPublicClient({ chain, transport: http() });
const provider = new JsonRpcProvider(world.url, 4242, { staticNetwork: true });
after(() => provider.destroy());

const [operator, stranger] = [person(1), person(9)];
const registry = { address: validatorRegistry.address, abi: validatorRegistry.abi } as const;

describe('native contracts over JSON-RPC', () => {
  it('answer the views of viem and ethers', async () => {
    const operators = (await viem.readContract({
      ...registry,
      functionName: 'getValidators',
    })) as string[];
    const want = ledger.set.validators.map((validator) => formatAddress(validator.operator));
    assert.deepEqual(operators, want);
    const abi = JSON.stringify(consortiumRegistry.abi);
    const members = new Contract(consortiumRegistry.address, abi, provider);
    const member = await members.getFunction('getMember')(memberId(1));
    assert.equal(member.admin, formatAddress(operator.address));
    assert.equal(member.roles, 1n);
  });

  it('have code, and slots that anybody can read', async () => {
    assert.equal(await viem.getCode({ address: validatorRegistry.address }), '0xfe');
    const slot = await viem.getStorageAt({ address: validatorRegistry.address, slot: '0x2' });
    assert.equal(slot, ledger.networkId);
    assert.equal(await viem.getBalance({ address: validatorRegistry.address }), 40n * COIN);
  });

  it('simulate a call, and say in their own words why it fails', async () => {
    const call = {
      ...registry,
      functionName: 'bond',
      args: [1n, ZERO_ADDRESS, COIN],
      value: COIN,
    } as const;
    await viem.simulateContract({ ...call, account: operator.address });
    const failed = await viem.simulateContract({ ...call, account: stranger.address }).then(
      () => assert.fail('a stranger does not bond'),
      (error: unknown) => error,
    );
    assert.ok(failed instanceof BaseError);
    const revert = failed.walk((error) => error instanceof ContractFunctionRevertedError);
    assert.ok(revert instanceof ContractFunctionRevertedError);
    assert.equal(revert.data?.errorName, 'NotAuthorized');
    assert.deepEqual(revert.data?.args, [formatAddress(stranger.address)]);

    const abi = JSON.stringify(validatorRegistry.abi);
    const validators = new Contract(validatorRegistry.address, abi, provider);
    const error = await validators
      .getFunction('deactivateValidator')
      .staticCall(99n, { from: operator.address })
      .then(
        () => assert.fail('validator 99 is not there'),
        (reason: unknown) => reason,
      );
    assert.ok(isCallException(error));
    assert.equal(error.revert?.name, 'UnknownValidator');
  });

  it('are estimated to the unit', async () => {
    const call = { ...registry, functionName: 'deactivateValidator', args: [1n] } as const;
    const gas = await viem.estimateContractGas({ ...call, account: operator.address });
    const trial = new Ledger();
    const want = [validatorRegistry, 'deactivateValidator', [1n]] as const;
    assert.equal(trial.send(operator, want, { gasLimit: gas }).gasUsed, gas);
    const short = new Ledger().send(operator, want, { gasLimit: gas - 1n });
    assert.deepEqual([short.ok, short.gasUsed], [false, gas - 1n], 'out of gas pays for all');
    const fails = viem.estimateContractGas({ ...call, account: stranger.address });
    await assert.rejects(fails, /NotAuthorized/);
  });

  it('get the gas of the dearest transaction at most: this is the thread that votes', async () => {
    const [{ abi }, functionName, args] = addMember(7, stranger.address);
    const governed = encodeFunctionData({ abi, functionName, args });
    const propose = (calls: number) => ({
      from: operator.address,
      to: governance.address,
      gas: '0xffffffffff',
      data: encodeFunctionData({
        ...{ abi: governance.abi, functionName: 'propose' },
        args: [
          Array.from({ length: calls }, () => consortiumRegistry.address),
          Array.from({ length: calls }, () => `${governed}${'00'.repeat(7_000)}`),
          ...[0, ''],
        ],
      }),
    });
    assert.equal((await world.call('eth_call', propose(1))).error, undefined);
    // Each of 220 words of each call costs 13,500 to keep.
    assert.equal((await world.call('eth_call', propose(8))).error?.message, 'out of gas');
  });

  it('answer in geth’s manner: code 3, words, and the bytes of the error', async () => {
    const to = validatorRegistry.address;
    const rows: [string, object, RegExp][] = [
      ['no function', { to, data: '0x' }, /^execution reverted: UnknownFunction\(0x00000000\)$/],
      [
        'value to a view',
        { to, data: '0xb7ab4db5', value: '0x1', from: operator.address },
        /NotPay/,
      ],
      ['arguments cut off', { to, data: '0xb5d896270000' }, /BadCallData|UnknownFunction/],
    ];
    for (const [when, call, message] of rows) {
      const { error } = await world.call('eth_call', call, 'latest');
      assert.equal(error?.code, 3, when);
      assert.match(error?.message ?? '', message, when);
      assert.match(String(error?.data), /^0x[0-9a-f]{72}$/, when);
    }
    const call = { to, data: '0xb7ab4db5', gas: '0x6000' };
    assert.equal((await world.call('eth_call', call, 'latest')).error?.message, 'out of gas');
    const poor = { from: ZERO_ADDRESS, to, data: '0xb7ab4db5', value: '0x1' };
    const { error } = await world.call('eth_call', poor, 'latest');
    assert.match(error?.message ?? '', /insufficient funds/);
  });
});
