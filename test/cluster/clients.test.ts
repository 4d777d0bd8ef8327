/**
 * Other people's clients against a real network of four. They are installed from the lock file of
 * test/clients when the tests first run, and not by who only wants to run a node.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { toHex } from '#src/lib/bytes.ts';
import { mnemonicKey } from '#src/wallet/mnemonic.ts';
import { mnemonic, Target } from '../bench/load.ts';
import { type Running, startDevnet } from '../bench/peers.ts';
import { compile } from '../solidity.ts';

const here = join(import.meta.dirname, '..', 'clients');
const modules = join(here, 'node_modules');
const runMsMax = 120_000;
const installMsMax = 300_000;
const payee = '0x00000000000000000000000000000000000abcde';
const run = promisify(execFile);

describe('clients of others', { timeout: 600_000 }, () => {
  const out = mkdtempSync(join(tmpdir(), 'mpbp-clients-'));
  let network: Running;
  let url = '';

  before(async () => {
    if (!existsSync(join(modules, '.package-lock.json'))) {
      // Not `ci`: that wants the programs for every machine in the lock file, and some are not there.
      const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
      const { status } = spawnSync('npm', args, {
        cwd: here,
        stdio: 'inherit',
        timeout: installMsMax,
      });
      assert.equal(status, 0, 'npm install in test/clients');
    }
    network = await startDevnet(4);
    url = network.rpc[0] ?? '';
  });

  after(async () => {
    await network?.stop();
    rmSync(out, { recursive: true, force: true });
  });

  /** Each has a payer of its own, so that none waits for another's nonce. */
  const keyOf = (index: number) => toHex(mnemonicKey(mnemonic, index));

  const start = async (program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const options = { cwd: here, timeout: runMsMax, env: { ...process.env, ...env } };
    const { stdout, stderr } = await run(program, [...args], options);
    return { stdout, stderr };
  };

  it('web3.js 4 connects, pays, deploys, calls, watches and knows failures', async () => {
    const artifact = join(out, 'tally.json');
    writeFileSync(artifact, JSON.stringify(compile('test/clients/contracts/Tally.sol', 'Tally')));
    const { stdout } = await start(process.execPath, ['web3.mjs', url, keyOf(1), artifact]);
    assert.match(stdout, /all seen/);
  });

  it('Hardhat 3 compiles, deploys and tests by URL', async () => {
    const env = { MPBP_URL: url, MPBP_KEY: keyOf(2), MPBP_CLIENTS_OUT: join(out, 'hardhat') };
    const cli = join(modules, 'hardhat', 'dist', 'src', 'cli.js');
    await start(process.execPath, [cli, 'build'], env);
    const args = [cli, 'run', 'hardhat.mjs', '--network', 'mpbp'];
    assert.match((await start(process.execPath, args, env)).stdout, /all seen/);
  });

  it('cast and forge deploy, call, send, and read events', async (t) => {
    const [cast, forge] = ['cast', 'forge'].map((name) => join(modules, '.bin', name));
    if (cast === undefined || forge === undefined) return;
    const works = spawnSync(cast, ['--version'], { timeout: runMsMax }).status === 0;
    if (!works) return t.skip('foundry has no program for this machine');
    const key = keyOf(3);
    const rpc = ['--rpc-url', url];
    const ask = async (...args: string[]) => (await start(cast, [...args, ...rpc])).stdout.trim();
    // Its package ends with 0 whatever its program does: what counts is what it says.
    const failure = async (...args: string[]) => (await start(cast, [...args, ...rpc])).stderr;
    assert.equal(await ask('chain-id'), '6727');
    const sent = await ask('send', payee, '--value', '3', '--private-key', key, '--json');
    assert.equal((JSON.parse(sent) as { status: string }).status, '0x1');
    const dirs = ['--out', join(out, 'forge'), '--cache-path', join(out, 'forge-cache')];
    const places = ['--root', here, '--contracts', join(here, 'contracts'), ...dirs];
    const compiler = ['--use', join(here, 'solc.mjs'), '--offline'];
    const contract = join(here, 'contracts', 'Tally.sol:Tally');
    const signer = ['--private-key', key, '--broadcast', '--json'];
    const { stdout: created } = await start(forge, [
      ...['create', contract, ...rpc, ...places, ...compiler, ...signer],
    ]);
    const json = created.slice(created.indexOf('{'), created.lastIndexOf('}') + 1);
    const tally = (JSON.parse(json) as { deployedTo: string }).deployedTo;
    await ask('send', tally, 'pay(string)', 'by cast', '--value', '9', '--private-key', key);
    assert.equal(await ask('call', tally, 'total()(uint256)'), '9');
    const logs = await ask('logs', '--address', tally, '--from-block', '0', '--json');
    assert.equal((JSON.parse(logs) as unknown[]).length, 1);
    assert.match(await ask('estimate', tally, 'pay(string)', 'x'), /^\d+$/);
    assert.match(await failure('call', tally, 'refuse()'), /execution reverted: not today/);
    const again = ['--value', '1', '--nonce', '0', '--private-key', key];
    assert.match(await failure('send', payee, ...again), /nonce too low/);
  });

  it('leave behind what they paid', async () => {
    const target = new Target(url, 1);
    const balance = BigInt(await target.call<string>('eth_getBalance', [payee, 'latest']));
    assert.equal(balance, 8n, 'five by web3.js, three by cast');
    target.close();
  });
});
