import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { Devnet, eventually, rpc, run } from './devnet.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');
const payee = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
const payer = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const root = mkdtempSync(join(tmpdir(), 'mpbp-wallet-net-'));
const children: ChildProcess[] = [];
let devnet: Devnet;
let url = '';
let rich: string[] = [];

type Paid = { amount: string; fee: string; memo: string; finalMs: number; transactionHash: string };

before(async () => {
  devnet = await Devnet.start(['--validators', '1']);
  url = devnet.ready.rpc[0] ?? '';
  rich = ['--keystore', join(devnet.dir, 'wallets', 'rich'), '--rpc', url];
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await devnet?.destroy();
  rmSync(root, { recursive: true, force: true });
});

async function pay(...args: readonly string[]): Promise<Paid> {
  const { code, stdout, stderr } = await run(['pay', ...args, ...rich, '--json']);
  assert.equal(code, EXIT.ok, stderr);
  return JSON.parse(stdout) as Paid;
}

async function refuses(code: number, text: RegExp, ...args: readonly string[]): Promise<void> {
  const before = await balanceOf(payer);
  const { code: got, stdout, stderr } = await run(['pay', ...args, ...rich]);
  assert.match(stdout + stderr, text);
  assert.equal(got, code, stderr);
  assert.equal(await balanceOf(payer), before, 'nothing moved');
}

async function balanceOf(address: string): Promise<bigint> {
  return BigInt(await rpc<string>(url, 'eth_getBalance', [address, 'latest']));
}

/** A command that stays, and the lines that it printed. */
function stay(...args: readonly string[]): { lines: string[]; errors: string[] } {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const [lines, errors]: [string[], string[]] = [[], []];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  return { lines, errors };
}

const coin = 10n ** 18n;

