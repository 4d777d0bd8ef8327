/** Networks that mean well, over real sockets. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { peerIdFromSeed } from '#p2p/network.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { reservePorts } from '../ports.ts';
import type { Node } from './harness.ts';
import {
  closeOpened,
  idOf,
  isMutual,
  openNode,
  openPair,
  peerOf,
  seedOf,
  until,
} from './harness.ts';

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));

let rejections = 0;
process.on('unhandledRejection', () => rejections++);
afterEach(closeOpened);
after(() => assert.equal(rejections, 0, 'unhandled rejections'));

function child(...args: string[]) {
  return spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

test('a peer id is the one libp2p derives from the same key', () => {
  // From the libp2p peer-id specification's own derivation, checked with another implementation.
  assert.equal(peerIdFromSeed(seedOf(1)).startsWith('12D3KooW'), true);
  assert.notEqual(idOf(1), idOf(2));
});

test('two nodes exchange messages on both channels, in order, of all sizes', async () => {
  const [a, b] = await openPair();
  assert.equal(a.peerId, idOf(1));
  assert.deepEqual(a.peerEvents, [{ peerId: b.peerId, connected: true }]);
  const sizes = [1, 200, 65_531, 65_532, 65_533, 1_000_000];
  for (const channel of ['consensus', 'transactions'] as const) {
    sizes.forEach((size, i) => {
      assert.equal(a.network.send(b.peerId, channel, new Uint8Array(size).fill(i)), true);
      b.network.broadcast(channel, new Uint8Array(size).fill(i));
    });
  }
  await until('all messages', () => a.heard.length === 12 && b.heard.length === 12);
  for (const node of [a, b]) {
    for (const channel of ['consensus', 'transactions']) {
      const heard = node.heard.filter((message) => message.channel === channel);
      assert.deepEqual(
        heard.map(({ message }) => message.length),
        sizes,
      );
      heard.forEach(({ message }, i) => {
        assert.ok(message.every((byte) => byte === i));
      });
    }
  }
  const [info] = a.network.peers();
  assert.deepEqual([info?.messagesIn, info?.messagesOut, info?.dropped], [12, 12, 0]);
  assert.equal(a.network.send(idOf(9), 'consensus', Uint8Array.of(1)), false);
});

test('a full consensus message of 2 MiB passes', async () => {
  const [a, b] = await openPair();
  a.network.send(b.peerId, 'consensus', new Uint8Array(2 << 20).fill(7));
  await until('the block', () => b.heard.length === 1);
  assert.equal(b.heard[0]?.message.length, 2 << 20);
});

test('four nodes that all dial each other at once settle and stay', async () => {
  const ids = [1, 2, 3, 4].map(idOf);
  // Ports have to be known before anybody dials.
  const base = await reservePorts(ids.length);
  const addresses = ids.map((_, i) => `/ip4/127.0.0.1/tcp/${base + i}`);
  const nodes = await Promise.all(
    ids.map((self, i) =>
      openNode(i + 1, {
        listen: [addresses[i] as string],
        allowed: ids,
        peers: ids
          .map((peerId, j) => ({ peerId, addresses: [addresses[j] as string] }))
          .filter(({ peerId }) => peerId !== self),
      }),
    ),
  );
  const isFull = () =>
    nodes.every((node) => ids.every((id) => id === node.peerId || node.network.isConnected(id)));
  await until('full mesh', isFull);
  await sleep(1200);
  assert.ok(isFull(), 'still a full mesh after duplicates were closed');
  for (const node of nodes) {
    assert.equal(node.peerEvents.length, 3, 'connected once each, never disconnected');
    node.network.broadcast('consensus', Uint8Array.of(1, 2, 3));
  }
  await until('twelve messages', () => nodes.every((node) => node.heard.length === 3));
});

test('a different hello ends the connection and is logged on both sides', async () => {
  const a = await openNode(1, { allowed: [idOf(2)] });
  const b = await openNode(2, {
    allowed: [idOf(1)],
    peers: [peerOf(a)],
    hello: new TextEncoder().encode('another network'),
  });
  const told = (node: Node) =>
    node.logged.some(({ event }) => event === 'peer is of another network or version');
  await until('both say why', () => told(a) && told(b));
  assert.deepEqual([...a.peerEvents, ...b.peerEvents, ...a.heard], []);
});

test('a peer that closes and comes back is found again within a second', async () => {
  const [a, b] = await openPair();
  const { port } = a;
  await a.network.close();
  await until('b notices', () => !b.network.isConnected(a.peerId));
  const again = await openNode(1, { allowed: [b.peerId], listen: [`/ip4/127.0.0.1/tcp/${port}`] });
  const ms = await until('reconnected', () => isMutual(again, b));
  assert.ok(ms < 1000, `took ${ms} ms`);
  again.network.send(b.peerId, 'consensus', Uint8Array.of(5));
  await until('message', () => b.heard.length === 1);
});

test('a killed process is noticed at once, and met again when it is back', async () => {
  const a = await openNode(1, { allowed: [idOf(2)] });
  const connect = () => child('serve', '2', a.peerId, a.address);
  const first = connect();
  await until('connected', () => a.network.isConnected(idOf(2)), 10_000);
  // Dying in the middle of a stream of messages, both ways.
  for (let i = 0; i < 20; i++) a.network.broadcast('transactions', new Uint8Array(500_000));
  first.kill('SIGKILL');
  const noticedMs = await until('noticed', () => !a.network.isConnected(idOf(2)));
  assert.ok(noticedMs < 1000, `took ${noticedMs} ms`);
  const second = connect();
  await until('back', () => a.network.isConnected(idOf(2)), 10_000);
  second.kill('SIGKILL');
  await once(second, 'exit');
});

test('the same identity from a second place replaces the first, and is logged', async () => {
  const a = await openNode(1, { allowed: [idOf(2)] });
  const first = await openNode(2, {
    allowed: [idOf(1)],
    peers: [peerOf(a)],
    limits: { redialFirstMs: 60_000 },
  });
  await until('first', () => isMutual(a, first));
  const second = await openNode(2, { allowed: [idOf(1)], peers: [peerOf(a)] });
  await until('second', () => second.network.isConnected(a.peerId));
  await until('first is gone', () => !first.network.isConnected(a.peerId));
  assert.ok(a.logged.some(({ event }) => event === 'same identity connected twice'));
  assert.equal(a.peerEvents.length, 1, 'to a, the peer never left');
  a.network.broadcast('consensus', Uint8Array.of(1));
  await until('the second hears', () => second.heard.length === 1);
});

test('requests are answered, refused, cut off, and bounded', async () => {
  const [a, b] = await openPair({
    limits: { serveTimeoutMs: 1000 },
    onRequest: async (_from, request) => {
      if (request[0] === 1) return new Uint8Array(4 << 20).fill(8);
      if (request[0] === 2) return null;
      if (request[0] === 3) throw new Error('disk');
      if (request[0] === 4) return new Uint8Array(0);
      if (request[0] === 5) return new Uint8Array(5 << 20);
      return new Promise(() => {});
    },
  });
  const ask = (kind: number, timeoutMs = 2000) =>
    b.network.request(a.peerId, Uint8Array.of(kind), timeoutMs);
  const answer = await ask(1);
  assert.equal(answer?.length, 4 << 20);
  assert.ok(answer?.every((byte) => byte === 8));
  assert.equal(await ask(2), null, 'refused');
  assert.equal(await ask(3), null, 'failed');
  assert.equal((await ask(4))?.length, 0, 'an empty answer is an answer');
  assert.equal(await ask(5), null, 'longer than allowed');
  const startMs = performance.now();
  const pending = [1, 2, 3, 4].map(() => ask(9, 300));
  assert.equal(await ask(4), null, 'a fifth in flight');
  assert.deepEqual(await Promise.all(pending), [null, null, null, null]);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs >= 290 && tookMs < 900, `timed out after ${tookMs} ms`);
  await until('the places are free again', () => a.network.peers()[0] !== undefined);
  await sleep(50);
  assert.equal((await ask(4))?.length, 0, 'works after timeouts');
  assert.equal(await b.network.request(idOf(7), Uint8Array.of(1), 100), null, 'unknown peer');
  assert.ok(isMutual(a, b), 'none of this costs the connection');
});

test('a request to a peer that leaves gives null at once', async () => {
  const [a, b] = await openPair({ onRequest: () => new Promise(() => {}) });
  const pending = b.network.request(a.peerId, Uint8Array.of(1), 20_000);
  await sleep(50);
  await a.network.close();
  const startMs = performance.now();
  assert.equal(await pending, null);
  assert.ok(performance.now() - startMs < 1000);
});

test('a banned peer is put out and kept out, until the ban ends', async () => {
  const [a, b] = await openPair({ limits: { banMs: 1500 } }, { limits: { redialMaxMs: 200 } });
  a.network.penalize(b.peerId, 'ban', 'forged a vote');
  assert.equal(a.network.isConnected(b.peerId), false);
  assert.equal(a.network.peers()[0]?.isBanned, true);
  await sleep(1000);
  assert.equal(a.peerEvents.length, 2, 'no connection while banned');
  await until('after the ban', () => isMutual(a, b));
});

test('small offences do nothing alone; a big one disconnects, and it may return', async () => {
  const [a, b] = await openPair();
  for (let i = 0; i < 10; i++) a.network.penalize(b.peerId, 'drop', 'stale');
  assert.ok(a.network.isConnected(b.peerId));
  a.network.penalize(b.peerId, 'disconnect', 'nonsense');
  assert.equal(a.network.isConnected(b.peerId), false);
  await until('back', () => isMutual(a, b));
});

test('a peer struck from the list is disconnected and not let in again', async () => {
  const allowed = new Set([idOf(2)]);
  const [a, b] = await openPair({ allowed: () => allowed, limits: { heartbeatMs: 50 } });
  allowed.clear();
  await until('put out', () => !a.network.isConnected(b.peerId));
  await sleep(300);
  assert.equal(a.network.isConnected(b.peerId), false);
});

test('more than a peer may send in a second waits and is not lost', async () => {
  const [a, b] = await openPair({ limits: { inboundBytesPerSecondMax: 2_000_000 } });
  const startMs = performance.now();
  for (let i = 0; i < 600; i++) b.network.send(a.peerId, 'transactions', new Uint8Array(10_000));
  await until('all of it', () => a.heard.length === 600);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs > 1200, `6 MB at 2 MB/s, a second saved up: ${tookMs} ms`);
  assert.ok(isMutual(a, b));
});

test('a port in use, a bad address and a key dump are told to the operator', async () => {
  const a = await openNode(1);
  const exitsWith = (code: number) => (error: unknown) =>
    error instanceof UserError && error.exitCode === code;
  await assert.rejects(openNode(2, { listen: [a.address] }), exitsWith(EXIT.unavailable));
  await assert.rejects(openNode(2, { listen: ['here'] }), exitsWith(EXIT.usage));
  process.env.DUMP_SESSION_KEYS = '1';
  await assert.rejects(openNode(2), exitsWith(EXIT.usage));
  delete process.env.DUMP_SESSION_KEYS;
});

test('closing is quick and leaves nothing that keeps the process alive', async () => {
  const process_ = child('exit');
  const [code] = await once(process_, 'exit', { signal: AbortSignal.timeout(15_000) });
  assert.equal(code, 0);
});
