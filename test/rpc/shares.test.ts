import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import type { Caller } from '#src/rpc/access/access.ts';
import { defaultRpcLimits, type RpcLimits } from '#src/rpc/limits.ts';
import { ViewQueue } from '#src/rpc/views/viewQueue.ts';
import {
  type Answer,
  keyOf,
  openAccess,
  openWorld,
  payment,
  rawOf,
  sleep,
  unlimitedAccess,
} from './harness.ts';

const key = 'k'.repeat(32);
const proxied = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4', '203.0.113.5'];

/** Callers that are counted, each by the address that a proxy says; and one with a key. */
async function openShared(limits: Partial<RpcLimits>) {
  const sha256 = createHash('sha256').update(key).digest('hex');
  const access = openAccess(
    { unlimited: new Set(['203.0.113.99']), proxies: new Set(['127.0.0.1']) },
    {
      keys: [{ name: 'till', sha256, role: 'user', methods: null, unitsPerSecond: null }],
      jwtSecret: null,
    },
  );
  const world = await openWorld(limits, { ...unlimitedAccess(), access });
  const ask = async (headers: Record<string, string>, method: string, ...params: unknown[]) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    return (await (await world.post(body, headers)).json()) as Answer;
  };
  const as =
    (headers: Record<string, string>) =>
    (method: string, ...params: unknown[]) =>
      ask(headers, method, ...params);
  const anonymous = proxied.map((address) => as({ 'x-forwarded-for': address }));
  return {
    world,
    anonymous,
    keyed: as({ 'x-api-key': key }),
    own: as({ 'x-forwarded-for': '203.0.113.99' }),
  };
}

/** Nobody counts it. */
const free = { meter: null, hasKey: true, isRevoked: false } as const;

type Ask = Awaited<ReturnType<typeof openShared>>['keyed'];
const refusals = (answers: readonly Answer[]) =>
  answers.filter(({ error }) => error !== undefined).map(({ error }) => error?.code);

describe('nobody has more than a share', () => {
  it('of the filters', async () => {
    const { anonymous, keyed, own } = await openShared({ filtersMax: 8 });
    const [one, two, three, four] = anonymous as [Ask, Ask, Ask, Ask];
    const add = (ask: Ask) => ask('eth_newBlockFilter');
    const ids = [await add(one), await add(one)].map(({ result }) => result);
    assert.match((await add(one)).error?.message ?? '', /^more than 2 filters of one caller$/);
    await one('eth_uninstallFilter', ids[0]);
    assert.deepEqual(refusals([await add(one), await add(two), await add(two)]), []);
    assert.deepEqual(refusals([await add(three), await add(three)]), []);
    assert.match((await add(four)).error?.message ?? '', /^more than 6 .* without a key$/);
    assert.deepEqual(refusals([await add(keyed), await add(keyed)]), []);
    assert.match((await add(own)).error?.message ?? '', /of this node$/);
  });

  it('of what filters look for', async () => {
    const { anonymous, keyed } = await openShared({ keptChoicesMax: 16, filtersMax: 100 });
    const [one, two] = anonymous as [Ask, Ask];
    const add = (ask: Ask, count: number) => {
      const address = Array.from({ length: count }, (_, at) => `0x${`${at}${at}`.repeat(20)}`);
      return ask('eth_newFilter', { address });
    };
    assert.deepEqual(refusals([await add(one, 3), await add(one, 2)]), [-32005]);
    assert.equal((await add(one, 1)).error, undefined);
    assert.deepEqual(refusals([await add(two, 4), await add(keyed, 4)]), []);
    // A refused one leaves nothing behind: neither a filter nor what it looks for.
    for (let at = 0; at < 100; at++) await add(one, 1);
    assert.match((await add(one, 1)).error?.message ?? '', /^more than 4 addresses and topics/);
    assert.equal((await add(keyed, 0)).error, undefined);
  });

  it('of the waits for receipts', async () => {
    const { world, anonymous, keyed } = await openShared({ syncWaitsMax: 8 });
    let nonce = 0n;
    const pay = (ask: Ask) => ask('eth_sendRawTransactionSync', rawOf(payment({ nonce: nonce++ })));
    const waiting: Promise<Answer>[] = [];
    for (const ask of anonymous.slice(0, 3)) waiting.push(pay(ask), pay(ask));
    for (let tried = 0; tried < 400 && world.backend.pool.executable < 6; tried++) await sleep(5);
    assert.equal(world.backend.pool.executable, 6);
    const [one, , , four] = anonymous as [Ask, Ask, Ask, Ask];
    assert.match((await pay(one)).error?.message ?? '', /^more than 2 waits .* of one caller$/);
    nonce--;
    assert.match((await pay(four)).error?.message ?? '', /^more than 6 waits .* without a key$/);
    nonce--;
    waiting.push(pay(keyed));
    for (let tried = 0; tried < 400 && world.backend.pool.executable < 7; tried++) await sleep(5);
    world.backend.mine();
    assert.deepEqual(refusals(await Promise.all(waiting)), []);
    const again = pay(one);
    for (let tried = 0; tried < 400 && world.backend.pool.executable < 1; tried++) await sleep(5);
    world.backend.mine();
    assert.equal((await again).error, undefined, 'what was waited for is given back');
  });
});

