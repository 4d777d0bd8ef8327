import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocket } from 'ws';
import { limitConnections } from '#src/rpc/server.ts';
import { loud } from './fakeBackend.ts';
import {
  type Answer,
  keyOf,
  openAccess,
  openWorld,
  payee,
  payment,
  sleep,
  unlimitedAccess,
} from './harness.ts';

const call = (method: string, ...params: unknown[]) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

/** What is left after a collection. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

describe('what callers leave behind', () => {
  it('a filter keeps what it filters by, and not all that its caller wrote', async () => {
    const world = await openWorld();
    const filters = 150;
    await world.ask('eth_newFilter', { address: payee });
    const before = heapBytes();
    for (let at = 0; at < filters; at++) {
      await world.ask('eth_newFilter', { address: payee, more: `${at}`.repeat(200_000) });
    }
    const kept = heapBytes() - before;
    assert.ok(kept < 15_000_000, `${kept} bytes for ${filters} filters`);
    const long = { address: payee, toBlock: 'x'.repeat(1_000) };
    assert.equal((await world.call('eth_newFilter', long)).error?.code, -32602);
  });

  it('filters and subscriptions hold so many addresses and topics together', async () => {
    const world = await openWorld({ keptChoicesMax: 10 });
    const word = `0x${'11'.repeat(32)}`;
    const address = Array.from({ length: 4 }, (_, at) => `0x${`${at}${at}`.repeat(20)}`);
    const id = await world.ask('eth_newFilter', { address });
    const one = await world.socket();
    const subscribe = (method: string, filter: object): Promise<Answer> =>
      one.send(call(method, 'logs', filter));
    assert.equal((await subscribe('eth_subscribe', { address })).error, undefined);
    const { result: stream } = await subscribe('mpbp_subscribe', { address, topics: [] });
    assert.equal(stream, undefined, 'two are left');
    const topics = [word, [word]];
    assert.equal((await subscribe('mpbp_subscribe', { topics })).error, undefined);
    assert.equal((await world.call('eth_newFilter', { address: payee })).error?.code, -32005);
    await world.ask('eth_uninstallFilter', id);
    await world.ask('eth_newFilter', { address });
    one.ws.terminate();
    let left: Answer = {} as Answer;
    for (let tried = 0; tried < 100; tried++) {
      left = await world.call('eth_newFilter', { address: address.slice(0, 3), topics });
      if (left.error === undefined) break;
      await sleep(10);
    }
    assert.equal(left.error, undefined, 'a connection that is gone keeps nothing');
    assert.equal((await world.call('eth_newFilter', { address })).error?.code, -32005);
  });

  it('a hundred streams that read the past at once do not hold the node up', async () => {
    const world = await openWorld();
    const { backend } = world;
    for (let at = 0; at < 200; at++) backend.mine();
    const headerAt = backend.headerAt.bind(backend);
    let onRead = () => {};
    // As long as a block that lies on the disk.
    backend.headerAt = (height) => {
      onRead();
      turnFor(1);
      return headerAt(height);
    };
    const clients = await Promise.all([1, 2, 3].map(() => world.socket()));
    const reads = new InATurn();
    onRead = () => reads.count();
    for (const client of clients) {
      const filter = { address: payee };
      for (let at = 0; at < 32; at++) await client.ask('mpbp_subscribe', 'logs', filter, '0x1');
    }
    await sleep(500);
    for (const client of clients) client.ws.terminate();
    const most = reads.stop();
    // It was 32 blocks of each of them: 3,072.
    assert.ok(most > 0 && most < 100, `${most} blocks in one turn of the loop`);
  });

  it('a hundred searches for logs at once do not hold the node up', async () => {
    const world = await openWorld();
    const { backend } = world;
    for (let at = 0; at < 64; at++) backend.mine();
    const headerAt = backend.headerAt.bind(backend);
    let isSlow = true;
    const reads = new InATurn();
    backend.headerAt = (height) => {
      reads.count();
      if (isSlow) turnFor(1);
      return headerAt(height);
    };
    const range = { fromBlock: '0x1', toBlock: '0x40' };
    const client = await world.socket();
    const searches = Array.from({ length: 100 }, () => client.send(call('eth_getLogs', range)));
    await sleep(800);
    const most = reads.stop();
    isSlow = false;
    const answers = await Promise.all(searches);
    assert.ok(answers.every(({ error }) => error === undefined || error.code === -32005));
    // It was 32 blocks of each of them: 3,200. Each is let begin, and asks for one.
    assert.ok(most > 0 && most < 400, `${most} blocks in one turn of the loop`);
  });

  it('histories of fees with percentiles do not hold the node up', async () => {
    const world = await openWorld();
    const { backend } = world;
    for (let at = 0; at < 64; at++) {
      await backend.submit(payment({ nonce: BigInt(at) }).raw);
      backend.mine();
    }
    const blockAt = backend.blockAt.bind(backend);
    let isSlow = true;
    const reads = new InATurn();
    // As long as a full block.
    backend.blockAt = (height) => {
      reads.count();
      if (isSlow) turnFor(5);
      return blockAt(height);
    };
    const client = await world.socket();
    const ask = () => client.send(call('eth_feeHistory', '0x40', 'latest', [10, 50, 90]));
    const asked = [ask(), ask(), ask()];
    await sleep(500);
    const most = reads.stop();
    isSlow = false;
    for (const { error } of await Promise.all(asked)) assert.equal(error, undefined);
    // It was all 64 of each.
    assert.ok(most > 0 && most <= 3, `${most} blocks in one turn of the loop`);
  });

  it('many subscriptions to the logs of one block are told of it over many turns', async () => {
    const world = await openWorld({ socketUnreadBytesMax: 1024 * 1024 * 1024 });
    const { backend } = world;
    const logs = 200;
    for (let at = 0; at < logs; at++) {
      const { raw } = payment({ to: loud, nonce: BigInt(Math.floor(at / 10)) }, keyOf(at % 10));
      await backend.submit(raw);
    }
    const clients = await Promise.all(Array.from({ length: 10 }, () => world.socket()));
    for (const client of clients) {
      for (let at = 0; at < 32; at++) await client.ask('eth_subscribe', 'logs', { address: loud });
    }
    const all = 32 * logs;
    let sent = 0;
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function counted(this: WebSocket, ...args: unknown[]) {
      sent++;
      return Reflect.apply(send, this, args);
    };
    try {
      backend.mine();
    } finally {
      WebSocket.prototype.send = send;
    }
    for (const client of clients) await client.heard(all);
    assert.ok(clients.every(({ notices }) => notices.length === all));
    assert.ok(sent < 20_000, `${sent} of 64,000 at once`);
  });

  it('the addresses of one household in IPv6 have the connections of one address', () => {
    const server = new EventEmitter();
    limitConnections(server, 2, new Set(['2001:db8::9']));
    const connect = (remoteAddress: string) => {
      const socket = Object.assign(new EventEmitter(), {
        ...{ remoteAddress, destroyed: false },
        destroy(): void {
          socket.destroyed = true;
        },
      });
      server.emit('connection', socket);
      return socket;
    };
    const [one, two, three] = ['1', '2', '3'].map((end) => connect(`2001:db8::${end}`));
    assert.deepEqual([one?.destroyed, two?.destroyed, three?.destroyed], [false, false, true]);
    assert.equal(connect('2001:db8::9').destroyed, false, 'not limited');
    assert.equal(connect('2001:db8:0:1::1').destroyed, false, 'another household');
    one?.emit('close');
    assert.equal(connect('2001:db8::4').destroyed, false);
  });

  it('a request that takes long counts for more than one that does not', async () => {
    const access = openAccess({ unlimited: new Set() });
    const world = await openWorld({}, { ...unlimitedAccess(), access });
    const { backend } = world;
    const blockAt = backend.blockAt.bind(backend);
    let slowMs = 0;
    backend.blockAt = (height) => {
      const endMs = performance.now() + slowMs;
      while (performance.now() < endMs);
      return blockAt(height);
    };
    const ask = () => world.call('eth_getBlockByNumber', '0x0', true);
    for (let at = 0; at < 40; at++) assert.equal((await ask()).error, undefined);
    slowMs = 30;
    let answered = 0;
    while (answered < 60 && (await ask()).error === undefined) answered++;
    // Ten units for each millisecond, of 5,000 at once and 1,000 a second.
    assert.ok(answered >= 5 && answered < 40, `${answered} were answered`);
  });
});

/** How often something happens between two turns of the event loop, at most. */
class InATurn {
  #now = 0;
  #most = 0;
  #goesOn = true;

  constructor() {
    const turn = () => {
      this.#now = 0;
      if (this.#goesOn) setImmediate(turn);
    };
    turn();
  }

  count(): void {
    this.#now++;
    this.#most = Math.max(this.#most, this.#now);
  }

  stop(): number {
    this.#goesOn = false;
    return this.#most;
  }
}

function turnFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
