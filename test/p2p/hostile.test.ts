/** Strangers, and peers that are allowed in and misbehave. */
import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ByteStream, Link } from '#p2p/carrier.ts';
import { encodeFrame, FrameReader } from '#p2p/frames.ts';
import { Libp2pCarrier } from '#p2p/libp2p.ts';
import { DEFAULT_LIMITS } from '#p2p/network.ts';
import { REQUEST_PROTOCOL } from '#p2p/requests.ts';
import { PROTOCOLS } from '#p2p/session.ts';
import { concatBytes } from '#src/lib/bytes.ts';
import type { Node } from './harness.ts';
import { closeOpened, HELLO, idOf, isMutual, openNode, peerOf, seedOf, until } from './harness.ts';

const ALL_PROTOCOLS = [...Object.values(PROTOCOLS), REQUEST_PROTOCOL];

let rejections = 0;
process.on('unhandledRejection', () => rejections++);

/** A libp2p identity without our manners: it answers hellos, and the test does the rest. */
class Rogue {
  readonly carrier: Libp2pCarrier;
  readonly links: Link[] = [];
  readonly inbound = new Map<string, ByteStream>();
  readonly received = new Map<string, Uint8Array[]>();
  linksClosed = 0;

  private constructor(carrier: Libp2pCarrier) {
    this.carrier = carrier;
  }

  static async open(number: number): Promise<Rogue> {
    let rogue: Rogue | null = null;
    const carrier = await Libp2pCarrier.open({
      identitySeed: seedOf(number),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      protocols: ALL_PROTOCOLS,
      limits: DEFAULT_LIMITS,
      events: {
        admits: () => true,
        onLink: (link) => rogue?.links.push(link),
        onLinkClosed: () => {
          if (rogue !== null) rogue.linksClosed++;
        },
        onStream: (_link, protocol, stream) => rogue?.greet(protocol, stream),
      },
    });
    rogue = new Rogue(carrier);
    rogues.add(rogue);
    return rogue;
  }

  greet(protocol: string, stream: ByteStream): void {
    const reader = new FrameReader(1 << 30);
    const messages: Uint8Array[] = [];
    this.inbound.set(protocol, stream);
    this.received.set(protocol, messages);
    stream.listen({
      onBytes(chunk) {
        reader.push(chunk, (message) => {
          if (messages.push(message) === 1) stream.write(encodeFrame(HELLO));
          return true;
        });
      },
      onDrain() {},
      onEnd() {},
      onClose() {},
    });
  }

  async dial(node: Node): Promise<Link | null> {
    const refusal = await this.carrier.dial(node.peerId, [node.address]);
    return refusal === null ? (this.links.at(-1) ?? null) : null;
  }

  /** A consensus stream to the node, past its hello. */
  async speak(node: Node): Promise<ByteStream> {
    const link = await this.dial(node);
    const streams = await Promise.all(
      Object.values(PROTOCOLS).map((protocol) => link?.openStream(protocol, 1000)),
    );
    for (const stream of streams) {
      stream?.listen({ onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} });
      stream?.write(encodeFrame(HELLO));
    }
    await until('greeted', () => node.network.isConnected(this.carrier.peerId));
    const [consensus] = streams;
    assert.ok(consensus);
    return consensus;
  }
}

const rogues = new Set<Rogue>();
afterEach(async () => {
  await Promise.all([...rogues].map((rogue) => rogue.carrier.stop()));
  rogues.clear();
  await closeOpened();
});
after(() => assert.equal(rejections, 0, 'unhandled rejections'));

function knock(node: Node): Socket {
  const socket = connect(node.port, '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

for (const { when, bytes } of [
  { when: 'says nothing', bytes: new Uint8Array(0) },
  { when: 'sends random bytes', bytes: new Uint8Array(randomBytes(4096)) },
  { when: 'speaks HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n') },
  { when: 'claims a protocol name of 4 GiB', bytes: Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f) },
  {
    when: 'negotiates Noise and sends garbage',
    bytes: concatBytes(
      Buffer.from('\x13/multistream/1.0.0\n\x07/noise\n'),
      Uint8Array.of(0, 64),
      randomBytes(64),
    ),
  },
]) {
  test(`a socket that ${when} is closed within three seconds`, async () => {
    const node = await openNode(1);
    const socket = knock(node);
    socket.write(bytes);
    socket.resume();
    const startMs = performance.now();
    await closed(socket);
    assert.ok(performance.now() - startMs < 3300);
  });
}

