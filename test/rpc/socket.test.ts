import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, test } from 'node:test';
import { WebSocket } from 'ws';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { silentLog } from '#src/lib/log.ts';
import { RpcServer } from '#src/rpc/server.ts';
import { loud } from './fakeBackend.ts';
import {
  keyOf,
  openWorld,
  payee,
  payment,
  rawOf,
  resultOf,
  sendRaw,
  sleep,
  unlimitedAccess,
} from './harness.ts';

const world = await openWorld();
const { backend } = world;
const { port } = world.server;
const call = (method: string, ...params: unknown[]) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

describe('subscriptions', () => {
  it('tell heads, logs and pending payments to each subscriber', async () => {
    const [one, two] = [await world.socket(), await world.socket()];
    const heads = await one.ask('eth_subscribe', 'newHeads');
    const again = await two.ask('eth_subscribe', 'newHeads');
    const logs = await one.ask('eth_subscribe', 'logs', { address: [loud] });
    await one.ask('eth_subscribe', 'logs', { address: payee });
    const hashes = await one.ask('eth_subscribe', 'newPendingTransactions');
    const whole = await two.ask('eth_subscribe', 'newPendingTransactions', true);
    const transaction = payment({ to: loud });
    await one.ask('eth_sendRawTransaction', rawOf(transaction));
    const block = backend.mine();
    await Promise.all([one.heard(3), two.heard(2)]);
    const bySubscription = new Map(one.notices.map((notice) => [notice.subscription, notice]));
    assert.equal(one.notices.length, 3, 'nothing for the quiet address');
    assert.equal(bySubscription.get(hashes as string)?.result, transaction.hash);
    const head = bySubscription.get(heads as string)?.result as Record<string, unknown>;
    assert.equal(head.hash, block.hash);
    assert.equal(head.transactions, undefined);
    const log = bySubscription.get(logs as string)?.result as Record<string, unknown>;
    const [found] = (await one.ask('eth_getLogs', { blockHash: block.hash })) as unknown[];
    assert.deepEqual(log, found);
    const theirs = two.notices.map(({ subscription }) => subscription);
    assert.deepEqual(theirs, [whole, again]);
    assert.notEqual(heads, again);
  });

  it('#29 33rd: -32005; unknown kind: -32602; of others: false', async () => {
    const [one, two] = [await world.socket(), await world.socket()];
    const ids: unknown[] = [];
    for (let count = 0; count < 32; count++) ids.push(await one.ask('eth_subscribe', 'newHeads'));
    assert.equal((await one.send(call('eth_subscribe', 'newHeads'))).error?.code, -32005);
    assert.equal((await two.send(call('eth_subscribe', 'syncings'))).error?.code, -32602);
    assert.equal((await two.send(call('eth_subscribe', 'logs', 7))).error?.code, -32602);
    assert.equal(await two.ask('eth_unsubscribe', ids[0]), false);
    assert.equal(await one.ask('eth_unsubscribe', ids[0]), true);
    assert.equal(await one.ask('eth_unsubscribe', ids[0]), false);
    await one.ask('eth_subscribe', 'newHeads');
    assert.match(ids[0] as string, /^0x[1-9a-f][0-9a-f]{31}$/);
  });

  it('are not there over HTTP', async () => {
    assert.equal((await world.call('eth_subscribe', 'newHeads')).error?.code, -32601);
  });

  it('are cheap: anew for each payment, hundreds of times', async () => {
    const client = await world.socket();
    const start = performance.now();
    for (let count = 0; count < 300; count++) {
      const id = await client.ask('eth_subscribe', 'newHeads');
      backend.mine();
      await client.heard(count + 1);
      await client.ask('eth_unsubscribe', id);
    }
    assert.ok(performance.now() - start < 20_000);
  });
});

