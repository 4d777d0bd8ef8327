import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { SeededRandom } from '#src/lib/random.ts';
import { loud } from './fakeBackend.ts';
import { openWorld, payment } from './harness.ts';

type Result = {
  readonly cursor: string;
  readonly head?: { number: string };
  readonly logs?: { blockNumber: string; transactionHash: string }[];
};

/** A client that reads what comes until it is told to stop. */
class Follower {
  readonly results: Result[] = [];
  readonly #ws: WebSocket;
  #answer: (text: { result?: string; error?: { code: number; message: string } }) => void =
    () => {};

  private constructor(ws: WebSocket) {
    this.#ws = ws;
    ws.on('message', (data) => {
      const message = JSON.parse(String(data));
      if (message.method === 'mpbp_subscription') this.results.push(message.params.result);
      else this.#answer(message);
    });
    ws.on('error', () => {});
  }

  static async open(url: string): Promise<Follower> {
    const ws = new WebSocket(url.replace('http', 'ws'));
    await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
    return new Follower(ws);
  }

  ask(method: string, ...params: unknown[]) {
    return new Promise<{ result?: unknown; error?: { code: number; message: string } }>(
      (resolve) => {
        this.#answer = resolve;
        this.#ws.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
      },
    );
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }

  close(): void {
    this.#ws.terminate();
  }
}

describe('a stream of final blocks', async () => {
  const world = await openWorld({ replayBlocksMax: 2_000 });
  const { backend, url } = world;
  let nonce = 0n;
  let mining = true;
  const paid = new Map<string, string>();
  const chance = new SeededRandom(5);
  const mine = async () => {
    // Now and then several in a row have nothing for a filter, now and then none.
    if (chance.chance(0.4)) {
      const { raw, hash } = payment({ nonce, to: loud });
      await backend.submit(raw);
      const block = backend.mine();
      paid.set(hash, `0x${block.header.height.toString(16)}`);
    } else {
      await backend.submit(payment({ nonce }).raw);
      backend.mine();
    }
    nonce++;
  };
  for (let at = 0; at < 50; at++) await mine();

  const follow = async (topic: string, seed: number) => {
    const random = new SeededRandom(seed);
    const seen: Result[] = [];
    let cursor = '0x1';
    let connections = 0;
    while (mining || BigInt(cursor) <= backend.head.header.height) {
      const client = await Follower.open(url);
      const filter = topic === 'logs' ? { address: loud } : null;
      const answer = await client.ask('mpbp_subscribe', topic, filter, cursor);
      assert.equal(answer.error, undefined);
      await sleep(random.below(40));
      client.close();
      seen.push(...client.results);
      cursor = client.results.at(-1)?.cursor ?? cursor;
      connections++;
      // What is behind the last log has nothing for it.
      if (!mining && topic === 'logs' && seen.length >= paid.size) break;
    }
    return { seen, connections };
  };

  it('misses nothing and tells nothing twice over many connections', async () => {
    const following = [1, 2, 3].flatMap((seed) => [follow('newHeads', seed), follow('logs', seed)]);
    for (let at = 0; at < 400; at++) {
      await mine();
      if (at % 4 === 0) await sleep(2);
    }
    mining = false;
    const heights = Array.from({ length: 450 }, (_, at) => `0x${(at + 1).toString(16)}`);
    for (const { seen, connections } of await Promise.all(following)) {
      assert.ok(connections > 5, `${connections} connections`);
      if (seen[0]?.head !== undefined) {
        assert.deepEqual(
          seen.map(({ head }) => head?.number),
          heights,
        );
        continue;
      }
      const logs = seen.flatMap(({ logs = [] }) => logs);
      assert.deepEqual(
        logs.map(({ transactionHash, blockNumber }) => [transactionHash, blockNumber]),
        [...paid],
      );
    }
  });

  it('waits for a client that reads slowly, while it tells it of the past', async () => {
    const blocks = 9_000;
    const deep = await openWorld({ socketUnreadBytesMax: 256 * 1024 });
    for (let at = 0; at < blocks; at++) deep.backend.mine();
    const client = await Follower.open(deep.url);
    await client.ask('mpbp_subscribe', 'newHeads', null, '0x1');
    client.pause();
    await sleep(1_000);
    client.resume();
    for (let tried = 0; tried < 500 && client.results.length < blocks; tried++) await sleep(20);
    assert.equal(client.results.length, blocks);
    client.close();
  });

  it('begins at the next block where it is not told where', async () => {
    const client = await Follower.open(url);
    await client.ask('mpbp_subscribe', 'newHeads');
    await mine();
    await sleep(100);
    const next = `0x${backend.head.header.height.toString(16)}`;
    assert.deepEqual(
      client.results.map(({ head }) => head?.number),
      [next],
    );
    client.close();
  });

  it('ends by either name, and only for who began it', async () => {
    const [one, other] = [await Follower.open(url), await Follower.open(url)];
    const { result: id } = await one.ask('mpbp_subscribe', 'newHeads');
    assert.equal((await other.ask('mpbp_unsubscribe', id)).result, false);
    assert.equal((await one.ask('eth_unsubscribe', id)).result, true);
    assert.equal((await one.ask('mpbp_unsubscribe', id)).result, false);
    await mine();
    await sleep(50);
    assert.equal(one.results.length, 0);
    one.close();
    other.close();
  });

  it('refuses what it cannot give', async () => {
    const client = await Follower.open(url);
    const head = backend.head.header.height;
    const rows: [unknown[], number, RegExp][] = [
      [['blocks'], -32602, /no such topic/],
      [[], -32602, /missing value/],
      [['newHeads', { address: loud }], -32602, /no filter/],
      [['newHeads', null, `0x${(head + 2n).toString(16)}`], -32602, /not there yet/],
      [['newHeads', null, 7], -32602, /not a string/],
      [['logs', { address: 'x' }], -32602, /not an address/],
    ];
    for (const [params, code, words] of rows) {
      const { error } = await client.ask('mpbp_subscribe', ...params);
      assert.equal(error?.code, code, JSON.stringify(params));
      assert.match(error?.message ?? '', words);
    }
    client.close();
    const { error } = await world.call('mpbp_subscribe', 'newHeads');
    assert.equal(error?.code, -32601, 'not over HTTP');
  });

  it('goes back so far and no further', async () => {
    const small = await openWorld({ replayBlocksMax: 10 });
    for (let at = 0; at < 20; at++) small.backend.mine();
    const client = await Follower.open(small.url);
    assert.equal((await client.ask('mpbp_subscribe', 'newHeads', null, '0xb')).error, undefined);
    const { error } = await client.ask('mpbp_subscribe', 'newHeads', null, '0xa');
    assert.match(error?.message ?? '', /more than 10 blocks ago/);
    client.close();
  });
});