describe('a wallet on a real network', { timeout: 240_000 }, () => {
  it('pays with a memo, says the fee before, and what was final when', async () => {
    const before = await balanceOf(payee);
    const args = ['pay', payee, '2.5', '--memo', 'invoice 7', ...rich];
    const { code, stdout, stderr } = await run(args);
    assert.equal(code, EXIT.ok, stderr);
    assert.match(
      stderr,
      /pay {3}2\.5 MPB\n.*\n.*\nmemo {2}invoice 7\nfee {3}at most 0\.0000\d+ MPB/,
    );
    assert.match(stdout, /paid 2\.5 MPB to 0x90F7.*\nfinal in \d+ ms, block \d+, fee 0\.0000/);
    assert.equal(await balanceOf(payee), before + (5n * coin) / 2n);
    const history = await run(['history', payee, '--rpc', url, '--limit', '1']);
    assert.match(history.stdout, /received\s+\+2\.5 MPB.*invoice 7/);
  });

  it('pays a link that it made, exactly', async () => {
    const amount = '0.123456789123456789';
    const link = ['wallet', 'link', '--to', payee, '--amount', amount, '--memo', 'bill ä 8'];
    const made = await run([...link, '--rpc', url, '--json']);
    const text = (JSON.parse(made.stdout) as { link: string }).link;
    await refuses(EXIT.usage, /0\.123456789123456789 MPB to 0x90F7.*give --yes/, text);
    const before = await balanceOf(payee);
    const paid = await pay(text, '--yes');
    assert.deepEqual([BigInt(paid.amount), paid.memo], [123456789123456789n, 'bill ä 8']);
    assert.equal(await balanceOf(payee), before + 123456789123456789n);
    const open = `ethereum:${payee}@6727`;
    assert.equal(BigInt((await pay(open, '1', '--yes')).amount), coin);
  });

  it('refuses, each with its code, and nothing moves', async () => {
    const link = (rest: string) => `ethereum:${payee}${rest}`;
    await refuses(EXIT.badData, /chain 1,.*\[LINK_CHAIN\]/, link('@1?value=1'), '--yes');
    await refuses(EXIT.badData, /\[LINK_NAME\]/, 'ethereum:shop.eth?value=1', '--yes');
    const token = link(`/transfer?address=${payee}`);
    await refuses(EXIT.badData, /\[LINK_FUNCTION\]/, token, '--yes');
    await refuses(EXIT.usage, /the link asks for 2 MPB/, link('?value=2e18'), '1', '--yes');
    await refuses(EXIT.usage, /names no amount/, link(''), '--yes');
    await refuses(EXIT.badData, /has .* need .*\[INSUFFICIENT_FUNDS\]/, payee, '2000000');
    await refuses(EXIT.badData, /\[FEE_ABOVE_MAX\]/, payee, '1', '--fee-max', '0.000000001');
    await refuses(EXIT.usage, /\[MEMO\]/, payee, '1', '--memo', 'x'.repeat(257));
    const reserved = `0x4d5042${'00'.repeat(15)}0001`;
    const { code, stderr } = await run(['pay', reserved, '1', ...rich]);
    assert.ok(code === EXIT.badData && /\[[A-Z0-9_-]+\]/.test(stderr), `${code} ${stderr}`);
  });

  it('pays through a signer that holds the key elsewhere', async () => {
    const socket = join(root, 's.sock');
    const keystore = join(devnet.dir, 'wallets', 'rich');
    const args = ['wallet', 'signer', '--chain-id', '6727', '--amount-max', '5'];
    const signer = stay(...args, '--keystore', keystore, '--socket', socket);
    await eventually('the signer listens', async () => signer.lines.length > 0);
    const before = await balanceOf(payee);
    const empty = ['--keystore', join(root, 'empty'), '--rpc', url, '--signer', socket];
    const paid = await run(['pay', payee, '1', '--memo', 'by signer', ...empty]);
    assert.equal(paid.code, EXIT.ok, paid.stderr);
    assert.equal(await balanceOf(payee), before + coin);
    const refused = await run(['pay', payee, '6', ...empty]);
    assert.equal(refused.code, EXIT.permission);
    assert.match(refused.stderr, /SIGNER_AMOUNT/);
    const log = await run(['audit', 'log', keystore]);
    assert.match(log.stdout, /payment signed .*"by signer".*\n.*payment refused .*SIGNER_AMOUNT/);
    assert.equal(log.code, EXIT.ok);
  });

  it('follows an account over a stop of its node: every payment once', async () => {
    const follower = stay('history', payee, '--follow', '--json', '--limit', '1', '--rpc', url);
    await eventually('it follows', async () => follower.lines.length > 0);
    const seen = () =>
      follower.lines.slice(1).map((line) => (JSON.parse(line) as { memo: string }).memo);
    const memoOf = (text: string) => `0x${Buffer.from(text).toString('hex')}`;
    const wanted: string[] = [];
    const payMany = async (name: string, count: number) => {
      for (let i = 0; i < count; i++) {
        await pay(payee, '0.001', '--memo', `${name} ${i}`);
        wanted.push(memoOf(`${name} ${i}`));
      }
    };
    await payMany('before', 3);
    await eventually('it saw them', async () => seen().length === wanted.length);
    await devnet.stop();
    await eventually('it noticed', async () => follower.errors.length > 0);
    await devnet.up();
    await payMany('after', 3);
    await eventually('it saw those too', async () => seen().length >= wanted.length);
    assert.deepEqual(seen(), wanted);
    assert.match(follower.errors.join('\n'), /does not answer; waiting for it\n.*is back/);
  });

  it('ends without a word when nobody reads any more', async () => {
    const follower = stay('history', payee, '--follow', '--limit', '1', '--rpc', url);
    await eventually('it follows', async () => follower.lines.length > 0);
    const child = children.at(-1);
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child?.stdout?.destroy();
    await pay(payee, '0.001');
    assert.equal(await ended, EXIT.ok);
    assert.deepEqual(follower.errors, []);
  });

  it('prints a hundred and thirty payments between two looks, each once', async () => {
    const { Wallet, JsonRpcProvider, parseEther } = await import('ethers');
    const key = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d';
    const provider = new JsonRpcProvider(url, 6727, { staticNetwork: true, batchMaxCount: 50 });
    const wallet = new Wallet(key, provider);
    const other = '0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65';
    const follower = stay('history', other, '--follow', '--json', '--rpc', url);
    await eventually('it follows', async () => follower.lines.length > 0);
    const held = spawn('kill', ['-STOP', `${children.at(-1)?.pid}`]);
    await new Promise((resolve) => held.once('exit', resolve));
    let nonce = await wallet.getNonce();
    for (let batch = 0; batch < 5; batch++) {
      const sent = Array.from({ length: 26 }, () =>
        wallet.sendTransaction({
          ...{ to: other, value: parseEther('0.001'), nonce: nonce++, gasLimit: 21_000n },
        }),
      );
      const last = (await Promise.all(sent)).at(-1);
      await last?.wait();
    }
    provider.destroy();
    children.at(-1)?.kill('SIGCONT');
    await eventually('it saw all', async () => follower.lines.length >= 131);
    const hashes = follower.lines.map(
      (line) => (JSON.parse(line) as { transactionHash: string | null }).transactionHash,
    );
    assert.equal(new Set(hashes).size, 131);
  });
});