describe('messages', () => {
  it('batches, errors and binary messages as over HTTP', async () => {
    const client = await world.socket();
    assert.equal((await client.send('{')).error?.code, -32700);
    assert.equal((await client.send('[]')).error?.code, -32600);
    const batch = await client.send(`[${call('eth_chainId')}]`);
    assert.deepEqual(batch, [{ jsonrpc: '2.0', id: 1, result: '0x1092' }]);
    assert.equal(resultOf(await client.send(Buffer.from(call('eth_chainId')) as never)), '0x1092');
    const pending = client.ask('eth_sendRawTransactionSync', rawOf(payment({}, keyOf(1))));
    await sleep(20);
    backend.mine();
    assert.equal(((await pending) as { status: string }).status, '0x1');
  });

  const frames: { when: string; code: number; send: (ws: WebSocket) => void }[] = [
    { when: '1 MiB + 1', code: 1009, send: (ws) => ws.send('x'.repeat(1_048_577)) },
    {
      ...{ when: '65 fragments', code: 1008 },
      send: (ws) => {
        for (let count = 0; count < 70; count++) ws.send('x', { fin: false });
      },
    },
    { when: 'an unmasked frame', code: 1002, send: (ws) => ws.send('x', { mask: false }) },
    {
      ...{ when: 'bad UTF-8', code: 1007 },
      send: (ws) => ws.send(Buffer.from([0xff, 0xfe]), { binary: false }),
    },
    {
      // In one burst: the library's own limit of unsent pongs cuts it without a word.
      ...{ when: 'a burst of pings', code: 1006 },
      send: (ws) => {
        for (let count = 0; count < 400; count++) ws.ping();
      },
    },
    {
      ...{ when: 'a stream of pings', code: 1008 },
      send: (ws) => {
        const pinging = setInterval(() => {
          for (let count = 0; count < 5; count++) if (ws.readyState === WebSocket.OPEN) ws.ping();
        }, 1);
        ws.once('close', () => clearInterval(pinging));
      },
    },
  ];
  for (const { when, code, send } of frames) {
    it(`#30 ${when}: close ${code}`, async () => {
      const { ws, closed } = await world.socket();
      send(ws);
      assert.equal(await closed, code);
    });
  }

  it('#30 compression is not agreed to', async () => {
    const { ws } = await world.socket();
    assert.equal(ws.extensions, '');
  });

  it('#31 who does not read is cut with 1013, the others go on', async () => {
    const small = await openWorld({ socketUnreadBytesMax: 64 * 1024, lingerMs: 2_000 });
    const [deaf, other] = [await small.socket(), await small.socket()];
    for (let count = 0; count < 32; count++) await deaf.ask('eth_subscribe', 'newHeads');
    deaf.ws.pause();
    // What the kernel holds for a connection comes before what we do: several MiB.
    for (let count = 0; count < 400; count++) {
      small.backend.mine();
      if (count % 10 === 0) await sleep(1);
    }
    assert.equal(await other.ask('eth_chainId'), '0x1092');
    deaf.ws.resume();
    assert.equal(await deaf.closed, 1013);
  });
});

describe('upgrades', () => {
  const refused = (headers: Record<string, string>, path = '') =>
    new Promise<number | undefined>((resolve, reject) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
      ws.on('unexpected-response', (_, response) => resolve(response.statusCode));
      ws.on('open', () => reject(new Error('it opened')));
      ws.on('error', () => {});
    });

  it('#13 an evil origin: 403; the listed one may', async () => {
    assert.equal(await refused({ origin: 'https://evil.test' }), 403);
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, { origin: 'https://wallet.test' });
    await new Promise((resolve) => ws.once('open', resolve));
    ws.terminate();
  });

  it('#12 an evil host: 403; another path: 404', async () => {
    assert.equal(await refused({ host: 'evil.test' }), 403);
    assert.equal(await refused({}, '/elsewhere'), 404);
  });

  it('beyond the limit of sockets: 503', async () => {
    const small = await openWorld({ socketsMax: 1 });
    await small.socket();
    await assert.rejects(small.socket(), /503/);
  });
});

