import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Answer, openWorld, payee, sendRaw } from './harness.ts';

/** The hostile-input catalogue, reliability.md 4.1; the number of its item comes first. */
const world = await openWorld();
const { port } = world.server;
const request = (fields: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...fields });
const call = (method: string, ...params: unknown[]) => request({ method, params });
const good = call('eth_chainId');

type BodyRow = {
  item: number;
  when: string;
  body: string | Uint8Array;
  code: number;
  says?: RegExp;
};

const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const wide = (keys: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: keys }, (_, key) => [`${key}`, 1])));

const bodies: readonly BodyRow[] = [
  { item: 1, when: 'not JSON', body: 'hello', code: -32700 },
  { item: 1, when: 'empty', body: '', code: -32700 },
  { item: 1, when: 'truncated', body: good.slice(0, -2), code: -32700 },
  { item: 1, when: 'a truncated string', body: '{"jsonrpc":"2.0\\"', code: -32700 },
  { item: 1, when: 'NUL bytes', body: `${good}\0`, code: -32700 },
  { item: 1, when: 'a byte order mark', body: `\uFEFF${good}`, code: -32700 },
  { item: 1, when: 'not UTF-8', body: Buffer.from('7b22ff227d', 'hex'), code: -32700 },
  { item: 2, when: 'an empty batch', body: '[]', code: -32600 },
  { item: 3, when: 'a batch of 101', body: `[${Array(101).fill(good)}]`, code: -32005 },
  { item: 5, when: '100,000 deep', body: deep(100_000), code: -32600, says: /deeper than 32/ },
  { item: 5, when: '33 deep', body: deep(33), code: -32600 },
  { item: 5, when: 'brackets never closed', body: '['.repeat(500_000), code: -32600 },
  { item: 6, when: '65 keys', body: wide(65), code: -32602, says: /64 keys/ },
  { item: 6, when: '60,000 integer-like keys', body: wide(60_000), code: -32602 },
  {
    item: 15,
    when: 'an object id',
    body: request({ id: {}, method: 'eth_chainId' }),
    code: -32600,
  },
  { item: 15, when: 'a list id', body: request({ id: [1], method: 'eth_chainId' }), code: -32600 },
  { item: 15, when: 'a true id', body: request({ id: true, method: 'eth_chainId' }), code: -32600 },
  { item: 15, when: 'a huge id', body: request({ id: 'x'.repeat(257) }), code: -32600 },
  { item: 15, when: 'an infinite id', body: good.replace('"id":1', '"id":1e400'), code: -32600 },
  { item: 16, when: 'version 1.0', body: good.replace('2.0', '1.0'), code: -32600 },
  { item: 16, when: 'no version', body: '{"id":1,"method":"eth_chainId"}', code: -32600 },
  { item: 16, when: 'a string', body: '"eth_chainId"', code: -32600 },
  { item: 16, when: 'null', body: 'null', code: -32600 },
  { item: 17, when: 'a number for a method', body: request({ method: 7 }), code: -32600 },
  { item: 17, when: 'an empty method', body: request({ method: '' }), code: -32600 },
  { item: 17, when: 'half a MB of a method', body: call('x'.repeat(500_000)), code: -32601 },
  { item: 17, when: 'constructor', body: call('constructor'), code: -32601 },
  { item: 17, when: 'toString', body: call('toString'), code: -32601 },
  { item: 17, when: '__proto__', body: call('__proto__'), code: -32601 },
  {
    ...{ item: 18, when: 'string params', code: -32602 },
    body: request({ method: 'eth_chainId', params: 'x' }),
  },
  {
    ...{ item: 18, when: 'named params', code: -32602, says: /list/ },
    body: request({ method: 'eth_getBalance', params: { address: payee } }),
  },
  {
    ...{ item: 18, when: 'null params of a method that needs one', code: -32602, says: /ent 0/ },
    body: request({ method: 'eth_getBalance', params: null }),
  },
  { item: 18, when: 'too many', body: call('eth_chainId', 1), code: -32602, says: /argument 0/ },
  {
    ...{ item: 18, when: 'one too few', code: -32602, says: /argument 1: missing/ },
    body: call('eth_getStorageAt', payee),
  },
  { item: 27, when: 'eth_sendTransaction', body: call('eth_sendTransaction', {}), code: -32601 },
  { item: 27, when: 'eth_sign', body: call('eth_sign', payee, '0x'), code: -32601 },
  { item: 27, when: 'personal_unlockAccount', body: call('personal_unlockAccount'), code: -32601 },
  { item: 28, when: 'admin_peers', body: call('admin_peers'), code: -32601 },
  { item: 28, when: 'validator_vote', body: call('validator_vote'), code: -32601 },
];