test('a socket that sends a byte at a time is closed within three seconds', async () => {
  const node = await openNode(1);
  const socket = knock(node);
  socket.resume();
  const drip = setInterval(() => socket.write(Uint8Array.of(19)), 250);
  await closed(socket);
  clearInterval(drip);
});

test('1000 silent sockets keep no allowed peer out for three seconds', async () => {
  const node = await openNode(1, { allowed: [idOf(2)] });
  const sockets: Socket[] = [];
  // Twice the number promised, and coming back as they are closed.
  const refill = () => {
    while (sockets.length < 1000) {
      const socket = knock(node);
      sockets.push(socket);
      socket.on('close', () => sockets.splice(sockets.indexOf(socket), 1));
    }
  };
  refill();
  const flood = setInterval(refill, 100);
  await sleep(300);
  const startMs = performance.now();
  const member = await openNode(2, { allowed: [idOf(1)], peers: [peerOf(node)] });
  await until('connected', () => isMutual(node, member));
  const tookMs = performance.now() - startMs;
  clearInterval(flood);
  for (const socket of sockets) socket.destroy();
  assert.ok(tookMs < 3000, `took ${tookMs} ms`);
});

test('a stranger with a good key is turned away before any stream', async () => {
  const node = await openNode(1, { allowed: [idOf(2)] });
  const stranger = await Rogue.open(3);
  const link = await stranger.dial(node);
  const stream = await link?.openStream(PROTOCOLS.consensus, 1000);
  assert.ok(stream === null || stream === undefined, 'no stream');
  await until('closed', () => stranger.links.length === stranger.linksClosed);
  assert.equal(stranger.inbound.size, 0, 'and none towards it');
  assert.deepEqual(node.network.peers(), []);
  assert.deepEqual(node.peerEvents, []);
});

for (const { when, bytes } of [
  { when: 'an empty frame', bytes: Uint8Array.of(0, 0, 0, 0) },
  { when: 'a frame of 4 GiB', bytes: Uint8Array.of(255, 255, 255, 255, 1, 2, 3) },
  { when: 'a frame one byte too long', bytes: Uint8Array.of(0, 0x24, 0, 1) },
]) {
  test(`${when} costs the connection and the score`, async () => {
    const node = await openNode(1, { allowed: [idOf(3)] });
    const rogue = await Rogue.open(3);
    const stream = await rogue.speak(node);
    stream.write(encodeFrame(Uint8Array.of(7)));
    await until('an honest message', () => node.heard.length === 1);
    stream.write(bytes);
    await until('put out', () => !node.network.isConnected(idOf(3)));
    await until('closed', () => rogue.linksClosed === rogue.links.length);
    assert.equal(Math.round(node.network.peers()[0]?.score ?? 0), -20);
    assert.equal(node.heard.length, 1);
  });
}

test('a message before the hello is never delivered', async () => {
  const node = await openNode(1, { allowed: [idOf(3)] });
  const rogue = await Rogue.open(3);
  const link = await rogue.dial(node);
  const stream = await link?.openStream(PROTOCOLS.consensus, 1000);
  stream?.listen({ onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} });
  stream?.write(encodeFrame(new Uint8Array(100)));
  await until('closed', () => rogue.linksClosed === 1);
  assert.deepEqual([node.heard, node.peerEvents], [[], []]);
});

test('a request before the hello is not answered', async () => {
  let asked = 0;
  const node = await openNode(1, {
    allowed: [idOf(3)],
    hello: Uint8Array.of(1),
    onRequest: async () => {
      asked++;
      return null;
    },
  });
  const rogue = await Rogue.open(3);
  const link = await rogue.dial(node);
  const stream = await link?.openStream(REQUEST_PROTOCOL, 1000);
  stream?.listen({ onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} });
  stream?.write(encodeFrame(Uint8Array.of(1)));
  await until('closed', () => rogue.linksClosed === 1);
  assert.equal(asked, 0);
});

