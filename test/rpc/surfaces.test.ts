/** A real node with TLS and keys: what an operator changes while it runs. */
import assert from 'node:assert/strict';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { makeKey, writeAccess } from '../../bin/accessFile.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { first, second } from './certificates.ts';

const waitMsMax = 20_000;
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' });

type Seen = { readonly status: number; readonly subject: string; readonly protocol: string | null };

describe('the surfaces of a node', { timeout: 120_000 }, () => {
  let cluster: Cluster;
  let dir = '';
  let port = 0;
  let metrics = '';

  /** Each over a connection of its own. */
  const ask = (ca: string, headers: Record<string, string> = {}) =>
    new Promise<Seen>((resolve, reject) => {
      const agent = new Agent({ ca });
      const head = { 'content-type': 'application/json', 'content-length': `${body.length}` };
      const outgoing = request(
        { host: '127.0.0.1', port, method: 'POST', agent, headers: { ...head, ...headers } },
        (response) => {
          const socket = response.socket as TLSSocket;
          const subject = `${socket.getPeerCertificate().subject.CN}`;
          const protocol = socket.getProtocol();
          response.resume().on('end', () => {
            agent.destroy();
            resolve({ status: response.statusCode ?? 0, subject, protocol });
          });
        },
      );
      outgoing.on('error', reject).end(body);
    });

  const until = async (what: string, holds: () => Promise<boolean>) => {
    for (const end = Date.now() + waitMsMax; Date.now() < end; await sleep(200)) {
      if (await holds().catch(() => false)) return;
    }
    assert.fail(`${what} within ${waitMsMax} ms`);
  };

  const metricsStatus = (key: string | null) =>
    new Promise<number>((resolve, reject) => {
      const headers = key === null ? {} : { 'x-api-key': key };
      const ca = { ca: [first.cert, second.cert] };
      request(metrics.replace('http:', 'https:'), { headers, ...ca }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });

  /** The code of the answer to who asks for a trace of a transaction that is not there. */
  const traceCode = (url: string, key: string) =>
    new Promise<number>((resolve, reject) => {
      const params = [`0x${'00'.repeat(32)}`];
      const text = JSON.stringify({
        ...JSON.parse(body),
        method: 'debug_traceTransaction',
        params,
      });
      const head = { 'content-type': 'application/json', 'content-length': `${text.length}` };
      const options = { method: 'POST', headers: { ...head, 'x-api-key': key } };
      request(url, { ...options, ca: [first.cert, second.cert] }, async (response) => {
        const answer = Buffer.concat(await response.toArray()).toString();
        resolve((JSON.parse(answer || '{}') as { error?: { code: number } }).error?.code ?? 0);
      })
        .on('error', reject)
        .end(text);
    });

  const install = ({ cert, key }: { cert: string; key: string }) => {
    writeFileSync(join(dir, 'tls.key.new'), key, { mode: 0o600 });
    writeFileSync(join(dir, 'tls.crt.new'), cert);
    renameSync(join(dir, 'tls.key.new'), join(dir, 'tls.key'));
    renameSync(join(dir, 'tls.crt.new'), join(dir, 'tls.crt'));
  };

  before(async () => {
    cluster = await Cluster.create({
      ...{ validators: 1, observer: observerId, direct: true, operator: true },
      environment: (_, home) => ({
        MPBP_RPC_TLS_CERTIFICATE: join(home, 'tls.crt'),
        MPBP_RPC_TLS_KEY: join(home, 'tls.key'),
        MPBP_RPC_ANONYMOUS: 'false',
      }),
    });
    const [member] = cluster.members;
    assert.ok(member !== undefined);
    ({ dir, rpcPort: port, metrics } = member);
    install(first);
    cluster.startAll();
    await until('it answers', async () => (await ask(first.cert)).status === 401);
  });
  after(() => cluster.destroy(false));

  it('speaks TLS 1.3, and nothing without it', async () => {
    const seen = await ask(first.cert);
    assert.deepEqual(seen, { status: 401, subject: 'node a', protocol: 'TLSv1.3' });
    await assert.rejects(
      new Promise((resolve, reject) => {
        get(`http://127.0.0.1:${port}/healthz`, resolve).on('error', reject);
      }),
    );
    await assert.rejects(ask(second.cert), /self-signed|certificate/);
  });

  it('lets a new key in without a restart, and a revoked one no more', async () => {
    const fields = { methods: null, unitsPerSecond: null };
    const { key, stored } = makeKey({ name: 'shop', role: 'user', ...fields });
    const shown = { authorization: `Bearer ${key}` };
    writeAccess(dir, [stored]);
    await until('it knows the key', async () => (await ask(first.cert, shown)).status === 200);
    assert.equal((await ask(first.cert)).status, 401);
    assert.equal(await metricsStatus(null), 200, 'no operator has a key yet');
    const chief = makeKey({ name: 'chief', role: 'operator', ...fields });
    writeAccess(dir, [chief.stored]);
    await until('the first key is gone', async () => (await ask(first.cert, shown)).status !== 200);
    await until('metrics want a key', async () => (await metricsStatus(null)) === 401);
    assert.equal(await metricsStatus(chief.key), 200);
  });

  it('traces for operators and for keys that name it, at either door', async () => {
    const user = { role: 'user' as const, unitsPerSecond: null };
    const shop = makeKey({ ...user, name: 'shop', methods: null });
    const explorer = makeKey({ ...user, name: 'explorer', methods: ['debug_trace*'] });
    const chief = makeKey({ ...user, name: 'chief', role: 'operator', methods: null });
    writeAccess(dir, [shop.stored, explorer.stored, chief.stored]);
    const publicUrl = `https://127.0.0.1:${port}`;
    const operatorUrl = metrics.replace('http:', 'https:').replace('/metrics', '');
    const rows: [string, string, number][] = [
      [publicUrl, chief.key, -32000],
      [publicUrl, explorer.key, -32000],
      [publicUrl, shop.key, -32601],
      [operatorUrl, chief.key, -32000],
    ];
    for (const url of [publicUrl, operatorUrl]) {
      await until('it knows the keys', async () => (await traceCode(url, chief.key)) === -32000);
    }
    for (const [url, key, want] of rows) assert.equal(await traceCode(url, key), want, url);
  });

  it('goes on with the keys that it had where the file becomes unreadable', async () => {
    const { key, stored } = makeKey({
      ...{ name: 'till', role: 'user', methods: null, unitsPerSecond: null },
    });
    const shown = { 'x-api-key': key };
    writeAccess(dir, [stored]);
    await until('it knows the key', async () => (await ask(first.cert, shown)).status === 200);
    writeFileSync(join(dir, 'access.json'), '{"format":1,"keys":[{');
    await sleep(2_500);
    assert.equal((await ask(first.cert, shown)).status, 200);
    writeAccess(dir, [stored]);
  });

  it('takes a new certificate without a restart, and not one that does not fit', async () => {
    copyFileSync(join(dir, 'tls.crt'), join(dir, 'old.crt'));
    writeFileSync(join(dir, 'tls.crt'), second.cert);
    await sleep(2_500);
    assert.equal((await ask(first.cert)).subject, 'node a', 'the key is of the other one');
    install(second);
    await until('it shows the new one', async () => (await ask(second.cert)).subject === 'node b');
    assert.deepEqual(cluster.deaths, []);
  });
});
