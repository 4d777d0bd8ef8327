import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { DEFAULT_LIMITS, Network } from '#p2p/network.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import { silentLog } from '#src/lib/log.ts';
import { accounts, pause, Target, transfer } from '../bench/load.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';

/** File descriptors, and how a node stops: promises S1 and S2. */
const connects = 2_000;
const together = 50;
const strangers = 100;
const fdsMax = 512;
const fdsSlack = 4;
const stopMsMax = 5_000;
const stops = 5;

describe('a node', { timeout: 180_000 }, () => {
  let cluster: Cluster;
  let target: Target;

  before(async () => {
    cluster = await Cluster.create({ validators: 1, observer: observerId, direct: true });
    target = new Target(cluster.members[0]?.rpc ?? '', 32);
    await start();
  });

  after(async () => {
    target?.close();
    await cluster?.destroy();
  });

  async function start(): Promise<void> {
    cluster.start(0);
    for (let tried = 0; tried < 200; tried++) {
      if ((await target.call('eth_blockNumber', []).catch(() => null)) !== null) return;
      await pause(50);
    }
    throw new Error(`no answer: ${cluster.log(0)}`);
  }

  function one(): Cluster['members'][number] {
    const [member] = cluster.members;
    assert.ok(member);
    return member;
  }

  const fds = () => readdirSync(`/proc/${one().child?.pid}/fd`).length;

  /** Some at a time; then the node has as many descriptors as before. */
  async function flat(act: () => Promise<void>, count: number): Promise<void> {
    const before = fds();
    let most = 0;
    for (let done = 0; done < count; done += together) {
      await Promise.all(Array.from({ length: Math.min(together, count - done) }, act));
      most = Math.max(most, fds());
    }
    assert.ok(most < fdsMax, `${most} file descriptors`);
    for (let waited = 0; fds() > before + fdsSlack; waited += 100) {
      assert.ok(waited < 10_000, `${before} file descriptors became ${fds()}`);
      await pause(100);
    }
  }

  it('has as many file descriptors after 2,000 HTTP clients as before', async () => {
    await flat(async () => {
      const once = new Target(one().rpc, 1);
      await once.call('eth_blockNumber', []);
      once.close();
    }, connects);
  });

  it('… after 2,000 WebSocket clients, half of which go without a word', async () => {
    let count = 0;
    await flat(async () => {
      const socket = new WebSocket(one().rpc.replace('http', 'ws'));
      await new Promise<void>((resolve, reject) => {
        socket.once('open', resolve);
        socket.once('error', reject);
      });
      socket.send('{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}');
      if (count++ % 2 === 0) return socket.terminate();
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.close();
      });
    }, connects);
  });

  it('… after 2,000 sockets on the port of its peers', async () => {
    await flat(async () => {
      const socket = connect(one().p2pPort, '127.0.0.1');
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.once('error', () => socket.destroy());
        socket.once('connect', () => socket.end('no handshake'));
        socket.resume();
      });
    }, connects);
  });

  it('… after a hundred meetings with a peer that comes and goes', async () => {
    const before = fds();
    for (let met = 0; met < strangers; met++) await meet();
    for (let waited = 0; fds() > before + fdsSlack; waited += 100) {
      assert.ok(waited < 10_000, `${before} file descriptors became ${fds()}`);
      await pause(100);
    }
  });

  /** As the one that may listen to everything; resolves when it has been and gone. */
  async function meet(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const address = `/ip4/127.0.0.1/tcp/${one().p2pPort}`;
    const network = await Network.open({
      identitySeed: new Uint8Array(32).fill(0x0b),
      listen: [],
      peers: [{ peerId: one().peerId, addresses: [address] }],
      allowed: () => new Set([one().peerId]),
      essential: () => new Set([one().peerId]),
      hello: concatBytes(utf8('mpbp/1'), cluster.networkId),
      limits: DEFAULT_LIMITS,
      log: silentLog,
      onMessage: () => {},
      onRequest: () => Promise.resolve(null),
      onPeer: (_, connected) => connected && resolve(),
    });
    await Promise.race([promise, pause(5_000).then(() => assert.fail('it does not come'))]);
    await network.close();
  }

  it('stops with 0 within five seconds under load, and needs no replay', async () => {
    const [payer, payee] = accounts(0, 2);
    assert.ok(payer && payee);
    // In order, over one connection: none is taken before one that it has to follow.
    const inOrder = new Target(one().rpc, 1);
    for (let stop = 0; stop < stops; stop++) {
      payer.nonce = BigInt(await target.call('eth_getTransactionCount', [payer.address, 'latest']));
      const signed = Array.from({ length: 60 }, () => transfer(payer, payee.address, 6727n));
      const sent = signed.map(({ raw }) => inOrder.call('eth_sendRawTransaction', [raw]));
      await Promise.race(sent);
      const { child } = one();
      const since = performance.now();
      assert.equal(await cluster.stop(0), true);
      assert.ok(performance.now() - since < stopMsMax);
      assert.equal(child?.exitCode, 0);
      const taken = (await Promise.allSettled(sent)).map(({ status }) => status === 'fulfilled');
      const from = cluster.log(0).length;
      await start();
      for (const [at, { hash }] of signed.entries()) {
        if (taken[at]) await final(hash);
      }
      assert.doesNotMatch(cluster.log(0).slice(from), /replay|repair|"level":50/);
    }
    inOrder.close();
  });

  async function final(hash: string): Promise<void> {
    for (let waited = 0; waited < 5_000; waited += 50) {
      if ((await target.call('eth_getTransactionReceipt', [hash])) !== null) return;
      await pause(50);
    }
    assert.fail(`${hash} was taken and is lost`);
  }

  it('is ended at once by a second SIGTERM', async () => {
    const { child } = one();
    assert.ok(child);
    const ended = new Promise<number | null>((resolve) => {
      child.once('exit', (code) => resolve(code));
    });
    // A client that waits for an answer holds a clean stop up for a moment.
    const socket = connect(one().rpcPort, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n');
    socket.write('content-length: 9\r\n\r\n');
    await pause(200);
    const from = cluster.log(0).length;
    child.kill('SIGTERM');
    for (let waited = 0; !cluster.log(0).slice(from).includes('"msg":"stopping"'); waited += 10) {
      assert.ok(waited < 5_000);
      await pause(10);
    }
    child.kill('SIGTERM');
    const code = await Promise.race([ended, pause(5_000)]);
    socket.destroy();
    assert.equal(code, 0);
    assert.ok(existsSync(join(one().dir, 'admin.sock')), 'the clean stop did not come so far');
  });
});
