import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { decryptKeystoreJson, encryptKeystoreJson, verifyMessage, verifyTypedData } from 'ethers';
import { EXIT } from '#src/lib/failure.ts';
import { Program } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-wallet-'));
const at = (...names: string[]) => join(root, ...names);
after(() => rmSync(root, { recursive: true, force: true }));

const mpbp = new Program(root);
const run = mpbp.run.bind(mpbp);
const fails = mpbp.fails.bind(mpbp);
const json = <T>(...args: readonly string[]) => mpbp.json<T>(...args);

function privateFile(name: string, text: string): string {
  writeFileSync(at(name), text, { mode: 0o600 });
  return at(name);
}

const first = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const second = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
const firstKey = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const words = 'test test test test test test test test test test test junk';
const own = ['--keystore', at('own'), '--password-file', at('password')];
type Made = { address: string; path: string; accounts: { address: string }[]; mnemonic?: string };

before(async () => {
  privateFile('password', 'pass word\n');
  privateFile('other-password', 'other\n');
  privateFile('words', `${words}\n`);
  const made = await json<Made>('wallet', 'new', '--mnemonic-file', at('words'), ...own);
  assert.equal(made.address, first);
});

describe('mpbp wallet', { concurrency: 2 }, () => {
  it('makes several accounts of words, in any language, with a passphrase', async () => {
    const three = ['--mnemonic-file', at('words'), '--accounts', '3', '--keystore', at('three')];
    const password = ['--password-file', at('password')];
    const made = await json<Made>('wallet', 'new', ...three, ...password);
    assert.deepEqual(
      made.accounts.map(({ address }) => address),
      [first, second, '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC'],
    );
    await fails(EXIT.cannotCreate, /is in/, 'wallet', 'new', ...three, ...password);
    privateFile('passphrase', 'TREZOR\n');
    const passphrase = ['--passphrase-file', at('passphrase'), '--keystore', at('phrase')];
    const other = await json<Made>(
      ...['wallet', 'new', '--mnemonic-file', at('words'), ...passphrase, ...password],
    );
    assert.notEqual(other.address, first);
    const long = await json<Made>(
      ...['wallet', 'new', '--words', '24', '--keystore', at('long'), ...password],
    );
    assert.equal(long.mnemonic?.split(' ').length, 24);
  });

  it('exports what ethers opens, by scrypt and by PBKDF2, and a bare key', async () => {
    for (const kdf of ['scrypt', 'pbkdf2']) {
      const out = at(`out-${kdf}.json`);
      const passwords = ['--new-password-file', at('other-password')];
      await json('wallet', 'export', ...own, '--kdf', kdf, '--out', out, ...passwords);
      const text = readFileSync(out, 'utf8');
      assert.equal(JSON.parse(text).crypto.kdf, kdf);
      assert.equal((await decryptKeystoreJson(text, 'other')).privateKey, firstKey);
      assert.equal(statSync(out).mode & 0o777, 0o600);
    }
    await json('wallet', 'export', ...own, '--bare', '--out', at('bare'));
    assert.equal(readFileSync(at('bare'), 'utf8').trim(), firstKey);
    assert.equal(statSync(at('bare')).mode & 0o777, 0o600);
    const again = ['wallet', 'export', ...own, '--bare', '--out', at('bare')];
    await fails(EXIT.cannotCreate, /is there already/, ...again);
    const log = await json<{ acts: { act: string }[] }>('audit', 'log', at('own'));
    assert.ok(log.acts.filter(({ act }) => act === 'wallet export').length >= 3);
  });

  it("imports a file of ethers with geth's cost, and a bare key", async () => {
    const account = { address: first, privateKey: firstKey };
    const scrypt = { N: 4_096, r: 8, p: 6 };
    const file = privateFile('theirs', await encryptKeystoreJson(account, 'other', { scrypt }));
    const kept = ['--keystore', at('imported'), '--password-file', at('password')];
    const passwords = ['--file-password-file', at('other-password')];
    const { path } = await json<Made>('wallet', 'import', file, ...kept, ...passwords);
    const resealed = JSON.parse(readFileSync(path, 'utf8'));
    assert.equal(resealed.crypto.kdfparams.n, 2 ** 18, 'kept at the cost of our own');
    assert.equal((await decryptKeystoreJson(JSON.stringify(resealed), 'pass word')).address, first);
    await fails(EXIT.badData, /wrong password/, 'wallet', 'import', file, ...own);
    const key = privateFile('key', `${'12'.repeat(32)}\n`);
    const bare = await json<Made>('wallet', 'import', key, ...kept);
    assert.equal(bare.address, '0x1C5A77d9FA7eF466951B2F01F724BCa3A5820b63');
    const zero = privateFile('zero', '0'.repeat(64));
    await fails(EXIT.badData, /nor a private key/, 'wallet', 'import', zero, ...kept);
    writeFileSync(at('open'), '12'.repeat(32), { mode: 0o644 });
    await fails(EXIT.permission, /others can read/, 'wallet', 'import', at('open'), ...kept);
  });

  it('signs messages that ethers verifies, and verifies those of ethers', async () => {
    const message = 'I am the buyer of invoice 7 ä';
    const { stdout } = await run('wallet', 'sign', '--message', message, ...own);
    assert.equal(verifyMessage(message, stdout.trim()), first);
    const whole = ['wallet', 'verify', '--message', message, '--signature', stdout.trim()];
    assert.deepEqual(await json(...whole, '--address', first), {
      ...{ valid: true, address: first, code: null },
    });
    await fails(EXIT.badData, /NOT VALID: signed by 0xf39F/, ...whole, '--address', second);
    writeFileSync(at('message'), message);
    const fromFile = await run('wallet', 'sign', '--message-file', at('message'), ...own);
    assert.equal(fromFile.stdout, stdout);
    await fails(EXIT.usage, /give one of/, 'wallet', 'sign', ...own);
    const two = ['--message', 'a', '--message-file', at('message')];
    await fails(EXIT.usage, /give one of/, 'wallet', 'sign', ...two, ...own);
    const wrong = ['wallet', 'verify', '--message', message, '--signature', '0x00'];
    await fails(EXIT.badData, /130 hexadecimal digits/, ...wrong);
  });

  it('signs typed data that ethers verifies, and shows whom it binds', async () => {
    const types = { Order: [{ name: 'amount', type: 'uint256' }] };
    const domain = { name: 'Shop', chainId: 6727 };
    const message = { amount: '12500000000000000000' };
    const document = { types, domain, primaryType: 'Order', message };
    writeFileSync(at('order.json'), JSON.stringify(document));
    const typed = ['--typed-data', at('order.json')];
    const { stdout, stderr } = await run('wallet', 'sign', ...typed, ...own);
    assert.equal(verifyTypedData(domain, types, message, stdout.trim()), first);
    assert.match(stderr, /name\s+Shop\nchainId\s+6727\nsigns\s+Order/);
    const verify = ['wallet', 'verify', ...typed, '--signature', stdout.trim()];
    assert.equal((await json<{ address: string }>(...verify)).address, first);
    writeFileSync(at('bad.json'), JSON.stringify({ ...document, message: {} }));
    const bad = ['wallet', 'sign', '--typed-data', at('bad.json'), ...own];
    await fails(EXIT.badData, /message\.amount: is missing \(TYPED_DATA_VALUE\)/, ...bad);
  });

  it('makes payment links without a node, and a picture of them', async () => {
    const link = ['wallet', 'link', '--to', second, '--chain-id', '6727', '--amount', '12.50'];
    const { stdout } = await run(...link, '--memo', 'invoice 7');
    const want = `ethereum:${second}@6727?value=125e17&message=invoice%207`;
    const [text, ...picture] = stdout.trimEnd().split('\n');
    assert.equal(text, want);
    assert.ok(picture.length > 15 && picture.every((row) => /^[█▀▄ ]+$/.test(row)), stdout);
    const only = await json<{ link: string }>(...link);
    assert.equal(only.link, `ethereum:${second}@6727?value=125e17`);
    await fails(EXIT.usage, /at most 256 bytes/, ...link, '--memo', 'x'.repeat(257));
    await fails(EXIT.usage, /--amount/, 'wallet', 'link', '--to', second, '--amount', '1e3');
  });

  it('refuses a signer without a token on a port, and secrets as arguments', async () => {
    const signer = ['wallet', 'signer', '--chain-id', '1', '--amount-max', '1', ...own];
    await fails(EXIT.usage, /--port needs --token-file/, ...signer, '--port', '9999');
    privateFile('short-token', 'abc');
    const short = ['--port', '9999', '--token-file', at('short-token')];
    await fails(EXIT.usage, /no token of 22/, ...signer, ...short);
    await fails(EXIT.usage, /secrets are read from/, 'wallet', 'import', '--private-key=0x1');
    assert.equal(existsSync(at('own', 'signer.sock')), false);
  });

  it('has an example for every command', async () => {
    for (const name of ['new', 'import', 'export', 'list', 'balance', 'link', 'sign', 'verify']) {
      const { stdout, code } = await run('wallet', name, '--help');
      assert.equal(code, EXIT.ok);
      assert.match(stdout, new RegExp(`Example:\n  \\$ mpbp wallet ${name}`));
      assert.match(stdout, /--json/);
    }
  });
});
