/** The pieces that need no socket. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '#p2p/backoff.ts';
import type { ByteStream, Link } from '#p2p/carrier.ts';
import type { FrameRefusal } from '#p2p/frames.ts';
import { encodeFrame, FrameReader } from '#p2p/frames.ts';
import { Outbox } from '#p2p/outbox.ts';
import { linkToKeep } from '#p2p/peer.ts';
import { TokenBucket } from '#p2p/rate.ts';
import { Standing } from '#p2p/standing.ts';
import { FrameWriter } from '#p2p/writer.ts';
import { concatBytes } from '#src/lib/bytes.ts';

const MAX = 300_000;

function readAll(reader: FrameReader, chunks: Uint8Array[]) {
  const messages: Uint8Array[] = [];
  let refusal: FrameRefusal | null = null;
  for (const chunk of chunks) {
    refusal ??= reader.push(chunk, (message) => {
      messages.push(message);
      return true;
    });
  }
  return { messages, refusal };
}

test('frames come out as they went in, however the stream was cut', () => {
  const message = fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 300 }) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 60_000, max: MAX }).map((n) => new Uint8Array(n).fill(n)),
    },
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(4000)), (messages, cuts) => {
      const bytes = concatBytes(...messages.map(encodeFrame));
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(bytes.slice(at, at + cut));
        at += cut;
      }
      chunks.push(bytes.slice(at));
      const read = readAll(new FrameReader(MAX), chunks);
      assert.equal(read.refusal, null);
      assert.deepEqual(read.messages.map(Buffer.from), messages.map(Buffer.from));
    }),
    { numRuns: 300 },
  );
});

test('a message does not share memory with the chunk it came in', () => {
  const chunk = encodeFrame(Uint8Array.of(1, 2, 3));
  const { messages } = readAll(new FrameReader(10), [chunk]);
  chunk.fill(9);
  assert.deepEqual([...(messages[0] ?? [])], [1, 2, 3]);
  assert.equal(messages[0]?.buffer.byteLength, 3);
});

for (const { when, bytes, code } of [
  { when: 'the length is zero', bytes: [0, 0, 0, 0], code: 'FRAME_EMPTY' },
  { when: 'the length is one too many', bytes: [0, 0, 0, 11], code: 'FRAME_TOO_LONG' },
  { when: 'the length is 4 GiB - 1', bytes: [255, 255, 255, 255], code: 'FRAME_TOO_LONG' },
  { when: 'a signed reader would see -1', bytes: [128, 0, 0, 1], code: 'FRAME_TOO_LONG' },
]) {
  test(`a frame is refused before memory is taken when ${when}`, () => {
    const { messages, refusal } = readAll(new FrameReader(10), [Uint8Array.from(bytes)]);
    assert.equal(refusal?.code, code);
    assert.equal(messages.length, 0);
  });
}

test('arbitrary bytes never throw and never give an empty or too long message', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 })), (chunks) => {
      for (const message of readAll(new FrameReader(20), chunks).messages) {
        assert.ok(message.length > 0 && message.length <= 20);
      }
    }),
    { numRuns: 2000 },
  );
});

test('the outbox keeps the newest within its bounds, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 })), (sizes) => {
      const outbox = new Outbox(5, 60);
      const kept: number[] = [];
      sizes.forEach((size, i) => {
        outbox.push(new Uint8Array(size).fill(i));
        kept.push(i);
        while (kept.length > 5 || kept.reduce((sum, k) => sum + (sizes[k] as number), 0) > 60) {
          kept.shift();
        }
      });
      assert.equal(outbox.messages, kept.length);
      assert.equal(outbox.dropped, sizes.length - kept.length);
      for (const k of kept) assert.equal(outbox.shift()?.length, sizes[k]);
      assert.equal(outbox.shift(), null);
      assert.equal(outbox.bytes, 0);
    }),
  );
});

test('the outbox counts a frame that can never fit and keeps the others', () => {
  const outbox = new Outbox(5, 60);
  assert.equal(outbox.push(new Uint8Array(10)), true);
  assert.equal(outbox.push(new Uint8Array(61)), false);
  assert.deepEqual([outbox.messages, outbox.dropped], [1, 1]);
});

test('a batch is the oldest frames that fit, never less than one', () => {
  const outbox = new Outbox(5000, 1 << 20);
  for (let i = 0; i < 3000; i++) outbox.push(Uint8Array.of(i & 255, i >> 8));
  outbox.push(new Uint8Array(500));
  const read: number[] = [];
  for (let batch = outbox.shiftBatch(100); batch !== null; batch = outbox.shiftBatch(100)) {
    assert.ok(batch.length === 100 || batch.length === 500);
    read.push(batch.length);
  }
  assert.deepEqual([read.length, read.at(-1)], [61, 500]);
});

test('redialling starts early, doubles, and stops growing; success starts over', () => {
  const backoff = new Backoff(100, 5000, () => 0);
  const waits = Array.from({ length: 9 }, () => backoff.nextMs());
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  backoff.reset();
  assert.equal(backoff.nextMs(), 100);
  assert.equal(new Backoff(100, 5000, () => 1).nextMs(), 125);
});

test('a bucket lets a second through, then makes the debt wait', () => {
  const bucket = new TokenBucket(1000, 0);
  assert.equal(bucket.take(1000, 0), 0);
  assert.equal(bucket.take(500, 0), 500);
  assert.equal(bucket.take(0, 500), 0);
  assert.equal(bucket.take(1000, 10_000), 0, 'never more than one second is saved');
  assert.equal(bucket.take(1, 10_000), 1);
});

test('offences add up to a sentence, time forgives, a ban ends', () => {
  const standing = new Standing(30 * 60_000);
  for (let i = 0; i < 79; i++) assert.equal(standing.penalize('drop', 0), 'none');
  assert.equal(standing.penalize('drop', 0), 'disconnect', 'the eightieth small offence');
  assert.equal(Math.round(standing.score(10 * 60_000)), -10);
  assert.equal(standing.penalize('disconnect', 10 * 60_000), 'disconnect');
  assert.equal(standing.penalize('disconnect', 10 * 60_000), 'ban', 'too many');
  assert.equal(standing.isBanned(39 * 60_000), true);
  assert.equal(standing.isBanned(40 * 60_000), false);
  assert.equal(standing.penalize('drop', 40 * 60_000), 'none');
  assert.equal(standing.penalize('ban', 40 * 60_000), 'ban');
});

test('both sides keep the same of two links, whichever they saw first', () => {
  const link = (peerId: string, direction: Link['direction'], openedAtMs: number): Link => ({
    id: direction,
    peerId,
    address: '',
    direction,
    openedAtMs,
    openStream: async () => null,
    close() {},
    abort() {},
  });
  for (const [aFirst, bFirst] of [
    ['outbound', 'outbound'],
    ['outbound', 'inbound'],
    ['inbound', 'outbound'],
  ] as const) {
    const seen = (peer: string, first: Link['direction']) => {
      const second = first === 'inbound' ? 'outbound' : 'inbound';
      const self = peer === 'b' ? 'a' : 'b';
      return linkToKeep(link(peer, first, 0), link(peer, second, 20), self, 5000).direction;
    };
    assert.equal(seen('b', aFirst), 'outbound', 'a keeps what a dialled');
    assert.equal(seen('a', bFirst), 'inbound', 'b keeps what a dialled');
  }
  const old = link('b', 'outbound', 0);
  const restarted = link('b', 'inbound', 6000);
  assert.equal(linkToKeep(old, restarted, 'a', 5000), restarted, 'a peer that came back');
  const twin = link('b', 'outbound', 10);
  assert.equal(linkToKeep(old, twin, 'a', 5000), twin, 'the same side dialled again');
});

test('a writer goes no further than the stream takes, and continues where it was', () => {
  const written: number[] = [];
  let room = 1;
  const stream: ByteStream = {
    listen() {},
    write(bytes) {
      written.push(bytes.length);
      return --room > 0;
    },
    pause() {},
    resume() {},
    end() {},
    reset() {},
  };
  const frames = [new Uint8Array(150_000), new Uint8Array(5)];
  const writer = new FrameWriter(stream, () => frames.shift() ?? null);
  writer.pump();
  assert.deepEqual(written, [65536]);
  writer.pump();
  assert.deepEqual(written, [65536], 'blocked until drained');
  room = 9;
  writer.drained();
  assert.deepEqual(written, [65536, 65536, 18928, 5]);
});
