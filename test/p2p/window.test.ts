/** What goes over the wire for small messages, seen by a relay of bytes between two nodes. */
import { strict as assert } from 'node:assert';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { closeOpened, idOf, isMutual, openNode, until } from './harness.ts';

const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeOpened();
});

/** Passes everything on to a port; `back` counts what comes from there. */
async function countingRelay(target: number) {
  const counted = { port: 0, back: 0 };
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    sockets.push(near, far);
    near.pipe(far);
    far.on('data', (bytes: Buffer) => {
      counted.back += bytes.length;
    });
    far.pipe(near);
    for (const socket of [near, far]) socket.on('error', () => socket.destroy());
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  counted.port = (server.address() as { port: number }).port;
  return { counted, close: () => server.close() };
}

test('a small message costs no frame in the other direction', async () => {
  const listening = await openNode(1, { allowed: [idOf(2)] });
  const relay = await countingRelay(listening.port);
  const address = `/ip4/127.0.0.1/tcp/${relay.counted.port}`;
  const peers = [{ peerId: listening.peerId, addresses: [address] }];
  const dialling = await openNode(2, { allowed: [idOf(1)], peers });
  await until('both are connected', () => isMutual(listening, dialling));
  const before = relay.counted.back;
  const messages = 500;
  for (let sent = 1; sent <= messages; sent++) {
    dialling.network.send(listening.peerId, 'consensus', new Uint8Array(200).fill(sent));
    await until('it is heard', () => listening.heard.length === sent);
  }
  // An empty frame of yamux is 12 bytes, and 30 with its cipher around it.
  const perMessage = (relay.counted.back - before) / messages;
  assert.ok(perMessage < 5, `${perMessage} bytes back for each message`);
  relay.close();
});

test('a stream carries many windows full', async () => {
  const listening = await openNode(1, { allowed: [idOf(2)] });
  const peers = [{ peerId: listening.peerId, addresses: [listening.address] }];
  const dialling = await openNode(2, { allowed: [idOf(1)], peers });
  await until('both are connected', () => isMutual(listening, dialling));
  for (let sent = 1; sent <= 40; sent++) {
    dialling.network.send(listening.peerId, 'consensus', new Uint8Array(300_000).fill(sent));
    await until('it is heard', () => listening.heard.length === sent);
  }
});
