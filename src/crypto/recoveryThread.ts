/** The program of a thread of `RecoveryThreads`. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '#src/lib/failure.ts';
import { ANSWER_BYTES, QUESTION_BYTES } from './recoveryThreads.ts';
import { chooseSecp256k1, recover } from './secp256k1.ts';
import type { Secp256k1Name } from './secp256k1Backends.ts';

assert(parentPort !== null, 'started as a thread');
const port = parentPort;
await chooseSecp256k1(workerData as Secp256k1Name);

port.on('message', (batch: Uint8Array) => {
  const count = batch.length / QUESTION_BYTES;
  const answers = new Uint8Array(count * ANSWER_BYTES);
  for (let index = 0; index < count; index++) {
    const at = index * QUESTION_BYTES;
    const digest = batch.subarray(at, at + 32);
    const signature = batch.subarray(at + 32, at + 96);
    const key = recover(digest, signature, batch[at + 96] ?? 0);
    if (key === null) continue;
    answers[index * ANSWER_BYTES] = 1;
    answers.set(key, index * ANSWER_BYTES + 1);
  }
  port.postMessage(answers, [answers.buffer]);
});