describe('slow and busy clients', () => {
  it('#14 slow loris: a head or a body that never ends is closed', async () => {
    const slow = await openWorld({
      ...{ headersTimeoutMs: 300, requestTimeoutMs: 500, connectionCheckMs: 100 },
    });
    const start = performance.now();
    const head = 'POST / HTTP/1.1\r\nhost: localhost\r\n';
    const type = 'content-type: application/json\r\n';
    const bytes = [head, `${head}${type}content-length: 50\r\n\r\n{`, ''];
    const answers = await Promise.all(
      bytes.slice(0, 2).map((text) => sendRaw(slow.server.port, text)),
    );
    for (const answer of answers) assert.match(answer, /^HTTP\/1.1 408 /);
    assert.ok(performance.now() - start < 3_000);
    assert.equal(await slow.ask('eth_chainId'), '0x1092');
  });

  it('300 slow sockets do not slow an honest one', async () => {
    const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1'));
    for (const socket of sockets) socket.on('error', () => {}).write('POST / HTTP/1.1\r\n');
    const times: number[] = [];
    for (let count = 0; count < 200; count++) {
      const start = performance.now();
      await world.ask('eth_blockNumber');
      times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    assert.ok((times[197] ?? 0) < 250, `p99 ${times[197]} ms`);
    for (const socket of sockets) socket.destroy();
  });

  it('requests beyond those in progress: 429 and -32005, later all is well', async () => {
    const busy = await openWorld({ callsInFlightMax: 3 });
    const waits = [0, 1, 2].map((key) =>
      busy.call('eth_sendRawTransactionSync', rawOf(payment({}, keyOf(key)))),
    );
    while (busy.backend.pool.executable < 3) await sleep(2);
    const response = await busy.post(call('eth_chainId'));
    assert.equal(response.status, 429);
    assert.equal(response.headers.get('retry-after'), '1');
    const { error } = (await response.json()) as { error: { code: number } };
    assert.equal(error.code, -32005);
    busy.backend.mine();
    for (const answer of await Promise.all(waits)) resultOf(answer);
    assert.equal(await busy.ask('eth_chainId'), '0x1092');
  });

  it('#34 so many requests on one socket and no more', async () => {
    const few = await openWorld({ requestsPerSocketMax: 5, keepAliveTimeoutMs: 100 });
    const body = call('eth_chainId');
    const head = 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
    const one = `${head}content-length: ${body.length}\r\n\r\n${body}`;
    const answers = await sendRaw(few.server.port, one.repeat(8));
    assert.equal(answers.split('0x1092').length - 1, 5);
  });

  it('#8 a client that goes away in the middle harms nobody', async () => {
    for (let count = 0; count < 50; count++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{', () =>
        socket.resetAndDestroy(),
      );
    }
    await sleep(50);
    assert.equal(await world.ask('eth_chainId'), '0x1092');
  });
});

test('a port in use says so, with what to do', async () => {
  const options = {
    ...{ section: 'rpc' as const, host: '127.0.0.1', port, hosts: [], origins: [] },
    ...{ ...unlimitedAccess(), backend, log: silentLog },
    ready: () => ({ ready: true, checks: {} }),
  };
  const before = backend.listeners;
  await assert.rejects(RpcServer.open(options), (error) => {
    assert.ok(error instanceof UserError);
    assert.equal(error.exitCode, EXIT.unavailable);
    assert.match(error.message, /another program listens there.*rpc\.port.*MPBP_RPC_PORT/);
    return true;
  });
  assert.equal(backend.listeners, before, 'nothing is left behind');
});

test('closing lets waiting callers and sockets go', async () => {
  const other = await openWorld();
  const client = await other.socket();
  const wait = other.call('eth_sendRawTransactionSync', rawOf(payment())).catch(() => null);
  while (other.backend.pool.executable === 0) await sleep(2);
  await other.server.close();
  assert.equal(await client.closed, 1001);
  assert.equal((await wait)?.error?.code, 4);
});