describe('bodies get their code with HTTP 200', () => {
  for (const { item, when, body, code, says } of bodies) {
    it(`#${item} ${when}: ${code}`, async () => {
      const response = await world.post(body);
      assert.equal(response.status, 200);
      const answer = (await response.json()) as Answer;
      assert.equal(answer.error?.code, code, JSON.stringify(answer).slice(0, 300));
      if (says !== undefined) assert.match(answer.error?.message ?? '', says);
      assert.equal(answer.jsonrpc, '2.0');
      if (code === -32700) assert.equal(answer.id, null);
    });
  }

  it('#28 forbidden and unknown methods look alike', async () => {
    const admin = await world.call('admin_x');
    const other = await world.call('other_x');
    assert.equal(admin.error?.message.replace('admin', 'other'), other.error?.message);
  });

  it('#7 hostile keys are data', async () => {
    const evil = '{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}},"from":null}';
    const body = `{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[${evil}],"__proto__":{}}`;
    const answer = (await (await world.post(body)).json()) as Answer;
    assert.equal(answer.result, '0x');
    assert.equal(({} as { x?: unknown }).x, undefined);
    const hidden = '{"__proto__":{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}}';
    const second = (await (await world.post(hidden)).json()) as Answer;
    assert.equal(second.error?.code, -32600, 'members of __proto__ are not the request');
    const twice = '{"jsonrpc":"2.0","id":1,"method":"eth_x","method":"eth_chainId","params":[]}';
    assert.equal(((await (await world.post(twice)).json()) as Answer).result, '0x1092');
  });

  it('#15 a notification gets no answer, alone and in a batch', async () => {
    const notice = '{"jsonrpc":"2.0","method":"eth_chainId"}';
    const response = await world.post(notice);
    assert.equal(await response.text(), '');
    assert.equal(response.status, 204);
    const batch = (await (await world.post(`[${notice},${good}]`)).json()) as Answer[];
    assert.equal(batch.length, 1);
    assert.equal((await world.post(`[${notice}]`)).status, 204);
  });

  it('#15 ids come back as they were', async () => {
    for (const id of [0, -1, 1.5, '', 'a"\\é', null]) {
      const response = await world.post(request({ id, method: 'eth_chainId' }));
      assert.equal(((await response.json()) as Answer).id, id);
    }
  });

  it('#3 nothing of a batch that is too large is executed', async () => {
    const before = world.backend.pool.executable;
    const answer = (await (await world.post(`[${Array(50_000).fill('{}')}]`)).json()) as Answer;
    assert.match(answer.error?.message ?? '', /batch too large/);
    assert.equal(world.backend.pool.executable, before);
  });
});

type HeadRow = { item: number; when: string; head: string; body?: string; status: number };

const json = 'content-type: application/json';
const post = (...headers: string[]) =>
  `POST / HTTP/1.1\r\n${['host: localhost', ...headers].join('\r\n')}\r\n`;
const sized = `content-length: ${good.length}`;

const heads: readonly HeadRow[] = [
  { item: 8, when: '1 MiB + 1', head: post(json, 'content-length: 1048577'), status: 413 },
  {
    ...{ item: 8, when: 'chunked without end', status: 413 },
    head: post(json, 'transfer-encoding: chunked'),
    body: `${`10000\r\n${'x'.repeat(65_536)}\r\n`.repeat(17)}`,
  },
  {
    ...{ item: 8, when: 'both lengths', status: 400 },
    head: post(json, sized, 'transfer-encoding: chunked'),
    body: '0\r\n\r\n',
  },
  {
    ...{ item: 9, when: 'gzip', status: 415 },
    head: post(json, sized, 'content-encoding: gzip'),
    body: good,
  },
  { item: 10, when: 'text/plain', head: post('content-type: text/plain', sized), status: 415 },
  { item: 10, when: 'no type', head: post(sized), status: 415 },
  { item: 10, when: 'a tab', head: post('content-type: application/json\t;a', sized), status: 415 },
  { item: 10, when: 'a bare semicolon', head: post(`${json};`, sized), status: 415 },
  { item: 10, when: 'a form', head: post('content-type: multipart/form-data', sized), status: 415 },
  { item: 11, when: 'GET', head: 'GET / HTTP/1.1\r\nhost: localhost\r\n', status: 405 },
  { item: 11, when: 'PUT', head: 'PUT / HTTP/1.1\r\nhost: localhost\r\n', status: 405 },
  { item: 11, when: 'TRACE', head: 'TRACE / HTTP/1.1\r\nhost: localhost\r\n', status: 405 },
  { item: 11, when: 'HEAD', head: 'HEAD / HTTP/1.1\r\nhost: localhost\r\n', status: 405 },
  ...['/../../etc/passwd', '/%2e%2e/x', '/%00', '/toString', '/__proto__'].map((path) => ({
    ...{ item: 11, when: path, status: 404 },
    head: `GET ${path} HTTP/1.1\r\nhost: localhost\r\n`,
  })),
  { item: 12, when: 'an evil host', head: 'POST / HTTP/1.1\r\nhost: evil.test\r\n', status: 403 },
  {
    ...{ item: 12, when: 'a host that begins well', status: 403 },
    head: 'POST / HTTP/1.1\r\nhost: localhost.evil.test:8545\r\n',
  },
  { item: 12, when: 'no host', head: 'POST / HTTP/1.1\r\n', status: 400 },
  {
    ...{ item: 12, when: 'an absolute target', status: 400 },
    head: 'POST http://localhost/ HTTP/1.1\r\nhost: localhost\r\n',
  },
  { item: 14, when: 'headers of 16 KiB', head: post(`x: ${'y'.repeat(16_384)}`), status: 431 },
  { item: 14, when: '1,500 headers', head: post(...Array(1_500).fill('a:b')), status: 431 },
  {
    ...{ item: 14, when: 'a long URL', status: 414 },
    head: `POST /?${'x'.repeat(2_048)} HTTP/1.1\r\nhost: localhost\r\n`,
  },
];

