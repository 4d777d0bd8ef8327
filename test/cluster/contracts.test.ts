/** The founders' payment contract on four real validators, by the tools that people use. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parseEther } from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { compile } from '../solidity.ts';
import { Devnet, eventually, rpc, run } from './devnet.ts';
import { viemClients } from './viemClients.ts';

const words = 'test test test test test test test test test test test junk';
const [alice, bob] = [0, 1].map((addressIndex) => mnemonicToAccount(words, { addressIndex }));
const payee = '0x00000000000000000000000000000000000fa4ee';

describe('a contract on four validators', { timeout: 300_000 }, () => {
  const founders = compile('docs/examples/PaymentContract.sol', 'PaymentContract');
  let net: Devnet;
  let contract: `0x${string}` = '0x';
  let settled: `0x${string}` = '0x';

  before(async () => {
    net = await Devnet.start();
  });
  after(() => net.destroy());

  const clients = (index: number, account = alice ?? assert.fail()) =>
    viemClients(net, index, account);
  /** What the public getters give, by another node. */
  const read = (functionName: string) =>
    clients(3).client.readContract({ abi: founders.abi, address: contract, functionName });

  it('is deployed through one node and is there on all', async () => {
    const { wallet, client } = clients(0);
    const { abi, bytecode } = founders;
    const hash = await wallet.deployContract({ abi, bytecode });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    contract = receipt.contractAddress ?? assert.fail('a creation has an address');
    for (const index of [1, 2, 3]) {
      await eventually(`node ${index} has the code`, async () => {
        const code = await clients(index).client.getCode({ address: contract });
        return (code?.length ?? 0) > 100;
      });
    }
  });

  it('settles a payment: the payee has it, and who paid whom how much can be read', async () => {
    const { wallet, client } = clients(1, bob);
    const value = parseEther('12.5');
    const call = { abi: founders.abi, address: contract, functionName: 'makePayment' } as const;
    const args = [payee, value] as const;
    const hash = await wallet.writeContract({ ...call, args, value });
    settled = hash;
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    await eventually('the payee is paid', async () => {
      return (await clients(3).client.getBalance({ address: payee })) === value;
    });
    assert.equal(await read('payer'), bob?.address);
    assert.equal(BigInt(String(await read('payee'))), BigInt(payee));
    assert.equal(await read('amount'), value);
  });

  it('is traced alike by every node, down to the payment to the payee', async () => {
    const hash = settled;
    const receipt = await clients(0).client.waitForTransactionReceipt({ hash });
    const params = [hash, { tracer: 'callTracer' }];
    type Frame = { to: string; value: string; gasUsed: string; calls: readonly Frame[] };
    const traced: Frame[] = [];
    for (const url of net.ready.rpc) {
      await eventually(`${url} has it`, async () => {
        return (await rpc<unknown>(url, 'eth_getTransactionReceipt', [hash])) !== null;
      });
      traced.push(await rpc<Frame>(url, 'debug_traceTransaction', params));
    }
    const [first] = traced;
    assert.equal(traced.length, 4);
    for (const frame of traced) assert.deepEqual(frame, first);
    assert.equal(BigInt(first?.gasUsed ?? 0), receipt.gasUsed);
    const [paid] = first?.calls ?? [];
    assert.deepEqual([paid?.to, paid?.value], [payee, `0x${parseEther('12.5').toString(16)}`]);
  });

  it('refuses a payment of another amount, and nothing moves', async () => {
    const { wallet, client } = clients(2, bob);
    const before = await client.getBalance({ address: payee });
    const call = { abi: founders.abi, address: contract, functionName: 'makePayment' } as const;
    const args = [payee, 7n] as const;
    await assert.rejects(wallet.writeContract({ ...call, args, value: 6n }), (error: Error) => {
      return /value differs from amount/.test(error.message);
    });
    const hash = await wallet.writeContract({ ...call, args, value: 6n, gas: 300_000n });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'reverted');
    assert.equal(await client.getBalance({ address: payee }), before);
    assert.equal(await client.getBalance({ address: contract }), 0n);
    assert.equal(await read('amount'), before, 'the record is of the payment before');
  });

  it('leaves records that an auditor finds sound', async () => {
    await net.stop();
    for (const dataDir of net.ready.dataDirs) {
      const { code, stdout, stderr } = await run(['audit', 'replay', dataDir, '--json']);
      assert.equal(code, 0, stdout + stderr);
    }
  });
});
