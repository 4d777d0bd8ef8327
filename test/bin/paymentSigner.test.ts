import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { silentLog } from '#src/lib/log.ts';
import { parseAddress } from '#src/types/address.ts';
import { decodeTransaction } from '#src/types/decodeTransaction.ts';
import { signTransaction, type TransactionFields } from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { localPaymentSigner } from '#src/wallet/paymentSigner.ts';
import { AuditLog, readAuditLog } from '#storage/auditLog.ts';
import { PaymentSignerServer, type SignerDoor } from '../../bin/paymentSignerServer.ts';
import { RemotePaymentSigner } from '../../bin/remotePaymentSigner.ts';
import type { SigningRules } from '../../bin/signingRequest.ts';
import { reservePorts } from '../ports.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-payment-signer-'));
const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closing) await close();
  rmSync(root, { recursive: true, force: true });
});

const secret = new Uint8Array(32).fill(0x4c);
const signer = localPaymentSigner(secret);
const parsed = parseAddress('0x70997970c51812dc3a010c7d01b50e0d17dc79c8');
const to = parsed.ok ? parsed.value : assert.fail();
const payment: TransactionFields = {
  type: 2,
  chainId: 6727n,
  nonce: 7n,
  maxFeePerGas: asWei(10_000_000n),
  maxPriorityFeePerGas: asWei(0n),
  gasLimit: asGas(30_000n),
  to,
  value: asWei(5n * 10n ** 18n),
  data: utf8('bill 7'),
  accessList: [],
  authorizationList: [],
};
const rules: SigningRules = {
  chainId: 6727n,
  amountMax: asWei(10n * 10n ** 18n),
  feeMax: asWei(10n ** 16n),
  allowsCalls: false,
};

/** A signer on a socket of its own, or on the door that is given. */
async function serve(given: Partial<SigningRules> = {}, door?: SignerDoor) {
  const dir = mkdtempSync(join(root, 's'));
  const path = join(dir, 's.sock');
  const server = await PaymentSignerServer.open(
    door ?? { kind: 'socket', path },
    [signer],
    { ...rules, ...given },
    new AuditLog(dir),
    silentLog,
  );
  closing.push(() => server.close());
  return { dir, path };
}

function acts(dir: string): string[] {
  const found: string[] = [];
  readAuditLog(dir, ({ act, detail }) => found.push(`${act} ${detail.code ?? detail.hash}`));
  return found;
}