describe('heads get their status, and the socket closes', () => {
  for (const { item, when, head, body = '', status } of heads) {
    it(`#${item} ${when}: ${status}`, async () => {
      const answer = await sendRaw(port, `${head}\r\n${body}`);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), answer.slice(0, 200));
    });
  }

  it('#9 a real gzip bomb is not opened', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const response = await world.post(bomb, { 'content-encoding': 'gzip' });
    assert.equal(response.status, 415);
  });

  it('#10 a charset is allowed', async () => {
    const response = await world.post(good, { 'content-type': 'application/json; charset=utf-8' });
    assert.equal(response.status, 200);
  });

  it('#13 no origin but the listed is told that it may read', async () => {
    const preflight = (origin: string) =>
      fetch(world.url, { method: 'OPTIONS', headers: { origin } });
    const evil = await preflight('https://evil.test');
    assert.equal(evil.status, 403);
    assert.equal(evil.headers.get('access-control-allow-origin'), null);
    const posted = await world.post(good, { origin: 'https://evil.test' });
    assert.equal(posted.headers.get('access-control-allow-origin'), null);
    const wallet = await preflight('https://wallet.test');
    assert.equal(wallet.status, 204);
    assert.equal(wallet.headers.get('access-control-allow-origin'), 'https://wallet.test');
  });

  it('#34 10,000 pipelined requests are answered in order', async () => {
    const count = 10_000;
    const one = `${post(json, sized)}\r\n${good}`;
    const last = `${post(json, sized, 'connection: close')}\r\n${good}`;
    const answers = await sendRaw(port, one.repeat(count - 1) + last);
    assert.equal(answers.split('"result":"0x1092"').length - 1, count);
  });

  it('#34 h2c is not spoken: the request is answered as HTTP/1.1', async () => {
    const upgrade = ['connection: upgrade, close', 'upgrade: h2c', 'http2-settings: AAMAAABk'];
    const answer = await sendRaw(port, `${post(json, sized, ...upgrade)}\r\n${good}`);
    assert.match(answer, /^HTTP\/1.1 200 /);
  });

  it('#34 half-closed: the answer still comes', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.end(`${post(json, sized)}\r\n${good}`);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    assert.match(answer, /0x1092/);
  });

  it('#34 garbage is no request', async () => {
    assert.match(await sendRaw(port, '\x16\x03\x01\x02\x00\x01\r\n\r\n'), /^HTTP\/1.1 400 /);
  });
});

type ParamRow = { item: number; method: string; params: unknown[]; code: number; at?: number };

const quantities = ['0x', '0x00', '0x01', '1', '-0x1', '0x1g', '1e3', '', ' 0x1', '0X1'];
const zero = `0x${'00'.repeat(32)}`;
const balance = (...params: unknown[]) => ({ method: 'eth_getBalance', params });
const block = (...params: unknown[]) => ({ method: 'eth_getBlockByNumber', params });
const logs = (filter: unknown) => ({ method: 'eth_getLogs', params: [filter] });
const bad = (item: number, at: number) => ({ item, at, code: -32602 });