describe('threads for views go to callers by turns', () => {
  const runs = `0x${'5e'.repeat(20)}`;
  const view = (ask: Ask, code: string) =>
    ask('eth_call', { to: runs }, 'latest', { [runs]: { code } });
  const forever = '0x5b5f56';
  const one = '0x60015f5260205ff3';

  it('whoever asks for one is not behind all that another asks for', async () => {
    const limits = { viewThreads: 1, viewsWaitingMax: 40, viewMs: 300, viewGasMax: 10n ** 12n };
    const { anonymous } = await openShared(limits);
    const [greedy, modest] = anonymous as [Ask, Ask];
    let ended = 0;
    const first = Array.from({ length: 6 }, async () => {
      const answer = await view(greedy, forever);
      ended++;
      return answer;
    });
    // The first of them has its thread by then, which loads for longer.
    await sleep(100);
    const answer = await view(modest, one);
    assert.equal(BigInt(answer.result as string), 1n);
    assert.ok(ended <= 2, `${ended} came before`);
    assert.equal((await Promise.all(first)).length, 6);
  });

  it('and nobody has all places to wait', async () => {
    const limits = { viewThreads: 1, viewsWaitingMax: 8, viewMs: 200, viewGasMax: 10n ** 12n };
    const { anonymous, keyed } = await openShared(limits);
    // One of each may have begun.
    const asked = anonymous.map((ask) => Promise.all([1, 2, 3, 4].map(() => view(ask, forever))));
    await sleep(100);
    const mine = view(keyed, one);
    const answers = (await Promise.all(asked)).flat();
    assert.equal(BigInt((await mine).result as string), 1n);
    const said = answers.map(({ error }) => error?.message ?? '');
    assert.ok(
      said.some((text) => /^more than 2 calls .* of one caller$/.test(text)),
      said[0],
    );
    assert.ok(
      said.some((text) => /^more than 6 calls .* without a key$/.test(text)),
      said[0],
    );
  });

  it('and nobody has the last thread while another waits', () => {
    const [a, b, c] = ['a', 'b', 'c'].map(
      (name): Caller => ({ ...free, name, allows: () => true }),
    ) as [Caller, Caller, Caller];
    const queue = new ViewQueue<string>({ ...defaultRpcLimits, viewThreads: 3 });
    const has = new Map<Caller, number>();
    const shift = () => queue.shift((caller) => has.get(caller) ?? 0);
    for (const name of ['a1', 'a2', 'a3', 'a4']) queue.push(a, name);
    assert.deepEqual([shift(), shift()], ['a1', 'a2']);
    has.set(a, 2);
    for (const name of ['b1', 'b2']) queue.push(b, name);
    queue.push(c, 'c1');
    assert.deepEqual([shift(), shift(), shift()], ['b1', 'c1', 'b2'], 'by turns, without a');
    assert.equal(shift(), 'a3', 'which nobody else wants');
    has.clear();
    queue.push(b, 'b3');
    assert.deepEqual([shift(), shift(), shift()], ['a4', 'b3', undefined]);
    assert.ok(queue.isEmpty);
  });

  it('and who has a key is not behind all the addresses that ask', () => {
    const strangers = Array.from({ length: 40 }, (_, at): Caller => {
      return { ...free, name: `${at}`, hasKey: false, allows: () => true };
    });
    const till: Caller = { ...free, name: 'till', allows: () => true };
    const queue = new ViewQueue<string>(defaultRpcLimits);
    for (const stranger of strangers) queue.push(stranger, stranger.name);
    const shift = () => queue.shift(() => 0);
    assert.equal(shift(), '0');
    for (const item of ['till 1', 'till 2']) queue.push(till, item);
    const order = [shift(), shift(), shift(), shift(), shift()];
    assert.deepEqual(order, ['till 1', '1', 'till 2', '2', '3']);
  });
});

