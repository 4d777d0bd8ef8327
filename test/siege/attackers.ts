/**
 * Everybody who means a node ill, in one process: `attackers.ts PORT SECONDS`. Each kind comes from
 * an address of its own in 127.0.0.0/8. Prints what became of their requests as JSON at the end.
 */
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { SeededRandom } from '#src/lib/random.ts';
import { pause } from '../bench/load.ts';

const [port = 0, seconds = 0] = process.argv.slice(2).map(Number);
const end = performance.now() + seconds * 1_000;
const counts: Record<string, number> = {};
const isOver = () => performance.now() >= end;
const count = (what: string) => {
  counts[what] = (counts[what] ?? 0) + 1;
};

const flooders = 64;
const slowSockets = 300;
const slowByteMs = 4_000;
const deafSubscribers = 50;
const callers = 8;
const fuzzers = 4;
const answerMsMax = 15_000;

const post = (body: string, more = '') =>
  `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
  `content-length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;

const call = (method: string, params: unknown[]) =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });

function open(localAddress: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
    socket.on('error', () => {});
  });
}

/** One request after the other on a kept connection, as fast as answers come. */
async function repeat(kind: string, address: string, next: () => string): Promise<void> {
  while (!isOver()) {
    const socket = await open(address);
    if (socket === null) {
      count(`${kind}: no connection`);
      await pause(50);
      continue;
    }
    await new Promise<void>((resolve) => {
      socket.setTimeout(answerMsMax, () => {
        count(`${kind}: no answer`);
        socket.destroy();
      });
      socket.on('data', (data: Buffer) => {
        const head = data.subarray(0, 12).toString('latin1');
        if (!head.startsWith('HTTP/1.1 ')) return;
        count(`${kind}: ${head.slice(9)}`);
        if (isOver()) socket.destroy();
        else socket.write(next());
      });
      socket.on('close', () => resolve());
      socket.write(next());
    });
    // Whoever is thrown out comes again at once, and takes its own time only for that.
    await pause(1);
  }
}

/** A head that never ends, a byte every few seconds. */
async function slow(): Promise<void> {
  while (!isOver()) {
    const socket = await open('127.0.0.3');
    if (socket === null) {
      count('slow: no connection');
      await pause(500);
      continue;
    }
    const began = performance.now();
    const drip = setInterval(() => socket.write('x'), slowByteMs);
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => socket.destroy(), end - performance.now());
      socket.resume();
      socket.on('close', () => {
        clearTimeout(cut);
        resolve();
      });
    });
    clearInterval(drip);
    const lived = performance.now() - began;
    if (!isOver()) count(lived <= 15_000 ? 'slow: closed in time' : 'slow: lived too long');
    await pause(100);
  }
}

/** Subscribes to all there is, from the first block on, and never reads. */
async function deaf(): Promise<void> {
  while (!isOver()) {
    const ws = new WebSocket(`ws://127.0.0.1:${port}`, { localAddress: '127.0.0.4' });
    ws.on('error', () => {});
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => ws.terminate(), Math.max(0, end - performance.now()));
      ws.once('open', () => {
        count('deaf: subscribed');
        ws.send(call('eth_subscribe', ['newHeads']));
        ws.send(call('eth_subscribe', ['newPendingTransactions', true]));
        for (let at = 0; at < 20; at++) ws.send(call('mpbp_subscribe', ['newHeads', null, '0x0']));
        ws.pause();
      });
      ws.once('close', () => {
        clearTimeout(cut);
        resolve();
      });
    });
    await pause(1_000);
  }
}

const random = new SeededRandom(7);

function fuzzed(): string {
  const bytes = () => String.fromCharCode(...Array.from({ length: 40 }, () => random.below(256)));
  const bodies = [
    () => bytes(),
    () => '['.repeat(200_000),
    () => `{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(1_000_000)}"}`,
    () => `[${Array.from({ length: 20_000 }, () => '{}').join(',')}]`,
    () => call('eth_getBalance', ['0x1', `0x${'9'.repeat(500_000)}`]),
    () => `{${Array.from({ length: 30_000 }, (_, at) => `"${at}":1`).join(',')}}`,
    () => call('eth_getLogs', [{ fromBlock: '0x0', topics: [Array(900).fill(topic)] }]),
    () => call('__proto__', [{ constructor: { prototype: 1 } }]),
  ];
  const body = (bodies[random.below(bodies.length)] ?? bytes)();
  return post(body, random.below(8) === 0 ? 'content-encoding: gzip\r\n' : '');
}

const topic = `0x${'ab'.repeat(32)}`;
/** A loop of hashes over 24 KiB of memory, without an end. */
const spinning = '0x5b6160005f205f5260005600';
const worstCall = call('eth_call', [
  { to: '0x00000000000000000000000000000000000ca11e', gas: '0xffffffff' },
  'latest',
  { '0x00000000000000000000000000000000000ca11e': { code: spinning } },
]);
const plain = post(call('eth_blockNumber', []));

await Promise.all([
  ...Array.from({ length: flooders }, () => repeat('flood', '127.0.0.2', () => plain)),
  ...Array.from({ length: slowSockets }, () => slow()),
  ...Array.from({ length: deafSubscribers }, () => deaf()),
  ...Array.from({ length: fuzzers }, () => repeat('fuzz', '127.0.0.5', fuzzed)),
  ...Array.from({ length: callers }, () => repeat('call', '127.0.0.6', () => post(worstCall))),
]);
process.stdout.write(`${JSON.stringify(counts)}\n`);
process.exit(0);