const params: readonly ParamRow[] = [
  ...quantities.map((text) => ({ ...bad(19, 0), ...block(text, false) })),
  { ...bad(19, 0), ...block(1, false) },
  { ...bad(19, 0), ...block(`0x${'1'.repeat(1_000_000 - 100)}`, false) },
  { ...bad(19, 0), ...block('1'.repeat(900_000), false) },
  { ...bad(20, 1), ...balance(payee, 'latestt') },
  { ...bad(20, 1), ...balance(payee, 'Latest') },
  { ...bad(20, 1), ...balance(payee, '0x10000000000000000') },
  { ...bad(20, 1), ...balance(payee, -1) },
  { ...bad(20, 1), ...balance(payee, '2') },
  { ...bad(20, 1), ...balance(payee, { blockHash: zero, blockNumber: '0x0' }) },
  { ...bad(20, 1), ...balance(payee, {}) },
  { ...bad(20, 1), ...balance(payee, zero.slice(0, -1)) },
  { ...bad(20, 1), ...balance(payee, { blockHash: zero.slice(2) }) },
  { item: 20, code: -32001, ...balance(payee, '0xffffffff') },
  { item: 20, code: -32001, ...balance(payee, zero) },
  { ...bad(20, 1), ...block('0x0', 'true') },
  { ...bad(21, 0), ...balance(payee.slice(0, -2)) },
  { ...bad(21, 0), ...balance(`${payee}00`) },
  { ...bad(21, 0), ...balance(payee.slice(2)) },
  { ...bad(21, 0), ...balance('0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266') },
  { ...bad(21, 0), ...balance(null) },
  { ...bad(21, 0), ...balance({}) },
  { ...bad(22, 0), ...logs({ fromBlock: '0x2', toBlock: '0x1' }) },
  { ...bad(22, 0), ...logs({ fromBlock: '0x0', toBlock: '0xffffff' }) },
  { ...bad(22, 0), ...logs({ blockHash: zero, fromBlock: '0x0' }) },
  { ...bad(22, 0), ...logs({ topics: Array(10_000).fill(null) }) },
  { ...bad(22, 0), ...logs({ topics: [Array(5_000).fill(zero)] }) },
  { ...bad(22, 0), ...logs({ topics: ['0x00'] }) },
  { ...bad(22, 0), ...logs({ address: ['0x00'] }) },
  { ...bad(22, 0), ...logs(null) },
  { ...bad(24, 2), method: 'eth_call', params: [{}, 'latest', overrides(65)] },
  { ...bad(26, 0), method: 'eth_sendRawTransaction', params: ['0x'] },
  { ...bad(26, 0), method: 'eth_sendRawTransaction', params: ['0x1'] },
  { ...bad(26, 0), method: 'eth_sendRawTransaction', params: ['0xzz'] },
  { ...bad(26, 0), method: 'eth_sendRawTransaction', params: ['01'] },
  { ...bad(26, 0), method: 'eth_sendRawTransaction', params: [7] },
  { ...bad(26, 1), method: 'eth_sendRawTransactionSync', params: ['0x01', '0x0'] },
  { ...bad(26, 1), method: 'eth_sendRawTransactionSync', params: ['0x01', -5] },
  { ...bad(18, 1), method: 'eth_getStorageAt', params: [payee, `0x${'0'.repeat(65)}`] },
  { ...bad(18, 2), method: 'mpbp_getAccountHistory', params: [payee, null, 1_001] },
  { ...bad(18, 1), method: 'mpbp_getAccountHistory', params: [payee, 'elsewhere', 10] },
  { ...bad(18, 2), method: 'eth_feeHistory', params: ['0x1', 'latest', [50, 10]] },
];

/**
 * In objects of at most 64 keys nobody can name more: this one is caught by the scanner already.
 */
function overrides(accounts: number): Record<string, unknown> {
  const address = (index: number) => `0x${index.toString(16).padStart(40, '0')}`;
  const entries = Array.from({ length: accounts }, (_, index) => [address(index), {}]);
  return Object.fromEntries(entries);
}

describe('parameters are refused by their position', () => {
  for (const { item, method, params: given, code, at } of params) {
    it(`#${item} ${method} ${JSON.stringify(given).slice(0, 70)}: ${code}`, async () => {
      const { error } = await world.call(method, ...given);
      assert.equal(error?.code, code, JSON.stringify(error));
      if (at !== undefined && item !== 24)
        assert.match(error?.message ?? '', new RegExp(`t ${at}:`));
    });
  }

  it('#20 unknown blocks are null where a block is asked for', async () => {
    assert.equal(await world.ask('eth_getBlockByNumber', '0xffffff', false), null);
    assert.equal(await world.ask('eth_getBlockByHash', zero, false), null);
    assert.equal(await world.ask('eth_getBlockReceipts', '0xffffff'), null);
    assert.equal(await world.ask('eth_getTransactionReceipt', zero), null);
  });
});
