/** Four real processes over real TCP and LevelDB, paid by the clients that people use. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseEther as ethersParse, JsonRpcProvider, Wallet } from 'ethers';
import { parseEther, toHex } from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { mnemonicKey } from '#src/wallet/mnemonic.ts';
import { Devnet, eventually, rpc, run } from './devnet.ts';
import { viemClients } from './viemClients.ts';

const words = 'test test test test test test test test test test test junk';
const alice = mnemonicToAccount(words, { addressIndex: 0 });
const bobKey = toHex(mnemonicKey(words, 1));
const carol = '0x00000000000000000000000000000000000ca501';

type RpcBlock = { number: string; hash: string; stateRoot: string; transactions: string[] };
const height = async (url: string) => BigInt(await rpc<string>(url, 'eth_blockNumber'));
const blockAt = (url: string, number: bigint | string) =>
  rpc<RpcBlock>(url, 'eth_getBlockByNumber', [
    typeof number === 'string' ? number : toHex(number),
    false,
  ]);

describe('four validators', { timeout: 300_000 }, () => {
  let net: Devnet;
  const paid: `0x${string}`[] = [];

  before(async () => {
    net = await Devnet.start();
  });
  after(() => net.destroy());

  const viemWallet = (index: number) => viemClients(net, index, alice);

  const payThrough = async (index: number): Promise<`0x${string}`> => {
    const { wallet, client } = viemWallet(index);
    const hash = await wallet.sendTransaction({ to: carol, value: parseEther('0.001') });
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    paid.push(hash);
    return hash;
  };

  it('are ready with chain id 6727 and ten funded accounts', async () => {
    assert.equal(net.ready.chainId, 6727);
    assert.equal(net.ready.rpc.length, 4);
    const balance = await rpc<string>(net.ready.rpc[3] ?? '', 'eth_getBalance', [
      alice.address,
      'latest',
    ]);
    assert.equal(BigInt(balance), 10n ** 24n);
  });

  it('take payments by viem through one node and by ethers through another', async () => {
    const { wallet, client } = viemWallet(0);
    const hash = await wallet.sendTransaction({ to: carol, value: parseEther('1.5') });
    paid.push(hash);
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success');
    assert.equal(receipt.from, alice.address.toLowerCase());

    const provider = new JsonRpcProvider(net.ready.rpc[2], undefined, {
      pollingInterval: 20,
      cacheTimeout: -1,
    });
    const bob = new Wallet(bobKey, provider);
    const sent = await bob.sendTransaction({ to: carol, value: ethersParse('2.5') });
    const final = await sent.wait();
    assert.equal(final?.status, 1);
    paid.push(sent.hash as `0x${string}`);
    provider.destroy();
    assert.equal(await viemWallet(1).client.getBalance({ address: carol }), parseEther('4'));
  });

  it('agree on every block hash, state root and balance', async () => {
    await allAgree(net, paid);
  });

  it('watch new blocks as viem does', async () => {
    const { client } = viemWallet(3);
    const seen = new Promise<bigint>((resolve, reject) => {
      const stop = client.watchBlockNumber({
        onBlockNumber: (number) => {
          stop();
          resolve(number);
        },
        onError: reject,
        emitOnBegin: false,
      });
    });
    await payThrough(1);
    assert.ok((await seen) > 0n);
  });

  it('make no blocks while nobody pays, but the heartbeat', async () => {
    const url = net.ready.rpc[0] ?? '';
    await payThrough(0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const from = await height(url);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    const made = (await height(url)) - from;
    assert.ok(made >= 1n && made <= 2n, `${made} blocks in 6 s with a heartbeat of 5 s`);
    await payThrough(2);
  });

  it('go on when one is killed, which catches up and votes again once restarted', async () => {
    net.kill(3);
    for (let i = 0; i < 5; i++) await payThrough(i % 3);
    const target = await height(net.ready.rpc[0] ?? '');
    net.restart(3);
    const url = net.ready.rpc[3] ?? '';
    await eventually(
      'the restarted validator caught up',
      async () => (await height(url)) >= target,
    );
    type Members = { validators: { index: string; peerId: string }[] };
    type Status = { validator: string };
    const { validator } = await rpc<Status>(url, 'mpbp_nodeStatus');
    const { validators } = await rpc<Members>(url, 'mpbp_getValidators');
    assert.equal(validators.length, 4);
    await eventually('its vote is in a certificate', async () => {
      await payThrough(0);
      type Certificate = { signers: string[] };
      const { signers } = await rpc<Certificate>(url, 'mpbp_getFinalityCertificate', ['latest']);
      return signers.map(String).includes(String(validator));
    });
    await allAgree(net, paid);
  });

  it('lose nothing that was final when all are killed at once', async () => {
    const before = await height(net.ready.rpc[0] ?? '');
    const tip = await blockAt(net.ready.rpc[0] ?? '', before);
    await net.killAll();
    await net.up();
    const kept = await blockAt(net.ready.rpc[0] ?? '', before);
    assert.equal(kept.hash, tip.hash);
    await payThrough(2);
    await allAgree(net, paid);
    assert.ok((await height(net.ready.rpc[0] ?? '')) > before, 'the chain goes on');
  });

  it('go on while one that lost its journal follows and never signs again', async () => {
    const [dataDir = ''] = net.ready.dataDirs.slice(3);
    const url = net.ready.rpc[3] ?? '';
    for (let restart = 0; restart < 2; restart++) {
      net.kill(3);
      if (restart === 0) rmSync(join(dataDir, 'consensus'), { recursive: true });
      await payThrough(0);
      net.restart(3);
      const target = await height(net.ready.rpc[0] ?? '');
      await eventually('it catches up', async () => (await height(url)) >= target);
      await eventually('it abstains', async () => {
        const status = await rpc<{ validator: string | null }>(url, 'mpbp_nodeStatus');
        return status.validator === null;
      });
      net.killRestarted();
    }
    net.restart(3);
    await eventually('it answers', async () => (await height(url)) > 0n);
    await allAgree(net, paid);
  });

  it('take it back at once where its operator answers for it', async () => {
    net.killRestarted();
    net.restart(3, '--accept-lost-journal');
    await eventually('it votes', async () => {
      type Status = { validator: string | null; recalling: boolean };
      const status = await rpc<Status>(net.ready.rpc[3] ?? '', 'mpbp_nodeStatus');
      return status.validator !== null && !status.recalling;
    });
    await payThrough(3);
    await allAgree(net, paid);
  });

  it('show the account its whole past', async () => {
    type Page = { entries: { kind: string; amount: string; fee: string }[] };
    const url = net.ready.rpc[1] ?? '';
    const page = await rpc<Page>(url, 'mpbp_getAccountHistory', [carol, null, 1_000]);
    const sum = page.entries.reduce((total, { amount }) => total + BigInt(amount), 0n);
    assert.equal(sum, BigInt(await rpc<string>(url, 'eth_getBalance', [carol, 'latest'])));
    assert.equal(page.entries.length, paid.length);
  });

  it('prove a block to somebody who has the genesis and nothing else', async () => {
    const [dataDir = '', other = ''] = net.ready.dataDirs;
    const file = join(dataDir, 'proof.json');
    const node = ['--rpc', net.ready.rpc[1] ?? ''];
    const taken = await run(['audit', 'proof', '2', '--out', file, ...node]);
    assert.equal(taken.code, 0, taken.stderr);
    const genesis = ['--genesis', join(other, 'genesis.json')];
    const good = await run(['audit', 'verify', file, ...genesis, '--json']);
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.equal((JSON.parse(good.stdout) as { height: string }).height, '2');
    const proof = JSON.parse(readFileSync(file, 'utf8')) as { certificate: string };
    const { certificate } = proof;
    const last = certificate.endsWith('0') ? '1' : '0';
    writeFileSync(file, JSON.stringify({ ...proof, certificate: certificate.slice(0, -1) + last }));
    const bad = await run(['audit', 'verify', file, ...genesis]);
    assert.equal(bad.code, 65);
    assert.match(bad.stdout, /NOT proven: PROOF_CERTIFICATE/);
  });

  it('give a receipt that its holder can show to anybody who has the genesis', async () => {
    const [dataDir = '', other = ''] = net.ready.dataDirs;
    const file = join(dataDir, 'receipt.json');
    const { wallet, client } = viemWallet(2);
    const data = '0x62696c6c2037';
    const hash = await wallet.sendTransaction({ to: carol, value: parseEther('2'), data });
    await client.waitForTransactionReceipt({ hash });
    paid.push(hash);
    const node = ['--rpc', net.ready.rpc[3] ?? ''];
    for (const at of [0, paid.length - 1]) {
      const taken = await run(['receipt', 'get', paid[at] ?? '', '--out', file, ...node]);
      assert.equal(taken.code, 0, taken.stderr);
    }
    const genesis = ['--genesis', join(other, 'genesis.json')];
    const good = await run(['receipt', 'verify', file, ...genesis]);
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.match(good.stdout, /paid, and final[\s\S]*2 MPB[\s\S]*bill 7/);
    type Proof = { transactionIndex: string; transactionProof: string[]; receiptProof: string[] };
    const proof = JSON.parse(readFileSync(file, 'utf8')) as Proof;
    const forgeries: [Partial<Proof>, RegExp][] = [
      [{ transactionIndex: '0x9' }, /PROOF_TRANSACTION_PATH/],
      [{ receiptProof: proof.transactionProof }, /PROOF_RECEIPT_PATH/],
      [{ transactionProof: proof.receiptProof }, /PROOF_TRANSACTION_PATH/],
      [{ transactionProof: [] }, /PROOF_TRANSACTION_PATH/],
    ];
    for (const [changes, words] of forgeries) {
      writeFileSync(file, JSON.stringify({ ...proof, ...changes }));
      const bad = await run(['receipt', 'verify', file, ...genesis]);
      assert.equal(bad.code, 65);
      assert.match(bad.stdout, words);
    }
    const unknown = await run(['receipt', 'get', `0x${'00'.repeat(32)}`, ...node]);
    assert.equal(unknown.code, 65);
  });

  it('stop within five seconds, and leave a record that an auditor finds sound', async () => {
    const { ms, code } = await net.stop();
    assert.equal(code, 0);
    assert.ok(ms < 5_000, `${ms} ms`);
    for (const dataDir of net.ready.dataDirs) {
      const audit = await run(['audit', 'replay', dataDir, '--json']);
      assert.equal(audit.code, 0, audit.stdout + audit.stderr);
      const report = JSON.parse(audit.stdout) as { sound: boolean; transactions: number };
      assert.equal(report.sound, true);
      assert.equal(report.transactions, paid.length);
    }
    await net.up();
  });
});

describe('unequal stakes', { timeout: 120_000 }, () => {
  it('decide by weight: 40/30/20/10 needs the largest and not the smallest', async () => {
    const net = await Devnet.start(['--stakes', '40,30,20,10']);
    try {
      const stakes = await stakeOfNodes(net);
      const account = privateKeyToAccount(bobKey);
      const first = net.ready.rpc[stakes.indexOf(30n)] ?? '';
      const pay = async () => {
        const nonce = Number(
          await rpc(first, 'eth_getTransactionCount', [account.address, 'pending']),
        );
        const raw = await account.signTransaction({
          chainId: net.ready.chainId,
          nonce,
          to: carol,
          value: 1n,
          gas: 21_000n,
          gasPrice: 10_000_000n,
          type: 'legacy',
        });
        return rpc<{ status: string }>(first, 'eth_sendRawTransactionSync', [raw, 5_000]);
      };
      net.kill(stakes.indexOf(10n));
      assert.equal((await pay()).status, '0x1');
      net.kill(stakes.indexOf(40n));
      await assert.rejects(pay(), 'half of the stake is not a quorum');
    } finally {
      await net.destroy();
    }
  });
});

async function stakeOfNodes(net: Devnet): Promise<bigint[]> {
  type Members = { validators: { stake: string }[] };
  const stakes: bigint[] = [];
  for (const url of net.ready.rpc) {
    const { validator } = await rpc<{ validator: string }>(url, 'mpbp_nodeStatus');
    const { validators } = await rpc<Members>(url, 'mpbp_getValidators');
    stakes.push(BigInt(validators[Number(validator)]?.stake ?? 0));
  }
  return stakes;
}

async function allAgree(net: Devnet, paid: readonly string[]): Promise<void> {
  const [first = '', ...others] = net.ready.rpc;
  const top = await height(first);
  for (const url of others) {
    await eventually(`${url} reaches ${top}`, async () => (await height(url)) >= top);
  }
  for (let number = 0n; number <= top; number++) {
    const want = await blockAt(first, number);
    for (const url of others) {
      const got = await blockAt(url, number);
      assert.equal(got.hash, want.hash, `block ${number} at ${url}`);
      assert.equal(got.stateRoot, want.stateRoot);
    }
  }
  for (const hash of paid) {
    const want = await rpc<{ blockHash: string }>(first, 'eth_getTransactionReceipt', [hash]);
    for (const url of others) {
      const got = await rpc<{ blockHash: string }>(url, 'eth_getTransactionReceipt', [hash]);
      assert.deepEqual(got, want);
    }
  }
  for (const address of [alice.address, carol]) {
    const balances = await Promise.all(
      net.ready.rpc.map((url) => rpc<string>(url, 'eth_getBalance', [address, toHex(top)])),
    );
    assert.equal(new Set(balances).size, 1, `balances of ${address}`);
  }
}
