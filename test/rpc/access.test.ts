import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { describe, it, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { AccessKey, AccessRules } from '#src/rpc/access/access.ts';
import { callerAddress, canonicalAddress, limitedAs } from '#src/rpc/access/callerAddress.ts';
import { checkToken } from '#src/rpc/access/jwt.ts';
import { Meter } from '#src/rpc/access/quota.ts';
import { openAccess, openWorld, unlimitedAccess } from './harness.ts';

const secret = randomBytes(32);
const now = 1_790_000_000;
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(
  claims: object = {},
  header: object = { alg: 'HS256', typ: 'JWT' },
  key: Uint8Array = secret,
): string {
  const body = `${part(header)}.${part({ iat: now, ...claims })}`;
  return `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`;
}

const keyed = (name: string, key: string, changes: Partial<AccessKey> = {}): AccessKey => ({
  name,
  sha256: createHash('sha256').update(key).digest('hex'),
  role: 'user',
  methods: null,
  unitsPerSecond: null,
  ...changes,
});

describe('a token', () => {
  const cut = token().slice(0, -3);
  const rows: [string, string, string][] = [
    ['ours', token(), 'ok'],
    ['with a subject', token({ sub: 'till 7' }), 'ok'],
    ['a minute old', token({ iat: now - 60 }), 'ok'],
    ['older', token({ iat: now - 61 }), 'JWT_TIME'],
    ['of the future', token({ iat: now + 600 }), 'JWT_TIME'],
    ['without a time', token({ iat: undefined }), 'JWT_TIME'],
    ['with a time in words', token({ iat: `${now}` }), 'JWT_TIME'],
    ['expired', token({ exp: now }), 'JWT_TIME'],
    ['not yet valid', token({ nbf: now + 1 }), 'JWT_TIME'],
    ['alg none', `${part({ alg: 'none' })}.${part({ iat: now })}.`, 'JWT_ALGORITHM'],
    ['alg none, signed', token({}, { alg: 'none' }), 'JWT_ALGORITHM'],
    ['RS256', token({}, { alg: 'RS256' }), 'JWT_ALGORITHM'],
    ['HS256 in other letters', token({}, { alg: 'hs256' }), 'JWT_ALGORITHM'],
    ['a key id', token({}, { alg: 'HS256', kid: '../../dev/null' }), 'JWT_ALGORITHM'],
    ['a critical extension', token({}, { alg: 'HS256', crit: ['exp'] }), 'JWT_ALGORITHM'],
    ['another key', token({}, { alg: 'HS256' }, randomBytes(32)), 'JWT_SIGNATURE'],
    ['an empty key', token({}, { alg: 'HS256' }, new Uint8Array(0)), 'JWT_SIGNATURE'],
    ['a signature that is cut', cut, 'JWT_SIGNATURE'],
    ['a signature with more behind it', `${token()}=`, 'JWT_SIGNATURE'],
    ['no signature', token().split('.').slice(0, 2).join('.'), 'JWT_FORM'],
    ['four parts', `${token()}.x`, 'JWT_FORM'],
    ['no JSON', `x.${part({})}.x`, 'JWT_FORM'],
    ['a list', `${part([])}.${part({})}.x`, 'JWT_FORM'],
    ['a subject that is no text', token({ sub: 7 }), 'JWT_FORM'],
    ['a subject without end', token({ sub: 'x'.repeat(65) }), 'JWT_FORM'],
    ['far too long', `${'x'.repeat(3_000)}.x.x`, 'JWT_FORM'],
  ];
  for (const [name, text, want] of rows) {
    it(`${name}: ${want}`, () => {
      const verdict = checkToken(text, secret, now);
      assert.equal(verdict.ok ? 'ok' : verdict.refusal.code, want);
    });
  }
});

describe('an address', () => {
  const from = (remoteAddress: string, forwarded?: string) =>
    ({
      socket: { remoteAddress },
      headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    }) as unknown as IncomingMessage;
  const proxies = new Set(['10.0.0.1', '10.0.0.2']);
  const rows: [string, string | undefined, string][] = [
    ['203.0.113.9', undefined, '203.0.113.9'],
    ['::ffff:203.0.113.9', undefined, '203.0.113.9'],
    ['203.0.113.9', '127.0.0.1', '203.0.113.9'],
    ['10.0.0.1', undefined, '10.0.0.1'],
    ['10.0.0.1', '203.0.113.9', '203.0.113.9'],
    ['10.0.0.1', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['::ffff:10.0.0.1', '127.0.0.1,203.0.113.9, 10.0.0.2', '203.0.113.9'],
    ['10.0.0.1', '127.0.0.1, unknown', '10.0.0.1'],
    ['10.0.0.1', `127.0.0.1,${' '.repeat(2_000)}203.0.113.9`, '10.0.0.1'],
    ['10.0.0.1', '2001:DB8::0:1', '2001:db8::1'],
  ];
  for (const [remote, forwarded, want] of rows) {
    it(`${remote} with ${forwarded?.slice(0, 60)} is ${want}`, () => {
      assert.equal(callerAddress(from(remote, forwarded), proxies), want);
    });
  }

  it('is limited as one, in IPv6 with the whole network of its household', () => {
    assert.equal(limitedAs('203.0.113.9'), '203.0.113.9');
    for (const text of ['2001:db8:1:2::7', '2001:db8:1:2:aaaa:bbbb:cccc:dddd']) {
      assert.equal(limitedAs(canonicalAddress(text)), '2001:db8:1:2::/64');
    }
    assert.equal(limitedAs(canonicalAddress('::1')), '0:0:0:0::/64');
    assert.notEqual(limitedAs('2001:db8:1:3::7'), limitedAs('2001:db8:1:2::7'));
  });
});

describe('a quota', () => {
  it('lets a burst through, then an even flow, and never more', () => {
    let ms = 0;
    const meter = new Meter({ unitsPerSecond: 10 }, () => ms);
    let taken = 0;
    for (; ms < 100_000; ms += 10) {
      while (meter.waitMs === 0) {
        meter.take(1);
        taken++;
      }
    }
    assert.ok(
      taken >= 1_040 && taken <= 1_060,
      `${taken} units in 100 s of 10, with a burst of 50`,
    );
  });

  it('makes who took much at once wait for it', () => {
    let ms = 0;
    const meter = new Meter({ unitsPerSecond: 10 }, () => ms);
    meter.take(100);
    assert.equal(meter.waitMs, 5_000);
    ms = 5_000;
    assert.equal(meter.waitMs, 0);
  });
});

const hello = { jsonrpc: '2.0', id: 1, method: 'eth_chainId' };
const json = { 'content-type': 'application/json' };

describe('a surface with keys', async () => {
  const keys = [
    keyed('shop', 'mpbp_shop'),
    keyed('reader', 'mpbp_reader', { methods: ['eth_get*', 'net_version'] }),
    keyed('few', 'mpbp_few', { unitsPerSecond: 10 }),
    keyed('chief', 'mpbp_chief', { role: 'operator' }),
  ];
  const clock = { now: () => performance.now(), wall: () => now * 1_000 };
  const access = openAccess({ anonymous: false }, { keys, jwtSecret: secret }, clock);
  const world = await openWorld({}, { ...unlimitedAccess(), access });
  const ask = async (headers: Record<string, string>, path = '/', body: unknown = hello) => {
    const options = { method: 'POST', headers: { ...json, ...headers } };
    const response = await fetch(`${world.url}${path}`, { ...options, body: JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  };
  type Body = { error?: { code: number; message: string } };
  const errorIn = ({ text }: { text: string }) => (JSON.parse(text) as Body).error;
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

  const rows: [string, Record<string, string>, string, number][] = [
    ['nobody', {}, '/', 401],
    ['a key', bearer('mpbp_shop'), '/', 200],
    ['a scheme in other letters', { authorization: 'bearer mpbp_shop' }, '/', 200],
    ['X-Api-Key', { 'x-api-key': 'mpbp_shop' }, '/', 200],
    ['a key in the path', {}, '/key/mpbp_shop', 200],
    ['a token', bearer(token({ sub: 'till' })), '/', 200],
    ['the scheme Basic', { authorization: 'Basic bXBicF9zaG9w' }, '/', 401],
    ['a path that is none', bearer('mpbp_shop'), '/admin', 404],
  ];
  for (const [name, headers, path, status] of rows) {
    it(`${name}: ${status}`, async () => {
      const answer = await ask(headers, path);
      assert.equal(answer.status, status, answer.text);
      if (status === 401) {
        assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
        assert.equal(errorIn(answer)?.code, -32600);
      }
    });
  }

  it('shows a key only the methods that are its own, and what it hides looks unknown', async () => {
    const get = { ...hello, method: 'eth_getBalance', params: [`0x${'ab'.repeat(20)}`] };
    assert.equal(errorIn(await ask(bearer('mpbp_reader'), '/', get)), undefined);
    const hidden = await ask(bearer('mpbp_reader'));
    const unknown = await ask(bearer('mpbp_shop'), '/', { ...hello, method: 'eth_chainIx' });
    assert.equal(errorIn(hidden)?.code, -32601);
    const words = (answer: { text: string }) =>
      errorIn(answer)?.message.replace(/eth_chainI\w/, '');
    assert.equal(words(hidden), words(unknown));
  });

  it('counts each key for itself, and says when to come again', async () => {
    const batch = Array.from({ length: 80 }, (_, id) => ({ ...hello, id }));
    const { text } = await ask(bearer('mpbp_few'), '/', batch);
    const refused = (JSON.parse(text) as Body[]).filter(({ error }) => error !== undefined);
    assert.ok(refused.length >= 25 && refused.length <= 30, `${refused.length} of 80, 51 allowed`);
    assert.ok(refused.every(({ error }) => error?.code === -32005));
    const next = await ask(bearer('mpbp_few'));
    assert.equal(next.status, 429);
    assert.equal(errorIn(next)?.code, -32005);
    assert.ok(Number(next.headers.get('retry-after')) >= 1);
    assert.equal((await ask(bearer('mpbp_shop'))).status, 200);
  });

  it('ends a key that is revoked, also where it is in use', async () => {
    const ws = new WebSocket(`${world.url.replace('http', 'ws')}/key/mpbp_shop`);
    const closed = new Promise<number>((resolve) => ws.once('close', resolve));
    await new Promise((resolve) => ws.once('open', resolve));
    access.renew({ keys: keys.filter(({ name }) => name !== 'shop'), jwtSecret: secret });
    ws.send(JSON.stringify(hello));
    assert.equal(await Promise.race([closed, sleep(5_000, 'still open')]), 1008);
    assert.equal((await ask(bearer('mpbp_shop'))).status, 401);
    assert.notEqual((await ask(bearer('mpbp_few'))).status, 401);
    access.renew({ keys, jwtSecret: secret });
    assert.equal((await ask(bearer('mpbp_shop'))).status, 200);
  });

  it('answers who guesses with 429 after a few, and a right key all the same', async () => {
    const seen = new Set<number>();
    for (let guess = 0; guess < 10; guess++) seen.add((await ask(bearer(`guess${guess}`))).status);
    assert.deepEqual([...seen].sort(), [401, 429]);
    const last = await ask(bearer('guess'));
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get('retry-after')) > 30);
    assert.equal((await ask(bearer('mpbp_shop'))).status, 200);
  });

  it('takes a WebSocket only with a key', async () => {
    for (const [path, want] of [
      ['/', 401],
      ['/key/mpbp_nobody', 429],
      ['/key/mpbp_shop', 101],
    ] as const) {
      const ws = new WebSocket(`${world.url.replace('http', 'ws')}${path}`);
      const status = await new Promise((resolve) => {
        ws.once('open', () => resolve(101));
        ws.once('unexpected-response', (_, { statusCode }) => resolve(statusCode));
        ws.on('error', () => {});
      });
      ws.terminate();
      assert.equal(status, want, path);
    }
  });
});

describe("the operator's surface", async () => {
  const pages = new Map([['/metrics', { type: 'text/plain', text: async () => 'mpbp_x 1\n' }]]);
  const access = openAccess({ surface: 'operator' });
  const world = await openWorld({}, { ...unlimitedAccess(), access, pages });
  const get = (headers: Record<string, string> = {}) => fetch(`${world.url}/metrics`, { headers });

  it('is open as long as nobody has an operator key, then asks for one', async () => {
    assert.equal(await (await get()).text(), 'mpbp_x 1\n');
    const keys = [keyed('chief', 'mpbp_chief', { role: 'operator' }), keyed('shop', 'mpbp_shop')];
    access.renew({ keys, jwtSecret: null });
    assert.equal((await get()).status, 401);
    assert.equal((await get({ 'x-api-key': 'mpbp_shop' })).status, 401);
    assert.equal((await get({ 'x-api-key': 'mpbp_chief' })).status, 200);
    access.renew({ keys: [], jwtSecret: secret });
    assert.equal((await get()).status, 401);
  });

  it('is not read through a name that a web page made up', async () => {
    const status = await new Promise((resolve, reject) => {
      request(`${world.url}/metrics`, { headers: { host: 'evil.test' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    assert.equal(status, 403);
  });
});

describe("the operators' methods", () => {
  const keys = [
    keyed('shop', 'mpbp_shop'),
    keyed('chief', 'mpbp_chief', { role: 'operator' }),
    keyed('reader', 'mpbp_reader', { role: 'operator', methods: ['eth_*'] }),
    keyed('explorer', 'mpbp_explorer', { methods: ['eth_*', 'debug_trace*'] }),
  ];
  const method = 'debug_traceTransaction';
  const question = { jsonrpc: '2.0', id: 1, method, params: [`0x${'00'.repeat(32)}`] };
  type Reply = { error?: { code: number; message: string }; result?: object };

  const rows: [Partial<AccessRules>, Record<string, boolean>][] = [
    [{}, { '': false, shop: false, chief: true, reader: false, explorer: true }],
    [{ debug: true }, { '': true, shop: true, chief: true, reader: false, explorer: true }],
    [{ unlimited: new Set() }, { '': false, chief: true }],
    [{ surface: 'operator' }, { chief: true, reader: false }],
  ];
  for (const [rules, wanted] of rows) {
    it(`with ${JSON.stringify(rules)} are for ${JSON.stringify(wanted)}`, async () => {
      const access = openAccess(rules, { keys, jwtSecret: null });
      const world = await openWorld({}, { ...unlimitedAccess(), access });
      for (const [name, isAllowed] of Object.entries(wanted)) {
        const headers: Record<string, string> = name === '' ? {} : { 'x-api-key': `mpbp_${name}` };
        const ask = async (body: object) =>
          (await (await world.post(JSON.stringify(body), headers)).json()) as Reply;
        const { error } = await ask(question);
        const unknown = `the method ${method} does not exist/is not available`;
        const want = isAllowed ? [-32000, 'transaction not found'] : [-32601, unknown];
        assert.deepEqual([error?.code, error?.message], want, name);
      }
    });
  }

  it('are in rpc_modules and rpc.discover only where everybody has them', async () => {
    for (const debug of [false, true]) {
      const access = openAccess({ debug });
      const world = await openWorld({}, { ...unlimitedAccess(), access });
      assert.equal('debug' in ((await world.ask('rpc_modules')) as object), debug);
      assert.equal(JSON.stringify(await world.ask('rpc.discover')).includes(method), debug);
    }
  });
});

test('nobody has all the WebSockets', async () => {
  const as = { access: openAccess({ unlimited: new Set<string>() }), unlimited: new Set<string>() };
  const { url } = await openWorld({ callerSocketsMax: 3 }, { ...unlimitedAccess(), ...as });
  const open = () =>
    new Promise<WebSocket | number>((resolve) => {
      const ws = new WebSocket(url.replace('http', 'ws'));
      ws.on('error', () => {});
      ws.once('open', () => resolve(ws));
      ws.once('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode));
    });
  const sockets = [await open(), await open(), await open()];
  assert.equal(await open(), 429);
  for (const socket of sockets) if (typeof socket !== 'number') socket.terminate();
  await sleep(100);
  const again = await open();
  assert.ok(typeof again !== 'number', 'a place that is free again');
  again.terminate();
});

describe('callers without a key', async () => {
  const rules = { unlimited: new Set<string>(), anonymousQuota: { unitsPerSecond: 20 } };
  const as = { access: openAccess(rules), unlimited: new Set<string>() };
  const world = await openWorld({ addressConnectionsMax: 5 }, { ...unlimitedAccess(), ...as });

  it('are counted by address: a flood is 429 and over when it ends', async () => {
    let ok = 0;
    let refused = 0;
    const startMs = performance.now();
    for (let at = 0; at < 200; at++) {
      const response = await world.post(JSON.stringify(hello));
      await response.arrayBuffer();
      if (response.status === 200) ok++;
      else if (response.status === 429) refused++;
    }
    // A hundred at once and 20 a second; those that take whole milliseconds count for more.
    const most = 101 + (20 * (performance.now() - startMs)) / 1_000;
    assert.ok(ok >= 10 && ok <= most, `${ok} answered`);
    assert.equal(ok + refused, 200);
    await sleep(200);
    assert.equal((await world.post(JSON.stringify(hello))).status, 200);
  });

  it('have so many connections and no more', async () => {
    const sockets: WebSocket[] = [];
    let open = 0;
    for (let at = 0; at < 10; at++) {
      await sleep(60);
      const ws = new WebSocket(world.url.replace('http', 'ws'));
      sockets.push(ws);
      ws.on('error', () => {});
      await new Promise<void>((resolve) => {
        ws.once('open', () => {
          open++;
          resolve();
        });
        ws.once('close', () => resolve());
      });
    }
    for (const ws of sockets) ws.terminate();
    assert.ok(open >= 3 && open <= 5, `${open} of 10 connections`);
  });
});