describe('answers that nobody reads', () => {
  const MB = 1_000_000;
  const body = (items: number) => {
    const call = { jsonrpc: '2.0', id: 1, method: 'eth_getBlockByNumber', params: ['0x1', true] };
    return JSON.stringify(Array.from({ length: items }, () => call));
  };

  /** `long(1)`: an answer of 9.5 MB. */
  async function openLong() {
    const limits = { unreadBytesMax: 24 * MB, responseBytesMax: 10 * MB };
    const world = await openWorld({ ...limits, socketUnreadBytesMax: 100 * MB });
    for (let at = 0; at < 100; at++) {
      const nonce = BigInt(Math.floor(at / 10));
      const data = new Uint8Array(250);
      await world.backend.submit(payment({ nonce, data }, keyOf(at % 10)).raw);
    }
    world.backend.mine();
    const sample = await (await world.post(body(1))).text();
    const long = body(Math.floor((9.5 * MB) / sample.length));
    const open: Socket[] = [];
    after(() => {
      for (const socket of open) socket.destroy();
    });
    const ended: number[] = [];
    /** Asks on a connection of its own and reads nothing. */
    const slow = async (requests: number) => {
      const socket = connect(world.server.port, '127.0.0.1');
      const at = open.push(socket) - 1;
      socket.on('error', () => {});
      socket.on('close', () => ended.push(at));
      socket.pause();
      const head = 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
      socket.write(`${head}content-length: ${long.length}\r\n\r\n${long}`.repeat(requests));
      await sleep(300);
    };
    /** A client that does not read does not see its end. */
    const resume = async () => {
      for (const socket of open) socket.resume();
      for (let tried = 0; tried < 100 && !ended.includes(0); tried++) await sleep(10);
      return ended;
    };
    return { world, long, slow, resume };
  }

  it('are bounded for all connections together, and the slowest reader is cut first', async () => {
    const { world, long, slow, resume } = await openLong();
    // Twice, so that what the system holds for a connection does not matter.
    for (let at = 0; at < 4; at++) await slow(2);
    const ended = await resume();
    assert.ok(ended.includes(0), `closed: ${ended.join()}`);
    assert.ok(!ended.includes(3), 'the last of them is within the limit');
    assert.equal((await world.post(long)).status, 200, 'who reads is answered');
  });

  it('are those that were not read: who reads may ask for as much as it likes', async () => {
    const { world, long, slow, resume } = await openLong();
    await slow(1);
    for (let at = 0; at < 3; at++) await (await world.post(long)).text();
    const client = await world.socket();
    for (let at = 0; at < 3; at++) await client.send(long);
    assert.deepEqual(await resume(), []);
  });

  it('over WebSockets, too', async () => {
    const world = await openWorld({ unreadBytesMax: 12 * MB, socketUnreadBytesMax: 100 * MB });
    const [idle, honest] = [await world.socket(), await world.socket()];
    const cut: number[] = [];
    const { close } = WebSocket.prototype;
    WebSocket.prototype.close = function noted(this: WebSocket, ...args: [number?, string?]) {
      cut.push(args[0] ?? 0);
      return Reflect.apply(close, this, args);
    };
    after(() => {
      WebSocket.prototype.close = close;
    });
    idle.ws.pause();
    const id = 'i'.repeat(250);
    const item = JSON.stringify({ jsonrpc: '2.0', id, method: 'eth_chainId', params: [] });
    const batch = `[${Array.from({ length: 100 }, () => item).join()}]`;
    for (let sent = 0; sent < 30 * MB; sent += batch.length) idle.ws.send(batch);
    for (let tried = 0; tried < 1_000 && cut.length === 0; tried++) await sleep(10);
    assert.deepEqual(cut, [1013]);
    idle.ws.resume();
    await idle.closed;
    assert.equal(await honest.ask('eth_chainId'), '0x1092');
  });
});