test('a peer that connects and says nothing is closed when hellos are due', async () => {
  const node = await openNode(1, { allowed: [idOf(3)], limits: { helloTimeoutMs: 500 } });
  const rogue = await Rogue.open(3);
  await rogue.dial(node);
  await until('closed', () => rogue.linksClosed === 1, 2000);
  assert.deepEqual(node.peerEvents, []);
});

test('a peer that stops reading loses the oldest messages, and only those', async () => {
  const node = await openNode(1, {
    allowed: [idOf(3)],
    limits: { queueMessagesMax: 50, silentHeartbeatsMax: 60 },
  });
  const rogue = await Rogue.open(3);
  await rogue.speak(node);
  const stream = rogue.inbound.get(PROTOCOLS.consensus);
  stream?.pause();
  const count = 400;
  const results = Array.from({ length: count }, (_, i) => {
    const message = new Uint8Array(20_000);
    new DataView(message.buffer).setUint32(0, i);
    return node.network.send(idOf(3), 'consensus', message);
  });
  const [info] = node.network.peers();
  const dropped = info?.dropped ?? 0;
  assert.ok(dropped > 100, `dropped ${dropped}`);
  assert.equal(results.filter((kept) => !kept).length, dropped);
  assert.equal(info?.queueMessages, 50);
  stream?.resume();
  const messages = rogue.received.get(PROTOCOLS.consensus) ?? [];
  // The first is the hello.
  await until('what was kept', () => messages.length === 1 + count - dropped);
  const numbers = messages.slice(1).map((m) => new DataView(m.buffer).getUint32(0));
  assert.deepEqual(
    numbers,
    [...numbers].sort((x, y) => x - y),
    'in order',
  );
  assert.deepEqual(
    numbers.slice(-50),
    Array.from({ length: 50 }, (_, i) => count - 50 + i),
  );
});

test('a host that dies without a word is given up after silent heartbeats', async () => {
  const node = await openNode(1, {
    allowed: [idOf(3)],
    limits: { heartbeatMs: 50, silentHeartbeatsMax: 5 },
  });
  const rogue = await Rogue.open(3);
  await rogue.speak(node);
  await until('given up', () => !node.network.isConnected(idOf(3)), 2000);
});

test('an answer that drips is cut at the timeout; one too long costs the connection', async () => {
  const node = await openNode(1, { allowed: [idOf(3)] });
  const rogue = await Rogue.open(3);
  await rogue.speak(node);
  let first: Uint8Array = Uint8Array.of(0, 0, 1, 0);
  rogue.greet = (_protocol, stream) => {
    const drip = setInterval(() => stream.write(Uint8Array.of(1)), 50);
    stream.listen({ onBytes() {}, onDrain() {}, onEnd() {}, onClose: () => clearInterval(drip) });
    stream.write(first);
  };
  const startMs = performance.now();
  assert.equal(await node.network.request(idOf(3), Uint8Array.of(1), 400), null);
  assert.ok(performance.now() - startMs < 600);
  assert.equal(node.network.isConnected(idOf(3)), true);
  first = Uint8Array.of(255, 255, 255, 255);
  assert.equal(await node.network.request(idOf(3), Uint8Array.of(1), 5000), null);
  assert.equal(node.network.isConnected(idOf(3)), false);
});

test('whoever fills the places of others leaves those of essential peers free', async () => {
  const essential = new Set([idOf(4), idOf(5)]);
  const node = await openNode(1, {
    allowed: [2, 3, 4, 5, 6].map(idOf),
    essential: () => essential,
    limits: { peersMax: 2, essentialPeersMax: 2, redialMaxMs: 100 },
  });
  const open = (number: number) =>
    openNode(number, {
      allowed: [idOf(1)],
      peers: [peerOf(node)],
      limits: { redialMaxMs: 100 },
    });
  const [second, third] = [await open(2), await open(3)];
  await until('the others are in', () => isMutual(node, second) && isMutual(node, third));
  const sixth = await open(6);
  const [fourth, fifth] = [await open(4), await open(5)];
  await until('the essential are in', () => isMutual(node, fourth) && isMutual(node, fifth));
  assert.ok(!node.network.isConnected(sixth.peerId), 'two are all that there is room for');
  await second.network.close();
  await until('a place is free', () => isMutual(node, sixth));
  assert.ok(isMutual(node, fourth) && isMutual(node, fifth) && isMutual(node, third));
});
