/**
 * One question, one answer, on a short stream of its own:
 *
 *   asker -> server   one frame, then the end
 *   server -> asker   one frame: a status byte (1 answer, 0 refusal) and the answer; then the end
 *
 * Both sides bound size, time and number in flight. Null covers every way of not getting an answer:
 * the asker goes to another peer.
 */
import type { ByteStream, Link } from '#p2p/carrier.ts';
import { encodeFrame, FrameReader } from '#p2p/frames.ts';
import type { NetworkLimits } from '#p2p/limits.ts';
import { FrameWriter } from '#p2p/writer.ts';

export const REQUEST_PROTOCOL = '/mpbp/sync/1';

const REFUSED = encodeFrame(Uint8Array.of(0));

export async function ask(options: {
  link: Link;
  request: Uint8Array;
  limits: NetworkLimits;
  timeoutMs: number;
  onOffence(reason: string): void;
}): Promise<Uint8Array | null> {
  const { link, request, limits, timeoutMs } = options;
  const deadlineMs = performance.now() + timeoutMs;
  const stream = await link.openStream(REQUEST_PROTOCOL, timeoutMs);
  if (stream === null) return null;
  return new Promise((resolve) => {
    let isDone = false;
    const finish = (answer: Uint8Array | null, resetFor: string | null) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      if (resetFor !== null) stream.reset(resetFor);
      resolve(answer);
    };
    const timer = setTimeout(
      () => finish(null, 'request timed out'),
      Math.max(0, deadlineMs - performance.now()),
    );
    const reader = new FrameReader(limits.responseBytesMax + 1);
    const writer = new FrameWriter(stream, onceThenEnd(stream, encodeFrame(request)));
    stream.listen({
      onBytes(chunk) {
        if (isDone) return;
        const refusal = reader.push(chunk, (message) => {
          finish(message[0] === 1 ? message.subarray(1) : null, null);
          return false;
        });
        if (refusal === null || isDone) return;
        finish(null, refusal.code);
        options.onOffence(`answer: ${refusal.code}`);
      },
      onDrain: () => writer.drained(),
      onEnd: () => finish(null, 'no answer'),
      onClose: () => finish(null, null),
    });
    writer.pump();
  });
}

export function serve(options: {
  stream: ByteStream;
  limits: NetworkLimits;
  /** Null refuses. Never rejects. */
  answer(request: Uint8Array): Promise<Uint8Array | null>;
  onOffence(reason: string): void;
  /** Once, when the stream is over. */
  onDone(): void;
}): void {
  const { stream, limits } = options;
  let isAsked = false;
  let isOver = false;
  const timer = setTimeout(() => stream.reset('took too long'), limits.serveTimeoutMs);
  const reader = new FrameReader(limits.requestBytesMax);
  let writer: FrameWriter | null = null;
  const reply = async (request: Uint8Array) => {
    const answer = await options.answer(request);
    if (isOver) return;
    const frame = answer === null ? REFUSED : encodeAnswer(answer);
    writer = new FrameWriter(stream, onceThenEnd(stream, frame));
    writer.pump();
  };
  stream.listen({
    onBytes(chunk) {
      if (isAsked) return;
      const refusal = reader.push(chunk, (request) => {
        isAsked = true;
        void reply(request);
        return false;
      });
      if (refusal === null) return;
      stream.reset(refusal.code);
      options.onOffence(`request: ${refusal.code}`);
    },
    onDrain: () => writer?.drained(),
    onEnd() {
      if (!isAsked) stream.reset('no request');
    },
    onClose() {
      isOver = true;
      clearTimeout(timer);
      options.onDone();
    },
  });
}

/** Says no without reading the question. */
export function refuse(stream: ByteStream): void {
  stream.listen({ onBytes() {}, onDrain() {}, onEnd() {}, onClose() {} });
  stream.write(REFUSED);
  stream.end();
}

function encodeAnswer(answer: Uint8Array): Uint8Array {
  const message = new Uint8Array(1 + answer.length);
  message[0] = 1;
  message.set(answer, 1);
  return encodeFrame(message);
}

/** The frame, and the end of our side once it has been taken. */
function onceThenEnd(stream: ByteStream, frame: Uint8Array): () => Uint8Array | null {
  let left: Uint8Array | null = frame;
  let isEnded = false;
  return () => {
    const next = left;
    left = null;
    if (next === null && !isEnded) {
      isEnded = true;
      stream.end();
    }
    return next;
  };
}