describe('a signer of payments in another process', () => {
  it('signs the payment that a local one signs, and writes it down', async () => {
    const { dir, path } = await serve();
    const remote = await RemotePaymentSigner.open(path, null, null);
    assert.equal(remote.address, signer.address);
    const signed = await remote.sign(payment);
    assert.deepEqual(signed.raw, signTransaction(payment, secret).raw);
    assert.deepEqual(acts(dir), [`payment signed ${signed.hash}`]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  const refusals: { when: string; change: Partial<TransactionFields>; code: string }[] = [
    { when: 'another chain', change: { chainId: 1n }, code: 'SIGNER_CHAIN' },
    { when: 'too much', change: { value: asWei(11n * 10n ** 18n) }, code: 'SIGNER_AMOUNT' },
    { when: 'a high fee', change: { maxFeePerGas: asWei(10n ** 12n) }, code: 'SIGNER_FEE' },
    { when: 'a new contract', change: { to: null }, code: 'SIGNER_CREATION' },
    {
      when: 'a call',
      change: { data: new Uint8Array([0xa9, 0x05, 0x9c, 0xbb, ...new Uint8Array(64)]) },
      code: 'SIGNER_CALL',
    },
    {
      when: 'a call whose name is readable',
      change: { data: new Uint8Array([...utf8('vote'), ...new Uint8Array(32)]) },
      code: 'SIGNER_CALL',
    },
    {
      when: 'a vote',
      change: { to: `0x4d5042${'00'.repeat(15)}0001` as typeof to, data: utf8('vote') },
      code: 'SIGNER_CALL',
    },
  ];
  for (const { when, change, code } of refusals) {
    it(`refuses ${when}, and writes that down`, async () => {
      const { dir, path } = await serve();
      const remote = await RemotePaymentSigner.open(path, null, null);
      await assert.rejects(remote.sign({ ...payment, ...change }), new RegExp(code));
      assert.deepEqual(acts(dir), [`payment refused ${code}`]);
    });
  }

  it('signs calls where its owner allows them', async () => {
    const { path } = await serve({ allowsCalls: true });
    const remote = await RemotePaymentSigner.open(path, null, null);
    const data = new Uint8Array(36);
    assert.deepEqual((await remote.sign({ ...payment, data })).data, data);
  });

  it('is asked with fields: whatever is missing, odd or unknown is refused', async () => {
    const { path } = await serve();
    const good = {
      ...{ from: signer.address, to, chainId: '0x1a47', nonce: '0x0', gas: '0x5208' },
      ...{ maxFeePerGas: '0x1', maxPriorityFeePerGas: '0x0', value: '0x1', data: '0x' },
    };
    const ask = async (call: unknown, method = 'eth_signTransaction') => {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [call] });
      const { text } = await post({ socketPath: path }, body);
      return JSON.parse(text) as { result?: string; error?: { message: string } };
    };
    const signed = decodeTransaction(
      new Uint8Array(Buffer.from((await ask(good)).result?.slice(2) ?? '', 'hex')),
      { chainId: 6727n },
    );
    assert.ok(signed.ok && signed.value.sender === signer.address);
    for (const name of Object.keys(good)) {
      if (name === 'data') continue;
      const { [name]: _, ...rest } = good as Record<string, unknown>;
      assert.match((await ask(rest)).error?.message ?? '', /SIGNER_(FIELD|CREATION)/, name);
    }
    for (const odd of [
      ...[{ nonce: 0 }, { value: '1' }, { value: '0x01' }, { value: `0x1${'0'.repeat(64)}` }],
      ...[{ accessList: [] }, { type: '0x3' }, { data: '0x1' }, { input: '0x01' }, { to: '0x1' }],
      ...[{ gas: `0x1${'0'.repeat(16)}` }, { digest: '0x00' }],
    ]) {
      const { result, error } = await ask({ ...good, ...odd });
      assert.match(error?.message ?? '', /SIGNER_FIELD/, JSON.stringify({ odd, result }));
    }
    const stranger = await ask({ ...good, from: to });
    assert.match(stranger.error?.message ?? '', /SIGNER_ACCOUNT/);
    for (const method of ['eth_sign', 'personal_sign', 'eth_sendTransaction', 'account_new']) {
      assert.match((await ask(good, method)).error?.message ?? '', /no such method/);
    }
  });

  it('signs nothing that it cannot write down', async () => {
    const { dir, path } = await serve();
    const remote = await RemotePaymentSigner.open(path, null, null);
    rmSync(dir, { recursive: true });
    await assert.rejects(remote.sign(payment), /could not write its log|no signer answers/);
  });

  it('on a port wants its token, and no web page', async () => {
    const port = await reservePorts(1);
    const token = 'a'.repeat(32);
    await serve({}, { kind: 'port', port, token });
    const tokenFile = join(root, 'token');
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
    const where = `http://127.0.0.1:${port}`;
    const remote = await RemotePaymentSigner.open(where, tokenFile, null);
    assert.equal((await remote.sign(payment)).sender, signer.address);
    const at = { host: '127.0.0.1', port };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_accounts' });
    const authorization = `Bearer ${token}`;
    const statusOf = async (headers: Record<string, string>, text = body) =>
      (await post(at, text, headers)).status;
    assert.equal(await statusOf({ authorization }), 200);
    assert.equal(await statusOf({ authorization, host: 'evil.example' }), 403);
    assert.equal(await statusOf({ authorization, origin: 'http://localhost' }), 403);
    assert.equal(await statusOf({ authorization, 'content-type': 'text/plain' }), 415);
    assert.equal(await statusOf({ authorization }, ' '.repeat(200_000)), 413);
    for (let guess = 0; guess < 5; guess++) {
      assert.equal(await statusOf({ authorization: `Bearer ${guess}` }), 401);
    }
    assert.equal(await statusOf({ authorization: 'Bearer 6' }), 429);
    await assert.rejects(RemotePaymentSigner.open(where, null, null), /answered 429/);
  });

  it('is not believed when it signs something else', { timeout: 20_000 }, async () => {
    const lies: Record<string, Partial<TransactionFields>> = {
      'another amount': { value: asWei(6n * 10n ** 18n) },
      'another payee': { to: signer.address },
      'another nonce': { nonce: 8n },
      'another memo': { data: utf8('bill 8') },
      'a higher fee': { maxFeePerGas: asWei(10n ** 10n) },
      'more gas': { gasLimit: asGas(40_000n) },
      'an access list': { accessList: [{ address: to, storageKeys: [] }] },
    };
    let answer: unknown = null;
    const liar = createServer((asked, response) => {
      asked.resume();
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: answer }));
    });
    const path = join(root, 'liar.sock');
    await new Promise<void>((resolve) => liar.listen(path, resolve));
    closing.push(async () => void liar.close());
    answer = [signer.address];
    const remote = await RemotePaymentSigner.open(path, null, null);
    for (const [what, change] of Object.entries(lies)) {
      answer = toHex(signTransaction({ ...payment, ...change }, secret).raw);
      await assert.rejects(remote.sign(payment), /something else .*SIGNER_ANSWER/, what);
    }
    answer = toHex(signTransaction(payment, new Uint8Array(32).fill(1)).raw);
    await assert.rejects(remote.sign(payment), /something else/, "another account's signature");
    answer = 'nonsense';
    await assert.rejects(remote.sign(payment), /something else/);
    answer = { raw: toHex(signTransaction(payment, secret).raw), tx: {} };
    assert.equal((await remote.sign(payment)).nonce, 7n, "geth's form");
  });

  it('that is away, or has another account, is said to be', async () => {
    const nowhere = join(root, 'nobody.sock');
    await assert.rejects(RemotePaymentSigner.open(nowhere, null, null), /SIGNER_AWAY/);
    const { path } = await serve();
    await assert.rejects(RemotePaymentSigner.open(path, null, to), /the signer has: 0x/);
    await assert.rejects(RemotePaymentSigner.open('ftp://x', null, null), /--signer/);
  });
});

/** One request as it is given, with whatever headers. */
function post(
  at: { socketPath: string } | { host: string; port: number },
  body: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { ...at, method: 'POST', headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    sent.setTimeout(10_000, () => sent.destroy());
    sent.on('error', reject);
    sent.end(body);
  });
}
