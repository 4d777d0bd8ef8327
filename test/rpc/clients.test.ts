import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { isError, JsonRpcProvider, Wallet, WebSocketProvider } from 'ethers';
import {
  BaseError,
  createPublicClient,
  createWalletClient,
  defineChain,
  FeeCapTooLowError,
  http,
  InsufficientFundsError,
  IntrinsicGasTooLowError,
  NonceTooLowError,
  webSocket,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { toHex } from '#src/lib/bytes.ts';
import { loud } from './fakeBackend.ts';
import { coin, keyOf, openWorld, payee } from './harness.ts';

const world = await openWorld();
const { backend, url } = world;
backend.automine = true;
const socketUrl = url.replace('http', 'ws');
const chain = defineChain({
  ...{ id: 4242, name: 'test', nativeCurrency: { name: 'MPB', symbol: 'MPB', decimals: 18 } },
  rpcUrls: { default: { http: [url], webSocket: [socketUrl] } },
});

describe('viem', () => {
  const account = privateKeyToAccount(toHex(keyOf(0)));
  const reader = createPublicClient({ chain, transport: http(), pollingInterval: 20 });
  const writer = createWalletClient({ account, chain, transport: http() });
  const overSocket = createPublicClient({ chain, transport: webSocket() });
  after(async () => (await overSocket.transport.getRpcClient()).close());

  it('pays and reads all of it back', async () => {
    const hash = await writer.sendTransaction({ to: loud, value: 7n, data: '0x68656c6c6f' });
    const receipt = await reader.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    assert.equal(receipt.logs.length, 1);
    assert.equal(await reader.getBalance({ address: loud }), 7n);
    const transaction = await reader.getTransaction({ hash });
    assert.equal(transaction.type, 'eip1559');
    assert.equal(transaction.input, '0x68656c6c6f');
    const block = await reader.getBlock({
      blockHash: receipt.blockHash,
      includeTransactions: true,
    });
    assert.equal(block.transactions[0]?.hash, hash);
    assert.equal((await reader.getBlock({ blockTag: 'pending' })).number, block.number + 1n);
    const logs = await reader.getLogs({ address: loud, fromBlock: 0n });
    assert.equal(logs[0]?.transactionHash, hash);
    assert.equal(await reader.getTransactionCount({ address: account.address }), 1);
    assert.equal(
      (await reader.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] })).reward?.length,
      2,
    );
    assert.equal(await reader.getCode({ address: payee }), undefined);
  });

  it('sends and waits in one call', async () => {
    const request = await writer.prepareTransactionRequest({ to: payee, value: 1n });
    const serializedTransaction = await writer.signTransaction(request);
    const receipt = await reader.sendRawTransactionSync({ serializedTransaction });
    assert.equal(receipt.status, 'success');
  });

  it('watches blocks over WebSocket', async () => {
    const { promise, resolve, reject } = Promise.withResolvers<bigint | null>();
    const unwatch = overSocket.watchBlocks({
      onBlock: (block) => resolve(block.number),
      onError: reject,
    });
    const mining = setInterval(() => backend.mine(), 20);
    const number = await promise;
    clearInterval(mining);
    unwatch();
    assert.ok(number !== null && number > 0n);
  });

  const value = 1n;
  const gas = 21_000n;
  const rows: { when: string; fields: object; error: new (...rest: never[]) => Error }[] = [
    { when: 'nonce too low', fields: { nonce: 0, gas }, error: NonceTooLowError },
    { when: 'no funds', fields: { value: 10_000n * coin, gas }, error: InsufficientFundsError },
    { when: 'too little gas', fields: { gas: 20_000n }, error: IntrinsicGasTooLowError },
    {
      ...{ when: 'a low fee cap', error: FeeCapTooLowError },
      fields: { gas, maxFeePerGas: 1n, maxPriorityFeePerGas: 0n },
    },
  ];
  for (const { when, fields, error: wanted } of rows) {
    it(`knows ${when} as ${wanted.name}`, async () => {
      await assert.rejects(writer.sendTransaction({ to: payee, value, ...fields }), (error) => {
        assert.ok(error instanceof BaseError);
        const cause = error.walk((inner) => inner instanceof wanted);
        assert.ok(cause instanceof wanted, String(error));
        return true;
      });
    });
  }
});

describe('ethers', () => {
  const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 20, cacheTimeout: -1 });
  const wallet = new Wallet(toHex(keyOf(1)), provider);
  const overSocket = new WebSocketProvider(socketUrl);
  after(async () => {
    provider.destroy();
    await overSocket.destroy();
  });

  it('pays and reads all of it back', async () => {
    const sent = await wallet.sendTransaction({
      to: loud,
      value: 7n,
      type: 0,
      gasPrice: 2n ** 31n,
    });
    const receipt = await sent.wait();
    assert.equal(receipt?.status, 1);
    assert.equal(receipt.logs.length, 1);
    assert.equal((await provider.getTransaction(sent.hash))?.from, wallet.address);
    const block = await provider.getBlock(receipt.blockHash, true);
    assert.equal(block?.prefetchedTransactions[0]?.hash, sent.hash);
    assert.equal((await provider.getBlock('pending'))?.number, receipt.blockNumber + 1);
    assert.equal((await provider.getBlock('finalized'))?.hash, receipt.blockHash);
    assert.equal((await provider.getLogs({ address: loud, fromBlock: 0 })).length > 0, true);
    assert.equal(await provider.getTransactionCount(wallet.address, 'pending'), 1);
    const fees = await provider.getFeeData();
    assert.ok(fees.maxFeePerGas !== null);
  });

  it('hears blocks over WebSocket', async () => {
    const arrived = new Promise<number>((resolve) => void overSocket.once('block', resolve));
    const mining = setInterval(() => backend.mine(), 20);
    assert.ok((await arrived) > 0);
    clearInterval(mining);
  });

  it('knows the error classes', async () => {
    const low = wallet.sendTransaction({ to: payee, nonce: 0, gasLimit: 21_000n });
    await assert.rejects(low, (error) => isError(error, 'NONCE_EXPIRED'));
    const poor = wallet.sendTransaction({ to: payee, value: 10_000n * coin, gasLimit: 21_000n });
    await assert.rejects(poor, (error) => isError(error, 'INSUFFICIENT_FUNDS'));
    backend.automine = false;
    const fees = { maxFeePerGas: 3n * 10n ** 9n, maxPriorityFeePerGas: 1n };
    await wallet.sendTransaction({ to: payee, nonce: 1, gasLimit: 21_000n, ...fees });
    const under = wallet.sendTransaction({
      to: payee,
      nonce: 1,
      value: 1,
      gasLimit: 21_000n,
      ...fees,
    });
    await assert.rejects(under, (error) => isError(error, 'REPLACEMENT_UNDERPRICED'));
    backend.mine();
  });
});
